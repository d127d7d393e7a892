"""The address of a server, as a variable tells it."""

import ipaddress
import re

from common.errors import InputError

_ADDRESS = re.compile(
    r"https?://(?P<host>\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(:(?P<port>[0-9]{1,5}))?"
    r"(/([A-Za-z0-9._~-]|%[0-9A-Fa-f]{2})*)*"
)
_NUMBER = re.compile("[0-9]+|0x[0-9a-f]*", re.IGNORECASE)


def checked(variable: str, text: str, *, example: str, login: str) -> str:
    """The address, without a slash at its end; `login` is where a login belongs instead.

    A wrong one is not shown: it may hold a password. Raises: InputError that names the variable.
    """
    if "@" in text:
        raise InputError(f"{variable} holds a login; take it out of there and set {login}")
    parts = _ADDRESS.fullmatch(text)
    if not parts or not _is_host(parts["host"]) or not 0 < int(parts["port"] or 80) < 2**16:
        raise InputError(f'{variable} is no address of a server; expected such as "{example}"')
    return text.rstrip("/")


def _is_host(text: str) -> bool:
    """Whether that can be the host of an address: where it cannot, clients fail in many ways."""
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
