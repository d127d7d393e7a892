"""The contract of every label index: labels are created, looked up and removed."""

import json

from get_data.database.interfaces import LabelReference
from get_data.database.search.search_query import parse_search_query
from tests.helpers.index_labels import (
    fingerprint_of,
    fingerprints_of,
    search,
    tombstone,
    uploaded_label,
)

MANY = 70_000  # names in one lookup: more than either index accepts in one request


def test_a_missing_index_answers_every_question(open_index):
    index = open_index()
    unknown = ["4f793167d5c25875fd2eff9825a5d201"]
    assert index.find(unknown) == {}
    assert index.find_tombstones(unknown) == {}
    assert index.picture_hashes(unknown) == {}
    assert index.find_references(unknown) == {}
    assert index.remove(unknown) == set()
    assert search(index) == []
    assert index.count(parse_search_query({})) == 0
    index.remove_tombstones(unknown)


def test_an_index_is_missing_until_it_is_created(open_index):
    index = open_index()
    index.ensure_exists()
    index.ensure_exists()
    assert index.missing_part(tombstones=True) == ""
    assert search(index) == []
    assert index.find_tombstones(["unknown"]) == {}


def test_an_index_has_a_name(index):
    assert index.name


def test_an_index_may_be_closed_twice(open_index):
    index = open_index()
    index.create([uploaded_label()])
    index.close()
    index.close()


def test_create_returns_what_is_new(index):
    documents = [uploaded_label(1), uploaded_label(2)]
    result = index.create(documents)
    assert (result.created, result.existing, result.rejected) == (
        fingerprints_of(documents),
        set(),
        {},
    )


def test_an_existing_label_is_not_changed(index):
    index.create([uploaded_label(1, comment="first")])
    result = index.create([uploaded_label(1, comment="second"), uploaded_label(2)])
    assert (result.created, result.existing) == (
        {fingerprint_of(uploaded_label(2))},
        {fingerprint_of(uploaded_label(1))},
    )
    assert [document["comment"] for document in search(index, {"img_id": by_id(1)})] == ["first"]


def by_id(second):
    return {"type": "term", "value": uploaded_label(second)["img_id"]}


def test_of_two_equal_labels_the_first_is_created(index):
    result = index.create([uploaded_label(comment="first"), uploaded_label(comment="second")])
    assert result.created == {fingerprint_of(uploaded_label())}
    assert [document["comment"] for document in search(index)] == ["first"]


def test_create_of_nothing_does_nothing(index):
    result = index.create([])
    assert (result.created, result.existing, result.rejected) == (set(), set(), {})


def test_create_does_not_change_its_documents(index):
    document = uploaded_label()
    before = json.dumps(document)
    index.create([document])
    assert json.dumps(document) == before


def test_a_document_is_returned_as_it_was_created(index):
    document = uploaded_label(
        event='Zoé\'s "race" \\ 日本 😀 \u2028\n\x00 end',
        mood=["good", 3, 0.1, True, None],
        big=2**62,
    )
    document["car_setting"] = {"camera": {"gains": [1.5, 2.25]}, "none": None}
    document["label"]["remark"] = "a custom key"
    index.create([document])
    assert search(index) == [document]


def test_a_document_is_returned_as_one_line_of_utf8(index):
    index.create([uploaded_label(comment="Zoé\nwrote\r\nthis")])
    [document] = index.search(parse_search_query({}))
    assert isinstance(document, bytes)
    assert b"\n" not in document
    assert b"\r" not in document


def test_a_bad_document_is_refused_alone_with_a_reason(index):
    wrong_class = uploaded_label(2, annotation={"label_direction": "left"})
    wrong_object = uploaded_label(3, resolution="160x120")
    result = index.create([uploaded_label(1), wrong_class, wrong_object, uploaded_label(4)])
    assert result.created == {fingerprint_of(uploaded_label(1)), fingerprint_of(uploaded_label(4))}
    assert result.rejected.keys() == {fingerprint_of(wrong_class), fingerprint_of(wrong_object)}
    assert all(result.rejected.values())
    assert len(search(index)) == 2


def test_a_picture_may_have_several_labels(index):
    documents = [
        uploaded_label(annotation={"nb_dir": 3}),
        uploaded_label(annotation={"created_by": "Zoé"}),
        uploaded_label(),
    ]
    assert len(index.create(documents).created) == 3
    assert fingerprints_of(search(index)) == fingerprints_of(documents)


def test_find_returns_existing_labels(index):
    one, two = uploaded_label(1), uploaded_label(2)
    index.create([one, two])
    assert index.find([fingerprint_of(one), "unknown"]) == {
        fingerprint_of(one): LabelReference(fingerprint_of(one), one["img_id"], one["s3_key"])
    }


def test_a_name_that_no_label_can_have_finds_nothing(index):
    label = uploaded_label(1)
    index.create([label])
    names = ["", " ", "x" * 1000, "é", fingerprint_of(label)]
    assert set(index.find(names)) == {fingerprint_of(label)}
    assert set(index.read(names)) == {fingerprint_of(label)}
    assert index.find_tombstones(names) == {}
    assert index.picture_hashes(["", " ", "x" * 1000]) == {}
    assert index.find_references(["", " ", "x" * 1000]) == {}


