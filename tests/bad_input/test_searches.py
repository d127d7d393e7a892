"""Queries that are invalid, and output folders that cannot be written."""

import json

import pytest

from get_data import edit_labels, search_and_download, show_database
from tests.bad_input.rows import (
    LONG,
    NOT_UTF_8,
    NOWHERE,
    SEARCH_ALL,
    Row,
    all_of,
    as_params,
    fifo,
    file_with,
    folder,
    link,
    nested,
    without_permission,
)

QUERY = "query.json"
OBJECTS = [
    ('{"label": 1}', ["label.label_direction"]),
    ('{"resolution": "160x120"}', ["resolution.horizontal", "resolution.vertical"]),
    ('{"label": {"type": "range", "gt": 1, "bool": "should"}, "driver": "Zoé"}', ["label.nb"]),
    ('{"label": {"type": "terms", "value": [1], "bool": "must_not"}}', ["label.label_speed"]),
]


def query_arguments(query: object) -> list[str]:
    """Return the arguments of a search with this query into the folder `out`."""
    return ["-q", query if isinstance(query, str) else json.dumps(query), "-p", "out"]


SEARCHES = [
    ("no such query", query_arguments("none.json"), ["none.json does not exist"]),
    ("an empty query", query_arguments(""), ["the query is empty", "-q"]),
    ("broken inline JSON", query_arguments("{"), ["the query, line 1, column 2: not JSON"]),
    (
        "quotes lost in the shell",
        query_arguments("{driver: 1}"),
        ["the query, line 1", "double quotes"],
    ),
    ("inline list", query_arguments("[{}]"), ["the query: expected an object such as"]),
    ("bytes in the query", query_arguments("{" + NOT_UTF_8), ["the query is not UTF-8"]),
    ("a query 100,000 deep", query_arguments('{"a":' * 20_000), ["the query: nested too deep"]),
    ("NaN in the query", query_arguments('{"a": {"type": "term", "value": NaN}}'), ["NaN"]),
    (
        "the same field twice",
        query_arguments('{"a": {"type": ""}, "a": {"type": ""}}'),
        ["key 'a'"],
    ),
    ("a clause that is no value", query_arguments({"a": None}), ["the query, a: expected a value"]),
    ("a list of values", query_arguments({"driver": ["Zoé", "Ada"]}), ["driver: ", '"terms"']),
    ("no type", query_arguments({"a": {"value": 3}}), ['a: "type" is missing']),
    ("type is a number", query_arguments({"a": {"type": 3}}), ['a: "type" is 3']),
    ("type is 900 deep", query_arguments({"a": {"type": nested(900)}}), ['a: "type" is [[[']),
    ("type is long", query_arguments({"a": {"type": ["x" * 9] * 999}}), ['a: "type" is [']),
    (
        "unknown type",
        query_arguments({"a": {"type": "fuzzy", "value": 1}}),
        ["a: ", "type 'fuzzy'"],
    ),
    (
        "unknown argument",
        query_arguments({"a": {"type": "term", "values": 1}}),
        ["a: ", "'values'"],
    ),
    (
        "unknown bool",
        query_arguments({"a": {"type": "term", "bool": "any"}}),
        ["\"bool\" is 'any'; use must"],
    ),
    ("no value", query_arguments({"a": {"type": "term"}}), ["a: 'value' is missing"]),
    (
        "a value that is an object",
        query_arguments({"a": {"type": "term", "value": {}}}),
        ["a: 'value' is not one"],
    ),
    (
        "terms of a text",
        query_arguments({"a": {"type": "terms", "value": "x"}}),
        ["a: 'value' is not a list"],
    ),
    (
        "a range without bounds",
        query_arguments({"a": {"type": "range"}}),
        ["a: range needs one of gte, gt"],
    ),
    (
        "a text as class",
        query_arguments({"label.label_direction": {"type": "term", "value": "left"}}),
        ["label.label_direction: 'left' is not a number"],
    ),
    (
        "not a date",
        query_arguments({"timestamp": {"type": "range", "gte": "yesterday"}}),
        ["timestamp: 'yesterday' is not a time such as"],
    ),
    (
        "regexp without a closing parenthesis",
        query_arguments({"a": {"type": "regexp", "value": "(a"}}),
        ["a: ", "expression '(a"],
    ),
    *[
        (
            f"{kind} too long in {key}",
            query_arguments({"a": {"type": kind, key: "*" * 1001}}),
            ["the query, a: ", f"'{key}' is longer than 1000 characters"],
        )
        for kind, key in [("regexp", "value"), ("wildcard", "value"), ("wildcard", "wildcard")]
    ],
    (
        "a field of Elasticsearch",
        query_arguments({"_source": {"type": "exists"}}),
        ["the field '_source'"],
    ),
    (
        "an empty field",
        query_arguments({"": {"type": "exists"}}),
        ["a key is empty; name the field"],
    ),
    ("--limit 0", ["-p", "out", "--limit", "0"], ["--limit: expected a whole number", "'0'"]),
    ("--limit -1", ["-p", "out", "--limit", "-1"], ["--limit: expected a whole number", "'-1'"]),
    ("--limit x", ["-p", "out", "--limit", "x"], ["--limit: expected a whole number", "'x'"]),
    ("--limit 1e3", ["-p", "out", "--limit", "1e3"], ["--limit: expected a whole number"]),
    ("--limit of 30 digits", ["-p", "out", "--limit", "9" * 30], ["--limit: expected a whole num"]),
    ("--limit of 5,000 digits", ["-p", "out", "--limit", "9" * 5000], ["--limit: expected a who"]),
    ("dangling -p", ["-p"], ["argument -p/--pictures: expected one argument"]),
    ("no -p", [], ["the following arguments are required: -p/--pictures"]),
    ("-p is empty", ["-p", ""], ["-p/--pictures: expected a file or a folder, got ''"]),
    ("-p is a file", ["-p", "hardware_conf.json"], ["hardware_conf.json cannot be created"]),
    ("-p is below a file", ["-p", "hardware_conf.json/x"], ["hardware_conf.json/x cannot be"]),
    ("-p that cannot be created", ["-p", NOWHERE], [f"{NOWHERE} cannot be created"]),
    ("-p too long", ["-p", LONG], ["-p/--pictures", "File name too long"]),
    ("-p is a recording", ["-p", "drive"], ["drive is a recording"]),
    ("-o is in a recording", ["-p", "out", "-o", "drive/x.json"], ["drive is a recording"]),
    ("-o is a folder", ["-p", "out", "-o", "."], [". is a folder; name a file"]),
    ("-o is empty", ["-p", "out", "-o", ""], ["-o/--output: expected a file or a folder, got ''"]),
    (
        "-o is below a file",
        ["-p", "out", "-o", "hardware_conf.json/x"],
        ["cannot be created"],
    ),
    ("-o that cannot be created", ["-p", "out", "-o", f"{NOWHERE}/x"], [f"{NOWHERE} cannot be"]),
]

