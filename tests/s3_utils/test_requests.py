"""How many requests are sent, and which."""

import math
import time
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from common.batching import THREADS
from common.errors import DatabaseError
from get_data.database.interfaces import backup_path, picture_key
from get_data.labels import ids
from tests.s3_utils.helpers import KEY, error_body, keys, open_store, put_all
from tests.servers.versity import Versity


def test_a_thousand_neighbours_cost_one_list(store, proxy):
    stored = keys(1000)
    put_all(store, stored)
    proxy.requests.clear()
    assert len(store.sizes(stored)) == 1000
    assert proxy.requests == {("GET", "list"): 1}


def test_neighbours_are_found_in_the_middle_of_a_full_folder(store, proxy):
    put_all(store, keys(2400))
    proxy.requests.clear()
    assert set(store.sizes(keys(2400)[700:1200])) == set(keys(2400)[700:1200])
    assert proxy.requests == {("GET", "list"): 1}
    proxy.requests.clear()
    assert set(store.sizes(keys(2600))) == set(keys(2400))
    assert proxy.requests == {("GET", "list"): 3}


def test_sparse_keys_cost_a_head_each(store, proxy):
    put_all(store, keys(2400))
    sparse = keys(2400, step=70)
    proxy.requests.clear()
    assert set(store.sizes(sparse)) == set(sparse)
    assert proxy.requests["GET", "list"] == 1
    assert proxy.requests["HEAD", "object"] < len(sparse)


def test_days_in_between_are_not_listed(store, proxy):
    first, last = keys(100, day="20240501"), keys(100, day="20240503")
    put_all(store, first[1:] + last)
    proxy.requests.clear()
    assert len(store.sizes(first + last)) == 200
    assert proxy.requests == {("GET", "list"): 2}


def test_a_few_keys_cost_no_list(store, proxy):
    assert set(store.sizes(keys(10, day="20240501"))) == {KEY}
    assert proxy.requests == {("HEAD", "object"): 10}


@pytest.mark.parametrize("key", ["", "/", "index.sqlite", "pictures/../labels", "elsewhere/a.jpg"])
def test_paths_that_are_no_picture_keys_are_not_requested(store, proxy, key):
    assert store.sizes([key]) == {}
    for method in (store.get, store.delete, lambda key: store.put_new(key, b"")):
        with pytest.raises(DatabaseError, match="not a picture key"):
            method(key)
    assert not proxy.requests


def test_a_picture_deleted_from_a_bucket_with_versions_comes_back():
    with Versity(versions=True) as server:
        gateway = server.gateway
        store = open_store(gateway.environment(gateway.make_bucket(versioned=True)))
        store.check(writing=True)
        assert store.put_new(KEY, b"picture")
        assert not store.put_new(KEY, b"picture")
        store.delete(KEY)
        assert store.sizes([KEY]) == {}
        assert store.put_new(KEY, b"picture")
        assert store.get(KEY) == b"picture"


def test_a_server_that_ignores_conditions_is_asked_first(stub):
    store = open_store(stub.environment)
    store.check(writing=True)
    assert "create-only" in store.notice
    assert "\n" not in store.notice
    assert store.put_new(KEY, b"first")
    assert not store.put_new(KEY, b"other")
    assert stub.objects.keys() == {KEY}
    assert store.get(KEY) == b"first"


def test_a_server_that_refuses_conditions_is_asked_first(stub):
    stub.answers += [("PUT", 501, error_body("NotImplemented"))]
    store = open_store(stub.environment)
    store.check(writing=True)
    assert "create-only" in store.notice
    assert store.put_new(KEY, b"first")
    assert not store.put_new(KEY, b"other")
    assert stub.objects.keys() == {KEY}


def test_two_concurrent_writers_that_both_failed_are_retried(stub):
    stub.answers += [("PUT", 409, error_body("ConditionalRequestConflict"))]
    assert open_store(stub.environment).put_new(KEY, b"picture")
    assert stub.objects[KEY][0] == b"picture"


@pytest.mark.parametrize("tag", ["0", "x" * 32, "0" * 32 + "-2", "ab" * 16])
def test_an_etag_that_is_no_md5_makes_no_picture_damaged(stub, tag):
    """Not that of an object in parts, nor, with SSE-KMS, one of the form of an MD5."""
    stub.tag = tag
    store = open_store(stub.environment)
    wanted = {picture_key(f"p{n}", ids.sha256(bytes([n]))): bytes([n]) for n in range(90)}
    for key, content in wanted.items():
        assert store.put_new(key, content)
    stub.requests.clear()
    own = {key: partial(bytes, content) for key, content in wanted.items()}
    assert all(state.is_intact for state in store.examine(own).values())
    reads = [
        path for method, path, *_ in stub.requests if method == "GET" and "list-type" not in path
    ]
    assert len(reads) <= THREADS  # whose answers were under way when the first was known
    store.check(writing=True)
    assert not store.put_new(*next(iter(wanted.items())))


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
    store = open_store(stub.environment)
    store.check(writing=True)
    written = datetime.now(UTC) + stub.ahead - timedelta(seconds=600)
    stub.objects[backup_path(KEY, "run-1")] = (b"picture", written)
    (copy,) = store.backup_copies()[KEY]
    since = datetime.now(UTC) + stub.ahead - written
    assert 599 <= copy.age_s <= since.total_seconds() + 1  # HTTP tells whole seconds


def test_a_copy_that_failed_behind_a_good_status_is_no_copy(stub):
    store = open_store(stub.environment, retry_timeout_s=0.5)
    answer = ("PUT", 200, error_body("InternalError"))
    stub.answers += [answer] * 20
    with pytest.raises(DatabaseError, match="InternalError"):
        store.back_up(KEY, "run-1")


@pytest.mark.parametrize(
    ("round_trip_s", "at_once"), [(0.0, 16), (0.03, 106), (0.08, 256), (math.inf, 256)]
)
def test_there_are_more_transfers_at_once_the_longer_the_round_trip(stub, round_trip_s, at_once):
    store = open_store(stub.environment)
    store._pace.fastest_s = round_trip_s
    assert store.transfers_at_once == at_once


def test_the_round_trip_is_known_after_the_check(store, environment, proxy):
    proxy.latency_s = 0.05  # of each way
    far = open_store(environment, PATATE_S3_ENDPOINT_URL=proxy.url)
    far.check(writing=True)
    assert 0.1 <= far._pace.fastest_s < math.inf
