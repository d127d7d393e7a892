"""The contract of a label index, asked of every implementation."""

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta

import pytest

import path
from common.errors import InputError
from get_data.database.es_utils import settings as es_settings
from get_data.database.es_utils.label_index import ElasticsearchIndex
from get_data.database.interfaces import LabelReference, Tombstone, picture_key
from get_data.database.local.label_index import SqliteIndex
from get_data.database.search.search_query import parse_search_query, read_search_query
from get_data.labels import classes, edits, ids, validation
from tests.fakes.memory_database import MemoryIndex
from tests.servers.addresses import new_name

START = datetime(2020, 12, 31, 15, 45, 55, tzinfo=UTC)
MANY = 70_000  # names that nobody knows, in one question; more than either can take at once


KINDS = [
    "sqlite",
    "memory",
    pytest.param("elasticsearch_8", marks=pytest.mark.servers),
    pytest.param("elasticsearch_9", marks=pytest.mark.servers),
]


@contextmanager
def opener(request, folder):
    """A function that opens one and the same index, which is empty at first."""
    opened = []
    cluster, name = None, new_name("labels")
    if request.param.startswith("elasticsearch"):
        cluster = request.getfixturevalue(request.param)

    def open_one():
        match request.param:
            case "sqlite":
                opened.append(SqliteIndex(folder / "database"))
            case "memory" if not opened:
                opened.append(MemoryIndex())
            case "elasticsearch_8" | "elasticsearch_9":
                settings = es_settings.from_environment(cluster.environment(name))
                opened.append(ElasticsearchIndex(settings))
        return opened[-1]

    yield open_one
    for index in opened:
        index.close()
    if cluster:
        cluster.ask("DELETE", f"/{name},{name}-gone?ignore_unavailable=true")


@pytest.fixture(params=KINDS)
def open_index(request, tmp_path):
    """A function that opens one and the same index, which is empty at first."""
    with opener(request, tmp_path) as open_one:
        yield open_one


@pytest.fixture
def index(open_index):
    return open_index()


@pytest.fixture(params=KINDS, scope="module")
def garden(request, tmp_path_factory):
    """An index that holds the `GARDEN`, to be searched only."""
    with opener(request, tmp_path_factory.mktemp("garden")) as open_one:
        index = open_one()
        index.create(GARDEN)
        yield index


def made(second=0, *, picture=b"a picture", annotation=(), **more):
    """Return a label as it is uploaded: `annotation` updates its annotation, `more` the rest."""
    document = edits.example_label()
    document |= edits.new_label(
        captured=START + timedelta(seconds=second),
        picture=picture,
        width=160,
        height=120,
        steering=0.1,
        throttle=0.4,
        classes=classes.Classes(),
        session={},
        car_setting={"car": "patate"},
    )
    document["s3_key"] = picture_key(document["img_id"], document["picture_sha256"])
    document |= more
    document["label"] |= dict(annotation)
    document["label_fingerprint"] = ids.fingerprint(document["img_id"], document["label"])
    return document


def name_of(document):
    return document["label_fingerprint"]


def names_of(documents):
    return {name_of(document) for document in documents}


def search(index, data=None):
    return [json.loads(document) for document in index.search(parse_search_query(data or {}))]


def tombstone(document, reason="deleted", removed_by="Zoé"):
    when = "2021-01-01T00:00:00.000000Z"
    return Tombstone(
        name_of(document), document["img_id"], document["s3_key"], reason, removed_by, when
    )


# --- an empty index


def test_an_empty_index_answers_every_question(index):
    unknown = ["4f793167d5c25875fd2eff9825a5d201"]
    assert index.find(unknown) == {}
    assert index.find_tombstones(unknown) == {}
    assert index.picture_hashes(unknown) == {}
    assert index.find_references(unknown) == {}
    assert index.remove(unknown) == set()
    assert search(index) == []
    assert index.count(parse_search_query({})) == 0
    index.remove_tombstones(unknown)


