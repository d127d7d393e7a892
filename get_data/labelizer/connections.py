"""The connections to the labelizer: those of strangers are small, few, and the first to go.

Any user of this machine can connect. Until a request on a connection brings the secret, the
connection is a stranger's: it may send a small body only, which stays in memory, and where
connections are many it makes room for others. So whoever holds connections open, or sends without
end, neither keeps the owner out nor fills a disk.
"""

from collections.abc import Callable
from copy import copy
from functools import partial
from typing import Any

import waitress
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser

from get_data.labelizer.access import Access

MOST_CONNECTIONS = 64  # a browser opens six
LARGEST_HEADER = 65_536  # holds the cookies of other programs on this machine too
LARGEST_OF_STRANGERS = 65_536  # bytes of a body
THREADS = 8

_IDLE_S = 60


def create_server(application: Any, listener: Any, access: Access, *, largest_body: int) -> Any:
    """Return waitress's server on this socket; `largest_body` is what an owner may send, bytes."""
    server = waitress.create_server(
        application,
        sockets=[listener],
        threads=THREADS,
        ident=None,
        max_request_header_size=LARGEST_HEADER,
        max_request_body_size=largest_body,
        connection_limit=4 * MOST_CONNECTIONS,  # never reached: there it would stop to accept
        channel_timeout=_IDLE_S,
        asyncore_use_poll=True,
        log_socket_errors=False,
    )
    server.channel_class = partial(_Connection, access)
    return server


class _Connection(HTTPChannel):  # type: ignore[misc]  # waitress has no types
    """A connection that knows whether its requests have brought the secret."""

    def __init__(self, access: Access, *arguments: Any, **named: Any) -> None:
        self.is_known = False
        self.parser_class = partial(_Request, access, self._recognize)
        super().__init__(*arguments, **named)
        self._make_room()

    def _recognize(self) -> None:
        self.is_known = True

    def _make_room(self) -> None:
        """Close the connection that is worth least, when there are too many."""
        others = [one for one in self.server.active_channels.values() if one is not self]
        if len(others) >= MOST_CONNECTIONS:
            min(others, key=_worth).handle_close()


def _worth(connection: Any) -> tuple[bool, bool, float]:
    """What sorts the connection to close first: a stranger's, idle, old.

    A stranger's age counts from its beginning, so that none keeps it fresh by sending little.
    """
    since = connection.last_activity if connection.is_known else connection.creation_time
    return connection.is_known, bool(connection.requests), since


class _Request(HTTPRequestParser):  # type: ignore[misc]
    """A request whose body is limited as soon as its header tells whose it is."""

    def __init__(self, access: Access, recognize: Callable[[], None], adj: Any) -> None:
        super().__init__(adj)
        self.adj: Any
        self._access = access
        self._recognize = recognize

    def parse_header(self, header_plus: bytes) -> None:
        """Parse the header, and set the limit of the body that may follow it."""
        super().parse_header(header_plus)
        if self._access.admits_cookies(self.headers.get("COOKIE", "")):
            self._recognize()
        else:
            self.adj = copy(self.adj)
            self.adj.max_request_body_size = LARGEST_OF_STRANGERS

    def received(self, data: bytes) -> int:
        """Take the bytes; a request that is refused is not told to go on."""
        consumed: int = super().received(data)
        if self.error:
            self.expect_continue = False
        return consumed
