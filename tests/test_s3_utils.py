"""What the picture store on S3 does beyond the contract: set-up, requests, failures."""

import os
import subprocess
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from obstore.exceptions import GenericError

import path
from common.batching import THREADS
from common.errors import DatabaseError, InputError, PictureMissing
from get_data.database.interfaces import backup_path, picture_key
from get_data.database.s3_utils import picture_store
from get_data.database.s3_utils.bucket import create_bucket
from get_data.database.s3_utils.errors import diagnose
from get_data.database.s3_utils.picture_store import S3PictureStore
from get_data.database.s3_utils.settings import from_environment
from get_data.labels import ids
from tests.helpers.waiting import HANGS_S
from tests.servers.addresses import new_name
from tests.servers.proxy import Proxy
from tests.servers.server import free_port
from tests.servers.versity import Versity

SECRET = "not+for/anybodys-eyes"
KEY = picture_key("20240501T12-00-00-000000", "ab" * 32)


def keys(count, *, day="20240502", step=1):
    return [
        picture_key(f"{day}T12-00-00-{number:06}", "ab" * 32) for number in range(0, count, step)
    ]


def opened(environment, *, retry_timeout_s=HANGS_S, **changes):
    """The store that the variables lead to, without those that are changed to nothing."""
    settings = from_environment({**environment, **changes})
    return S3PictureStore(settings, retry_timeout_s=retry_timeout_s)


def put_all(store, wanted):
    with ThreadPoolExecutor(16) as threads:
        assert all(threads.map(lambda key: store.put_new(key, b"picture"), wanted))


@pytest.fixture
def environment(s3):
    """The variables that lead a writer to an empty bucket of the test's own."""
    return s3.environment(s3.make_bucket())


@pytest.fixture
def proxy(s3):
    with Proxy(s3.url) as proxy:
        yield proxy


@pytest.fixture
def store(environment, proxy):
    """A store behind the proxy, in which a picture lies."""
    store = opened(environment, PATATE_S3_ENDPOINT_URL=proxy.url)
    store.put_new(KEY, b"whole" * 2000)
    proxy.requests.clear()
    return store


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


@pytest.fixture
def stub():
    with Stub() as stub:
        yield stub


# The settings


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"PATATE_S3_BUCKET": ""}, "PATATE_S3_BUCKET"),
        ({"PATATE_S3_BUCKET": "s3://pictures"}, "PATATE_S3_BUCKET"),
        ({"PATATE_S3_BUCKET": "pictures/2024"}, "PATATE_S3_BUCKET"),
        ({"PATATE_S3_KEY": ""}, "PATATE_S3_KEY is not"),
        ({"PATATE_S3_KEY_ID": ""}, "PATATE_S3_KEY_ID is not"),
        ({"PATATE_S3_KEY": SECRET + "\n"}, "PATATE_S3_KEY "),
        ({"PATATE_S3_KEY": f" {SECRET}"}, "PATATE_S3_KEY "),
        ({"PATATE_S3_KEY_ID": "Zoé"}, "PATATE_S3_KEY_ID"),
        ({"PATATE_S3_REGION": "Paris, France"}, "PATATE_S3_REGION"),
        ({"PATATE_S3_ENDPOINT_URL": "127.0.0.1:9000"}, "PATATE_S3_ENDPOINT_URL"),
        ({"PATATE_S3_ENDPOINT_URL": "ftp://127.0.0.1"}, "PATATE_S3_ENDPOINT_URL"),
        ({"PATATE_S3_ENDPOINT_URL": "http://"}, "PATATE_S3_ENDPOINT_URL"),
        ({"PATATE_S3_ENDPOINT_URL": "http://127.0.0.1:port"}, "PATATE_S3_ENDPOINT_URL"),
        (
            {"PATATE_S3_ENDPOINT_URL": f"http://id:{SECRET}@host"},
            "PATATE_S3_ENDPOINT_URL holds a login",
        ),
    ],
)
def test_a_bad_variable_is_named_and_no_secret_is_told(changes, named):
    whole = {"PATATE_S3_BUCKET": "pictures", "PATATE_S3_KEY_ID": "id", "PATATE_S3_KEY": SECRET}
    with pytest.raises(InputError, match=named) as raised:
        from_environment({**whole, **changes})
    assert_tells_no_secret(raised.value)


