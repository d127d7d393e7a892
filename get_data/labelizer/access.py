"""Access to the page by a secret token: in the printed address first, then in a cookie.

Every program on this machine can reach the port, whichever user runs it. As in Jupyter, each start
creates a new token, so a program that takes over the port later cannot learn one that is in use.
"""

import secrets
from urllib.parse import urlencode

HOST = "127.0.0.1"
TOKEN_PARAMETER = "token"
COOKIE_MAX_AGE_S = 30 * 24 * 3600  # the token itself ends with the process
REFUSAL = (
    "This page needs the address that the labelizer printed when it started, with its token. "
    "The address changes at each start: open the latest one."
)


class Access:
    """Token of one server process, and the checks against it."""

    def __init__(self, port: int) -> None:
        self._token = secrets.token_urlsafe(32)
        self._port = port

    @property
    def address(self) -> str:
        """Address of the page, token included; for its owner alone."""
        return f"http://{HOST}:{self._port}/?{urlencode({TOKEN_PARAMETER: self._token})}"

    @property
    def cookie_name(self) -> str:
        """Name of the cookie, with the port in it: browsers share cookies between ports."""
        return f"labelizer-key-{self._port}"

    @property
    def cookie_value(self) -> str:
        """Value of the owner's cookie: the token."""
        return self._token

    def is_valid(self, token: str) -> bool:
        """Return whether this is the token; the comparison takes constant time."""
        return secrets.compare_digest(token.encode(errors="replace"), self._token.encode())

    def is_valid_cookie_header(self, header: str) -> bool:
        """Return whether a Cookie header contains the token."""
        cookies = (cookie.partition("=") for cookie in header.split(";"))
        return any(
            self.is_valid(value.strip())
            for name, _, value in cookies
            if name.strip() == self.cookie_name
        )
