"""Servers far away: toxiproxy in between, which adds latency and takes little of the processor."""

import json
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

from tests.benchmarks.peers import HOME
from tests.servers.server import free_port


@contextmanager
def far(latency_s: float, *urls: str) -> Iterator[list[str]]:
    """The addresses by which the servers are that much further away, there and back together."""
    port = free_port()
    command = [str(HOME / "bin" / "toxiproxy"), "-host", "127.0.0.1", "-port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield [_proxied(port, url, latency_s) for url in urls]
        finally:
            process.terminate()


def _proxied(port: int, url: str, latency_s: float) -> str:
    listen = f"127.0.0.1:{free_port()}"
    name = listen.rpartition(":")[2]
    _post(port, "/proxies", {"name": name, "listen": listen, "upstream": urlsplit(url).netloc})
    for stream in ("upstream", "downstream"):
        toxic = {"type": "latency", "stream": stream}
        toxic["attributes"] = {"latency": round(latency_s * 1000 / 2)}
        _post(port, f"/proxies/{name}/toxics", toxic)
    return f"http://{listen}"


def _post(port: int, path: str, body: dict[str, object]) -> None:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}", data=json.dumps(body).encode(), method="POST"
    )
    give_up = time.monotonic() + 10
    while time.monotonic() < give_up:
        with suppress(urllib.error.URLError), urllib.request.urlopen(request):
            return
        time.sleep(0.05)
    raise TimeoutError("toxiproxy does not answer")
