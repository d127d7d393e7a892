"""Searches: complete, in order, and bounded in memory."""

import json
import threading

import pytest

from common.errors import DatabaseError, InputError
from get_data.database.es_utils import client
from get_data.database.es_utils import search as es_search
from get_data.database.es_utils.errors import RequestRejected
from get_data.database.es_utils.settings import from_environment
from get_data.database.interfaces import Replacement
from get_data.database.search.search_query import parse_search_query
from tests.es_utils.helpers import EVERYTHING, many, open_index, put_raw
from tests.helpers.index_labels import (
    SAMPLE,
    fingerprint_of,
    fingerprints_of,
    search,
    tombstone,
    uploaded_label,
)
from tests.helpers.serial_executor import SerialExecutor
from tests.helpers.waiting import HANGS_S
from tests.servers.addresses import new_name

MANY = 10_500  # more than Elasticsearch gives in one answer


@pytest.fixture(scope="module")
def crowd():
    """More labels than fit one response, all of one picture."""
    return many(MANY, s3_key="pictures/other/one-picture.jpg")


@pytest.fixture(scope="module")
def full_index(elasticsearch_8, crowd):
    name = new_name("labels")
    with open_index(from_environment(elasticsearch_8.environment(name))) as index:
        assert index.create(crowd).created == fingerprints_of(crowd)
        yield index
    elasticsearch_8.ask("DELETE", f"/{name}")


@pytest.mark.servers
def test_a_search_returns_more_than_fits_one_response(full_index, crowd):
    found = [json.loads(line)["img_id"] for line in full_index.search(EVERYTHING)]
    assert found == [label["img_id"] for label in crowd]
    assert full_index.count(EVERYTHING) == MANY


@pytest.mark.servers
def test_all_references_to_a_picture_are_found(full_index, crowd):
    key = crowd[0]["s3_key"]
    assert full_index.find_references([key]) == {key: fingerprints_of(crowd)}


@pytest.mark.servers
def test_the_page_size_adapts_to_the_size_of_documents(full_index, crowd, monkeypatch):
    """Memory is bounded by a page, however large the settings in each label are."""
    sizes = []
    ask = client.Client.request

    def seen(client, method, path, body=None, **parameters):
        answer = ask(client, method, path, body, **parameters)
        if path == "/_search":
            sizes.append(len(answer.body))
        return answer

    monkeypatch.setattr(client.Client, "request", seen)
    monkeypatch.setattr(es_search, "FIRST_PAGE_SIZE", 10)
    monkeypatch.setattr(es_search, "PAGE_BYTES", 2**20)
    assert sum(1 for _ in full_index.search(EVERYTHING)) == MANY
    assert len(sizes) > 5
    assert 0.9 * 2**20 < max(sizes) < 1.1 * 2**20


@pytest.mark.servers
def test_page_boundaries_do_not_show(index, monkeypatch):
    """Also between labels of one picture, of one moment and of none."""
    people = [{"created_by": who} for who in "abcdefg"]
    moments = [{"created_on_date": f"2021-01-01T00:00:00.00000{number}Z"} for number in range(3)]
    documents = [
        *(uploaded_label(1, annotation={**who, "created_on_date": ""}) for who in people),
        *(uploaded_label(2, annotation=who | moment) for who in people for moment in moments[:1]),
        *(
            uploaded_label(3, annotation={**who, **moments[number % 3]})
            for number, who in enumerate(people)
        ),
    ]
    index.create(documents)
    whole = search(index)
    assert fingerprints_of(whole) == fingerprints_of(documents)
    for size in (1, 2, 3):
        monkeypatch.setattr(es_search, "FIRST_PAGE_SIZE", size)
        monkeypatch.setattr(es_search, "MAX_PAGE_SIZE", size)
        assert search(index) == whole
        keys = {label["s3_key"] for label in documents}
        assert set().union(*index.find_references(keys).values()) == fingerprints_of(documents)


@pytest.mark.servers
def test_closing_a_search_early_frees_its_context(full_index, elasticsearch_8, monkeypatch):
    monkeypatch.setattr(es_search, "FIRST_PAGE_SIZE", 2)
    index_name = full_index.name.rpartition("/")[2]

    def open_searches():
        _, stats = elasticsearch_8.ask("GET", f"/{index_name}/_stats/search")
        return stats["_all"]["total"]["search"]["open_contexts"]

    searching = full_index.search(EVERYTHING)
    next(searching)
    assert open_searches() == 1
    searching.close()
    assert open_searches() == 0


@pytest.fixture
def pages_of_four(monkeypatch):
    """Four hits a page, and no page is fetched while another program does something."""
    monkeypatch.setattr(es_search, "FIRST_PAGE_SIZE", 4)
    monkeypatch.setattr(es_search, "MAX_PAGE_SIZE", 4)
    monkeypatch.setattr(es_search, "ThreadPoolExecutor", SerialExecutor)


def lose_searches(cluster, name):
    cluster.ask("POST", f"/{name}/_close")
    cluster.ask("POST", f"/{name}/_open?wait_for_active_shards=1")


