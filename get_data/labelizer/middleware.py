"""What holds for every answer: its security headers, and how a failure is told."""

from collections.abc import Callable

import msgspec
from django.http import HttpRequest, HttpResponse

from errors import InputError, ToolkitError, WriteFailed
from get_data.labelizer.desk import OtherWork
from get_data.labelizer.export import SourceChanged
from get_data.labelizer.work_file import LeaseLost

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
        "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
}
_STATUS: list[tuple[type[ToolkitError], int, str]] = [
    (OtherWork, 409, "work"),
    (LeaseLost, 409, "lease"),
    (SourceChanged, 409, "source"),
    (WriteFailed, 507, "disk"),
    (InputError, 400, "input"),
]

Answer = Callable[[HttpRequest], HttpResponse]


class SecurityHeaders:
    """Scripts, styles and pictures come from here alone, and nobody else may show or embed them."""

    def __init__(self, get_response: Answer) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """The answer, with the headers."""
        response = self._get_response(request)
        for name, value in _HEADERS.items():
            response[name] = value
        return response


class Failures:
    """A failure of ours is a status and one line; a bug stays one."""

    def __init__(self, get_response: Answer) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """The answer."""
        return self._get_response(request)

    def process_exception(self, _request: HttpRequest, failure: Exception) -> HttpResponse | None:
        """The failure as an answer; None for a bug."""
        for kind, status, why in _STATUS:
            if isinstance(failure, kind):
                content = msgspec.json.encode({"why": why, "message": str(failure)})
                return HttpResponse(content, status=status, content_type="application/json")
        return None
