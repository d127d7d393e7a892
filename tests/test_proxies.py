"""HTTP proxies from the environment: one rule for labels and pictures."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
import trustme

from common.errors import DatabaseError, InputError
from get_data.database.es_utils.client import Client
from get_data.database.es_utils.settings import Settings as EsSettings
from get_data.database.proxies import find_route
from get_data.database.s3_utils.bucket import create_bucket
from get_data.database.s3_utils.picture_store import S3PictureStore
from get_data.database.s3_utils.settings import from_environment
from tests.servers.server import free_port
from tests.servers.tunnel import Tunnel
from tests.servers.versity import Versity

ES = "elastic.example.org"
S3 = "s3.example.org"
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def certificate(tmp_path, monkeypatch):
    """A certificate of a private authority, which SSL_CERT_FILE names."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    return authority.issue_cert(ES, S3, f"*.{S3}")


@pytest.mark.parametrize(
    ("variables", "url", "proxy", "note"),
    [
        ({}, "https://a.org", "", ""),
        ({"https_proxy": "http://p:3128"}, "https://a.org", "http://p:3128", "https_proxy"),
        ({"HTTPS_PROXY": "http://p:3128"}, "https://a.org", "http://p:3128", "HTTPS_PROXY"),
        ({"https_proxy": "p:3128"}, "https://a.org", "http://p:3128", "http://p:3128"),
        ({"all_proxy": "http://p:3128"}, "https://a.org", "http://p:3128", "all_proxy"),
        ({"https_proxy": "http://p", "no_proxy": "b.org,a.org"}, "https://a.org", "", ""),
        ({"https_proxy": "http://p", "no_proxy": ".a.org"}, "https://x.a.org", "", ""),
        ({"https_proxy": "http://p", "no_proxy": "*"}, "https://a.org", "", ""),
        ({"http_proxy": "http://p"}, "https://a.org", "", ""),
        ({"http_proxy": "http://p"}, "http://a.org", "", "http_proxy"),
        ({"all_proxy": "http://p"}, "http://a.org", "", "all_proxy"),
        ({"all_proxy": "socks5://p:1080"}, "https://a.org", "", "all_proxy"),
        ({"https_proxy": "http://p:port"}, "https://a.org", "", "https_proxy"),
    ],
)
def test_the_proxy_is_chosen_by_scheme_and_host(monkeypatch, variables, url, proxy, note):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    route = find_route(url)
    assert route.proxy == proxy
    assert note in route.note
    assert bool(note) == bool(route.note)


def test_the_login_to_a_proxy_is_not_shown(monkeypatch):
    monkeypatch.setenv("https_proxy", "http://me:secret@p:3128")
    route = find_route("https://a.org")
    assert route.proxy == "http://me:secret@p:3128"
    assert "secret" not in route.note + repr(route)


class Elastic(BaseHTTPRequestHandler):
    """An Elasticsearch that responds with the headers of the request."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = json.dumps(dict(self.headers)).encode()
        self.send_response(200)
        self.send_header("X-Elastic-Product", "Elasticsearch")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def elastic():
    """The address of an `Elastic`."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Elastic) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("login", ["", "me:sec%40ret@"])
def test_labels_are_tunnelled_through_the_proxy(elastic, certificate, tmp_path, monkeypatch, login):
    with Tunnel(elastic, certificate) as tunnel:
        monkeypatch.setenv("https_proxy", tunnel.url.replace("//", f"//{login}"))
        settings = EsSettings(f"https://{ES}:9200", "labels", tmp_path / "ca.pem", "zoe", "pwd")
        client = Client(settings)
        headers = {name.lower(): value for name, value in client.request_json("GET", "/").items()}
        client.close()
        assert headers["host"] == f"{ES}:9200"
        assert headers["authorization"].startswith("Basic ")
        assert "proxy-authorization" not in headers
        ((host, proxy_login),) = tunnel.asked
        assert host == f"{ES}:9200"
        assert bool(login) == bool(proxy_login)