def test_an_index_is_missing_until_it_is_made(index):
    index.ensure_exists()
    index.ensure_exists()
    assert index.missing_part(tombstones=True) == ""
    assert search(index) == []
    assert index.find_tombstones(["unknown"]) == {}


def test_an_index_has_a_name(index):
    assert index.name


def test_an_index_may_be_closed_twice(open_index):
    index = open_index()
    index.create([made()])
    index.close()
    index.close()


# --- create


def test_create_returns_what_is_new(index):
    documents = [made(1), made(2)]
    result = index.create(documents)
    assert (result.created, result.existing, result.rejected) == (names_of(documents), set(), {})


def test_a_label_that_was_there_stays_as_it_was(index):
    index.create([made(1, comment="first")])
    result = index.create([made(1, comment="second"), made(2)])
    assert (result.created, result.existing) == ({name_of(made(2))}, {name_of(made(1))})
    assert [document["comment"] for document in search(index, {"img_id": by_id(1)})] == ["first"]


def by_id(second):
    return {"type": "term", "value": made(second)["img_id"]}


def test_of_one_label_given_twice_the_first_goes_in(index):
    result = index.create([made(comment="first"), made(comment="second")])
    assert result.created == {name_of(made())}
    assert [document["comment"] for document in search(index)] == ["first"]


def test_create_of_nothing_does_nothing(index):
    result = index.create([])
    assert (result.created, result.existing, result.rejected) == (set(), set(), {})


def test_create_leaves_the_documents_as_they_were(index):
    document = made()
    before = json.dumps(document)
    index.create([document])
    assert json.dumps(document) == before


def test_a_document_comes_out_as_it_went_in(index):
    document = made(
        event='Zoé\'s "race" \\ 日本 😀 \u2028\n\x00 end',
        mood=["good", 3, 0.1, True, None],
        big=2**62,
    )
    document["car_setting"] = {"camera": {"gains": [1.5, 2.25]}, "none": None}
    document["label"]["remark"] = "a key that nobody here knows"
    index.create([document])
    assert search(index) == [document]


def test_a_document_comes_out_in_one_line_of_utf8(index):
    index.create([made(comment="Zoé\nsaid\r\nso")])
    [document] = index.search(parse_search_query({}))
    assert isinstance(document, bytes)
    assert b"\n" not in document
    assert b"\r" not in document


def test_a_bad_document_is_refused_alone_with_a_reason(index):
    wrong_class = made(2, annotation={"label_direction": "left"})
    wrong_object = made(3, resolution="160x120")
    result = index.create([made(1), wrong_class, wrong_object, made(4)])
    assert result.created == {name_of(made(1)), name_of(made(4))}
    assert result.rejected.keys() == {name_of(wrong_class), name_of(wrong_object)}
    assert all(result.rejected.values())
    assert len(search(index)) == 2


def test_every_key_that_a_label_may_have_is_taken(index):
    own = ["x.", "a .b", "a.c", "_mine", "é", "*", "\n-", "label.mood", "car_setting.x", "_x._id"]
    own += [".".join("b" * 20), "c" * 40_000]
    one = made(1, **dict.fromkeys(own, "x"))
    assert validation.parse(one)
    assert index.create([one]).rejected == {}
    assert index.create([made(2, **dict.fromkeys(own, "x"))]).rejected == {}


LONG = 32_766  # bytes of a term that Lucene takes
SETTINGS = {
    "zero byte": ({"a": {"b\0": 1}}, False),
    "zero byte in a value": ({"a": "b\0"}, True),
    "longest": ({"k" * (LONG - 1): ""}, True),
    "longer": ({"k" * LONG: ""}, False),
    "long inside": ({"k" * 20_000: {"j" * 20_000: [1]}}, False),
    "long together": ({"k" * 30_000: ["short", "v" * 8000]}, False),
    "long in bytes": ({"k" * 9000: "漢" * 8191}, False),
    "long and empty": ({"k" * 40_000: None, "j" * 40_000: {}}, True),
    "only kept": ({"k" * 40_000: "v" * 8192}, True),
    "only kept, as Java counts": ({"k" * 32_000: "😀" * 4096}, True),
    "one less": ({"k" * 32_000: "😀" * 4095}, False),
}


