"""Views behind the page's requests; only a POST writes."""

from pathlib import Path
from typing import Annotated, Any

import msgspec
from django.conf import settings
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from msgspec import Meta, Struct

from common.errors import InputError
from get_data.labelizer import pictures
from get_data.labelizer.apply_command import build_apply_command
from get_data.labelizer.operations import Batch
from get_data.labelizer.picture_folder import printable_name
from get_data.labelizer.workspace import ReopenMode, Workspace

_MODULES = sorted(
    file.name for file in (Path(__file__).parent / "static" / "labelizer").glob("*.js")
)
_CACHE_FOREVER = {"Cache-Control": "private, max-age=31536000, immutable"}  # URLs have the version
_NO_CACHE = {"Cache-Control": "no-store"}


Browser = Annotated[str, Meta(min_length=8, max_length=64)]


class PageRequest(Struct, forbid_unknown_fields=True):
    """Any request that may write; `work` is the work that the page was opened with."""

    work: str


class LeaseRequest(PageRequest, forbid_unknown_fields=True):
    """A request for the lease."""

    browser: Browser
    take_over: bool = False


class HeartbeatRequest(PageRequest, forbid_unknown_fields=True):
    """A heartbeat; `epoch` is 0 for a read-only page."""

    browser: Browser
    epoch: int


class ReopenRequest(PageRequest, forbid_unknown_fields=True):
    """A request to continue with a modified label file."""

    how: ReopenMode
    epoch: int


def page(request: HttpRequest) -> HttpResponse:
    """Return the page; it requests everything else itself."""
    context = {"modules": _MODULES, "work": _workspace().work.name}
    return render(request, "labelizer/page.html", context)


def entries(_request: HttpRequest) -> HttpResponse:
    """Return the labels as columns."""
    return _raw_response(_workspace().entries)


def state(_request: HttpRequest) -> HttpResponse:
    """Return the edits so far."""
    return _json_response(_workspace().state())


def findings(_request: HttpRequest) -> HttpResponse:
    """Return the findings of the inspection so far."""
    return _json_response(_workspace().inspection.findings)


def model(_request: HttpRequest) -> HttpResponse:
    """Return the labels that look wrong, or how far the search for them is."""
    return _raw_response(_workspace().model.reply)


def comparison(_request: HttpRequest) -> HttpResponse:
    """Return the labels of another person, null if there are none to compare with."""
    return _json_response(_workspace().comparison)


def document(_request: HttpRequest, position: int) -> HttpResponse:
    """Return one label, byte for byte as in the file."""
    return _raw_response(_workspace().document(_check_position(position)))


def picture(_request: HttpRequest, position: int) -> HttpResponse:
    """Return one picture file."""
    file = _workspace().catalogue.picture(_check_position(position))
    if file is None:
        raise Http404
    return _file_response(file, content_type="image/jpeg", headers=_CACHE_FOREVER)


def sheet(_request: HttpRequest, number: int) -> HttpResponse:
    """Return a contact sheet."""
    _check_position(number * pictures.SHEET_PICTURES)
    content = _workspace().sheet(number)
    return HttpResponse(content, content_type="image/jpeg", headers=_CACHE_FOREVER)


def exported_file(_request: HttpRequest, name: str) -> HttpResponse:
    """Return the latest exported label file as a download."""
    file = _workspace().last_export
    if file is None or file.name != name:
        raise Http404
    return _file_response(file, as_attachment=True, filename=name)


def lease(request: HttpRequest) -> HttpResponse:
    """Grant the lease, to one page at a time."""
    body = _parse_body(request, LeaseRequest)
    epoch = _workspace().take_lease(body.browser, take_over=body.take_over)
    return _json_response({"epoch": epoch})


def heartbeat(request: HttpRequest) -> HttpResponse:
    """Refresh the page's lease."""
    body = _parse_body(request, HeartbeatRequest)
    return _json_response(_workspace().heartbeat(body.browser, body.epoch))


def edits(request: HttpRequest) -> HttpResponse:
    """Save operations."""
    return _json_response(_workspace().save(_parse_body(request, Batch)))


def export(request: HttpRequest) -> HttpResponse:
    """Write a new label file, and return its summary and the command that applies it."""
    _parse_body(request, PageRequest)
    result = _workspace().export()
    command = build_apply_command(result.file, _workspace().catalogue.folder)
    return _json_response({**msgspec.structs.asdict(result), "apply": command})


def reopen(request: HttpRequest) -> HttpResponse:
    """Continue with the modified label file."""
    body = _parse_body(request, ReopenRequest)
    return _json_response({"archived": _workspace().reopen(body.how, body.epoch)})


def _workspace() -> Workspace:
    workspace: Workspace = settings.LABELIZER
    return workspace


def _check_position(position: int) -> int:
    """Return the position, or answer 404 if there is no such entry."""
    if position >= len(_workspace().catalogue):
        raise Http404
    return position


def _parse_body(request: HttpRequest, kind: Any) -> Any:
    """Parse the body of a page's request.

    Raises:
        InputError: the body is invalid.
        OtherWork: the page belongs to another work file.
    """
    try:
        body = msgspec.json.decode(request.body, type=kind)
    except msgspec.MsgspecError as error:
        raise InputError(f"invalid request: {error}") from error
    except OverflowError as error:
        raise InputError("invalid request: a number is too large") from error
    _workspace().check_work(body.work)
    return body


def _file_response(file: Path, **options: Any) -> FileResponse:
    try:
        return FileResponse(file.open("rb"), **options)
    except OSError as error:
        raise Http404 from error


def _json_response(content: Any) -> HttpResponse:
    return _raw_response(msgspec.json.encode(content, enc_hook=_encode_path))


def _raw_response(content: bytes) -> HttpResponse:
    return HttpResponse(content, content_type="application/json", headers=_NO_CACHE)


def _encode_path(value: Any) -> str:
    if isinstance(value, Path):
        return printable_name(value)
    raise NotImplementedError
