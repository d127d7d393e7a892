"""The proxy that does what bad networks and busy servers do."""

import http.client
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from tests.helpers.waiting import HANGS_S, wait_until
from tests.servers.addresses import Gateway
from tests.servers.proxy import Proxy

BODY = bytes(10_000)


class Handler(BaseHTTPRequestHandler):
    """Answers a GET with BODY, and remembers the bodies of PUTs in the server."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.answer(BODY)

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append(len(body))  # type: ignore[attr-defined]
        self.answer(b"")

    def answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class Target(ThreadingHTTPServer):
    """A server to stand behind the proxy."""

    daemon_threads = True

    def __init__(self) -> None:
        self.received: list[int] = []
        super().__init__(("127.0.0.1", 0), Handler)

    def handle_error(self, *_: object) -> None:
        """A connection that the proxy cuts is no surprise."""


@pytest.fixture
def target() -> Iterator[Target]:
    with Target() as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def proxy(target: Target) -> Iterator[Proxy]:
    with Proxy(f"http://127.0.0.1:{target.server_port}") as started:
        yield started


@pytest.fixture
def client(proxy: Proxy) -> Iterator[http.client.HTTPConnection]:
    host_and_port = proxy.url.removeprefix("http://")
    with closing(http.client.HTTPConnection(host_and_port, timeout=HANGS_S)) as connection:
        yield connection


def ask(
    client: http.client.HTTPConnection, method: str = "GET", where: str = "/a/b", body: bytes = b""
) -> tuple[int, bytes]:
    client.request(method, where, body or None)
    answer = client.getresponse()
    return answer.status, answer.read()


def test_the_proxy_passes_on_and_counts(proxy: Proxy, client: http.client.HTTPConnection) -> None:
    wheres = ["/bucket/pictures/a", "/bucket?list-type=2&prefix=a", "/labels/_pit?keep_alive=1m"]
    for where in [*wheres, "/bucket/?delete", "/labels", "/_mget", "/labels/_bulk?refresh=true"]:
        assert ask(client, where=where) == (200, BODY)
    assert ask(client, "PUT", body=b"12345") == (200, b"")
    kinds = ["object", "list", "_pit", "delete", "bucket or index", "_mget", "_bulk"]
    assert proxy.requests == {**{("GET", kind): 1 for kind in kinds}, ("PUT", "object"): 1}


def test_the_proxy_tells_requests_apart_however_their_bytes_come(
    proxy: Proxy, target: Target
) -> None:
    put = b"PUT /a/b HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\nGET / HTTP/1.1\r\n\r\n\r\n"
    with connected(proxy) as client:
        for _ in range(2):
            for byte in put:
                client.sendall(bytes([byte]))
            wait_until(lambda: client.recv(1000).endswith(b"\r\n\r\n"))
    assert proxy.requests == {("PUT", "object"): 2}
    assert target.received == [20, 20]


def test_the_proxy_answers_itself_so_many_times(
    proxy: Proxy, target: Target, client: http.client.HTTPConnection
) -> None:
    proxy.answer(503, times=2, method="PUT")
    proxy.answer(429, kind="list")
    assert ask(client) == (200, BODY)
    assert [ask(client, "PUT", body=BODY)[0] for _ in range(3)] == [503, 503, 200]
    assert target.received == [len(BODY)]
    assert ask(client, where="/b?list-type=2")[0] == 429
    assert proxy.requests["PUT", "object"] == 3


ASKS_FIRST = b"PUT /a/b HTTP/1.1\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"


def connected(proxy: Proxy) -> socket.socket:
    """A connection to the proxy; each answer is waited for 5 s."""
    return socket.create_connection(
        ("127.0.0.1", int(proxy.url.rpartition(":")[2])), timeout=HANGS_S
    )


def test_the_proxy_answers_a_client_that_asks_before_it_sends(proxy: Proxy, target: Target) -> None:
    """As boto3 does; no body follows an answer that is not 100."""
    proxy.answer(503)
    with connected(proxy) as client:
        client.sendall(ASKS_FIRST)
        assert client.recv(1000).startswith(b"HTTP/1.1 503 ")
        assert client.recv(1000) == b""
    assert target.received == []


def test_the_proxy_does_not_cut_what_comes_before_the_answer(proxy: Proxy, target: Target) -> None:
    proxy.cut(0)
    with connected(proxy) as client:
        client.sendall(ASKS_FIRST)
        assert client.recv(1000).startswith(b"HTTP/1.1 100 ")
        client.sendall(b"12345")
        with pytest.raises(ConnectionResetError):
            client.recv(1000)
    assert target.received == [5]


def test_boto3_gets_through_the_proxy(s3: Gateway) -> None:
    bucket = s3.make_bucket()
    with Proxy(s3.url) as proxy, closing(replace(s3, url=proxy.url).client(s3.writer)) as client:
        proxy.answer(503, times=2, method="PUT")
        client.put_object(Bucket=bucket, Key="pictures/a", Body=BODY)
        client.list_objects_v2(Bucket=bucket)
        assert proxy.requests == {("PUT", "object"): 3, ("GET", "list"): 1}


@pytest.mark.parametrize("how", ["reset", "close"])
def test_the_proxy_cuts_a_response(
    proxy: Proxy, client: http.client.HTTPConnection, how: str
) -> None:
    proxy.cut(5000, how=how)
    raised = ConnectionResetError if how == "reset" else http.client.IncompleteRead
    with pytest.raises(raised):
        ask(client)
    client.close()
    assert ask(client) == (200, BODY)


def test_the_proxy_cuts_a_message_that_comes_in_pieces(proxy: Proxy, target: Target) -> None:
    head = b"PUT /a/b HTTP/1.1\r\nContent-Length: 1000\r\n\r\n"
    proxy.cut(len(head) + 57, of="request")
    with connected(proxy) as client:
        for piece in (head, *[bytes(10)] * 6):
            client.sendall(piece)
            time.sleep(0.02)
        with pytest.raises(ConnectionResetError):
            client.recv(1000)
    wait_until(lambda: target.received == [57])


def test_the_proxy_lets_pass_what_is_shorter(
    proxy: Proxy, client: http.client.HTTPConnection
) -> None:
    proxy.cut(2 * len(BODY), times=3)
    assert [ask(client) for _ in range(3)] == [(200, BODY)] * 3


def test_the_proxy_cuts_before_the_response_when_the_server_has_done_it(
    proxy: Proxy, target: Target, client: http.client.HTTPConnection
) -> None:
    proxy.cut(0)
    with pytest.raises(ConnectionResetError):
        ask(client, "PUT", body=BODY)
    assert target.received == [len(BODY)]


def test_the_proxy_cuts_a_request(
    proxy: Proxy, target: Target, client: http.client.HTTPConnection
) -> None:
    proxy.cut(5000, of="request")
    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        ask(client, "PUT", body=BODY)
    client.close()
    assert ask(client) == (200, BODY)
    wait_until(lambda: target.received != [len(BODY)])


def test_the_proxy_adds_latency_and_keeps_the_throughput(proxy: Proxy) -> None:
    proxy.latency_s = 0.05

    def five_times() -> None:
        with closing(http.client.HTTPConnection(proxy.url.removeprefix("http://"))) as client:
            for _ in range(5):
                assert ask(client) == (200, BODY)

    started = time.monotonic()
    five_times()
    alone_s = time.monotonic() - started
    with ThreadPoolExecutor(16) as threads:
        for each in [threads.submit(five_times) for _ in range(16)]:
            each.result()
    assert alone_s >= 0.5
    assert time.monotonic() - started - alone_s < 16 * alone_s  # as one after the other


def test_the_proxy_stalls(proxy: Proxy, client: http.client.HTTPConnection) -> None:
    proxy.stall(0.3)
    started = time.monotonic()
    assert ask(client) == (200, BODY)
    assert time.monotonic() - started >= 0.3


def answers(client: http.client.HTTPConnection) -> bool:
    try:
        return ask(client) == (200, BODY)
    except ConnectionRefusedError:
        client.close()
        return False


def test_the_proxy_refuses_connections_until_it_accepts_them_again(
    proxy: Proxy, client: http.client.HTTPConnection
) -> None:
    assert ask(client) == (200, BODY)
    proxy.refuse()
    with pytest.raises(ConnectionResetError):
        ask(client)
    client.close()
    with pytest.raises(ConnectionRefusedError):
        ask(client)
    client.close()
    proxy.accept()
    assert ask(client) == (200, BODY)


def test_the_proxy_refuses_connections_for_a_while(
    proxy: Proxy, client: http.client.HTTPConnection
) -> None:
    proxy.refuse(0.3)
    wait_until(lambda: answers(client))


def test_the_proxy_resets_when_nobody_is_behind_it(proxy: Proxy, target: Target) -> None:
    target.shutdown()
    target.server_close()
    client = http.client.HTTPConnection(proxy.url.removeprefix("http://"))
    with closing(client), pytest.raises(ConnectionResetError):
        ask(client)