PARTS = [
    *({"label": {key: "x"}} for key in ("", " ", ".", "a..b", ".a", "x. .y")),
    *({"label": {key: "x"}} for key in ("label_speed.x", "label_speed.", "created_by.text")),
    *({"resolution": {key: "x"}} for key in ("", "..", "horizontal.z")),
    *({key: "x"} for key in ("label.", "resolution.", "car_setting.")),
]


@pytest.mark.parametrize("more", PARTS, ids=str)
def test_a_key_inside_a_part_that_a_teams_index_refuses_is_refused_before(index, monkeypatch, more):
    one = made(1)
    for part, inside in more.items():
        one[part] = {**one[part], **inside} if isinstance(inside, dict) else inside
    with pytest.raises(InputError):
        validation.parse(one)
    if isinstance(index, ElasticsearchIndex):
        monkeypatch.setattr(validation, "parse", lambda document: document)
        assert index.create([one]).rejected


@pytest.mark.parametrize("key", ["_id", "a.", "x.y", "*", "label", "type", "a\0b", "k" * 40_000])
@pytest.mark.parametrize("part", ["label", "resolution"])
def test_other_keys_inside_a_part_are_taken(index, part, key):
    one = made(1)
    one[part] = {**one[part], key: "x"}
    assert index.create([one]).rejected == {}


@pytest.mark.parametrize(("setting", "is_taken"), SETTINGS.values(), ids=SETTINGS)
def test_a_label_is_valid_when_a_teams_index_takes_its_settings(
    index, monkeypatch, setting, is_taken
):
    """The check comes before the pictures are sent; here the index is asked without it."""
    one = made(1, car_setting=setting)
    if is_taken:
        validation.parse(one)
    else:
        with pytest.raises(InputError):
            validation.parse(one)
        [(key, value)] = setting.items()
        with pytest.raises(InputError):
            validation.parse(made(1, **{f"car_setting.{key}": value}))
    if isinstance(index, ElasticsearchIndex):
        monkeypatch.setattr(validation, "parse", lambda document: document)
        assert bool(index.create([one]).created) == is_taken


def test_keys_of_ones_own_are_not_used_up(index):
    """Nobody can take the number of keys that all may have, nor the shape of one."""
    documents = [
        made(second, **{f"key {second} {number}": number for number in range(300)})
        for second in range(4)
    ]
    documents += [
        made(10, a="x"),
        made(11, **{"a.b": "x"}),
        made(12, annotation={"remark": {"c": 1}}),
    ]
    documents += [made(13, annotation={"remark": "x"})]
    result = index.create(documents)
    assert (result.created, result.rejected) == (names_of(documents), {})
    assert search(index) == documents
    for field, value, expected in [
        ("key 3 299", 299, documents[3]),
        ("a", "x", documents[4]),
        ("a.b", "x", documents[5]),
        ("label.remark.c", 1, documents[6]),
        ("label.remark", "x", documents[7]),
    ]:
        assert search(index, {field: {"type": "term", "value": value}}) == [expected]


def test_the_fields_of_ones_own_are_known_by_name(index):
    index.create(
        [made(1, **{"a=b\\": 1, "q.b": "x", "none": None}), made(2, annotation={"remark": 1})]
    )
    assert index.custom_fields() == {"a=b\\", "q.b", "label.remark"}


ODD_KEYS = ["a", "a=b", "a\\", "a\\=b", "a.b", "A", "*", "a?", "é", "_mine", "a]", "ab", "a>"]
ODD_VALUES = ["b", "=b", "b=c", "\\=b", "B", "", "*", "é"]


