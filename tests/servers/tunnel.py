"""A proxy over http that opens tunnels, behind which a plain server speaks TLS.

with Tunnel(to="http://127.0.0.1:9000", certificate=certificate) as tunnel:
    tunnel.url      for https_proxy
    tunnel.asked    the hosts requested, each with the login for the proxy

Whatever host is requested, the server is `to`, so no name needs to resolve.
"""

import socket
import ssl
from contextlib import closing, suppress
from threading import Thread
from urllib.parse import urlsplit

import trustme


class Tunnel:
    """A proxy that terminates TLS itself and forwards the plain text."""

    def __init__(self, to: str, certificate: trustme.LeafCert) -> None:
        parts = urlsplit(to)
        self._to = (parts.hostname, parts.port)
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(self._tls)
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        self.asked: list[tuple[str, str]] = []

    def __enter__(self) -> "Tunnel":
        Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:  # closed
                return
            Thread(target=self._open, args=(client,), daemon=True).start()

    def _open(self, client: socket.socket) -> None:
        with closing(client), suppress(OSError):
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += client.recv(1)
            first, *headers = head.decode().split("\r\n")
            method, host, _ = first.split()
            login = [one for one in headers if one.lower().startswith("proxy-authorization:")]
            self.asked.append((host, "".join(login)))
            if method != "CONNECT":
                client.sendall(b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n")
                return
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            with (
                self._tls.wrap_socket(client, server_side=True) as inside,
                socket.create_connection(self._to) as server,
            ):
                back = Thread(target=_pump, args=(server, inside), daemon=True)
                back.start()
                _pump(inside, server)
                back.join()


def _pump(source: socket.socket, target: socket.socket) -> None:
    """Forward data until the source ends."""
    with suppress(OSError):
        while piece := source.recv(65536):
            target.sendall(piece)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
