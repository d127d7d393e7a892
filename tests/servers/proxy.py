"""A TCP proxy that does to HTTP what bad networks and busy servers do.

    with Proxy(gateway.url) as proxy:
        proxy.latency_s = 0.03
        proxy.answer(503, times=5, method="PUT")
        ...  # use proxy.url
        assert proxy.requests["GET", "list"] == 1

Faults apply to the requests to come, in the order in which they were set.
"""

import asyncio
import socket
import struct
import threading
from collections import Counter, deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from tests.servers.http_requests import Request, RequestSplitter
from tests.servers.server import free_port

_HOST = "127.0.0.1"


@dataclass(slots=True)
class _Fault:
    """A fault of the next `times` requests of a method and a kind, "" for any."""

    times: int
    method: str
    kind: str
    status: int = 0  # of the answer that the proxy gives itself
    cut: Literal["request", "response", ""] = ""
    after_bytes: int = 0
    how: Literal["reset", "close"] = "reset"
    every: int = 1
    seen: int = 0  # requests of its method and kind

    def is_for(self, request: Request) -> bool:
        """Return whether a request has this fault, and count it."""
        if self.method not in ("", request.method) or self.kind not in ("", request.kind):
            return False
        self.seen += 1
        return self.seen % self.every == 0


class Gate:
    """Holds requests back until they are let through together.

    Requests that wait together are one round trip, however long each takes: so round trips that
    follow each other are counted without a clock. Several proxies may share a gate.
    """

    def __init__(self) -> None:
        self._waiting: list[tuple[str, Callable[[], None]]] = []
        self._is_open = False
        self._changed = threading.Condition()

    def hold(self, name: str, let_through: Callable[[], None]) -> None:
        """Keep a request until the next `release`."""
        with self._changed:
            if not self._is_open:
                self._waiting.append((name, let_through))
                self._changed.notify_all()
                return
        let_through()

    def release(self, count: int, within_s: float) -> list[str]:
        """Wait for so many requests and let them through; return their names, sorted."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._waiting) >= count, within_s)
            waiting, self._waiting = self._waiting, []
        for _, let_through in waiting:
            let_through()
        return sorted(name for name, _ in waiting)

    def open(self) -> list[str]:
        """Let everything through from now on; return the names of what was waiting, sorted."""
        with self._changed:
            self._is_open = True
        return self.release(0, 0)


class Proxy:
    """A proxy that forwards `url` to another address, both http.

    `latency_s` is added in each direction without limiting throughput. `requests` counts all
    requests by method and kind (see `Request.kind`), including those that the proxy answers.
    `gate`, if any, holds all requests.
    """

    def __init__(self, target: str, gate: Gate | None = None) -> None:
        self.gate = gate
        self.latency_s = 0.0
        self.requests: Counter[tuple[str, str]] = Counter()
        self.target = urlsplit(target)
        self.stalled_until = 0.0  # by the clock of the loop
        self.loop = asyncio.new_event_loop()
        self.connections: set[_Connection] = set()
        self._port = free_port()
        self._faults: list[_Fault] = []
        self._server: asyncio.Server | None = None
        self._thread = threading.Thread(target=self.loop.run_forever, name="proxy", daemon=True)

    @property
    def url(self) -> str:
        """The address for clients."""
        return f"http://{_HOST}:{self._port}"

    def __enter__(self) -> Self:
        self._thread.start()
        self._in_loop(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._in_loop(self._close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    def answer(
        self, status: int, *, times: int = 1, method: str = "", kind: str = "", every: int = 1
    ) -> None:
        """Answer requests with this status and keep them from the server; `every` second one: 2."""
        self._faults.append(_Fault(times, method, kind, status=status, every=every))

    def heal(self) -> None:
        """Set no fault for the requests to come."""
        self.loop.call_soon_threadsafe(self._faults.clear)

    def cut(
        self,
        after_bytes: int,
        *,
        of: Literal["request", "response"] = "response",
        how: Literal["reset", "close"] = "reset",
        times: int = 1,
        method: str = "",
        kind: str = "",
    ) -> None:
        """End the connection after so many bytes, head included; shorter messages pass.

        After 0 bytes of the response, the server has done the work but nobody knows.
        """
        self._faults.append(_Fault(times, method, kind, cut=of, after_bytes=after_bytes, how=how))

    def stall(self, seconds: float) -> None:
        """Hold back all data, from either side, for this time."""
        self.stalled_until = self.loop.time() + seconds

    def refuse(self, seconds: float | None = None) -> None:
        """Reset connections and refuse new ones, for this time or until `accept`."""
        self._in_loop(self._refuse(seconds))

    def accept(self) -> None:
        """Accept connections again."""
        self._in_loop(self._listen())

    def fault_for(self, request: Request) -> _Fault | None:
        """Count a request and return its fault, if any."""
        self.requests[request.method, request.kind] += 1
        for fault in self._faults:
            if fault.is_for(request):
                fault.times -= 1
                if fault.times == 0:
                    self._faults.remove(fault)
                return fault
        return None

    def _in_loop(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout=300)

    async def _listen(self) -> None:
        self._server = await self.loop.create_server(
            lambda: _Client(_Connection(self)), _HOST, self._port
        )

    async def _refuse(self, seconds: float | None) -> None:
        assert self._server
        self._server.close()
        for connection in list(self.connections):
            connection.end("reset")
        if seconds is not None:
            self._listening_again = self.loop.create_task(self._listen_after(seconds))

    async def _listen_after(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self._listen()

    async def _close(self) -> None:
        if self._server:
            self._server.close()
        for connection in list(self.connections):
            connection.end("reset")
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await asyncio.sleep(0)  # lets closing connections finish


class _Line:
    """A queue of actions, each of which runs `latency_s` after it was added."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy
        self._waiting: deque[Callable[[], None]] = deque()

    def then(self, action: Callable[[], None]) -> None:
        """Add an action."""
        due = self._proxy.loop.time() + self._proxy.latency_s
        due = max(due, self._proxy.stalled_until)
        self._waiting.append(action)
        self._proxy.loop.call_at(due, self._next)

    def _next(self) -> None:
        self._waiting.popleft()()