def test_settings_show_no_login():
    settings = from_environment(
        {"PATATE_S3_BUCKET": "pictures", "PATATE_S3_KEY_ID": "my-id", "PATATE_S3_KEY": SECRET}
    )
    shown = repr(settings) + repr(S3PictureStore(settings)) + settings.name
    assert SECRET not in shown
    assert "my-id" not in shown


def assert_tells_no_secret(error, *secrets):
    """One line for the user; and also with DEBUG=1, which shows the whole traceback, no secret."""
    assert "\n" not in str(error)
    shown = "".join(traceback.format_exception(error))
    for secret in (SECRET, *secrets):
        assert secret not in shown


# The check before anything is done


def nobody_listens():
    return f"http://127.0.0.1:{free_port()}"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"PATATE_S3_ENDPOINT_URL": "http://nowhere.invalid"}, "host .*PATATE_S3_ENDPOINT_URL"),
        ({"PATATE_S3_ENDPOINT_URL": nobody_listens}, "refused.*PATATE_S3_ENDPOINT_URL"),
        ({"PATATE_S3_ENDPOINT_URL": "https"}, "https.*PATATE_S3_ENDPOINT_URL"),
        ({"PATATE_S3_KEY_ID": "somebody"}, "unknown key id.*PATATE_S3_KEY_ID"),
        ({"PATATE_S3_KEY_ID": SECRET}, "malformed key id.*PATATE_S3_KEY_ID"),
        ({"PATATE_S3_KEY": SECRET}, "secret key .*PATATE_S3_KEY$"),
        ({"PATATE_S3_BUCKET": "no-such-bucket"}, "no such bucket.*PATATE_S3_BUCKET"),
        ({"PATATE_S3_REGION": "eu-west-3"}, "region, us-east-1; check PATATE_S3_REGION"),
    ],
)
def test_a_wrong_set_up_is_told_in_a_line_that_names_the_variable(environment, changes, told):
    changes = {name: value() if callable(value) else value for name, value in changes.items()}
    if changes.get("PATATE_S3_ENDPOINT_URL") == "https":
        url = environment["PATATE_S3_ENDPOINT_URL"]
        changes["PATATE_S3_ENDPOINT_URL"] = url.replace("http:", "https:")
    with pytest.raises(DatabaseError, match=told) as raised:
        opened(environment, retry_timeout_s=0.5, **changes).check(writing=False)
    assert_tells_no_secret(raised.value, environment["PATATE_S3_KEY"])


def error(code):
    """What S3 sends with a failure: it repeats the key id, which may be the secret, mistaken."""
    echo = f"<Message>{SECRET}?</Message><AWSAccessKeyId>{SECRET}</AWSAccessKeyId>"
    return f"<Error><Code>{code}</Code>{echo}</Error>".encode()


@pytest.mark.parametrize(
    ("status", "answer", "told"),
    [
        (301, b"", "another region.*PATATE_S3_REGION"),
        (301, error("PermanentRedirect"), "another region.*PATATE_S3_REGION"),
        (403, error("RequestTimeTooSkewed"), "clock.*date and time"),
        (400, error("ExpiredToken"), "expired.*PATATE_S3_KEY_ID"),
        (403, b"", "permission.*PATATE_S3_KEY_ID"),
        (418, b"", "answered 418.*PATATE_S3_ENDPOINT_URL"),
        (200, b"Hello", "not a response of S3.*PATATE_S3_ENDPOINT_URL"),
        (503, error("SlowDown"), r"unavailable \(503\).*PATATE_S3_ENDPOINT_URL"),
    ],
)
def test_what_a_server_answers_is_told_in_plain_words(stub, status, answer, told):
    stub.answers += [("GET", status, answer)] * 20
    with pytest.raises(DatabaseError, match=told) as raised:
        opened(stub.environment, retry_timeout_s=0.5).check(writing=False)
    assert_tells_no_secret(raised.value)


