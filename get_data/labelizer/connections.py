"""Connection limits of the web server: the owner comes before other users of the machine.

Any user of this machine can connect. Until a request on a connection carries the token, the
connection is anonymous: it may send a small body only, which stays in memory, and it is the first
to be closed when there are too many. So nobody who holds connections open, or sends without end,
can keep the owner out or fill the disk.
"""

from collections.abc import Callable
from copy import copy
from functools import partial
from typing import Any

import waitress
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser

from get_data.labelizer.access import Access

MAX_CONNECTIONS = 64  # a browser opens six
MAX_HEADER_BYTES = 65_536  # other programs on this machine may have set cookies too
MAX_ANONYMOUS_BODY_BYTES = 65_536
THREADS = 8

_IDLE_TIMEOUT_S = 60


def create_server(application: Any, listener: Any, access: Access, *, max_body_bytes: int) -> Any:
    """Create the waitress server on this socket; `max_body_bytes` limits the owner's requests."""
    server = waitress.create_server(
        application,
        sockets=[listener],
        threads=THREADS,
        ident=None,
        max_request_header_size=MAX_HEADER_BYTES,
        max_request_body_size=max_body_bytes,
        connection_limit=4 * MAX_CONNECTIONS,  # never reached: waitress stops accepting there
        channel_timeout=_IDLE_TIMEOUT_S,
        asyncore_use_poll=True,
        log_socket_errors=False,
    )
    server.channel_class = partial(_Connection, access)
    return server


class _Connection(HTTPChannel):  # type: ignore[misc]  # waitress has no types
    """A connection that knows whether one of its requests carried the token."""

    def __init__(self, access: Access, *args: Any, **kwargs: Any) -> None:
        self.is_authenticated = False
        self.parser_class = partial(_Request, access, self._authenticate)
        super().__init__(*args, **kwargs)
        self._evict_if_full()

    def _authenticate(self) -> None:
        self.is_authenticated = True

    def _evict_if_full(self) -> None:
        """Close the least valuable of the other connections when there are too many."""
        others = [
            channel for channel in self.server.active_channels.values() if channel is not self
        ]
        if len(others) >= MAX_CONNECTIONS:
            min(others, key=_eviction_key).handle_close()


def _eviction_key(connection: Any) -> tuple[bool, bool, float]:
    """Return the sort key of eviction: anonymous, idle and old connections come first.

    The age of an anonymous connection counts from its opening, so sending a byte now and then does
    not keep it alive.
    """
    since = connection.last_activity if connection.is_authenticated else connection.creation_time
    return connection.is_authenticated, bool(connection.requests), since


class _Request(HTTPRequestParser):  # type: ignore[misc]
    """A request whose body limit is set once its header shows who sends it."""

    def __init__(self, access: Access, authenticate: Callable[[], None], adj: Any) -> None:
        super().__init__(adj)
        self.adj: Any
        self._access = access
        self._authenticate = authenticate

    def parse_header(self, header_plus: bytes) -> None:
        """Parse the header, and set the limit of the body that may follow it."""
        super().parse_header(header_plus)
        if self._access.is_valid_cookie_header(self.headers.get("COOKIE", "")):
            self._authenticate()
        else:
            # `adj` holds the settings that all connections share.
            self.adj = copy(self.adj)
            self.adj.max_request_body_size = MAX_ANONYMOUS_BODY_BYTES

    def received(self, data: bytes) -> int:
        """Consume the bytes; a refused request gets no "100 Continue"."""
        consumed: int = super().received(data)
        if self.error:
            self.expect_continue = False
        return consumed
