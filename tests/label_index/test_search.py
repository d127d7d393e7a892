"""The contract of every label index: searches."""

import json

import pytest

import path
from common.errors import InputError
from get_data.database.search.search_query import parse_search_query, read_search_query
from tests.helpers.index_labels import (
    SAMPLE,
    fingerprint_of,
    fingerprints_of,
    search,
    uploaded_label,
)


def test_search_sorts_by_id_then_newest_then_fingerprint(index):
    wanted = [
        uploaded_label(1),
        uploaded_label(
            2, annotation={"created_by": "d", "created_on_date": "2021-01-01T00:00:00.000002Z"}
        ),
        uploaded_label(
            2, annotation={"created_by": "c", "created_on_date": "2021-01-01T01:00:00.000001+01:00"}
        ),
        uploaded_label(
            2, annotation={"created_by": "b", "created_on_date": "2021-01-01T00:30:00+01:00"}
        ),
        *sorted(
            (
                uploaded_label(2, annotation={"created_by": who, "created_on_date": ""})
                for who in "aefgh"
            ),
            key=fingerprint_of,
        ),
        uploaded_label(3),
    ]
    del wanted[4]["label"]["created_on_date"]
    index.create([wanted[number] for number in (9, 3, 8, 1, 7, 0, 5, 4, 6, 2)])
    assert [fingerprint_of(document) for document in search(index)] == [
        fingerprint_of(one) for one in wanted
    ]


def test_a_time_outside_the_range_of_an_index_is_not_indexed(index):
    times = [
        *("1650-01-01T00:00:00Z", "1969-12-31T23:59:59.999999Z", "1970-01-01T00:00:00Z"),
        *("2262-04-11T23:47:16.854775Z", "2262-04-11T23:47:16.854776Z", "2500-01-01T00:00:00Z"),
    ]
    labels = [uploaded_label(second, timestamp=time) for second, time in enumerate(times)]
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


def test_a_correction_with_a_date_outside_the_range_is_the_oldest(index):
    late = uploaded_label(
        1, annotation={"created_by": "a", "created_on_date": "2500-01-01T00:00:00Z"}
    )
    right = uploaded_label(
        1, annotation={"created_by": "b", "created_on_date": "2021-01-01T00:00:00Z"}
    )
    index.create([late, right])
    assert search(index) == [right, late]


@pytest.mark.parametrize(("text", "is_found"), [("é" * 8191, True), ("é" * 8192, False)])
def test_a_text_is_indexed_up_to_a_length(index, text, is_found):
    one = uploaded_label(1, comment=text, driver=text, car_setting={"a": text}, own=[text, "b"])
    index.create([one])
    for field in ("comment", "driver", "car_setting.a", "own"):
        found = search(index, {field: {"type": "prefix", "value": "é"}})
        assert found == [one] * is_found, field
    assert search(index, {"comment": {"type": "exists"}}) == [one] * is_found
    assert search(index, {"own": {"type": "term", "value": "b"}}) == [one]


def test_search_sorts_ids_letter_by_letter(index):
    img_ids = ["Z", "a", "a-1", "a.b", "a_1", "a1", "b"]
    index.create([uploaded_label(img_id=img_id, s3_key="k") for img_id in reversed(img_ids)])
    assert [document["img_id"] for document in search(index)] == sorted(img_ids)


def test_search_has_no_cap(index):
    documents = [uploaded_label(second) for second in range(2500)]
    for start in range(0, 2500, 500):
        index.create(documents[start : start + 500])
    found = search(index)
    assert [fingerprint_of(document) for document in found] == [
        fingerprint_of(one) for one in documents
    ]
    assert index.count(parse_search_query({})) == 2500
    wanted = {"label.nb_dir": {"type": "term", "value": 5}}
    assert index.count(parse_search_query(wanted)) == 2500


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
        ({"x": {"type": "ids", "values": [fingerprint_of(SAMPLE[2]), "unknown"]}}, {2}),
        ({"x": {"type": "ids", "values": []}}, set()),
    ],
    ids=str,
)
def test_search_finds_what_matches(sample_index, data, expected):
    assert fingerprints_of(search(sample_index, data)) == {
        fingerprint_of(SAMPLE[number]) for number in expected
    }
    assert sample_index.count(parse_search_query(data)) == len(expected)


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
def test_search_combines_clauses(sample_index, data, expected):
    assert fingerprints_of(search(sample_index, data)) == {
        fingerprint_of(SAMPLE[number]) for number in expected
    }


@pytest.mark.parametrize("field", ["own", "car_setting.run.rate_hz", "car_setting"])
@pytest.mark.parametrize("kind", ["term", "terms", "match"])
def test_a_whole_number_is_found_in_both_spellings(index, field, kind):
    """In fields without a declared type: one tool writes 20.0, another one 20."""
    values = [20, 20.0, 20.5, "20", True, 1, 1.0, -20.0, [7, 20.0]]
    index.create(
        [
            uploaded_label(
                number, own=value, car_setting={"run": {"rate_hz": value}}, comment=str(number)
            )
            for number, value in enumerate(values)
        ]
    )

    def find(value, **options):
        name = "query" if kind == "match" else "value"
        asked = ["nothing", value] if kind == "terms" else value
        clause = {"type": kind, name: asked, **options}
        return {int(document["comment"]) for document in search(index, {field: clause})}

    assert find(20) == find(20.0) == {0, 1, 3, 8}
    assert find(20, bool="must_not") == {2, 4, 5, 6, 7}
    assert find(1) == find(1.0) == {5, 6}
    assert find(-20) == {7}
    assert find(20.5) == {2}
    assert find("20.0") == {1, 8}  # a text is that text
    assert find(True) == {4}


def test_search_accepts_20_000_values(sample_index):
    values = [f"unknown {number}" for number in range(20_000)]
    found = search(sample_index, {"driver": {"type": "terms", "value": [*values, "Ada"]}})
    assert fingerprints_of(found) == {fingerprint_of(SAMPLE[1])}


@pytest.mark.parametrize(
    "clause",
    [
        {"type": "no_such_type", "value": 1},
        {"type": "term", "no_such_argument": 1},
        {"type": "range", "gte": "yesterday"},
    ],
    ids=["type", "argument", "value"],
)
def test_a_search_that_cannot_be_answered_is_refused(sample_index, clause):
    query = parse_search_query({"timestamp": clause})
    with pytest.raises(InputError):
        list(sample_index.search(query))
    with pytest.raises(InputError):
        sample_index.count(query)


def test_a_search_may_be_closed_early(index):
    index.create(SAMPLE)
    searching = index.search(parse_search_query({}))
    next(searching)
    searching.close()
    assert index.remove(fingerprints_of(SAMPLE)) == fingerprints_of(SAMPLE)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("search.json", {0, 1, 2, 3, 4}),
        ("hard_left.json", {3}),
        ("december_without_tests.json", {0, 1, 2}),
        ("for_training.json", {0, 1, 2, 3, 4}),
    ],
)
def test_the_sample_searches_find_the_expected_labels(sample_index, name, expected):
    query = read_search_query(str(path.QUERIES / name))
    found = fingerprints_of(map(json.loads, sample_index.search(query)))
    assert found == {fingerprint_of(SAMPLE[number]) for number in expected}


def test_every_sample_search_is_tested():
    names = {file.name for file in path.QUERIES.glob("*.json")}
    assert names == {
        *("search.json", "hard_left.json"),
        *("december_without_tests.json", "for_training.json"),
    }
