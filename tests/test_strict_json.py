"""JSON that could be misread is refused, with the place."""

import contextlib
import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common import strict_json
from common.errors import InputError
from get_data import search_and_download, upload_data
from get_data.labels import label_file
from tests.conftest import document
from tests.helpers.cpu_time import least_cpu_s

SIGNS = st.characters(exclude_categories=["Cs"])


@pytest.mark.usefixtures("no_collection")
@pytest.mark.parametrize(
    ("raw", "complaint"),
    [
        (b"", "f.json, line 1, column 1: not JSON"),
        (b'{"a": 1', "f.json, line 1, column 8: not JSON"),
        (b'{"a": NaN}', "NaN is not a JSON number"),
        (b'{"a": -Infinity}', "-Infinity is not a JSON number"),
        (b'{"a": 1e999}', "the number 1e999 is too large"),
        (b'{"a": 123456789012345678901234567890}', "is too large"),
        (b'{"a": ' + b"9" * 5000 + b"}", "is too large"),
        (b'{"a": 1, "a": 2}', "key 'a'"),
        (b'[{"x": {"b": 1, "b": 1}}]', "key 'b'"),
        (b"[" * 100_000, "nested too deep"),
        ('{"a": "é"}'.encode("utf-16"), "is not UTF-8 text"),
        (b'{"a": "\xff"}', "is not UTF-8 text"),
        (b'{"a": "\\ud800"}', "surrogate"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_parse_refuses(raw, complaint):
    with pytest.raises(InputError) as caught:
        strict_json.parse(raw, "f.json")
    assert complaint in str(caught.value)
    assert str(caught.value).startswith("f.json")


@pytest.mark.usefixtures("no_collection")
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
        (b'{"a": {"b": NaN}}', "NaN is not a JSON number"),
        (b'{"a": 1e999}', "the number 1e999 is too large"),
        (b'{"a": 1, "b": 2, "a": 3}', "key 'a'"),
        (b'{"a": {"b": 1, "b": 1}}', "key 'b'"),
        (b'{"a": ' + b"[" * 100_000, "nested too deep"),
        (b'{"a": "\xff"}', "is not UTF-8 text"),
        (b'{"a": "\\ud800"}', "surrogate"),
        (b'{"\\uD800": 1}', "surrogate"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_entries_refuse_what_parse_refuses(raw, complaint):
    with pytest.raises(InputError) as caught:
        list(strict_json.iter_entries(raw, "f.json"))
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
    entries = list(strict_json.iter_entries(raw, "f.json"))
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


def object_of(count: int, entry: str, *more: str) -> bytes:
    return ("{" + ",".join([*(entry % number for number in range(count)), *more]) + "}").encode()


LARGE: dict[str, Callable[[int], bytes]] = {  # by the number of entries, or of bytes like them
    "no key twice": lambda n: object_of(n, '"k%d": 1'),
    "the first key twice": lambda n: object_of(n, '"k%d": 1', '"k0": 2'),
    "the last key twice": lambda n: object_of(n, '"k%d": 1', f'"k{n - 1}": 2'),
    "twice in the last": lambda n: object_of(n, '"k%d": {"a": 1}', '"x": {"a": 1, "a": 2}'),
    "twice deep inside": lambda n: b'{"a": ' + object_of(n, '"k%d": 1', f'"k{n - 1}": 2') + b"}",
    "half a character": lambda n: object_of(n, '"k%d": "\\ud83d\\ude00"', '"x": "\\ud800"'),
    "not UTF-8": lambda n: object_of(n, '"k%d": "\u00e9"')[:-1] + b',"x": "\xff"}',
    "with a mark": lambda n: b"\xef\xbb\xbf" + object_of(n, '"k%d": "\u00e9"'),
    "cut off": lambda n: object_of(n, '"k%d": 1')[:-1],
    "a comma too many": lambda n: object_of(n, '"k%d": 1', ""),
    "lines": lambda n: b"\n" * 40 * n + b"x",
    "blanks": lambda n: b'{"a":' + b" " * 40 * n + b"1}",
    "escapes": lambda n: b'{"a": "' + b"\\n" * 40 * n + b'\\x"}',
    "a long number": lambda n: b'{"a": ' + b"1" * 40 * n + b"}",
    "many decimals": lambda n: b'{"a": 0.' + b"1" * 40 * n + b"}",
    "a small number": lambda n: b'{"a": 1e-' + b"1" * 40 * n + b"}",
    "lists in lists": lambda n: b'{"a": ' + b"[" * 40 * n,
    "objects in objects": lambda n: b'{"a": ' * 40 * n,
}


def seconds(read: Callable[[bytes], object], raw: bytes) -> float:
    """Return the processor time that reading takes."""

    def try_to_read() -> None:
        with contextlib.suppress(InputError):
            read(raw)

    return least_cpu_s(try_to_read)


@pytest.mark.parametrize(
    "read",
    [
        lambda raw: strict_json.parse(raw, "f.json"),
        lambda raw: list(strict_json.iter_entries(raw, "f.json")),
        label_file.starts_like_label_file,
    ],
    ids=["parse", "entries", "starts_like_label_file"],
)
@pytest.mark.parametrize("made", LARGE.values(), ids=LARGE)
def test_the_time_it_takes_grows_with_the_text_and_no_faster(read, made):
    """Four times the text takes about four times as long; what is quadratic takes sixteen."""
    assert seconds(read, made(12_000)) < 10 * seconds(read, made(3000)) + 0.02


def test_a_key_twice_at_the_end_of_a_large_file_is_told(call, tmp_path):
    query, labels = tmp_path / "search.json", tmp_path / "labels.json"
    query.write_bytes(object_of(100_000, '"k%d": 1', '"k99999": 2'))
    made = [document(number) for number in range(5000)]
    last = made[-1]["img_id"]
    rows = [f"{json.dumps(label['img_id'])}:{json.dumps(label)}" for label in [*made, made[-1]]]
    labels.write_text("{\n" + ",\n".join(rows) + "\n}\n")
    for script, file, key in (
        ([search_and_download, "-p", tmp_path / "found", "-q"], query, "k99999"),
        ([upload_data], labels, last),
    ):
        code, _, err = call(*script, file)
        assert code == 2
        assert str(file) in err
        assert key in err