@pytest.fixture(params=KINDS, scope="module")
def odd_index(request, tmp_path_factory):
    """An index with a label for each of the odd keys and values, to be searched only."""
    with opener(request, tmp_path_factory.mktemp("odd")) as open_one:
        index = open_one()
        index.create(list(ODD.values()))
        yield index


ODD = {
    (key, value): made(number, **{key: value})
    for number, (key, value) in enumerate((key, value) for key in ODD_KEYS for value in ODD_VALUES)
}


@pytest.mark.parametrize(
    ("clause", "holds"),
    [
        ({"type": "term", "value": "b"}, lambda value: value == "b"),
        ({"type": "terms", "value": ["=b", ""]}, lambda value: value in ("=b", "")),
        ({"type": "match", "query": "b=c", "operator": "and"}, lambda value: value == "b=c"),
        ({"type": "prefix", "value": "b"}, lambda value: value.startswith("b")),
        ({"type": "wildcard", "value": "?b"}, lambda value: value == "=b"),
        ({"type": "wildcard", "value": "\\*"}, lambda value: value == "*"),
        ({"type": "regexp", "value": "b|\\=b"}, lambda value: value in ("b", "=b")),
        ({"type": "range", "gte": "b"}, lambda value: value >= "b"),
        ({"type": "range", "lt": "b"}, lambda value: value < "b"),
        ({"type": "range", "gt": "=b", "lte": "b"}, lambda value: "=b" < value <= "b"),
        ({"type": "exists"}, lambda value: True),
        ({"type": "term", "value": "b", "case_insensitive": True}, lambda one: one in ("b", "B")),
        ({"type": "prefix", "value": "B", "case_insensitive": True}, lambda one: one[:1] in "bB"),
    ],
    ids=lambda one: json.dumps(one) if isinstance(one, dict) else "",
)
def test_each_question_about_a_key_of_ones_own_is_about_that_key_alone(odd_index, clause, holds):
    for asked in ODD_KEYS:
        if asked == "*":  # no name of a field in a question
            continue
        expected = [one for (key, value), one in ODD.items() if key == asked and holds(value)]
        if clause.get("value") == "B":
            expected = [one for one in expected if one[asked]]
        assert search(odd_index, {asked: clause}) == expected, asked
        banned = search(odd_index, {asked: clause | {"bool": "must_not"}})
        assert len(banned) == len(ODD) - len(expected)


def test_several_labels_may_speak_of_one_picture(index):
    documents = [made(annotation={"nb_dir": 3}), made(annotation={"created_by": "Zoé"}), made()]
    assert len(index.create(documents).created) == 3
    assert names_of(search(index)) == names_of(documents)


# --- find, picture_hashes, find_references


def test_find_returns_existing_labels(index):
    one, two = made(1), made(2)
    index.create([one, two])
    assert index.find([name_of(one), "unknown"]) == {
        name_of(one): LabelReference(name_of(one), one["img_id"], one["s3_key"])
    }


def test_what_was_written_is_found_at_once_from_elsewhere(open_index):
    here, there = open_index(), open_index()
    for second in range(5):
        document = made(second)
        here.create([document])
        assert name_of(document) in there.find([name_of(document)])
        assert document["s3_key"] in there.find_references([document["s3_key"]])
        here.remove([name_of(document)])
        assert there.find([name_of(document)]) == {}
        assert there.find_references([document["s3_key"]]) == {}


def test_picture_hashes_returns_every_picture_of_an_id(index):
    one = made(1, picture=b"one")
    other = made(1, picture=b"other", annotation={"created_by": "Zoé"})
    without = made(2)
    del without["picture_sha256"]
    index.create([one, other, without, made(3)])
    assert index.picture_hashes([one["img_id"], without["img_id"], "unknown"]) == {
        one["img_id"]: {one["picture_sha256"], other["picture_sha256"]}
    }


