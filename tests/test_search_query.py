"""The search file, well and badly written."""

import json

import pytest

import path
from common.errors import InputError
from get_data.database.search.matching import compile_query
from get_data.database.search.search_query import (
    Clause,
    SearchQuery,
    parse_search_query,
    read_search_query,
    to_json,
)
from get_data.labels import schema

TERM = {"type": "term", "value": 2}


def test_no_query_matches_everything():
    assert read_search_query(None) == SearchQuery(())
    assert read_search_query("{}") == SearchQuery(())


def test_a_clause_holds_its_field_its_type_and_its_arguments():
    query = parse_search_query(
        {"timestamp": {"type": "range", "bool": "filter", "gte": "2020", "boost": 2}}
    )
    assert query.clauses == (
        Clause("timestamp", "range", "filter", {"gte": "2020", "boost": 2}, None),
    )


@pytest.mark.parametrize(
    ("spelling", "occur"),
    [
        ({}, "must"),
        ({"bool": "must"}, "must"),
        ({"bool": "match"}, "must"),
        ({"bool": "filter"}, "filter"),
        ({"bool": "should"}, "should"),
        ({"bool": "must_not"}, "must_not"),
    ],
    ids=str,
)
def test_bool_sets_how_a_clause_counts(spelling, occur):
    [clause] = parse_search_query({"event": TERM | spelling}).clauses
    assert clause.occur == occur


@pytest.mark.parametrize(
    ("sub_field", "asked"),
    [({}, "event"), ({"field": ""}, "event"), ({"field": "text"}, "event.text")],
    ids=str,
)
def test_field_names_a_sub_field(sub_field, asked):
    [clause] = parse_search_query({"event": TERM | sub_field}).clauses
    assert clause.path == asked


def test_a_dotted_field_stays_one_field():
    [clause] = parse_search_query({"label.label_direction": TERM}).clauses
    assert (clause.field, clause.path) == ("label.label_direction", "label.label_direction")


def test_an_entry_with_an_empty_type_is_skipped():
    query = parse_search_query({"event": {"type": "", "query": "race"}, "driver": TERM})
    assert [clause.field for clause in query.clauses] == ["driver"]


def test_a_list_gives_several_clauses_on_one_field():
    query = parse_search_query({"event": [TERM, {"type": ""}, {"type": "exists"}]})
    assert [(clause.field, clause.type) for clause in query.clauses] == [
        ("event", "term"),
        ("event", "exists"),
    ]


def test_an_unknown_type_is_left_to_the_database():
    [clause] = parse_search_query({"event": {"type": "fuzzy", "value": "rase"}}).clauses
    assert clause.type == "fuzzy"


def test_the_data_given_is_left_as_it_was():
    data = {"event": {"type": "term", "field": "text", "bool": "filter", "value": "x"}}
    before = json.dumps(data)
    parse_search_query(data)
    assert json.dumps(data) == before


@pytest.mark.parametrize("before", ["", " \n", "\ufeff"], ids=["plain", "blanks", "BOM"])
def test_a_file_is_read(tmp_path, before):
    file = tmp_path / "search.json"
    file.write_text(before + json.dumps({"driver": {"type": "term", "value": "Zoé"}}), "utf-8")
    [clause] = read_search_query(str(file)).clauses
    assert clause.arguments == {"value": "Zoé"}


@pytest.mark.parametrize("before", ["", "  "], ids=["plain", "blanks"])
def test_a_text_that_starts_with_a_brace_is_the_query_itself(before):
    [clause] = read_search_query(before + '{"driver": {"type": "exists"}}').clauses
    assert clause == Clause("driver", "exists")


@pytest.mark.parametrize("value", ["race", 0, 1.5, True])
def test_a_value_is_short_for_a_term(value):
    [clause] = parse_search_query({"a": value}).clauses
    assert clause == Clause("a", "term", arguments={"value": value})


@pytest.mark.parametrize("occur", ["must", "filter", "should", "must_not"])
def test_a_query_is_written_in_its_long_form_and_is_the_same_again(occur):
    query = parse_search_query(
        {
            "event": [{"type": "match", "field": "text", "query": "race"}, {"type": "exists"}],
            "driver": "Zoé",
            "track": {"type": "terms", "value": ["a", "b"], "bool": occur},
            "comment": {"type": ""},
        }
    )
    content = to_json(query)
    assert parse_search_query(content) == query
    assert content["driver"] == [{"type": "term", "bool": "must", "value": "Zoé"}]


