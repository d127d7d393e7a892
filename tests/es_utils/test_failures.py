"""Transient failures are retried, permanent ones reported."""

import gzip
import re
from threading import Barrier

import pytest
from elastic_transport import Urllib3HttpNode

from common import retry
from common.errors import DatabaseError
from get_data.database.es_utils import bulk, client, mapping
from get_data.database.es_utils.settings import Settings
from get_data.database.interfaces import LabelReference, Replacement
from tests.es_utils.helpers import EVERYTHING, many, open_index, stub
from tests.helpers.index_labels import (
    SAMPLE,
    fingerprint_of,
    fingerprints_of,
    search,
    tombstone,
    uploaded_label,
)
from tests.helpers.waiting import HANGS_S


@pytest.mark.servers
def test_one_bad_label_among_thousands_is_rejected_alone(index):
    """For example one that bypassed validation."""
    documents = many(3000)
    documents[1234] = {**documents[1234], "picture_size": "large"}
    result = index.create(documents)
    bad = fingerprint_of(documents[1234])
    assert result.rejected.keys() == {bad}
    assert "picture_size" in result.rejected[bad]
    assert result.created == fingerprints_of(documents) - {bad}


@pytest.mark.servers
def test_transient_statuses_are_retried(far_index, proxy):
    for status in (429, 502, 503, 504):
        proxy.answer(status, method="POST")
    assert far_index.create(SAMPLE).created == fingerprints_of(SAMPLE)
    assert proxy.requests["POST", "_bulk"] == 5


@pytest.mark.servers
@pytest.mark.parametrize("status", [400, 403, 404])
def test_permanent_statuses_are_not_retried(far_index, proxy, status):
    proxy.answer(status, method="POST", kind="_bulk")
    with pytest.raises(DatabaseError):
        far_index.create(SAMPLE)
    assert proxy.requests["POST", "_bulk"] == 1


@pytest.mark.servers
@pytest.mark.parametrize("how", ["reset", "close"])
def test_a_truncated_response_is_retried(far_index, proxy, how):
    far_index.create(SAMPLE)
    for kind in ("_search", "_mget"):
        proxy.cut(300, how=how, kind=kind, times=2)
    assert fingerprints_of(search(far_index)) == fingerprints_of(SAMPLE)
    assert len(far_index.find(fingerprints_of(SAMPLE))) == len(SAMPLE)


@pytest.mark.servers
def test_a_server_that_is_briefly_down_is_retried(far_index, proxy):
    proxy.refuse(1.0)
    assert far_index.create(SAMPLE).created == fingerprints_of(SAMPLE)


@pytest.mark.servers
def test_a_server_that_stays_down_is_reported(far_index, proxy, monkeypatch):
    monkeypatch.setattr(retry, "TIMEOUT_S", 0.5)
    proxy.refuse()
    with pytest.raises(DatabaseError, match="PATATE_ES_URL"):
        far_index.find(["a"])


@pytest.mark.servers
def test_a_label_counts_as_created_if_only_the_response_was_lost(far_index, proxy):
    """And one that was there before does not."""
    far_index.create([uploaded_label(1, comment="before")])
    proxy.cut(0, kind="_bulk")
    result = far_index.create([uploaded_label(1), uploaded_label(2)])
    assert proxy.requests["POST", "_bulk"] == 3
    assert (result.created, result.existing) == (
        {fingerprint_of(uploaded_label(2))},
        {fingerprint_of(uploaded_label(1))},
    )


@pytest.mark.servers
def test_a_label_counts_as_removed_if_only_the_response_was_lost(far_index, proxy):
    far_index.create([uploaded_label(1)])
    proxy.cut(0, kind="_bulk")
    assert far_index.remove([fingerprint_of(uploaded_label(1))]) == {
        fingerprint_of(uploaded_label(1))
    }
    assert far_index.find([fingerprint_of(uploaded_label(1))]) == {}


@pytest.mark.servers
def test_a_tombstone_is_added_if_the_response_was_lost(far_index, proxy):
    proxy.cut(0, kind="_bulk")
    far_index.add_tombstones([tombstone(uploaded_label(1))])
    assert far_index.find_tombstones([fingerprint_of(uploaded_label(1))]) == {
        fingerprint_of(uploaded_label(1)): tombstone(uploaded_label(1))
    }


@pytest.mark.servers
def test_a_label_counts_as_replaced_if_only_the_response_was_lost(far_index, proxy):
    """And one that somebody changed meanwhile does not."""
    first, second = uploaded_label(1), uploaded_label(2)
    names = [fingerprint_of(first), fingerprint_of(second)]
    far_index.create([first, second])
    read = far_index.read(names)
    far_index.replace([Replacement(second | {"comment": "theirs"}, read[names[1]].version)])
    proxy.cut(0, kind="_bulk")
    result = far_index.replace(
        [
            Replacement(label | {"comment": "mine"}, read[name].version)
            for name, label in zip(names, (first, second), strict=True)
        ]
    )
    assert (result.replaced, result.changed) == ({names[0]}, {names[1]})
    comments = [far_index.read(names)[name].document["comment"] for name in names]
    assert comments == ["mine", "theirs"]