def test_find_references_returns_the_labels_of_each_key(index):
    one, same, other = made(1), made(1, annotation={"created_by": "Zoé"}), made(2)
    index.create([one, same, other, made(3)])
    assert index.find_references([one["s3_key"], other["s3_key"], "unknown"]) == {
        one["s3_key"]: {name_of(one), name_of(same)},
        other["s3_key"]: {name_of(other)},
    }


def test_a_question_may_name_very_many(index):
    document = made()
    index.create([document])
    index.add_tombstones([tombstone(document)])
    names = [f"unknown {number}" for number in range(MANY)]
    assert index.find([*names, name_of(document)]).keys() == {name_of(document)}
    assert index.find_tombstones([*names, name_of(document)]).keys() == {name_of(document)}
    assert index.picture_hashes([*names, document["img_id"]]).keys() == {document["img_id"]}
    assert index.find_references([*names, document["s3_key"]]).keys() == {document["s3_key"]}
    assert index.remove([*names, name_of(document)]) == {name_of(document)}
    index.remove_tombstones([*names, name_of(document)])
    assert index.find_tombstones([name_of(document)]) == {}


# --- remove, tombstones


def test_remove_returns_what_existed(index):
    one, two = made(1), made(2)
    index.create([one, two])
    assert index.remove([name_of(one), "unknown"]) == {name_of(one)}
    assert index.remove([name_of(one)]) == set()
    assert names_of(search(index)) == {name_of(two)}
    assert index.count(parse_search_query({})) == 1
    assert index.picture_hashes([one["img_id"]]) == {}


def test_a_removed_label_may_be_created_again(index):
    index.create([made()])
    index.remove([name_of(made())])
    assert index.create([made()]).created == {name_of(made())}


def test_tombstones_are_stored(index):
    one, two = tombstone(made(1)), tombstone(made(2), reason="replaced", removed_by="Ada")
    index.add_tombstones([one, two])
    assert index.find_tombstones([one.fingerprint, two.fingerprint, "unknown"]) == {
        one.fingerprint: one,
        two.fingerprint: two,
    }
    assert index.find([one.fingerprint]) == {}
    assert search(index) == []


def test_of_two_tombstones_of_a_label_the_older_stays(index):
    older, later = (
        tombstone(made(), removed_by="Ada"),
        tombstone(made(), removed_by="Zoé", reason="replaced"),
    )
    index.add_tombstones([older])
    index.add_tombstones([later, tombstone(made(1))])
    assert index.find_tombstones([older.fingerprint]) == {older.fingerprint: older}
    assert len(index.find_tombstones([tombstone(made(1)).fingerprint])) == 1


def test_a_tombstone_can_be_removed(index):
    one, two = tombstone(made(1)), tombstone(made(2))
    index.add_tombstones([one, two])
    index.remove_tombstones([one.fingerprint, "unknown"])
    assert index.find_tombstones([one.fingerprint, two.fingerprint]).keys() == {two.fingerprint}


def test_remembering_nothing_does_nothing(index):
    index.add_tombstones([])
    index.remove_tombstones([])
    assert index.remove([]) == set()


# --- search


def test_search_sorts_by_id_then_newest_then_fingerprint(index):
    wanted = [
        made(1),
        made(2, annotation={"created_by": "d", "created_on_date": "2021-01-01T00:00:00.000002Z"}),
        made(
            2, annotation={"created_by": "c", "created_on_date": "2021-01-01T01:00:00.000001+01:00"}
        ),
        made(2, annotation={"created_by": "b", "created_on_date": "2021-01-01T00:30:00+01:00"}),
        *sorted(
            (made(2, annotation={"created_by": who, "created_on_date": ""}) for who in "aefgh"),
            key=name_of,
        ),
        made(3),
    ]
    del wanted[4]["label"]["created_on_date"]
    index.create([wanted[number] for number in (9, 3, 8, 1, 7, 0, 5, 4, 6, 2)])
    assert [name_of(document) for document in search(index)] == [name_of(one) for one in wanted]


