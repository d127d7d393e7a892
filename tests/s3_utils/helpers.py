"""Helpers for the tests of a team's picture store."""

import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from get_data.database.interfaces import picture_key
from get_data.database.s3_utils.picture_store import S3PictureStore
from get_data.database.s3_utils.settings import from_environment
from tests.helpers.waiting import HANGS_S
from tests.servers.server import free_port

SECRET = "not+for/anybodys-eyes"
KEY = picture_key("20240501T12-00-00-000000", "ab" * 32)


def keys(count, *, day="20240502", step=1):
    return [
        picture_key(f"{day}T12-00-00-{number:06}", "ab" * 32) for number in range(0, count, step)
    ]


def open_store(environment, *, retry_timeout_s=HANGS_S, **changes):
    """The store that the variables lead to, without those that are changed to nothing."""
    settings = from_environment({**environment, **changes})
    return S3PictureStore(settings, retry_timeout_s=retry_timeout_s)


def put_all(store, wanted):
    with ThreadPoolExecutor(16) as threads:
        assert all(threads.map(lambda key: store.put_new(key, b"picture"), wanted))


class Stub:
    """An S3 in memory which checks no login, knows no conditions, and has a clock of its own.

    `answers`, as (method, status, body), are given before anything is done; `requests` are those
    that came, as (method, path, headers, body).
    """

    def __init__(self):
        self.objects = {}
        self.answers = []
        self.requests = []
        self.ahead = timedelta()
        self.tag = "0"
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            do_GET = do_HEAD = do_PUT = do_DELETE = lambda self: stub._handle(self)  # noqa: N815

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", free_port()), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.environment = {
            "PATATE_S3_BUCKET": "pictures",
            "PATATE_S3_KEY_ID": "anybody",
            "PATATE_S3_KEY": SECRET,
            "PATATE_S3_ENDPOINT_URL": self.url,
        }

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()

    def _handle(self, request):
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        self.requests.append((request.command, request.path, request.headers, body))
        status, answer, modified = self._answer(request, body)
        request.send_response(status)
        if modified:
            request.send_header("Last-Modified", format_datetime(modified, usegmt=True))
        request.send_header("ETag", f'"{self.tag}"')
        request.send_header("Content-Length", str(len(answer)))
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(answer)

    def _answer(self, request, body):
        for canned in self.answers:
            if canned[0] == request.command:
                self.answers.remove(canned)
                return canned[1], canned[2], None
        now = datetime.now(UTC) + self.ahead
        url = urlsplit(request.path)
        path = url.path.removeprefix("/pictures/")
        match request.command:
            case "PUT":
                self.objects[path] = (body, now)
                return 200, b"", None
            case "DELETE":
                self.objects.pop(path, None)
                return 204, b"", None
            case _ if "list-type" in url.query:
                return 200, self._listed(parse_qs(url.query)["prefix"][0]), None
        picture, modified = self.objects.get(path, (b"", None))
        return (200 if modified else 404), picture, modified

    def _listed(self, prefix):
        found = "".join(
            f"<Contents><Key>{path}</Key><LastModified>{modified:%Y-%m-%dT%H:%M:%SZ}</LastModified>"
            f"<Size>{len(picture)}</Size><ETag>{self.tag}</ETag></Contents>"
            for path, (picture, modified) in sorted(self.objects.items())
            if path.startswith(prefix)
        )
        return (
            f"<ListBucketResult><IsTruncated>false</IsTruncated>{found}</ListBucketResult>".encode()
        )


def assert_no_secret(error, *secrets):
    """One line for the user; and also with DEBUG=1, which shows the whole traceback, no secret."""
    assert "\n" not in str(error)
    shown = "".join(traceback.format_exception(error))
    for secret in (SECRET, *secrets):
        assert secret not in shown


def unused_url():
    return f"http://127.0.0.1:{free_port()}"


def error_body(code):
    """What S3 sends with a failure: it repeats the key id, which may be the secret, mistaken."""
    echo = f"<Message>{SECRET}?</Message><AWSAccessKeyId>{SECRET}</AWSAccessKeyId>"
    return f"<Error><Code>{code}</Code>{echo}</Error>".encode()
