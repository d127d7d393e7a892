"""Helpers for the tests of a team's label index."""

import json
import urllib.request
from base64 import b64encode
from collections import defaultdict
from contextlib import closing, contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from common.errors import DatabaseError
from get_data.database.es_utils.label_index import ElasticsearchIndex
from get_data.database.search.search_query import parse_search_query
from get_data.labels import ids
from tests.helpers.index_labels import uploaded_label
from tests.helpers.waiting import HANGS_S

EVERYTHING = parse_search_query({})


@contextmanager
def open_index(settings):
    with closing(ElasticsearchIndex(settings)) as index:
        yield index


def many(count, **more):
    """Return many labels, a second apart."""
    first = uploaded_label(**more)
    moment = ids.parse_img_id(first["img_id"])
    documents = [
        {**first, "img_id": ids.format_img_id(moment + timedelta(seconds=number))}
        for number in range(count)
    ]
    for label in documents:
        label["label_fingerprint"] = ids.fingerprint(label["img_id"], label["label"])
    return documents


def put_raw(cluster, path, text):
    """Put a document as another program might, byte for byte."""
    login = f"{cluster.admin.name}:{cluster.admin.secret}".encode()
    headers = {
        "Content-Type": "application/json",
        "Authorization": f"Basic {b64encode(login).decode()}",
    }
    request = urllib.request.Request(cluster.url + path, text.encode(), headers, method="PUT")
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 201


def error_from_check(settings, *, writing=True):
    """Return the message of the DatabaseError that a check raises: one line."""
    with open_index(settings) as index, pytest.raises(DatabaseError) as error:
        index.check(writing=writing)
    message = str(error.value)
    assert "\n" not in message
    assert len(message) < 600
    assert not settings.password or settings.password not in message
    return message


@contextmanager
def stub(answers, together=None):
    """A server that gives each request `"METHOD /path"` the next of its answers; an address.

    An answer is a status and what is sent as JSON, or as it is if that is a text. Changes are
    answered when as many have come as are to come `together`, if that is a barrier.
    """
    asked = defaultdict(list)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            request = f"{self.command} {self.path.partition('?')[0]}"
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            left = answers.get(request, [])[len(asked[request]) :]
            status, answer = left[0] if left else (500, {"error": {"reason": "unforeseen"}})
            asked[request].append(body)
            asked["logins"].append(self.headers["Authorization"])
            if together and request.endswith("_bulk"):
                together.wait(HANGS_S)
            is_text = isinstance(answer, str)
            raw = (answer if is_text else json.dumps(answer)).encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/html" if is_text else "application/json")
            self.send_header("Content-Length", str(len(raw)))
            if not is_text:
                self.send_header("X-Elastic-Product", "Elasticsearch")
            self.end_headers()
            self.wfile.write(raw)

        do_GET = do_PUT = do_POST  # noqa: N815, the names are http.server's

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()