def test_a_time_that_no_index_can_keep_is_none(index):
    times = [
        *("1650-01-01T00:00:00Z", "1969-12-31T23:59:59.999999Z", "1970-01-01T00:00:00Z"),
        *("2262-04-11T23:47:16.854775Z", "2262-04-11T23:47:16.854776Z", "2500-01-01T00:00:00Z"),
    ]
    labels = [made(second, timestamp=time) for second, time in enumerate(times)]
    index.create(labels)
    assert search(index, {"timestamp": {"type": "exists"}}) == labels[2:4]
    without = search(index, {"timestamp": {"type": "exists", "bool": "must_not"}})
    assert without == [*labels[:2], *labels[4:]]
    assert search(index, {"timestamp": {"type": "range", "gte": "1970", "lt": "2262"}}) == [
        labels[2]
    ]
    for bound in ({"gte": "1650-01-01"}, {"lt": "2500"}):
        with pytest.raises(InputError):
            search(index, {"timestamp": {"type": "range", **bound}})


def test_a_correction_dated_where_no_index_reaches_is_the_oldest(index):
    late = made(1, annotation={"created_by": "a", "created_on_date": "2500-01-01T00:00:00Z"})
    right = made(1, annotation={"created_by": "b", "created_on_date": "2021-01-01T00:00:00Z"})
    index.create([late, right])
    assert search(index) == [right, late]


@pytest.mark.parametrize(("text", "is_found"), [("é" * 8191, True), ("é" * 8192, False)])
def test_a_text_is_found_up_to_a_length(index, text, is_found):
    one = made(1, comment=text, driver=text, car_setting={"a": text}, own=[text, "b"])
    index.create([one])
    for field in ("comment", "driver", "car_setting.a", "own"):
        found = search(index, {field: {"type": "prefix", "value": "é"}})
        assert found == [one] * is_found, field
    assert search(index, {"comment": {"type": "exists"}}) == [one] * is_found
    assert search(index, {"own": {"type": "term", "value": "b"}}) == [one]


def test_search_sorts_ids_letter_by_letter(index):
    img_ids = ["Z", "a", "a-1", "a.b", "a_1", "a1", "b"]
    index.create([made(img_id=img_id, s3_key="k") for img_id in reversed(img_ids)])
    assert [document["img_id"] for document in search(index)] == sorted(img_ids)


def test_search_has_no_cap(index):
    documents = [made(second) for second in range(2500)]
    for start in range(0, 2500, 500):
        index.create(documents[start : start + 500])
    found = search(index)
    assert [name_of(document) for document in found] == [name_of(one) for one in documents]
    assert index.count(parse_search_query({})) == 2500
    wanted = {"label.nb_dir": {"type": "term", "value": 5}}
    assert index.count(parse_search_query(wanted)) == 2500


