"""What the page asks of the server. Only a POST writes."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from django.conf import settings
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from msgspec import Meta, Struct

from common.errors import InputError
from get_data.labelizer import pictures
from get_data.labelizer.applying import applying
from get_data.labelizer.catalogue import shown
from get_data.labelizer.desk import Desk
from get_data.labelizer.operations import Batch

_MODULES = sorted(
    file.name for file in (Path(__file__).parent / "static" / "labelizer").glob("*.js")
)
_FOR_EVER = "private, max-age=31536000, immutable"  # the address tells the version


Browser = Annotated[str, Meta(min_length=8, max_length=64)]


class PageRequest(Struct, forbid_unknown_fields=True):
    """What every page says that writes: `work`, that it was opened with."""

    work: str


class LeaseRequest(PageRequest, forbid_unknown_fields=True):
    """A browser that wants to write."""

    browser: Browser
    take_over: bool = False


class Sign(PageRequest, forbid_unknown_fields=True):
    """A browser that is still there; `epoch` 0 when it does not write."""

    browser: Browser
    epoch: int


class ReopenRequest(PageRequest, forbid_unknown_fields=True):
    """How to go on with a label file that has changed."""

    how: Literal["carry", "anew"]
    epoch: int


def desk() -> Desk:
    """The desk that this process serves."""
    opened: Desk = settings.LABELIZER
    return opened


def page(request: HttpRequest) -> HttpResponse:
    """The page; everything else it asks for itself."""
    return render(request, "labelizer/page.html", {"modules": _MODULES, "work": desk().work.name})


def entries(_request: HttpRequest) -> HttpResponse:
    """The labels as columns."""
    return _raw(desk().entries)


def state(_request: HttpRequest) -> HttpResponse:
    """What has been done."""
    return _json(desk().state())


def findings(_request: HttpRequest) -> HttpResponse:
    """What was found in the pictures so far."""
    return _json(desk().examination.findings)


def document(_request: HttpRequest, position: int) -> HttpResponse:
    """One label whole, byte for byte as the file has it."""
    return _raw(desk().document(_position(position)))


def picture(_request: HttpRequest, position: int) -> HttpResponse:
    """One picture file."""
    file = desk().catalogue.picture(_position(position))
    if file is None:
        raise Http404
    try:
        return FileResponse(
            file.open("rb"), content_type="image/jpeg", headers={"Cache-Control": _FOR_EVER}
        )
    except OSError as error:
        raise Http404 from error


def sheet(_request: HttpRequest, number: int) -> HttpResponse:
    """A contact sheet."""
    _position(number * pictures.SHEET)
    return HttpResponse(
        desk().sheet(number), content_type="image/jpeg", headers={"Cache-Control": _FOR_EVER}
    )


def exported(_request: HttpRequest, name: str) -> HttpResponse:
    """The label file that was written last, as a download."""
    file = desk().last_export
    if file is None or file.name != name:
        raise Http404
    try:
        return FileResponse(file.open("rb"), as_attachment=True, filename=name)
    except OSError as error:
        raise Http404 from error


def lease(request: HttpRequest) -> HttpResponse:
    """The right to write, to one page at a time."""
    wish = _body(request, LeaseRequest)
    return _json({"epoch": desk().take_lease(wish.browser, take_over=wish.take_over)})


def hear(request: HttpRequest) -> HttpResponse:
    """A page says that it is still there."""
    said = _body(request, Sign)
    return _json(desk().hear(said.browser, said.epoch))


def edits(request: HttpRequest) -> HttpResponse:
    """Operations to save."""
    return _json(desk().save(_body(request, Batch)))


def export(request: HttpRequest) -> HttpResponse:
    """A new label file, written beside the old one."""
    _body(request, PageRequest)
    exported = desk().export()
    apply = applying(exported.file, desk().catalogue.folder)
    return _json({**asdict(exported), "apply": apply})


def reopen(request: HttpRequest) -> HttpResponse:
    """Goes on with the label file as it is now."""
    wish = _body(request, ReopenRequest)
    return _json({"aside": desk().reopen(wish.how, wish.epoch)})


def _position(number: int) -> int:
    if number >= len(desk().catalogue):
        raise Http404
    return number


def _body(request: HttpRequest, kind: Any) -> Any:
    """What a page of this work sends. Raises: InputError, OtherWork."""
    try:
        body = msgspec.json.decode(request.body, type=kind)
    except msgspec.MsgspecError as error:
        raise InputError(f"not a request of the page: {error}") from error
    except OverflowError as error:
        raise InputError("not a request of the page: a number is too large") from error
    desk().check(body.work)
    return body


def _json(content: Any) -> HttpResponse:
    return _raw(msgspec.json.encode(content, enc_hook=_as_text))


def _raw(content: bytes) -> HttpResponse:
    return HttpResponse(
        content, content_type="application/json", headers={"Cache-Control": "no-store"}
    )


def _as_text(value: Any) -> str:
    if isinstance(value, Path):
        return shown(value)
    raise NotImplementedError