@pytest.mark.servers
@pytest.mark.usefixtures("pages_of_four")
def test_a_search_that_is_lost_goes_on_with_each_label_once(index, cluster, name):
    """Also if another program amends, removes and creates labels meanwhile.

    Each picture's second label is amended so that it sorts first.
    """
    authors = {"created_by": "Ada"}, {"created_by": "Zoé"}
    pictures = [
        [uploaded_label(second, annotation=author) for author in authors] for second in range(8)
    ]
    # one more, so that pages end between two labels of a picture
    labels = [uploaded_label(-1), *(label for pair in pictures for label in pair)]
    index.create(labels)
    in_order = search(index)
    gone, late = in_order[-1], uploaded_label(98)
    searching = index.search(EVERYTHING)
    found = [next(searching)]
    index.remove([fingerprint_of(gone)])
    index.create([late])
    amended = [max(pair, key=in_order.index) for pair in pictures]
    stored = index.read([fingerprint_of(label) for label in amended])
    for label in stored.values():
        document = label.document | {"comment": "amended"}
        document["label"] |= {"created_on_date": "2030-01-01T00:00:00.000000Z"}
        index.replace([Replacement(document, label.version)])
    for hit in searching:
        found.append(hit)
        lose_searches(cluster, name)
    fingerprints = [json.loads(line)["label_fingerprint"] for line in found]
    assert len(set(fingerprints)) == len(fingerprints)
    assert fingerprints_of(labels) - {fingerprint_of(gone)} <= set(fingerprints)
    assert set(fingerprints) <= fingerprints_of([*labels, late])


@pytest.mark.servers
@pytest.mark.usefixtures("pages_of_four")
def test_tombstones_that_are_lost_while_they_are_read_are_read_once(index, cluster, name):
    tombstones = [tombstone(uploaded_label(second)) for second in range(20)]
    index.add_tombstones(tombstones)
    index.refresh()
    found = []
    for found_tombstone in index.all_tombstones():
        found.append(found_tombstone)
        lose_searches(cluster, f"{name}-*")
    assert found == tombstones


class ForgetfulClient:
    """Fake client of an index with one label; the first `losses` searches fail with `kind`."""

    name = "the index"

    def __init__(self, kind, losses):
        self.opened, self.closed = [], []
        self._kind, self._losses = kind, losses

    def request_json(self, method, path, body=None, **_options):
        assert (method, path) in {("POST", "/index/_pit"), ("DELETE", "/_pit")}
        if method == "DELETE":
            self.closed.append(body["id"])
            return {}
        self.opened.append(f"snapshot {len(self.opened)}")
        return {"id": self.opened[-1]}

    def request(self, method, path, body, **_options):
        assert (method, path) == ("POST", "/_search")
        if self._losses:
            self._losses -= 1
            raise RequestRejected("lost", 404, self._kind, "")
        hit = {"_id": "a", "_source": {"img_id": "one"}, "sort": ["one"]}
        pit = json.loads(body)["pit"]["id"]
        return client.Response(json.dumps({"hits": {"hits": [hit]}, "pit_id": pit}).encode(), False)


LOST = [  # an expired snapshot; a node that left, in current and in older servers
    "search_context_missing_exception",
    "search_context_missing_nodes_exception",
    "no_shard_available_action_exception",
    "unavailable_shards_exception",
    "node_disconnected_exception",
]


@pytest.mark.parametrize("kind", LOST)
def test_a_lost_snapshot_is_replaced_and_released(kind):
    forgetful = ForgetfulClient(kind, losses=4)
    assert list(es_search.scan_tombstones(forgetful, "index")) == [("a", {"img_id": "one"})]
    assert forgetful.closed == forgetful.opened


def test_a_search_that_is_closed_opens_no_further_snapshot(monkeypatch):
    """Its next page is under way then, and the snapshot is lost."""
    stop, stopped = es_search._SnapshotReader.stop, threading.Event()

    class SlowClient(ForgetfulClient):
        def request(self, *arguments, **options):
            if self._losses:
                assert stopped.wait(HANGS_S)
            answer = super().request(*arguments, **options)
            self._losses = 1
            return answer

    monkeypatch.setattr(es_search, "FIRST_PAGE_SIZE", 1)
    monkeypatch.setattr(
        es_search._SnapshotReader, "stop", lambda reader: (stop(reader), stopped.set())
    )
    slow = SlowClient(LOST[0], losses=0)
    searching = es_search.scan_tombstones(slow, "index")
    next(searching)
    searching.close()
    assert slow.opened == slow.closed == ["snapshot 0"]


@pytest.mark.parametrize(("kind", "losses"), [(LOST[0], 5), ("another", 1)])
def test_a_search_that_is_always_lost_or_fails_ends_with_an_error(kind, losses):
    forgetful = ForgetfulClient(kind, losses)
    with pytest.raises(DatabaseError):
        list(es_search.scan_tombstones(forgetful, "index"))
    assert forgetful.closed == forgetful.opened


@pytest.mark.servers
@pytest.mark.usefixtures("pages_of_four")
def test_a_search_whose_index_is_deleted_ends_with_an_error(index, cluster, name):
    index.create([uploaded_label(second) for second in range(20)])
    searching = index.search(EVERYTHING)
    next(searching)
    cluster.ask("DELETE", f"/{name}")
    with pytest.raises(RequestRejected) as raised:
        list(searching)
    assert raised.value.is_missing_index


@pytest.mark.servers
def test_a_label_stored_in_many_lines_is_returned_in_one(index, cluster, name):
    index.check(writing=True)
    document = uploaded_label(comment="one\nline")
    put_raw(
        cluster,
        f"/{name}/_doc/{fingerprint_of(document)}?refresh=true",
        json.dumps(document, indent=2),
    )
    [line] = index.search(EVERYTHING)
    assert b"\n" not in line
    assert json.loads(line) == document


@pytest.mark.servers
def test_a_rejected_query_is_reported_with_field_and_type(index):
    index.create(SAMPLE)
    data = {
        "driver": {"type": "exists"},
        "timestamp": {"type": "range", "gte": "yesterday"},
        "event": {"type": "term", "value": "x"},
    }
    with pytest.raises(InputError, match=r"^timestamp: range: .*date field \[yesterday\]") as error:
        index.search(parse_search_query(data))
    assert len(str(error.value)) < 500
    with pytest.raises(InputError, match=r"^timestamp: range: "):
        index.count(parse_search_query(data))
