"""HTTP proxies from the environment: one rule for labels and pictures.

An https server is reached through the proxy of `https_proxy` or `all_proxy`, unless `no_proxy`
names its host; the proxy learns the host's name and nothing else. An http server is reached
directly, because a proxy could read the login.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit
from urllib.request import getproxies_environment, proxy_bypass


@dataclass(frozen=True, slots=True)
class Route:
    """Route to a server.

    Attributes:
        proxy: the URL of the proxy, "" without one. It may hold a login.
        note: a remark on proxies, in parentheses, to append to a connection error; "" if there is
            none.
    """

    proxy: str = field(default="", repr=False)
    note: str = ""


def find_route(url: str, environment: Mapping[str, str] = os.environ) -> Route:
    """Return how to reach the server at a URL."""
    server = urlsplit(url)
    proxies = getproxies_environment()
    proxy = proxies.get(server.scheme) or proxies.get("all")
    if not proxy or proxy_bypass(server.hostname or "", proxies):
        return Route()
    variable = _variable(server.scheme if proxies.get(server.scheme) else "all", environment)
    if server.scheme == "http":
        return Route(note=f" ({variable} is ignored: http servers are reached directly)")
    if "://" not in proxy:
        proxy = f"http://{proxy}"
    shown = _without_login(proxy)
    if not shown:
        return Route(note=f" ({variable} is ignored: it is not the URL of an HTTP proxy)")
    return Route(
        proxy, f" (through the proxy {shown} of {variable}; no_proxy={server.hostname} avoids it)"
    )


def _variable(scheme: str, environment: Mapping[str, str]) -> str:
    """Return the name of the variable in effect; lower case takes precedence."""
    lower = f"{scheme}_proxy"
    return lower if environment.get(lower) else lower.upper()


def _without_login(proxy: str) -> str:
    """Return the URL without the login, "" if it is not that of an HTTP proxy."""
    try:
        parts = urlsplit(proxy)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            return ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.hostname}{port}"