@pytest.mark.usefixtures("no_collection")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{", "the query, line 1, column 2: not JSON"),
        ('{"a": {"type": "term", "value": NaN}}', "NaN"),
        ('{"a": {"type": "term", "value": 1e999}}', "too large"),
        ('{"a": {"type": "term"}, "a": {"type": "term"}}', "'a'"),
        ('{"a": {"type": "term", "type": ""}}', "'type'"),
        ('{"a": {"type": "term", "value": "\\ud800"}}', "surrogate"),
        ('{"a": ' * 100_000, "nested too deep"),
        ('{"a": ["race"]}', 'to match any of several values, use {"type": "terms"'),
        ('{"a": [{"type": "term"}, 1]}', "the query, a: expected a list of clauses"),
        ('{"a": [{"type": "term"}, null]}', "the query, a, clause 2: expected a value, or"),
        ('{"a": null}', "the query, a: expected a value, or"),
        ('{"": {"type": "term"}}', "a key is empty"),
        ('{"a": []}', "the query, a: the list of clauses is empty"),
        ('{"a": {"value": 1}}', 'a: "type" is missing'),
        ('{"a": {"type": 1}}', 'a: "type" is 1; expected a text'),
        ('{"a": {"type": null}}', 'a: "type" is None'),
        ('{"a": {"type": "term", "field": 1}}', 'a: "field" is 1'),
        (
            '{"a": {"type": "term", "bool": "mus"}}',
            "a: \"bool\" is 'mus'; use must, filter, should",
        ),
        ('{"a": {"type": "term", "bool": ["must"]}}', "a: \"bool\" is ['must']"),
        ('{"a": {"type": "", "bool": ""}}', "a: \"bool\" is ''"),
    ],
    ids=lambda value: value[:40],
)
def test_a_bad_query_is_refused_with_its_place(text, expected):
    with pytest.raises(InputError) as raised:
        read_search_query(text)
    assert expected in str(raised.value)
    assert raised.value.exit_code == 2


@pytest.mark.parametrize("data", [[], "race", 1, None, [TERM]], ids=str)
def test_decoded_data_that_is_no_object_is_refused(data):
    with pytest.raises(InputError, match="the query: expected an object"):
        parse_search_query(data)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b'{"driver": {"type": "term", "value": "Zo\xe9"}}', "is not UTF-8 text"),
        (b"", "line 1, column 1: not JSON"),
        (b"[]", "expected an object"),
        (b'{"driver": {"value": 1}}', ', driver: "type" is missing'),
    ],
    ids=["latin-1", "empty", "list", "clause"],
)
def test_a_bad_file_is_refused_with_its_name(tmp_path, content, expected):
    file = tmp_path / "search.json"
    file.write_bytes(content)
    with pytest.raises(InputError) as raised:
        read_search_query(str(file))
    assert str(file) in str(raised.value)
    assert expected in str(raised.value)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("nowhere.json", "does not exist"), (".", "is a folder"), ("\0", "cannot be read")],
    ids=["missing", "folder", "impossible"],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path, name, expected):
    with pytest.raises(InputError, match=expected):
        read_search_query(f"{tmp_path}/{name}")


QUERIES = sorted(path.QUERIES.glob("*.json"))
STARTING_POINT = json.loads((path.QUERIES / "search.json").read_text("utf-8"))


@pytest.mark.parametrize("file", QUERIES, ids=lambda file: file.name)
def test_every_sample_search_can_be_asked_here(file):
    query = read_search_query(str(file))
    assert query.clauses or file.name == "search.json"  # which is there to be filled in
    compile_query(query)


@pytest.mark.parametrize("field", STARTING_POINT)
def test_each_field_of_the_starting_point_can_be_filled_in(field):
    types = {"query": "match", "gte": "range", "values": "ids", "value": "term"}
    clause = STARTING_POINT[field]
    (argument,) = types.keys() & clause.keys()
    filled = clause | {"type": types[argument]}
    if argument == "gte":
        is_number = schema.INDEX_TYPES[field] == "float"
        filled |= {"gte": -0.5, "lt": 0.5} if is_number else {"gte": "2026-11", "lt": "2026-12"}
    query = parse_search_query({**STARTING_POINT, field: filled})
    assert [one.type for one in query.clauses] == [types[argument]]
    compile_query(query)


def test_the_starting_point_has_a_line_for_every_field_worth_asking():
    asked = {name.split(".")[0] for name in STARTING_POINT}
    beside = {"file_name", "s3_bucket", "s3_key", "color", "picture_size", "picture_sha256"}
    assert asked == {name.split(".")[0] for name in schema.INDEX_TYPES} - beside
    assert {clause["type"] for clause in STARTING_POINT.values()} == {
        ""
    }  # nothing filters until filled in