class _Connection:
    """A client's connection and the one to the server that goes with it."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy
        self._client: asyncio.Transport | None = None
        self._server: asyncio.Transport | None = None
        self._to_server = _Line(proxy)
        self._to_client = _Line(proxy)
        self._requests = RequestSplitter()
        self._fault: _Fault | None = None
        self._passed_bytes = 0  # of what the fault cuts
        self._held: list[bytes] | None = None  # of a request that the gate holds

    def begin(self, client: asyncio.Transport) -> None:
        """Accept a client, and read from it once the server is connected."""
        self._client = client
        self._proxy.connections.add(self)
        # not at once: Python 3.11.2 begins to read after this, whether it was paused or not
        self._proxy.loop.call_soon(self._pause_and_connect, client)

    def _pause_and_connect(self, client: asyncio.Transport) -> None:
        client.pause_reading()
        self._connecting = self._proxy.loop.create_task(self._connect())

    async def _connect(self) -> None:
        target = self._proxy.target
        try:
            self._server, _ = await self._proxy.loop.create_connection(
                lambda: _Server(self), target.hostname, target.port
            )
        except OSError:
            self.end("reset")
            return
        assert self._client
        if self._client.is_closing():  # in the meantime
            self._server.abort()
        self._client.resume_reading()

    def client_sent(self, data: bytes) -> None:
        """Forward requests, or parts of them, or apply the fault."""
        for request, piece in self._requests.feed(data):
            if request:
                self._fault = self._proxy.fault_for(request)
                self._passed_bytes = 0
                if self._proxy.gate:
                    self._held = []
                    self._proxy.gate.hold(f"{request.method} {request.kind}", self._let_through)
            if self._fault and self._fault.status:
                if self._requests.is_between or (request and request.expects_to_be_asked):
                    self._answer(self._fault.status, keep=self._requests.is_between)
            elif self._held is not None:
                self._held.append(piece)
            else:
                self._pass_on(piece, self._to_server, "request")

    def _let_through(self) -> None:
        """Forward what the gate has held; called by any thread."""

        def forward() -> None:
            held, self._held = self._held or [], None
            for piece in held:
                self._pass_on(piece, self._to_server, "request")

        self._proxy.loop.call_soon_threadsafe(forward)

    def server_sent(self, data: bytes) -> None:
        """Forward a response, or a part of one."""
        self._pass_on(data, self._to_client, "response")

    def _pass_on(self, data: bytes, line: _Line, what: Literal["request", "response"]) -> None:
        fault = self._fault
        is_interim = what == "response" and data.startswith(b"HTTP/1.1 100 ")
        if fault and fault.cut == what and not is_interim:
            rest = fault.after_bytes - self._passed_bytes
            self._passed_bytes += len(data)
            if rest < len(data):
                self._write(data[: max(rest, 0)], line)
                self._to_client.then(lambda: self.end(fault.how))
                return
        self._write(data, line)

    def _write(self, data: bytes, line: _Line) -> None:
        transport = self._server if line is self._to_server else self._client
        assert transport
        if data:
            line.then(lambda: transport.write(data))

    def _answer(self, status: int, *, keep: bool) -> None:
        closing = "" if keep else "Connection: close\r\n"
        head = (
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Length: 0\r\n{closing}\r\n"
        )
        self._write(head.encode(), self._to_client)
        if not keep:
            self._to_client.then(lambda: self.end("close"))

    def server_left(self, error: Exception | None) -> None:
        """End the client's connection as the server's ended, after pending data."""
        self._to_client.then(lambda: self.end("reset" if error else "close"))

    def end(self, how: Literal["reset", "close"]) -> None:
        """End both connections, the client's in this way."""
        self._proxy.connections.discard(self)
        if self._server:
            self._server.abort()
        if self._client and how == "reset":
            _reset(self._client)
        elif self._client:
            self._client.close()


class _Client(asyncio.Protocol):
    def __init__(self, connection: _Connection) -> None:
        self._connection = connection

    def connection_made(self, transport: asyncio.Transport) -> None:
        self._connection.begin(transport)

    def data_received(self, data: bytes) -> None:
        self._connection.client_sent(data)

    def connection_lost(self, _error: Exception | None) -> None:
        self._connection.end("close")


class _Server(asyncio.Protocol):
    def __init__(self, connection: _Connection) -> None:
        self._connection = connection

    def data_received(self, data: bytes) -> None:
        self._connection.server_sent(data)

    def connection_lost(self, error: Exception | None) -> None:
        self._connection.server_left(error)


def _reset(transport: asyncio.Transport) -> None:
    """End a connection with an RST instead of a FIN, and drop unsent data."""
    at_once = struct.pack("ii", 1, 0)
    connected: socket.socket = transport.get_extra_info("socket")
    if not transport.is_closing():
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
    transport.abort()