ROWS = [
    *[
        Row(f"search: {name}", search_and_download, arguments, 2, facts)
        for name, arguments, facts in SEARCHES
    ],
    Row(
        "out is read-only",
        search_and_download,
        SEARCH_ALL,
        1,
        ["out/labels.json cannot be written: Permission denied"],
        all_of(folder("out"), without_permission("out", 0o555)),
    ),
    Row(
        "out is in an unreadable folder",
        search_and_download,
        ["-p", "unreadable/out"],
        2,
        ["unreadable/out", "Permission denied"],
        all_of(folder("unreadable"), without_permission("unreadable")),
    ),
    Row(
        "out is a link to nothing",
        search_and_download,
        SEARCH_ALL,
        2,
        ["out cannot be created: File exists"],
        link("out", "gone"),
    ),
    Row(
        "out is a link to itself",
        search_and_download,
        SEARCH_ALL,
        2,
        ["symbolic"],
        link("out", "out"),
    ),
    Row(
        "labels.json of out is a folder",
        search_and_download,
        SEARCH_ALL,
        2,
        ["out/labels.json is a folder; name a file"],
        folder("out/labels.json"),
    ),
    Row(
        "labels.json of out is unreadable",
        search_and_download,
        SEARCH_ALL,
        2,
        ["out/labels.json cannot be read: Permission denied; move it away"],
        all_of(file_with("out/labels.json", "{}"), without_permission("out/labels.json")),
    ),
    Row(
        "query is UTF-16",
        search_and_download,
        query_arguments(QUERY),
        2,
        ["query.json is not UTF-8 text"],
        file_with(QUERY, "{}".encode("utf-16")),
    ),
    *(
        Row(
            f"an object is asked for a value, {number}",
            script,
            [*options, query],
            2,
            ["query, ", *facts],
        )
        for script, options in (
            (search_and_download, ["--count", "-q"]),
            (show_database, ["-q"]),
            (edit_labels, ["--delete", "-y", "-q"]),
        )
        for number, (query, facts) in enumerate(OBJECTS)
    ),
    Row(
        "query is a list",
        search_and_download,
        query_arguments(QUERY),
        2,
        ["query.json: expected an object"],
        file_with(QUERY, "[]"),
    ),
    Row(
        "query is a pipe",
        search_and_download,
        query_arguments(QUERY),
        2,
        ["query.json is not a regular file"],
        fifo(QUERY),
    ),
    Row(
        "query is a folder", search_and_download, query_arguments("drive"), 2, ["drive is a folder"]
    ),
    Row(
        "query is a device",
        search_and_download,
        query_arguments("/dev/zero"),
        2,
        ["not a regular file"],
    ),
    Row(
        "query with a long name",
        search_and_download,
        query_arguments(LONG),
        2,
        ["File name too long"],
    ),
]


@pytest.mark.parametrize("row", as_params(ROWS))
def test_bad_input_gets_one_line_and_changes_nothing(row, assert_refused):
    assert_refused(row)
