"""What holds for every answer: its security headers, and how a failure is told."""

from collections.abc import Callable

import msgspec
from django.conf import settings
from django.http import HttpRequest, HttpResponse

from common.errors import InputError, ToolkitError, WriteFailed
from get_data.labelizer import access
from get_data.labelizer.access import Access
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


class OwnerOnly:
    """Answers go to whoever opened the printed address, and has a cookie since."""

    def __init__(self, get_response: Answer) -> None:
        self._get_response = get_response
        self._access: Access = settings.LABELIZER_ACCESS

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Return the answer, with the cookie where the address tells the secret, or a refusal."""
        told = request.GET.get(access.PARAMETER, "")
        if request.path == "/" and self._access.admits(told):
            return self._with_cookie(self._get_response(request))
        if self._access.admits(request.COOKIES.get(self._access.cookie, "")):
            return self._get_response(request)
        return _refusal(request)

    def _with_cookie(self, response: HttpResponse) -> HttpResponse:
        """Return the page itself: a redirect from another program's page would bring no cookie."""
        response.set_cookie(
            self._access.cookie,
            self._access.value,
            max_age=access.KEEP_S,
            httponly=True,
            samesite="Strict",
        )
        return response


def _refusal(request: HttpRequest) -> HttpResponse:
    if request.path.startswith("/api/"):
        return _failure("key", access.REFUSAL, 403)
    return HttpResponse(f"{access.REFUSAL}\n", status=403, content_type="text/plain; charset=utf-8")


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
                return _failure(why, str(failure), status)
        return None


def _failure(why: str, message: str, status: int) -> HttpResponse:
    """Return an answer that the page can tell from others."""
    content = msgspec.json.encode({"why": why, "message": message})
    return HttpResponse(content, status=status, content_type="application/json")