GARDEN = [
    made(0, event="Sunday race", driver="Zoé", transformation=["flip"]),
    made(1, event="sunday RACE, second", driver="Ada", transformation=["flip", "blur"]),
    made(2, event="", driver="ada", transformation=[], mood="good"),
    made(86400, event="test", driver="Zoé", mood=["good", 3], annotation={"label_direction": 0}),
    made(3, event="école", driver="", annotation={"created_by": "Zoé", "raw_direction": -0.5}),
]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({}, {0, 1, 2, 3, 4}),
        ({"all": {"type": "match_all"}}, {0, 1, 2, 3, 4}),
        ({"driver": {"type": "term", "value": "Zoé"}}, {0, 3}),
        ({"driver": {"type": "term", "value": "ADA", "case_insensitive": True}}, {1, 2}),
        ({"driver": {"type": "terms", "value": ["Ada", "ada", "x"]}}, {1, 2}),
        ({"driver": {"type": "prefix", "value": "Z"}}, {0, 3}),
        ({"driver": {"type": "wildcard", "value": "?d*"}}, {1, 2}),
        ({"driver": {"type": "regexp", "value": "[Aa]da"}}, {1, 2}),
        ({"driver": {"type": "range", "gte": "B", "lt": "a"}}, {0, 3}),
        ({"event": {"type": "match", "field": "text", "query": "RACE"}}, {0, 1}),
        ({"event": {"type": "match_phrase", "field": "text", "query": "race second"}}, {1}),
        ({"event": {"type": "match", "field": "text", "query": "École"}}, {4}),
        ({"event": {"type": "term", "field": "keyword", "value": "test"}}, {3}),
        ({"transformation": {"type": "term", "value": "flip"}}, {0, 1}),
        ({"transformation": {"type": "exists"}}, {0, 1}),
        ({"transformation": {"type": "exists", "bool": "must_not"}}, {2, 3, 4}),
        ({"mood": {"type": "term", "value": "good"}}, {2, 3}),
        ({"mood": {"type": "term", "value": "3"}}, {3}),
        ({"label.label_direction": {"type": "term", "value": "0"}}, {3}),
        ({"label.label_direction": {"type": "range", "gt": 0.5}}, {0, 1, 2, 4}),
        ({"label.label_direction": {"type": "term", "value": 0.5}}, set()),
        ({"label.raw_direction": {"type": "range", "lt": 0}}, {4}),
        ({"label.created_by": {"type": "terms", "value": ["Zoé"]}}, {4}),
        ({"timestamp": {"type": "range", "gte": "2021"}}, {3}),
        ({"timestamp": {"type": "range", "lte": "2020-12-31"}}, {0, 1, 2, 4}),
        ({"timestamp": {"type": "range", "lt": "2020-12-31T15:45:57Z"}}, {0, 1}),
        ({"timestamp": {"type": "term", "value": "2021-01-01"}}, {3}),
        ({"timestamp": {"type": "range", "gte": "20201231T15-45-56-000000"}}, {1, 2, 3, 4}),
        ({"img_id": {"type": "prefix", "value": "20201231"}}, {0, 1, 2, 4}),
        ({"upload_date": {"type": "exists"}}, set()),
        ({"car_setting.car": {"type": "term", "value": "patate"}}, {0, 1, 2, 3, 4}),
        ({"nosuch": {"type": "exists"}}, set()),
        ({"nosuch": {"type": "term", "value": "x", "bool": "must_not"}}, {0, 1, 2, 3, 4}),
        ({"x": {"type": "ids", "values": [name_of(GARDEN[2]), "unknown"]}}, {2}),
        ({"x": {"type": "ids", "values": []}}, set()),
    ],
    ids=str,
)
def test_search_finds_what_matches(garden, data, expected):
    assert names_of(search(garden, data)) == {name_of(GARDEN[number]) for number in expected}
    assert garden.count(parse_search_query(data)) == len(expected)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (
            {
                "label.created_by": {"type": "term", "value": "auto"},
                "driver": {"type": "term", "bool": "filter", "value": "Zoé"},
                "event": {"type": "term", "bool": "must_not", "value": "test"},
            },
            {0},
        ),
        (
            {
                "driver": [
                    {"type": "term", "bool": "should", "value": "Ada"},
                    {"type": "term", "bool": "should", "value": "ada"},
                ],
                "transformation": {"type": "exists"},
            },
            {1},
        ),
        (
            {"driver": [{"type": "prefix", "value": "Z"}, {"type": "prefix", "value": "Zoé"}]},
            {0, 3},
        ),
        (
            {"timestamp": [{"type": "range", "gte": "2020-12-31T15:45:56"}, {"type": "exists"}]},
            {1, 2, 3, 4},
        ),
        (
            {
                "transformation": [
                    {"type": "term", "value": "flip"},
                    {"type": "term", "value": "blur"},
                ]
            },
            {1},
        ),
    ],
    ids=["must filter must_not", "should", "two prefixes", "range exists", "two of a list"],
)
def test_search_adds_clauses_up(garden, data, expected):
    assert names_of(search(garden, data)) == {name_of(GARDEN[number]) for number in expected}