@pytest.mark.servers
def test_an_unchanged_label_is_removed_if_only_the_response_was_lost(far_index, proxy):
    label = uploaded_label(1)
    name = fingerprint_of(label)
    far_index.create([label])
    version = far_index.read([name])[name].version
    proxy.cut(0, kind="_bulk")
    assert far_index.remove_unchanged({name: version}) == set()
    assert far_index.find([name]) == {}


REJECTED = {"type": "es_rejected_execution_exception", "reason": "the queue is full"}
LEFT = {"type": "node_disconnected_exception", "reason": "[node-1][mget[shard][s]] disconnected"}
NO_MASTER = {"type": "cluster_block_exception", "reason": "blocked by: [2/no master];"}


def removed(*statuses):
    """The answer to a removal of so many labels."""
    errors = [{"error": REJECTED} if status == 429 else {} for status in statuses]
    return {
        "items": [
            {"delete": {"status": status, **error}}
            for status, error in zip(statuses, errors, strict=True)
        ]
    }


def test_only_rejected_operations_are_retried():
    answers = [(200, removed(200, 429, 404)), (200, removed(429)), (200, removed(200))]
    with stub({"POST /labels/_bulk": answers}) as (url, asked):
        with open_index(Settings(url)) as index:
            assert index.remove(["a", "b", "c"]) == {"a", "b"}
        sent = [re.findall(rb'"_id":"(.)"', body) for body in asked["POST /labels/_bulk"]]
    assert sent == [[b"a", b"b", b"c"], [b"b"], [b"b"]]


@pytest.mark.parametrize("status", [200, 404])
@pytest.mark.parametrize(("failed", "error"), [(500, LEFT), (502, LEFT), (503, NO_MASTER)])
def test_an_operation_whose_shard_is_away_for_a_moment_is_sent_again(failed, error, status):
    """404: the node had removed the label before it left, or it was not there."""
    away = {"items": [{"delete": {"status": failed, "error": error}}]}
    answers = {"POST /labels/_bulk": [(200, away), (200, removed(429)), (200, removed(status))]}
    with stub(answers) as (url, asked), open_index(Settings(url)) as index:
        assert index.remove(["a"]) == {"a"}
        assert len(asked["POST /labels/_bulk"]) == 3


@pytest.mark.parametrize(("status", "error"), [(500, LEFT), (502, LEFT), (503, NO_MASTER)])
def test_a_request_that_no_shard_or_no_master_answers_is_sent_again(status, error):
    """A search names the error of a shard beside that of the whole."""
    failed = {"failed_shards": [{"reason": error}], "type": "search_phase_execution_exception"}
    answers = {
        "POST /labels/_search": [
            (status, {"error": error}),
            (status, {"error": failed}),
            (200, {"hits": {"total": {"value": 7}}}),
        ]
    }
    with stub(answers) as (url, asked), open_index(Settings(url)) as index:
        assert index.count(EVERYTHING) == 7
        assert len(asked["POST /labels/_search"]) == 3


@pytest.mark.parametrize(
    "error",
    [
        {"type": "no_shard_available_action_exception", "reason": "No shard"},
        {
            "type": "cluster_block_exception",
            "reason": "[SERVICE_UNAVAILABLE/2/no master]",
        },
        LEFT,
        REJECTED,
    ],
    ids=lambda error: error["type"],
)
def test_labels_whose_shard_is_away_for_a_moment_are_asked_for_again(error):
    """As of an index that was just created, or of a node that has left."""

    def answer(error):
        return 200, {"docs": [{"_id": "a", "error": error}, {"_id": "b", "found": False}]}

    not_yet = answer(error)
    found = 200, {"docs": [{"_id": "a", "found": True, "_source": {"img_id": "1", "s3_key": "k"}}]}
    with (
        stub({"POST /labels/_mget": [not_yet, not_yet, found]}) as (url, asked),
        open_index(Settings(url)) as index,
    ):
        assert index.find(["a", "b"]) == {"a": LabelReference("a", "1", "k")}
        assert len(asked["POST /labels/_mget"]) == 3


def test_an_index_without_a_shard_is_reported_and_not_empty(monkeypatch):
    monkeypatch.setattr(retry, "TIMEOUT_S", 0)
    error = {"type": "no_shard_available_action_exception", "reason": "No shard"}
    answers = {"POST /labels/_mget": [(200, {"docs": [{"_id": "a", "error": error}]})]}
    with (
        stub(answers) as (url, _),
        open_index(Settings(url)) as index,
        pytest.raises(DatabaseError, match="No shard"),
    ):
        index.find(["a"])