def test_without_an_endpoint_the_network_is_to_be_looked_at():
    failed = GenericError('HTTP error: no\n\nDebug source:\n"dns error"')
    diagnosis = diagnose(failed, from_environment({"PATATE_S3_BUCKET": "pictures"}))
    assert diagnosis.remedy == "the network, PATATE_S3_REGION and PATATE_S3_ENDPOINT_URL"


def test_who_may_not_read_is_told(s3, environment):
    with closing(s3.client()) as client:
        client.delete_bucket_policy(Bucket=environment["PATATE_S3_BUCKET"])
    with pytest.raises(DatabaseError, match="permission; check PATATE_S3_KEY_ID"):
        opened(environment).check(writing=False)


def test_who_may_only_list_is_told(stub):
    stub.answers += [("GET", 200, b"<ListBucketResult/>"), ("GET", 403, b"")]
    with pytest.raises(DatabaseError, match="permission; check PATATE_S3_KEY_ID"):
        opened(stub.environment).check(writing=False)


def test_a_searcher_may_search_and_not_upload(s3, environment):
    store = opened(s3.environment(environment["PATATE_S3_BUCKET"], s3.searcher))
    store.check(writing=False)
    with pytest.raises(DatabaseError, match="permission; check PATATE_S3_KEY_ID"):
        store.check(writing=True)


@pytest.mark.parametrize("writing", [False, True])
def test_a_check_leaves_nothing_behind(s3, environment, writing):
    store = opened(environment)
    store.check(writing=writing)
    assert store.notice == ""
    with closing(s3.client()) as client:
        listed = client.list_objects_v2(Bucket=environment["PATATE_S3_BUCKET"])
    assert listed["KeyCount"] == 0


def test_a_check_for_reading_sends_two_requests(store, proxy):
    store.check(writing=False)
    assert proxy.requests == {("GET", "list"): 1, ("GET", "object"): 1}


# The login


def test_the_login_may_be_one_that_boto3_finds_in_the_environment(s3, environment, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", environment.pop("PATATE_S3_KEY_ID"))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", environment.pop("PATATE_S3_KEY"))
    store = opened(environment)
    store.check(writing=True)
    put_all(store, keys(50))
    assert len(store.sizes(keys(50))) == 50


