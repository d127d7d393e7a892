"""JSON that could be misread is refused, with the place."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

import strict_json
from errors import InputError

SIGNS = st.characters(exclude_categories=["Cs"])


@pytest.mark.parametrize(
    ("raw", "complaint"),
    [
        (b"", "f.json, line 1, column 1: not JSON"),
        (b'{"a": 1', "f.json, line 1, column 8: not JSON"),
        (b'{"a": NaN}', "NaN is not a number that JSON knows"),
        (b'{"a": -Infinity}', "-Infinity is not a number"),
        (b'{"a": 1e999}', "the number 1e999 is too large"),
        (b'{"a": 123456789012345678901234567890}', "is too large"),
        (b'{"a": ' + b"9" * 5000 + b"}", "is too large"),
        (b'{"a": 1, "a": 2}', "the key 'a' stands twice"),
        (b'[{"x": {"b": 1, "b": 1}}]', "the key 'b' stands twice"),
        (b"[" * 100_000, "nested too deep"),
        ('{"a": "é"}'.encode("utf-16"), "is not UTF-8 text"),
        (b'{"a": "\xff"}', "is not UTF-8 text"),
        (b'{"a": "\\ud800"}', "half a character"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_parse_refuses(raw, complaint):
    with pytest.raises(InputError) as caught:
        strict_json.parse(raw, "f.json")
    assert complaint in str(caught.value)
    assert str(caught.value).startswith("f.json")


@pytest.mark.parametrize(
    ("raw", "complaint"),
    [
        (b"", "line 1, column 1: not JSON"),
        (b"[1]", "expected an object"),
        (b"1", "expected an object"),
        (b'{"a": 1', "line 1, column 8: not JSON: Expecting ',' delimiter"),
        (b'{"a": 1,}', "line 1, column 9: not JSON"),
        (b'{"a" 1}', "not JSON: Expecting ':' delimiter"),
        (b'{"a": }', "not JSON: Expecting value"),
        (b"{1: 2}", "not JSON: Expecting property name"),
        (b"{,}", "not JSON: Expecting property name"),
        (b"{} {}", "line 1, column 4: not JSON: Extra data"),
        (b'{"a": 1}\n\n}', "line 3, column 1: not JSON: Extra data"),
        (b'{"a": {"b": NaN}}', "NaN is not a number that JSON knows"),
        (b'{"a": 1e999}', "the number 1e999 is too large"),
        (b'{"a": 1, "b": 2, "a": 3}', "the key 'a' stands twice"),
        (b'{"a": {"b": 1, "b": 1}}', "the key 'b' stands twice"),
        (b'{"a": ' + b"[" * 100_000, "nested too deep"),
        (b'{"a": "\xff"}', "is not UTF-8 text"),
        (b'{"a": "\\ud800"}', "half a character"),
        (b'{"\\uD800": 1}', "half a character"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_entries_refuse_what_parse_refuses(raw, complaint):
    with pytest.raises(InputError) as caught:
        list(strict_json.entries(raw, "f.json"))
    assert str(caught.value).startswith("f.json")
    assert complaint in str(caught.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**62), 2**62) | st.text(SIGNS),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(SIGNS), inner, max_size=4),
    max_leaves=8,
)


@given(
    st.dictionaries(st.text(SIGNS), JSON, max_size=5),
    st.sampled_from([None, 1, "\t"]),
    st.booleans(),
    st.sampled_from(["", "\ufeff"]),
    st.sampled_from(["", " \r\n\t"]),
)
def test_entries_are_those_that_parse_reads(content, indent, ascii_only, mark, blank):
    """However it is written: each value, and the very bytes of it."""
    text = json.dumps(content, indent=indent, ensure_ascii=ascii_only)
    raw = f"{mark}{blank}{text}{blank}".encode()
    entries = list(strict_json.entries(raw, "f.json"))
    assert {one.key: one.value for one in entries} == strict_json.parse(raw, "f.json")
    for one in entries:
        assert strict_json.parse(raw[one.start : one.end], "f.json") == one.value


def test_parse_takes_what_editors_write():
    text = '\ufeff{"a": [1, -2.5, true, null, "é😀", "\\ud83d\\ude00"]}'
    expected = {"a": [1, -2.5, True, None, "é😀", "😀"]}
    assert strict_json.parse(text.encode(), "f.json") == expected


def test_read_names_a_missing_file(tmp_path):
    with pytest.raises(InputError, match=r"none\.json does not exist"):
        strict_json.read(tmp_path / "none.json")


def test_read_names_a_folder(tmp_path):
    with pytest.raises(InputError, match="is a folder, not a JSON file"):
        strict_json.read(tmp_path)
