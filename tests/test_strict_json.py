"""JSON that could be misread is refused, with the place."""

import pytest

import strict_json
from errors import InputError


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