@pytest.fixture
def profile(tmp_path, monkeypatch):
    """A profile of a user who has no other login; returns a function that fills it."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_PROFILE", "car")

    def fill(key_id, key, region="us-east-1"):
        (tmp_path / "config").write_text(f"[profile car]\nregion = {region}\n")
        (tmp_path / "credentials").write_text(
            f"[car]\naws_access_key_id = {key_id}\naws_secret_access_key = {key}\n"
        )

    return fill


def test_the_login_may_be_a_profile(environment, profile):
    profile(environment.pop("PATATE_S3_KEY_ID"), environment.pop("PATATE_S3_KEY"))
    opened(environment).check(writing=True)


def test_the_region_of_a_profile_counts_unless_the_variable_says_another(environment, profile):
    profile(environment.pop("PATATE_S3_KEY_ID"), environment.pop("PATATE_S3_KEY"), "eu-west-3")
    opened(environment).check(writing=False)
    with pytest.raises(DatabaseError, match="region, us-east-1"):
        opened(environment, PATATE_S3_REGION="").check(writing=False)


def test_a_profile_with_a_wrong_login_is_named_as_that(environment, profile):
    profile(environment.pop("PATATE_S3_KEY_ID"), SECRET)
    del environment["PATATE_S3_KEY"]
    with pytest.raises(DatabaseError, match=r"secret key.*AWS profile or role") as raised:
        opened(environment).check(writing=False)
    assert_tells_no_secret(raised.value)


@pytest.mark.usefixtures("profile")
def test_no_login_anywhere_is_told(monkeypatch):
    with pytest.raises(InputError, match=r"PATATE_S3_KEY_ID and PATATE_S3_KEY, or .* profile"):
        opened({"PATATE_S3_BUCKET": "pictures"})
    monkeypatch.delenv("AWS_PROFILE")
    with pytest.raises(InputError, match=r"PATATE_S3_KEY_ID and PATATE_S3_KEY, or .* profile"):
        opened({"PATATE_S3_BUCKET": "pictures"})


def test_a_role_that_cannot_be_had_is_told(environment, profile, tmp_path, monkeypatch):
    profile(environment.pop("PATATE_S3_KEY_ID"), environment.pop("PATATE_S3_KEY"))
    with (tmp_path / "config").open("a") as config:
        config.write("[profile role]\nrole_arn = arn:aws:iam::1:role/car\nsource_profile = car\n")
    monkeypatch.setenv("AWS_PROFILE", "role")
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", nobody_listens())
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(DatabaseError, match=r"no credentials: .*AWS profile or role") as raised:
        opened(environment).check(writing=False)
    assert_tells_no_secret(raised.value)


def test_aws_variables_do_not_lead_elsewhere(environment, monkeypatch):
    for name, value in {
        "AWS_ACCESS_KEY_ID": "somebody-else",
        "AWS_SECRET_ACCESS_KEY": "another",
        "AWS_SESSION_TOKEN": "of-another-login",
        "AWS_ENDPOINT_URL": nobody_listens(),
        "AWS_ENDPOINT_URL_S3": nobody_listens(),
        "AWS_REGION": "eu-west-3",
        "AWS_SKIP_SIGNATURE": "true",
        "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "true",
    }.items():
        monkeypatch.setenv(name, value)
    opened(environment).check(writing=True)


FOREIGN = {
    "AWS_ALLOW_HTTP": "false",
    "AWS_BUCKET": "another",
    "AWS_CHECKSUM_ALGORITHM": "SHA256",
    "AWS_CONDITIONAL_PUT": "disabled",
    "AWS_COPY_IF_NOT_EXISTS": "header:a:b",
    "AWS_DEFAULT_CONTENT_TYPE": "image/png",
    "AWS_HTTP2_ONLY": "true",
    "AWS_PROXY_URL": "http://127.0.0.1:9",
    "AWS_REQUEST_PAYER": "true",
    "AWS_S3_EXPRESS": "true",
    "AWS_SERVER_SIDE_ENCRYPTION": "aws:kms",
    "AWS_SKIP_SIGNATURE": "true",
    "AWS_SSE_KMS_KEY_ID": "another",
    "AWS_SSE_CUSTOMER_KEY_BASE64": "AAAA",
    "AWS_TIMEOUT": "1 ns",
    "AWS_UNSIGNED_PAYLOAD": "true",
    "AWS_USER_AGENT": "another",
    "http_proxy": "http://127.0.0.1:9",
    "ALL_PROXY": "http://127.0.0.1:9",
}


@pytest.mark.parametrize("name", FOREIGN)
def test_variables_of_other_tools_change_no_request(stub, monkeypatch, name):
    def requests():
        stub.requests.clear()
        stub.objects.clear()
        store = opened(stub.environment, retry_timeout_s=0.5)
        store.put_new(KEY, b"picture")
        store.back_up(KEY, "run-1")
        store.sizes([KEY])
        return [(method, path, sorted(headers)) for method, path, headers, _ in stub.requests]

    before = requests()
    monkeypatch.setenv(name, FOREIGN[name])
    assert requests() == before
    assert os.environ[name] == FOREIGN[name]


def test_with_a_key_boto3_is_not_even_loaded():
    code = (
        "import sys; from get_data.database.s3_utils.settings import Settings\n"
        "from get_data.database.s3_utils.picture_store import S3PictureStore\n"
        "S3PictureStore(Settings('pictures', 'id', 'key')); print('botocore' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=path.ROOT, stdout=subprocess.PIPE)
    assert done.stdout == b"False\n"


# The bucket


def test_a_bucket_is_created_and_may_be_asked_for_again(s3):
    name = new_name("made")
    settings = from_environment(s3.environment(name, s3.admin))
    create_bucket(settings)
    create_bucket(settings)
    S3PictureStore(settings).check(writing=True)


@pytest.mark.parametrize(
    ("region", "constraint"), [("", None), ("us-east-1", None), ("eu-west-3", b">eu-west-3<")]
)
def test_a_bucket_is_created_in_its_region(stub, region, constraint):
    create_bucket(from_environment({**stub.environment, "PATATE_S3_REGION": region}))
    looked, (method, path, _, body) = stub.requests
    assert looked[:2] == ("HEAD", "/pictures")
    assert (method, path) == ("PUT", "/pictures")
    assert constraint in body if constraint else body == b""


@pytest.mark.parametrize("code", ["AccessDenied", "BucketAlreadyExists"])
def test_a_bucket_that_cannot_be_created_is_told(stub, code):
    stub.answers += [("PUT", 403, error(code))]
    with pytest.raises(DatabaseError, match=f"{code}.*PATATE_S3_BUCKET") as raised:
        create_bucket(from_environment(stub.environment))
    assert_tells_no_secret(raised.value)


REFUSALS = ["AccessDenied", "BucketAlreadyExists", "OperationAborted", "NotImplemented", ""]


@pytest.mark.parametrize("code", REFUSALS)
def test_a_bucket_that_is_there_is_not_created_again(stub, code):
    stub.answers += [("HEAD", 200, b""), ("PUT", 403, error(code))]
    create_bucket(from_environment(stub.environment))
    assert [one[0] for one in stub.requests] == ["HEAD"]


@pytest.mark.parametrize("code", REFUSALS)
def test_a_bucket_that_somebody_else_creates_meanwhile_is_there(stub, code):
    stub.answers += [("HEAD", 404, b""), ("PUT", 409, error(code)), ("HEAD", 200, b"")]
    create_bucket(from_environment(stub.environment))
    assert [one[0] for one in stub.requests] == ["HEAD", "PUT", "HEAD"]


# Looking


def test_a_thousand_neighbours_cost_one_list(store, proxy):
    there = keys(1000)
    put_all(store, there)
    proxy.requests.clear()
    assert len(store.sizes(there)) == 1000
    assert proxy.requests == {("GET", "list"): 1}


def test_neighbours_are_found_in_the_middle_of_a_full_folder(store, proxy):
    put_all(store, keys(2400))
    proxy.requests.clear()
    assert set(store.sizes(keys(2400)[700:1200])) == set(keys(2400)[700:1200])
    assert proxy.requests == {("GET", "list"): 1}
    proxy.requests.clear()
    assert set(store.sizes(keys(2600))) == set(keys(2400))
    assert proxy.requests == {("GET", "list"): 3}


def test_keys_that_lie_sparse_are_asked_for_one_by_one(store, proxy):
    put_all(store, keys(2400))
    sparse = keys(2400, step=70)
    proxy.requests.clear()
    assert set(store.sizes(sparse)) == set(sparse)
    assert proxy.requests["GET", "list"] == 1
    assert proxy.requests["HEAD", "object"] < len(sparse)


def test_what_lies_between_two_days_is_not_read(store, proxy):
    first, last = keys(100, day="20240501"), keys(100, day="20240503")
    put_all(store, first[1:] + last)
    proxy.requests.clear()
    assert len(store.sizes(first + last)) == 200
    assert proxy.requests == {("GET", "list"): 2}


def test_a_few_keys_cost_no_list(store, proxy):
    assert set(store.sizes(keys(10, day="20240501"))) == {KEY}
    assert proxy.requests == {("HEAD", "object"): 10}


@pytest.mark.parametrize("key", ["", "/", "index.sqlite", "pictures/../labels", "elsewhere/a.jpg"])
def test_what_is_no_key_of_a_picture_is_not_touched(store, proxy, key):
    assert store.sizes([key]) == {}
    for method in (store.get, store.delete, lambda key: store.put_new(key, b"")):
        with pytest.raises(DatabaseError, match="not a picture key"):
            method(key)
    assert not proxy.requests


# Create only


def test_a_picture_deleted_from_a_bucket_with_versions_comes_back():
    with Versity(versions=True) as server:
        gateway = server.gateway
        store = opened(gateway.environment(gateway.make_bucket(versioned=True)))
        store.check(writing=True)
        assert store.put_new(KEY, b"picture")
        assert not store.put_new(KEY, b"picture")
        store.delete(KEY)
        assert store.sizes([KEY]) == {}
        assert store.put_new(KEY, b"picture")
        assert store.get(KEY) == b"picture"


def test_a_server_without_conditions_is_asked_first(stub):
    store = opened(stub.environment)
    store.check(writing=True)
    assert "create-only" in store.notice
    assert "\n" not in store.notice
    assert store.put_new(KEY, b"first")
    assert not store.put_new(KEY, b"other")
    assert stub.objects.keys() == {KEY}
    assert store.get(KEY) == b"first"


def test_a_server_that_refuses_conditions_is_asked_first(stub):
    stub.answers += [("PUT", 501, error("NotImplemented"))]
    store = opened(stub.environment)
    store.check(writing=True)
    assert "create-only" in store.notice
    assert store.put_new(KEY, b"first")
    assert not store.put_new(KEY, b"other")
    assert stub.objects.keys() == {KEY}


def test_two_writers_at_once_of_whom_none_succeeded_leave_the_picture(stub):
    stub.answers += [("PUT", 409, error("ConditionalRequestConflict"))]
    assert opened(stub.environment).put_new(KEY, b"picture")
    assert stub.objects[KEY][0] == b"picture"


# The hash that S3 tells


@pytest.mark.parametrize("tag", ["0", "x" * 32, "0" * 32 + "-2", "ab" * 16])
def test_an_etag_that_is_no_hash_makes_no_picture_damaged(stub, tag):
    """Not that of an object in parts, nor, with SSE-KMS, one of the form of an MD5."""
    stub.tag = tag
    store = opened(stub.environment)
    wanted = {picture_key(f"p{one}", ids.sha256(bytes([one]))): bytes([one]) for one in range(90)}
    for key, content in wanted.items():
        assert store.put_new(key, content)
    stub.requests.clear()
    own = {key: partial(bytes, content) for key, content in wanted.items()}
    assert all(one.is_intact for one in store.examine(own).values())
    reads = [one for one in stub.requests if one[0] == "GET" and "list-type" not in one[1]]
    assert len(reads) <= THREADS  # whose answers were under way when the first was known
    store.check(writing=True)
    assert not store.put_new(*next(iter(wanted.items())))


# Copies


def test_a_copy_is_young_even_of_an_old_picture(environment, store):
    time.sleep(2.1)
    began = time.time()
    store.check(writing=True)
    store.back_up(KEY, "run-1")
    (copy,) = store.backup_copies()[KEY]
    assert copy.age_s < time.time() - began + 1  # S3 tells whole seconds


@pytest.mark.parametrize("ahead_h", [-2, 2])
def test_the_age_of_a_copy_is_by_the_clock_of_the_store(stub, ahead_h):
    stub.ahead = timedelta(hours=ahead_h)
    store = opened(stub.environment)
    store.check(writing=True)
    written = datetime.now(UTC) + stub.ahead - timedelta(seconds=600)
    stub.objects[backup_path(KEY, "run-1")] = (b"picture", written)
    (copy,) = store.backup_copies()[KEY]
    since = datetime.now(UTC) + stub.ahead - written
    assert 599 <= copy.age_s <= since.total_seconds() + 1  # HTTP tells whole seconds


def test_a_copy_that_failed_behind_a_good_status_is_no_copy(stub):
    store = opened(stub.environment, retry_timeout_s=0.5)
    answer = ("PUT", 200, error("InternalError"))
    stub.answers += [answer] * 20
    with pytest.raises(DatabaseError, match="InternalError"):
        store.back_up(KEY, "run-1")


# What passes by itself

REQUESTS = {
    "get": (lambda store: store.get(KEY), b"whole" * 2000),
    "head": (lambda store: store.sizes([KEY]), {KEY: 10_000}),
    "list": (lambda store: store.sizes([KEY, *keys(20, day="20240501")]), {KEY: 10_000}),
    "put": (lambda store: [store.put_new(keys(1)[0], b"new"), store.get(keys(1)[0])][1], b"new"),
    "copy": (lambda store: store.back_up(KEY, "run-1"), True),
    "delete": (lambda store: store.delete(KEY), None),
    "copies": (lambda store: store.backup_copies(), {}),
}

FAULTS = {
    "503": lambda proxy: proxy.answer(503, times=2),
    "429": lambda proxy: proxy.answer(429),
    "500": lambda proxy: proxy.answer(500),
    "reset": lambda proxy: proxy.cut(0, of="request"),
    "refused": lambda proxy: proxy.refuse(0.3),
    "reset in the answer": lambda proxy: proxy.cut(100, of="response"),
    "cut off in the answer": lambda proxy: proxy.cut(250, of="response", how="close"),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("request_", REQUESTS)
def test_what_may_pass_is_tried_again(store, proxy, request_, fault):
    FAULTS[fault](proxy)
    act, expected = REQUESTS[request_]
    assert act(store) == expected


def test_a_picture_whose_receipt_was_lost_is_there_once(store, proxy):
    """Nobody can know whether it was this call that put it; `False` says that it is there."""
    (key,) = keys(1)
    proxy.cut(0, of="response", method="PUT")
    assert not store.put_new(key, b"picture")
    assert store.get(key) == b"picture"


@pytest.mark.parametrize("status", [400, 403, 404])
def test_what_will_not_pass_is_not_tried_again(store, proxy, status):
    proxy.answer(status, times=5)
    with pytest.raises(DatabaseError):
        store.get(KEY)
    assert proxy.requests.total() == 1


def test_a_missing_picture_is_told_at_once(store, proxy):
    with pytest.raises(PictureMissing, match=keys(1)[0]):
        store.get(keys(1)[0])
    assert proxy.requests.total() == 1


def test_pictures_of_a_bucket_that_is_gone_are_not_missing(stub):
    stub.answers += [("GET", 404, error("NoSuchBucket"))]
    with pytest.raises(DatabaseError, match="no such bucket") as raised:
        opened(stub.environment).get(KEY)
    assert not isinstance(raised.value, PictureMissing)


def test_a_lost_server_costs_the_patience_once_however_much_is_to_do(environment):
    lost = {**environment, "PATATE_S3_ENDPOINT_URL": nobody_listens()}
    store = opened(lost, retry_timeout_s=1.5)
    began = time.monotonic()
    with pytest.raises(DatabaseError):
        store.get(KEY)
    one_s = time.monotonic() - began
    store = opened(lost, retry_timeout_s=1.5)
    began = time.monotonic()
    with ThreadPoolExecutor(16) as threads:
        failed = [threads.submit(store.get, key) for key in keys(200)]
    for one in failed:
        with pytest.raises(DatabaseError, match=r"refused.*PATATE_S3_ENDPOINT_URL"):
            one.result()
    assert 1 < time.monotonic() - began < 200 / 16 * one_s  # as if each cost it


def test_who_waited_for_his_turn_asks_a_lost_server_no_more(store, proxy, monkeypatch):
    monkeypatch.setattr(picture_store, "_FAIL_FAST_S", HANGS_S)
    store = opened(
        {"PATATE_S3_BUCKET": store.name, "PATATE_S3_KEY_ID": "id", "PATATE_S3_KEY": SECRET},
        PATATE_S3_ENDPOINT_URL=proxy.url,
        retry_timeout_s=0.3,
    )
    proxy.answer(503, times=100)
    with pytest.raises(DatabaseError, match="503"):
        store.get(KEY)
    asked = proxy.requests.total()
    with pytest.raises(DatabaseError, match="503"):
        store.get(KEY)
    assert proxy.requests.total() == asked
    monkeypatch.setattr(picture_store, "_FAIL_FAST_S", 0.0)
    with pytest.raises(DatabaseError, match="503"):
        store.get(KEY)
    assert proxy.requests.total() > asked


def test_a_server_that_is_killed_and_comes_back_loses_nothing():
    wanted = keys(600)
    with Versity() as server:
        store = opened(server.gateway.environment(server.gateway.make_bucket()))
        with ThreadPoolExecutor(16) as threads:
            sent = [threads.submit(store.put_new, key, key.encode() * 50) for key in wanted]
            sent[100].result()
            server.kill()
            time.sleep(0.5)
            server.start()
            for one in sent:
                one.result()
            assert list(threads.map(store.get, wanted)) == [key.encode() * 50 for key in wanted]