class VirtualVersity(Versity):
    """A server with virtual-hosted addressing."""

    def command(self):
        command = list(super().command())
        at = command.index("posix")
        return [*command[:at], "--virtual-domain", S3, *command[at:]]


@pytest.mark.servers
@pytest.mark.parametrize("addressing", ["virtual", "path"])
def test_pictures_are_tunnelled_with_either_addressing(certificate, monkeypatch, addressing):
    """Also with --create-bucket; the server checks the signature, which covers the host."""
    with VirtualVersity() as server, Tunnel(server.gateway.url, certificate) as tunnel:
        monkeypatch.setenv("https_proxy", tunnel.url)
        environment = server.gateway.environment("pictures", server.gateway.admin) | {
            "PATATE_S3_ENDPOINT_URL": f"https://{S3}:9443",
            "PATATE_S3_ADDRESSING": addressing,
        }
        settings = from_environment(environment)
        create_bucket(settings)
        create_bucket(settings)
        store = S3PictureStore(settings)
        store.check(writing=True)
        key = "pictures/other/one-0123456789ab.jpg"
        assert store.put_new(key, b"picture")
        assert store.sizes([key]) == {key: 7}
        assert store.back_up(key, "run")
        assert store.get(key) == b"picture"
        assert (server.folder / "buckets" / "pictures" / key).read_bytes() == b"picture"
        host = f"pictures.{S3}:9443" if addressing == "virtual" else f"{S3}:9443"
        assert {asked for asked, _ in tunnel.asked} == {host}


def test_a_proxy_that_is_down_is_named_for_labels_and_pictures(certificate, tmp_path, monkeypatch):
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{free_port()}")
    environment = {
        "PATATE_S3_BUCKET": "pictures",
        "PATATE_S3_KEY_ID": "id",
        "PATATE_S3_KEY": "key",
        "PATATE_S3_ENDPOINT_URL": f"https://{S3}",
    }
    store = S3PictureStore(from_environment(environment), retry_timeout_s=0.1)
    client = Client(EsSettings(f"https://{ES}:9200", ca_certs=tmp_path / "ca.pem"))
    for request in (
        lambda: store.check(writing=False),
        lambda: client.request("GET", "/", should_retry=False),
        lambda: create_bucket(from_environment(environment)),
    ):
        with pytest.raises(DatabaseError, match=r"https_proxy; no_proxy="):
            request()
    client.close()


def test_http_servers_are_reached_directly(elastic, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    client = Client(EsSettings(elastic))
    assert client.request_json("GET", "/")
    client.close()
    environment = {
        "PATATE_S3_BUCKET": "pictures",
        "PATATE_S3_KEY_ID": "id",
        "PATATE_S3_KEY": "key",
        "PATATE_S3_ENDPOINT_URL": elastic,  # which answers, though not as S3
    }
    with pytest.raises(DatabaseError, match=r"not a response of S3.*http_proxy"):
        S3PictureStore(from_environment(environment), retry_timeout_s=0.1).check(writing=False)


@pytest.mark.parametrize(
    "changes",
    [
        {"PATATE_S3_ADDRESSING": "dns"},
        {"PATATE_S3_ENDPOINT_URL": "http://127.0.0.1:9000"},
        {"PATATE_S3_ENDPOINT_URL": "http://[::1]:9000"},
        {"PATATE_S3_BUCKET": "Our_pictures"},
        {"PATATE_S3_BUCKET": "our.pictures"},
    ],
)
def test_settings_unfit_for_virtual_addressing_are_rejected(changes):
    whole = {
        "PATATE_S3_BUCKET": "pictures",
        "PATATE_S3_ENDPOINT_URL": f"https://{S3}",
        "PATATE_S3_ADDRESSING": "virtual",
    }
    assert from_environment(whole).addressing == "virtual"
    (name,) = changes
    with pytest.raises(InputError, match=name):
        from_environment(whole | changes)
