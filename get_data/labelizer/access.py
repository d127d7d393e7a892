"""The secret that lets a browser in: in the address that is printed, then in a cookie.

Every program of this machine reaches the port, whoever runs it. As Jupyter does, each start makes a
new secret, so that nobody learns it from a port that he took over after the labelizer had ended.
"""

import secrets
from urllib.parse import urlencode

HOST = "127.0.0.1"
PARAMETER = "token"
KEEP_S = 30 * 24 * 3600  # the cookie; the secret itself ends with the process
REFUSAL = (
    "This page needs the address that the labelizer printed where it was started, with its token: "
    "open that one. It is a new one after each start."
)


class Access:
    """Who may ask a labelizer on this port."""

    def __init__(self, port: int) -> None:
        self._secret = secrets.token_urlsafe(32)
        self._port = port

    @property
    def address(self) -> str:
        """Where the page is, for its owner alone."""
        return f"http://{HOST}:{self._port}/?{urlencode({PARAMETER: self._secret})}"

    @property
    def cookie(self) -> str:
        """The cookie's name: browsers share cookies between ports."""
        return f"labelizer-key-{self._port}"

    @property
    def value(self) -> str:
        """What the cookie of an owner holds."""
        return self._secret

    def admits(self, secret: str) -> bool:
        """Return whether this is the secret, in a time that tells nothing of it."""
        return secrets.compare_digest(secret.encode(errors="replace"), self._secret.encode())

    def admits_cookies(self, header: str) -> bool:
        """Return whether a Cookie header holds the secret."""
        return any(
            self.admits(value.strip())
            for name, _, value in (one.partition("=") for one in header.split(";"))
            if name.strip() == self.cookie
        )
