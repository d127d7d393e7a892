"""Django middleware: security headers, access by token, and failures as JSON."""

from collections.abc import Callable

import msgspec
from django.conf import settings
from django.http import HttpRequest, HttpResponse

from common.errors import InputError, ToolkitError, WriteFailed
from get_data.labelizer import access
from get_data.labelizer.access import Access
from get_data.labelizer.export import SourceChanged
from get_data.labelizer.work_file import LeaseLost
from get_data.labelizer.workspace import OtherWork

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
        "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
}
# Status and reason code of each failure; the page acts on the code.
_FAILURES: list[tuple[type[ToolkitError], int, str]] = [
    (OtherWork, 409, "work"),
    (LeaseLost, 409, "lease"),
    (SourceChanged, 409, "source"),
    (WriteFailed, 507, "disk"),
    (InputError, 400, "input"),
]

GetResponse = Callable[[HttpRequest], HttpResponse]


class SecurityHeaders:
    """Restriction of scripts, styles and pictures to this origin, and no embedding elsewhere."""

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Return the response with the headers added."""
        response = self._get_response(request)
        for name, value in _HEADERS.items():
            response[name] = value
        return response


class OwnerOnly:
    """Access for browsers that opened the printed address, which sets the cookie."""

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response
        self._access: Access = settings.LABELIZER_ACCESS

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Return the response, with a cookie if the address has the token, or a refusal."""
        token = request.GET.get(access.TOKEN_PARAMETER, "")
        if request.path == "/" and self._access.is_valid(token):
            return self._set_cookie(self._get_response(request))
        if self._access.is_valid(request.COOKIES.get(self._access.cookie_name, "")):
            return self._get_response(request)
        return _refuse(request)

    def _set_cookie(self, response: HttpResponse) -> HttpResponse:
        """Set the cookie on the page itself.

        A redirect would lose it: when another program's page leads here, browsers do not send a
        SameSite=Strict cookie with the redirected request.
        """
        response.set_cookie(
            self._access.cookie_name,
            self._access.cookie_value,
            max_age=access.COOKIE_MAX_AGE_S,
            httponly=True,
            samesite="Strict",
        )
        return response


def _refuse(request: HttpRequest) -> HttpResponse:
    if request.path.startswith("/api/"):
        return _failure_response("key", access.REFUSAL, 403)
    return HttpResponse(f"{access.REFUSAL}\n", status=403, content_type="text/plain; charset=utf-8")


class Failures:
    """Responses for the toolkit's own errors; a bug keeps its traceback."""

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Return the response."""
        return self._get_response(request)

    def process_exception(self, _request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Return the response for an error of the toolkit; None for a bug."""
        for kind, status, reason in _FAILURES:
            if isinstance(error, kind):
                return _failure_response(reason, str(error), status)
        return None


def _failure_response(reason: str, message: str, status: int) -> HttpResponse:
    content = msgspec.json.encode({"why": reason, "message": message})
    return HttpResponse(content, status=status, content_type="application/json")
