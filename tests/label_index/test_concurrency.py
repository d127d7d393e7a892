"""The contract of every label index: concurrent clients and threads."""

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

from get_data.database.search.search_query import parse_search_query
from tests.helpers.index_labels import fingerprint_of, fingerprints_of, search, uploaded_label


def test_a_search_sees_the_index_as_it_was_at_its_start(open_index):
    index, elsewhere = open_index(), open_index()
    documents = [uploaded_label(second) for second in range(1500)]
    index.create(documents)
    with closing(index.search(parse_search_query({}))) as searching:
        found = [json.loads(next(searching))]
        index.create([uploaded_label(2000)])
        elsewhere.create([uploaded_label(1, annotation={"created_by": "Zoé"})])
        index.remove([fingerprint_of(documents[1])])
        elsewhere.remove([fingerprint_of(documents[1499])])
        found += map(json.loads, searching)
    assert [fingerprint_of(one) for one in found] == [fingerprint_of(one) for one in documents]
    assert len(search(index)) == 1500


def test_two_searches_may_run_at_once(sample_index):
    everything = parse_search_query({})
    pairs = list(zip(sample_index.search(everything), sample_index.search(everything), strict=True))
    assert len(pairs) == 5
    assert all(one == other for one, other in pairs)


def test_of_many_writers_each_label_is_created_by_one(open_index):
    documents = [uploaded_label(second) for second in range(300)]

    def write(number):
        rotated = documents[number * 50 :] + documents[: number * 50]
        with closing(open_index()) as index:  # labels may become visible to others only now
            results = [index.create(rotated[start : start + 30]) for start in range(0, 300, 30)]
        return [name for result in results for name in result.created]

    with ThreadPoolExecutor(4) as threads:
        created = Counter(name for names in threads.map(write, range(4)) for name in names)
    assert created == dict.fromkeys(fingerprints_of(documents), 1)
    assert len(search(open_index())) == 300


def test_one_index_may_be_used_from_threads(index):
    def work(number):
        documents = [uploaded_label(number * 100 + second) for second in range(20)]
        index.create(documents)
        found = index.find(fingerprints_of(documents))
        removed = index.remove([fingerprint_of(documents[0])])
        return len(found), len(removed), len(search(index)) >= 19

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(work, range(8))) == [(20, 1, True)] * 8
    assert index.count(parse_search_query({})) == 8 * 19


def test_a_search_may_be_read_by_another_thread(sample_index):
    searching = sample_index.search(parse_search_query({}))
    first = next(searching)
    with ThreadPoolExecutor(1) as threads:
        rest = threads.submit(list, searching).result()
    assert len({first, *rest}) == 5