def test_a_created_label_is_found_at_once_by_other_clients(open_index):
    here, there = open_index(), open_index()
    for second in range(5):
        document = uploaded_label(second)
        here.create([document])
        assert fingerprint_of(document) in there.find([fingerprint_of(document)])
        assert document["s3_key"] in there.find_references([document["s3_key"]])
        here.remove([fingerprint_of(document)])
        assert there.find([fingerprint_of(document)]) == {}
        assert there.find_references([document["s3_key"]]) == {}


def test_picture_hashes_returns_every_picture_of_an_id(index):
    one = uploaded_label(1, picture=b"one")
    other = uploaded_label(1, picture=b"other", annotation={"created_by": "Zoé"})
    without = uploaded_label(2)
    del without["picture_sha256"]
    index.create([one, other, without, uploaded_label(3)])
    assert index.picture_hashes([one["img_id"], without["img_id"], "unknown"]) == {
        one["img_id"]: {one["picture_sha256"], other["picture_sha256"]}
    }


def test_find_references_returns_the_labels_of_each_key(index):
    one, same, other = (
        uploaded_label(1),
        uploaded_label(1, annotation={"created_by": "Zoé"}),
        uploaded_label(2),
    )
    index.create([one, same, other, uploaded_label(3)])
    assert index.find_references([one["s3_key"], other["s3_key"], "unknown"]) == {
        one["s3_key"]: {fingerprint_of(one), fingerprint_of(same)},
        other["s3_key"]: {fingerprint_of(other)},
    }


def test_a_lookup_may_name_70_000_labels(index):
    document = uploaded_label()
    index.create([document])
    index.add_tombstones([tombstone(document)])
    names = [f"unknown {number}" for number in range(MANY)]
    assert index.find([*names, fingerprint_of(document)]).keys() == {fingerprint_of(document)}
    assert index.find_tombstones([*names, fingerprint_of(document)]).keys() == {
        fingerprint_of(document)
    }
    assert index.picture_hashes([*names, document["img_id"]]).keys() == {document["img_id"]}
    assert index.find_references([*names, document["s3_key"]]).keys() == {document["s3_key"]}
    assert index.remove([*names, fingerprint_of(document)]) == {fingerprint_of(document)}
    index.remove_tombstones([*names, fingerprint_of(document)])
    assert index.find_tombstones([fingerprint_of(document)]) == {}


def test_remove_returns_what_existed(index):
    one, two = uploaded_label(1), uploaded_label(2)
    index.create([one, two])
    assert index.remove([fingerprint_of(one), "unknown"]) == {fingerprint_of(one)}
    assert index.remove([fingerprint_of(one)]) == set()
    assert fingerprints_of(search(index)) == {fingerprint_of(two)}
    assert index.count(parse_search_query({})) == 1
    assert index.picture_hashes([one["img_id"]]) == {}


def test_a_removed_label_may_be_created_again(index):
    index.create([uploaded_label()])
    index.remove([fingerprint_of(uploaded_label())])
    assert index.create([uploaded_label()]).created == {fingerprint_of(uploaded_label())}


def test_tombstones_are_stored(index):
    one, two = (
        tombstone(uploaded_label(1)),
        tombstone(uploaded_label(2), reason="replaced", removed_by="Ada"),
    )
    index.add_tombstones([one, two])
    assert index.find_tombstones([one.fingerprint, two.fingerprint, "unknown"]) == {
        one.fingerprint: one,
        two.fingerprint: two,
    }
    assert index.find([one.fingerprint]) == {}
    assert search(index) == []


def test_of_two_tombstones_of_a_label_the_older_stays(index):
    older, later = (
        tombstone(uploaded_label(), removed_by="Ada"),
        tombstone(uploaded_label(), removed_by="Zoé", reason="replaced"),
    )
    index.add_tombstones([older])
    index.add_tombstones([later, tombstone(uploaded_label(1))])
    assert index.find_tombstones([older.fingerprint]) == {older.fingerprint: older}
    assert len(index.find_tombstones([tombstone(uploaded_label(1)).fingerprint])) == 1


def test_all_tombstones_are_listed_in_order(open_index):
    index, elsewhere = open_index(), open_index()
    assert list(index.all_tombstones()) == []
    several = [
        uploaded_label(1, annotation={"created_by": name}) for name in ("auto", "Zoé", "Ada", "Bo")
    ]
    documents = [*several, *(uploaded_label(number) for number in range(2, 1200))]
    tombstones = [tombstone(label) for label in documents]
    elsewhere.add_tombstones(tombstones[::-1])
    index.refresh()
    by_place = sorted(tombstones, key=lambda one: (one.img_id, one.fingerprint))
    assert list(index.all_tombstones()) == by_place


def test_after_a_refresh_a_search_finds_what_other_programs_wrote(open_index):
    index, elsewhere = open_index(), open_index()
    index.refresh()
    elsewhere.create([uploaded_label(1)])
    index.refresh()
    assert search(index) == [uploaded_label(1)]


def test_a_tombstone_can_be_removed(index):
    one, two = tombstone(uploaded_label(1)), tombstone(uploaded_label(2))
    index.add_tombstones([one, two])
    index.remove_tombstones([one.fingerprint, "unknown"])
    assert index.find_tombstones([one.fingerprint, two.fingerprint]).keys() == {two.fingerprint}


def test_empty_requests_do_nothing(index):
    index.add_tombstones([])
    index.remove_tombstones([])
    assert index.remove([]) == set()