def test_operations_that_stay_rejected_are_reported(monkeypatch):
    monkeypatch.setattr(retry, "TIMEOUT_S", 0)
    made_here = {"labels": mapping.label_index()}
    rejected = {"items": [{"create": {"status": 429, "error": REJECTED}}]}
    answers = {
        "GET /labels": [(200, made_here)],
        "GET /labels-gone": [(200, {"labels-gone": mapping.tombstone_index()})],
        "POST /labels/_search": [(200, {"hits": {"hits": []}})],  # none has to be indexed again
        "POST /labels/_bulk": [(200, rejected)],
        "POST /labels-gone/_bulk": [(200, rejected)],
        "POST /labels/_refresh": [(200, {"_shards": {"failed": 0}})],
    }
    with stub(answers) as (url, _), open_index(Settings(url)) as index:
        result = index.create([uploaded_label()])
        assert result.rejected == {fingerprint_of(uploaded_label()): REJECTED["reason"]}
        with pytest.raises(DatabaseError, match="the queue is full"):
            index.add_tombstones([tombstone(uploaded_label())])


@pytest.mark.parametrize("far_s", [0.0, HANGS_S])
def test_only_what_is_sent_far_is_compressed(monkeypatch, far_s):
    """From the second request on: the first one tells the way."""
    monkeypatch.setattr(client, "_FAR_ROUND_TRIP_S", far_s)
    answers = {"POST /labels/_bulk": [(200, removed(200))] * 2}
    with stub(answers) as (url, asked), open_index(Settings(url)) as index:
        for name in "ab":
            assert index.remove([name]) == {name}
        first, second = asked["POST /labels/_bulk"]
    is_compressed = second.startswith(b"\x1f\x8b")
    assert (b'"_id":"a"' in first, is_compressed) == (True, far_s == 0)
    assert b'"_id":"b"' in (gzip.decompress(second) if is_compressed else second)


@pytest.mark.servers
def test_a_server_far_away_reads_and_answers_what_is_compressed(index, monkeypatch):
    monkeypatch.setattr(client, "_FAR_ROUND_TRIP_S", 0.0)
    encodings = set()
    perform = Urllib3HttpNode.perform_request

    def noted(node, *arguments):
        answer = perform(node, *arguments)
        encodings.add(answer.meta.headers.get("content-encoding"))
        return answer

    monkeypatch.setattr(Urllib3HttpNode, "perform_request", noted)
    labels = many(300)
    assert index.create(labels).created == fingerprints_of(labels)
    index.refresh()
    assert fingerprints_of(search(index)) == fingerprints_of(labels)
    assert "gzip" in encodings


def test_a_gateway_that_refuses_what_is_compressed_gets_it_as_it_is(monkeypatch):
    monkeypatch.setattr(client, "_FAR_ROUND_TRIP_S", 0.0)
    answers = {"POST /labels/_bulk": [(200, removed(200)), (415, "no"), *[(200, removed(200))] * 2]}
    with stub(answers) as (url, asked), open_index(Settings(url)) as index:
        for name in "abc":
            assert index.remove([name]) == {name}
        plain = [body.startswith(b"{") for body in asked["POST /labels/_bulk"]]
    assert plain == [True, False, True, True]


def test_two_bulk_requests_are_sent_at_a_time():
    half = removed(*[200] * bulk.MAX_OPERATIONS)
    names = [f"{number:032x}" for number in range(2 * bulk.MAX_OPERATIONS)]
    answers = {"POST /labels/_bulk": [(200, half)] * 2}
    with stub(answers, together=Barrier(2)) as (url, _), open_index(Settings(url)) as index:
        assert index.remove(names) == set(names)


def test_a_refresh_of_some_shards_only_is_tried_again():
    answers = {
        "POST /labels/_refresh": [(200, {"_shards": {"failed": failed}}) for failed in (1, 0)],
        "POST /labels/_search": [(200, {"hits": {"hits": []}})],
    }
    with stub(answers) as (url, asked), open_index(Settings(url)) as index:
        assert index.find_references(["a key"]) == {}
        assert len(asked["POST /labels/_refresh"]) == 2


def test_a_login_that_may_refresh_one_of_the_indices_only_is_told():
    reason = "indices:admin/refresh is granted by the index privileges [maintenance,manage,all]"
    answers = {
        "POST /labels/_refresh": [(200, {"_shards": {"failed": 0}})],
        "POST /labels-gone/_refresh": [
            (403, {"error": {"type": "security_exception", "reason": reason}})
        ],
    }
    with (
        stub(answers) as (url, _),
        open_index(Settings(url)) as index,
        pytest.raises(DatabaseError, match="maintenance"),
    ):
        index.refresh()


def test_a_refresh_of_some_shards_only_is_an_error_in_the_end(monkeypatch):
    monkeypatch.setattr(retry, "TIMEOUT_S", 0)
    shards = {"_shards": {"total": 2, "successful": 1, "failed": 1}}
    with (
        stub({"POST /labels/_refresh": [(200, shards)]}) as (url, _),
        open_index(Settings(url)) as index,
        pytest.raises(DatabaseError, match="refresh"),
    ):
        index.find_references(["a key"])


def test_a_label_without_a_picture_key_is_found():
    document = {"_id": "a", "found": True, "_source": {"img_id": "1"}}
    answers = {"POST /labels/_mget": [(200, {"docs": [document]})]}
    with stub(answers) as (url, _), open_index(Settings(url)) as index:
        assert index.find(["a"]) == {"a": LabelReference("a", "1", "")}
