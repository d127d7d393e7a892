"""The proxy that the environment names: one rule for labels and pictures.

A server over https is reached through the proxy of `https_proxy` or `all_proxy`, which sees its
name and nothing more, unless `no_proxy` names the host. A server over http is reached directly:
the proxy could read the login.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit
from urllib.request import getproxies_environment, proxy_bypass


@dataclass(frozen=True, slots=True)
class Way:
    """How a server is reached: `proxy` is the address of a proxy, "" without one.

    `note` is what to know of it when the server is not reached, in parentheses; "" for nothing.
    """

    proxy: str = field(default="", repr=False)  # may hold a login
    note: str = ""


def way_to(url: str, environment: Mapping[str, str] = os.environ) -> Way:
    """Return how the server at that address is reached."""
    to = urlsplit(url)
    proxies = getproxies_environment()
    proxy = proxies.get(to.scheme) or proxies.get("all")
    if not proxy or proxy_bypass(to.hostname or "", proxies):
        return Way()
    variable = _variable(to.scheme if proxies.get(to.scheme) else "all", environment)
    if to.scheme == "http":
        return Way(note=f" ({variable} does not count: a server over http is reached directly)")
    if "://" not in proxy:
        proxy = f"http://{proxy}"
    shown = _shown(proxy)
    if not shown:
        return Way(note=f" ({variable} does not count: it names no proxy over http)")
    return Way(
        proxy, f" (through the proxy {shown} of {variable}; no_proxy={to.hostname} avoids it)"
    )


def _variable(scheme: str, environment: Mapping[str, str]) -> str:
    """Return the name of the variable that names the proxy; the one in small letters counts."""
    small = f"{scheme}_proxy"
    return small if environment.get(small) else small.upper()


def _shown(proxy: str) -> str:
    """Return the proxy without its login, "" for one that is not spoken to by http."""
    try:
        parts = urlsplit(proxy)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            return ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.hostname}{port}"
