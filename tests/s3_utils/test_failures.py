"""Transient failures are retried, permanent ones reported."""

import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from common import retry
from common.errors import DatabaseError, PictureMissing
from get_data.database.s3_utils import picture_store
from tests.helpers.waiting import HANGS_S
from tests.s3_utils.helpers import KEY, SECRET, error_body, keys, open_store, unused_url
from tests.servers.versity import Versity

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
def test_transient_failures_are_retried(store, proxy, request_, fault):
    FAULTS[fault](proxy)
    act, expected = REQUESTS[request_]
    assert act(store) == expected


def test_a_picture_whose_response_was_lost_counts_as_existing(store, proxy):
    """Nobody can know which call put it; `False` says that it exists."""
    (key,) = keys(1)
    proxy.cut(0, of="response", method="PUT")
    assert not store.put_new(key, b"picture")
    assert store.get(key) == b"picture"


@pytest.mark.parametrize("status", [400, 403, 404])
def test_permanent_failures_are_not_retried(store, proxy, status):
    proxy.answer(status, times=5)
    with pytest.raises(DatabaseError):
        store.get(KEY)
    assert proxy.requests.total() == 1


def test_a_missing_picture_is_not_retried(store, proxy):
    with pytest.raises(PictureMissing, match=keys(1)[0]):
        store.get(keys(1)[0])
    assert proxy.requests.total() == 1


def test_a_missing_bucket_is_not_a_missing_picture(stub):
    stub.answers += [("GET", 404, error_body("NoSuchBucket"))]
    with pytest.raises(DatabaseError, match="no such bucket") as raised:
        open_store(stub.environment).get(KEY)
    assert not isinstance(raised.value, PictureMissing)


def test_a_lost_server_costs_one_timeout_for_all_pictures(environment):
    lost = {**environment, "PATATE_S3_ENDPOINT_URL": unused_url()}
    store = open_store(lost, retry_timeout_s=1.5)
    began = time.monotonic()
    with pytest.raises(DatabaseError):
        store.get(KEY)
    one_s = time.monotonic() - began
    store = open_store(lost, retry_timeout_s=1.5)
    began = time.monotonic()
    with ThreadPoolExecutor(16) as threads:
        failed = [threads.submit(store.get, key) for key in keys(200)]
    for future in failed:
        with pytest.raises(DatabaseError, match=r"refused.*PATATE_S3_ENDPOINT_URL"):
            future.result()
    assert 1 < time.monotonic() - began < 200 / 16 * one_s  # as if each cost it


def test_requests_fail_at_once_after_a_timeout(store, proxy, monkeypatch):
    monkeypatch.setattr(picture_store, "_FAIL_FAST_S", HANGS_S)
    store = open_store(
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


def test_every_picture_arrives_at_a_server_that_refuses_every_second_request(store, proxy):
    proxy.answer(503, times=10_000, every=2)
    with ThreadPoolExecutor(16) as threads:
        assert all(threads.map(lambda key: store.put_new(key, key.encode()), keys(300)))
    assert set(store.sizes(keys(300))) == set(keys(300))


@pytest.mark.parametrize("do_others_succeed", [True, False])
def test_a_request_is_given_up_once_none_has_succeeded_for_the_timeout(
    store, environment, proxy, monkeypatch, do_others_succeed
):
    store = open_store(environment, PATATE_S3_ENDPOINT_URL=proxy.url, retry_timeout_s=60)
    now_s = [1000.0]

    def sleep(_seconds):
        now_s[0] += 20
        if do_others_succeed:
            with monkeypatch.context() as asleep:
                asleep.setattr(store._pace, "wait", lambda: None)
                assert store.sizes([KEY])

    monkeypatch.setattr(retry, "time", SimpleNamespace(monotonic=lambda: now_s[0], sleep=sleep))
    proxy.answer(503, times=10, method="DELETE")
    if do_others_succeed:
        store.delete(KEY)
    else:
        with pytest.raises(DatabaseError, match="503"):
            store.delete(KEY)


def test_a_server_that_is_killed_and_comes_back_loses_nothing():
    wanted = keys(600)
    with Versity() as server:
        store = open_store(server.gateway.environment(server.gateway.make_bucket()))
        with ThreadPoolExecutor(16) as threads:
            sent = [threads.submit(store.put_new, key, key.encode() * 50) for key in wanted]
            sent[100].result()
            server.kill()
            time.sleep(0.5)
            server.start()
            for future in sent:
                future.result()
            assert list(threads.map(store.get, wanted)) == [key.encode() * 50 for key in wanted]