def test_search_may_ask_for_very_many(garden):
    values = [f"unknown {number}" for number in range(20_000)]
    found = search(garden, {"driver": {"type": "terms", "value": [*values, "Ada"]}})
    assert names_of(found) == {name_of(GARDEN[1])}


@pytest.mark.parametrize(
    "clause",
    [
        {"type": "no_such_type", "value": 1},
        {"type": "term", "no_such_argument": 1},
        {"type": "range", "gte": "yesterday"},
    ],
    ids=["type", "argument", "value"],
)
def test_a_search_that_cannot_be_answered_is_refused(garden, clause):
    query = parse_search_query({"timestamp": clause})
    with pytest.raises(InputError):
        list(garden.search(query))
    with pytest.raises(InputError):
        garden.count(query)


def test_a_search_sees_the_index_as_it_was_at_its_start(open_index):
    index, elsewhere = open_index(), open_index()
    documents = [made(second) for second in range(1500)]
    index.create(documents)
    with closing(index.search(parse_search_query({}))) as searching:
        found = [json.loads(next(searching))]
        index.create([made(2000)])
        elsewhere.create([made(1, annotation={"created_by": "Zoé"})])
        index.remove([name_of(documents[1])])
        elsewhere.remove([name_of(documents[1499])])
        found += map(json.loads, searching)
    assert [name_of(one) for one in found] == [name_of(one) for one in documents]
    assert len(search(index)) == 1500


def test_two_searches_may_run_at_once(garden):
    everything = parse_search_query({})
    pairs = list(zip(garden.search(everything), garden.search(everything), strict=True))
    assert len(pairs) == 5
    assert all(one == other for one, other in pairs)


def test_a_search_may_be_left_early(index):
    index.create(GARDEN)
    searching = index.search(parse_search_query({}))
    next(searching)
    searching.close()
    assert index.remove(names_of(GARDEN)) == names_of(GARDEN)


# --- at the same time


def test_of_many_writers_each_label_is_created_by_one(open_index):
    documents = [made(second) for second in range(300)]

    def write(number):
        turned = documents[number * 50 :] + documents[: number * 50]
        with closing(open_index()) as index:  # others may find only then what it wrote
            results = [index.create(turned[start : start + 30]) for start in range(0, 300, 30)]
        return [name for result in results for name in result.created]

    with ThreadPoolExecutor(4) as threads:
        created = Counter(name for names in threads.map(write, range(4)) for name in names)
    assert created == dict.fromkeys(names_of(documents), 1)
    assert len(search(open_index())) == 300


def test_one_index_may_be_used_from_threads(index):
    def work(number):
        documents = [made(number * 100 + second) for second in range(20)]
        index.create(documents)
        found = index.find(names_of(documents))
        removed = index.remove([name_of(documents[0])])
        return len(found), len(removed), len(search(index)) >= 19

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(work, range(8))) == [(20, 1, True)] * 8
    assert index.count(parse_search_query({})) == 8 * 19


def test_a_search_may_be_read_by_another_thread(garden):
    searching = garden.search(parse_search_query({}))
    first = next(searching)
    with ThreadPoolExecutor(1) as threads:
        rest = threads.submit(list, searching).result()
    assert len({first, *rest}) == 5


# --- the searches that come with the toolkit


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("search.json", {0, 1, 2, 3, 4}),
        ("hard_left.json", {3}),
        ("december_without_tests.json", {0, 1, 2}),
    ],
)
def test_the_sample_searches_find_what_they_say(garden, name, expected):
    query = read_search_query(str(path.QUERIES / name))
    found = names_of(map(json.loads, garden.search(query)))
    assert found == {name_of(GARDEN[number]) for number in expected}


def test_no_sample_search_is_forgotten_here():
    names = {file.name for file in path.QUERIES.glob("*.json")}
    assert names == {"search.json", "hard_left.json", "december_without_tests.json"}
