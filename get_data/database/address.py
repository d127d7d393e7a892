"""URLs of servers, as environment variables give them."""

import ipaddress
import re

from common.errors import InputError

_URL = re.compile(
    r"https?://(?P<host>\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(:(?P<port>[0-9]{1,5}))?"
    r"(/([A-Za-z0-9._~-]|%[0-9A-Fa-f]{2})*)*"
)
_NUMBER = re.compile("[0-9]+|0x[0-9a-f]*", re.IGNORECASE)


def parse_url(variable: str, text: str, *, example: str, login: str) -> str:
    """Return a server's URL without a trailing slash.

    Args:
        variable: the name of the environment variable.
        text: its value, which no message repeats: it may hold a password.
        example: a valid URL, for the message.
        login: the variables in which a login belongs.

    Raises:
        InputError: it is not a URL; the message names the variable.
    """
    if "@" in text:
        raise InputError(f"{variable} holds a login; remove it there and set {login}")
    parts = _URL.fullmatch(text)
    if not parts or not _is_host(parts["host"]) or not 0 < int(parts["port"] or 80) < 2**16:
        raise InputError(f'{variable} is not the URL of a server, such as "{example}"')
    return text.rstrip("/")


def _is_host(text: str) -> bool:
    """Return whether this can be a host; where it cannot, clients fail in many ways."""
    try:
        if text.startswith("["):
            ipaddress.IPv6Address(text[1:-1])
        elif _NUMBER.fullmatch(text.split(".")[-1]):
            ipaddress.IPv4Address(text)
        else:
            text.encode().decode("idna").encode("idna")
    except ValueError:
        return False
    return len(text) < 256
