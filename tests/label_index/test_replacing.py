"""The contract of every label index: labels are replaced and removed as of a version."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from get_data.database.interfaces import Replacement
from get_data.database.search.search_query import parse_search_query
from tests.helpers.index_labels import (
    fingerprint_of,
    fingerprints_of,
    search,
    tombstone,
    uploaded_label,
)

LABEL = uploaded_label(1, track="school", mood=["good", 3])
FINGERPRINT = fingerprint_of(LABEL)
UNKNOWN = "4f793167d5c25875fd2eff9825a5d201"


def version_of(index, fingerprint=FINGERPRINT):
    return index.read([fingerprint])[fingerprint].version


def outcome(result):
    return result.replaced, result.changed, set(result.rejected)


def test_read_returns_whole_documents_with_a_version(index):
    other = uploaded_label(2, comment="Zoé\n日本")
    index.create([LABEL, other])
    found = index.read([FINGERPRINT, fingerprint_of(other), UNKNOWN])
    assert {name: label.document for name, label in found.items()} == {
        FINGERPRINT: LABEL,
        fingerprint_of(other): other,
    }
    assert all(label.version for label in found.values())


def test_an_empty_index_has_nothing_to_replace(index):
    assert index.read([UNKNOWN]) == {}
    assert index.remove_unchanged({}) == set()
    assert outcome(index.replace([])) == (set(), set(), set())
    assert search(index) == []


def test_a_version_stays_the_same_until_the_label_changes(open_index):
    index, elsewhere = open_index(), open_index()
    index.create([LABEL, uploaded_label(2)])
    version = version_of(index)
    index.create([LABEL, uploaded_label(3)])
    index.remove([fingerprint_of(uploaded_label(2))])
    assert version_of(elsewhere) == version
    elsewhere.replace([Replacement(LABEL | {"track": "park"}, version)])
    assert version_of(index) != version


def test_an_unchanged_label_is_replaced_as_a_whole(index):
    index.create([LABEL, uploaded_label(2)])
    amended = LABEL | {"track": "park", "weather": "rain"}
    del amended["mood"], amended["driver"]
    result = index.replace([Replacement(amended, version_of(index))])
    assert outcome(result) == ({FINGERPRINT}, set(), set())
    assert index.read([FINGERPRINT])[FINGERPRINT].document == amended
    assert [label for label in search(index) if label["img_id"] == LABEL["img_id"]] == [amended]
    assert len(search(index)) == 2


def test_a_replaced_label_is_found_by_its_new_values_only(index):
    index.create([LABEL])
    created = {"created_on_date": "2021-01-02T00:00:00.000000Z", "raw_direction": -0.25}
    amended = LABEL | {"track": "park", "event": "race", "weather": "rain", "mood": "bad"}
    amended["label"] = LABEL["label"] | created
    index.replace([Replacement(amended, version_of(index))])
    for field, old, new in (
        ("track", "school", "park"),
        ("event", LABEL["event"], "race"),
        ("mood", "good", "bad"),
        ("label.raw_direction", 0.1, -0.25),
        ("weather", "sun", "rain"),
    ):
        assert search(index, {field: {"type": "term", "value": old}}) == []
        assert search(index, {field: {"type": "term", "value": new}}) == [amended]


def test_what_ties_a_label_to_its_picture_is_found_after_a_replacement(index):
    index.create([LABEL])
    before = index.find([FINGERPRINT])
    index.replace([Replacement(LABEL | {"track": "park"}, version_of(index))])
    assert index.find([FINGERPRINT]) == before
    assert index.find_references([LABEL["s3_key"]]) == {LABEL["s3_key"]: {FINGERPRINT}}
    assert index.picture_hashes([LABEL["img_id"]]) == {LABEL["img_id"]: {LABEL["picture_sha256"]}}


def test_a_replacement_may_name_another_picture_key(index):
    index.create([LABEL])
    moved = LABEL | {"s3_key": "pictures/20201231/moved.jpg"}
    assert outcome(index.replace([Replacement(moved, version_of(index))]))[0] == {FINGERPRINT}
    assert index.find([FINGERPRINT])[FINGERPRINT].s3_key == moved["s3_key"]
    assert index.find_references([LABEL["s3_key"], moved["s3_key"]]) == {
        moved["s3_key"]: {FINGERPRINT}
    }


def test_a_label_that_somebody_replaced_is_left(open_index):
    index, elsewhere = open_index(), open_index()
    index.create([LABEL])
    version = version_of(index)
    elsewhere.replace([Replacement(LABEL | {"track": "park"}, version)])
    result = index.replace([Replacement(LABEL | {"track": "desert"}, version)])
    assert outcome(result) == (set(), {FINGERPRINT}, set())
    assert index.read([FINGERPRINT])[FINGERPRINT].document["track"] == "park"
    assert index.remove_unchanged({FINGERPRINT: version}) == {FINGERPRINT}
    assert FINGERPRINT in index.find([FINGERPRINT])


def test_a_label_that_somebody_removed_is_not_created(open_index):
    index, elsewhere = open_index(), open_index()
    index.create([LABEL])
    version = version_of(index)
    elsewhere.remove([FINGERPRINT])
    result = index.replace([Replacement(LABEL | {"track": "park"}, version)])
    assert outcome(result) == (set(), {FINGERPRINT}, set())
    assert index.find([FINGERPRINT]) == {}
    assert search(index) == []


def test_a_label_that_somebody_created_anew_with_other_content_is_left(open_index):
    index, elsewhere = open_index(), open_index()
    index.create([LABEL])
    version = version_of(index)
    elsewhere.remove([FINGERPRINT])
    elsewhere.create([LABEL | {"comment": "created anew"}])
    result = index.replace([Replacement(LABEL | {"track": "park"}, version)])
    assert outcome(result) == (set(), {FINGERPRINT}, set())
    assert search(index) == [LABEL | {"comment": "created anew"}]


def test_an_index_that_is_gone_is_not_created_by_a_replacement(open_index, request):
    index = open_index()
    index.create([LABEL])
    version = version_of(index)
    lose(index, request)
    result = index.replace([Replacement(LABEL | {"track": "park"}, version)])
    assert outcome(result) == (set(), {FINGERPRINT}, set())
    assert index.remove_unchanged({FINGERPRINT: version}) == set()
    assert index.missing_part(tombstones=False) or search(index) == []


def lose(index, request):
    """Remove the index itself, as a lost disk does."""
    match type(index).__name__:
        case "SqliteIndex":
            Path(index.name).unlink()
        case "ElasticsearchIndex":
            server = request.getfixturevalue(request.node.callspec.params["open_index"])
            server.ask("DELETE", f"/{index.name.rpartition('/')[2]}")
        case "MemoryIndex":
            index.labels.clear()


def test_a_bad_replacement_is_refused_alone_with_a_reason(index):
    bad = uploaded_label(2)
    index.create([LABEL, bad])
    result = index.replace(
        [
            Replacement(bad | {"resolution": "160x120"}, version_of(index, fingerprint_of(bad))),
            Replacement(LABEL | {"track": "park"}, version_of(index)),
        ]
    )
    assert outcome(result) == ({FINGERPRINT}, set(), {fingerprint_of(bad)})
    assert all(result.rejected.values())
    assert index.read([fingerprint_of(bad)])[fingerprint_of(bad)].document == bad


def test_replace_does_not_change_its_documents(index):
    index.create([LABEL])
    amended = LABEL | {"track": "park", "mood": ["bad"]}
    before = dict(amended)
    index.replace([Replacement(amended, version_of(index))])
    assert amended == before


def test_thousands_of_labels_are_replaced_and_removed_in_one_call(index):
    documents = [uploaded_label(second) for second in range(2500)]
    names = fingerprints_of(documents)
    index.create(documents)
    stored = index.read(names)
    result = index.replace(
        [Replacement(d | {"track": "park"}, stored[fingerprint_of(d)].version) for d in documents]
    )
    assert result.replaced == names
    assert index.count(parse_search_query({"track": {"type": "term", "value": "park"}})) == 2500
    versions = {name: label.version for name, label in index.read(names).items()}
    assert index.remove_unchanged(versions) == set()
    assert search(index) == []


def test_an_unchanged_label_is_removed(index):
    other = uploaded_label(2)
    index.create([LABEL, other])
    index.add_tombstones([tombstone(LABEL)])
    assert index.remove_unchanged({FINGERPRINT: version_of(index)}) == set()
    assert fingerprints_of(search(index)) == {fingerprint_of(other)}


def test_removing_an_absent_label_is_no_conflict(index):
    index.create([LABEL, uploaded_label(2)])
    version = version_of(index)
    index.remove([FINGERPRINT])
    assert index.remove_unchanged({FINGERPRINT: version}) == set()
    assert len(search(index)) == 1


@pytest.mark.parametrize("removing", [False, True])
def test_of_many_who_change_a_label_at_once_one_succeeds(open_index, removing):
    with closing(open_index()) as index:
        index.create([LABEL])
        version = version_of(index)

    def change(number):
        with closing(open_index()) as index:
            if removing and number % 2:
                return not index.remove_unchanged({FINGERPRINT: version})
            replacement = Replacement(LABEL | {"track": f"track {number}"}, version)
            return bool(index.replace([replacement]).replaced)

    with ThreadPoolExecutor(4) as threads:
        done = list(threads.map(change, range(8)))
    if removing:
        # an absent label is as good as removed, a changed one is neither removed nor replaced
        assert sum(done[::2]) <= 1
        assert not (any(done[::2]) and any(done[1::2]))
    else:
        assert sum(done) == 1
        index = open_index()
        assert index.read([FINGERPRINT])[FINGERPRINT].document["track"] == (
            f"track {done.index(True)}"
        )
