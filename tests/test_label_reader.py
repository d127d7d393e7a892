"""Labels are read in one of two ways, quick or careful, that nobody can tell apart."""

import contextlib
import itertools
import json
import re
import unicodedata
from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common import strict_json
from common.errors import InputError
from get_data.database.interfaces import encode_document
from get_data.labels import edits, ids, label_file, schema, validation
from get_data.labels.label_reader import CheckedLabel, LabelReader
from tests.conftest import document
from tests.helpers.made_up_json import examples, mutated, torn

OWN = {"weather": "sunny", "lap": 3, "tags": ["a", 1, 0.5, True, None], "é😀": None, "a.b": 0.5}
DRIVE = [
    document(number, steering=0.4 * number - 0.8, created_by=author, **own)
    for number, author, own in (
        (0, "auto", {}),
        (1, "auto", {}),
        (2, "Zoé", OWN),
        (3, "auto", OWN),
        (4, "auto", {}),
    )
]
NO_SETTING = {key: value for key, value in document(5).items() if key != "car_setting"}
LABELS = {label["img_id"]: label for label in DRIVE}

TOKENS = [
    *(
        "1e400",
        "-1e400",
        "-0",
        "-0.0",
        "0",
        "1",
        "1.0",
        "1E0",
        "1e0",
        "0.10",
        "01",
        "+1",
        ".5",
        "1.",
    ),
    *("1e-7", "1e-07", "1e16", "1e+16", "5e-324", "0.1", "0.30000000000000004", "2.5e-1"),
    *(
        str(sign * (2**power + more))
        for sign in (1, -1)
        for power in (53, 63, 64)
        for more in (-1, 0)
    ),
    *("9" * 5000, "NaN", "Infinity", "null", "true", '"true"', '"false"', '""', "[]", "{}"),
    *(
        '"\\ud800"',
        '"\\ud83d\\ude00"',
        '"\\u00e9"',
        '"é"',
        '"e\u0301"',
        '"\\/"',
        '"\\u0000"',
        '"\\n"',
    ),
    *(
        '"\t"',
        '"\x7f"',
        '"\u2028"',
        '"\ufeff"',
        '{"a":1,"a":1}',
        '{"a":1,"A":1}',
        '{"\\u0061":1,"a":2}',
    ),
    *(
        '{"a":"\\u0000"}',
        '{"a":1E0}',
        '{"a":-0}',
        '{"a":1e400}',
        '{"a": 1}',
        '{"run":{"max_throttle":0.01}}',
    ),
    *('{"a":"' + "x" * size + '"}' for size in (8_000, 33_000)),
    *("[" * depth + "]" * depth for depth in (2, 19, 20, 21, 22, 3000)),
    *('{"a":' * depth + "1" + "}" * depth for depth in (19, 20, 21, 3000)),
    *('"../x.jpg"', '"a..b.jpg"', '"x.JPG"', '"x.jpg\\n"', '"' + "é" * 126 + '.jpg"', '"CON.jpg"'),
    *('"2024-05-01"', '"2024-05-01T00:00:00+02:00"', '"0001-01-01T00:00:00+14:00"', '"yesterday"'),
]
SPACES = ["", " ", "\n", "\r\n", "\t", "\x0b", "\ufeff", ",", "x"]
KEYS = ["", "é", "e\u0301", "a\\nb", "\\u0061", "own", "car_setting.x", "label.x", "split"]
VALUE = re.compile(r'(?<=[:\[,])("[^"]*"|-?[0-9.]+|true|false|null|\[\]|\{[^{}]*\})(?!:)')
KEY = re.compile(r'"([^"]+)":')
SIGN = re.compile(r'["{}\[\]:,]')


def changes(text: str) -> Iterator[str]:
    """JSON text after each change of one kind that no encoder would make."""
    keys = KEY.findall(text)
    for at, token in itertools.product(VALUE.finditer(text), TOKENS):
        yield text[: at.start()] + token + text[at.end() :]
    for at, key in itertools.product(KEY.finditer(text), [*KEYS, *keys, "to_delete", "replaces"]):
        yield f'{text[: at.start()]}"{key}":{text[at.end() :]}'
    for at, key in itertools.product(KEY.finditer(text), [*keys, "to_delete", "replaces", "new"]):
        for value in ('"auto"', "1", "{}", "true"):
            yield f'{text[: at.start()]}"{key}":{value},{text[at.start() :]}'
    for key, token in itertools.product([*schema.RESERVED, "new"], TOKENS):
        yield f'{text[:-1]},"{key}":{token}}}'
    for at, space in itertools.product(SIGN.finditer(text), SPACES):
        yield text[: at.start()] + space + text[at.start() :]
    label = json.loads(text)
    for first, second in itertools.pairwise(label):
        order = {first: second, second: first}
        swapped = {order.get(key, key): label[order.get(key, key)] for key in label}
        yield msgspec.json.encode(swapped).decode()


CHANGED = [
    change
    for label in (
        DRIVE[1],
        DRIVE[2] | {"car_setting": {"run": {"max_throttle": 0.5}}},
        NO_SETTING,
    )
    for change in changes(msgspec.json.encode(label).decode())
]


def fitting(labels: object) -> object:
    """The labels, each with the fingerprint that it should have: so that some of them are valid."""
    for label in labels.values() if isinstance(labels, dict) else ():
        with contextlib.suppress(Exception):  # of a label that is too broken
            label["label_fingerprint"] = ids.fingerprint(label["img_id"], label["label"])
    return labels


@st.composite
def label_files(draw: st.DrawFn) -> bytes:
    """Label files in many layouts, right, wrong and nearly right."""
    labels = LABELS
    if draw(st.booleans()):
        labels = fitting(draw(mutated(LABELS)))
    if not isinstance(labels, dict) or draw(st.integers(0, 5)) == 0:
        return draw(torn(labels))
    entries = []
    for key, label in labels.items():
        try:
            text = msgspec.json.encode(label).decode()
        except (UnicodeEncodeError, OverflowError):
            text = json.dumps(label)
        if draw(st.integers(0, 4)) == 0:
            text = draw(st.sampled_from(CHANGED))
        entries.append(f"{json.dumps(key)}:{text}")
    entries += draw(st.lists(st.sampled_from(entries or ['"a":{}']), max_size=1))
    if draw(st.integers(0, 3)) == 0:
        entries = draw(st.permutations(entries))
    if draw(st.integers(0, 5)) == 0:
        at = draw(st.integers(0, len(entries)))
        entries.insert(
            at, draw(st.sampled_from(['"x":1', '"é":{}', '"\\u0061":{}', "", '"a\tb":{}']))
        )
    start, between, end = "{\n", ",\n", "\n}\n"
    if draw(st.integers(0, 5)) == 0:
        start, between, end = draw(
            st.sampled_from(
                [
                    *(("{", ",", "}"), ("\ufeff{\n", ",\n", "\n}\n"), ("{\n", ",\r\n", "\n}\n")),
                    *(("{\n", ",\n", "\n}"), ("{\n", ",\n", "\n}\n\n"), ("{\n", ",\n", "\n}\n{}")),
                    *(("{\n", ",\n\n", "\n}\n"), ("{\n", ",\n", ",\n}\n"), ("{\n", ",\n", "")),
                    *(("[\n", ",\n", "\n]\n"), ("{\n ", ",\n ", "\n}\n"), ("{\n", "\n", "\n}\n")),
                ]
            )
        )
    content = f"{start}{between.join(entries)}{end}" if entries else "{}\n"
    return content.encode(errors="surrogatepass")


def carefully(raw: bytes, source: str) -> dict:
    """The labels of a file as both readers define them: the plain way, without a shortcut."""
    labels = strict_json.parse(raw, source)
    if not isinstance(labels, dict):
        raise InputError(f"{source}: not a label file: expected an object of labels by img_id")
    for key, label in labels.items():
        check(key, label, source)
    return labels


def check(key: str, label: object, source: str) -> None:
    try:
        found = validation.parse(label).img_id
    except InputError as error:
        raise InputError(f"{source}, entry {key!r}: {error}") from error
    if found != key:
        raise InputError(f"{source}, entry {key!r}: its img_id is {found!r}; make them equal")


def each_carefully(raw: bytes, source: str):
    for entry in strict_json.iter_entries(raw, source):
        check(entry.key, entry.value, source)
        yield entry.value


def outcome(read) -> tuple[list[str], str]:
    """All that a reader yields, told exactly (1 is not 1.0, keys in order), and how it ends."""
    found = []
    try:
        for each in read():
            found.append(json.dumps(each))
    except InputError as error:
        return found, str(error)
    return found, ""


@examples(100)
@given(raw=label_files())
def test_both_ways_agree(tmp_path_factory, raw):
    """The same labels to the last bit, in the same order, or the same message at the same entry."""
    path = tmp_path_factory.getbasetemp() / "labels.json"
    path.write_bytes(raw)
    source = str(path)
    assert outcome(lambda: label_file.read(path).items()) == outcome(
        lambda: carefully(raw, source).items()
    )
    if raw.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"{":
        assert outcome(lambda: label_file.read_each(path)) == outcome(
            lambda: each_carefully(raw, source)
        )
    assert outcome(
        lambda: ((key, bytes(line).decode()) for key, line in label_file.entries(path))
    ) == outcome(
        lambda: (
            (each.key, msgspec.json.format(raw[each.start : each.end], indent=-1).decode())
            for each in strict_json.iter_entries(raw, source)
        )
    )
    with path.open("rb") as file:
        assert outcome(
            lambda: (
                (each.key, each.content, each.raw.decode(), each.start, each.end)
                for each in label_file.iter_entries(file, source)
            )
        ) == outcome(
            lambda: (
                (each.key, each.value, raw[each.start : each.end].decode(), each.start, each.end)
                for each in strict_json.iter_entries(raw, source)
            )
        )


def test_a_proven_label_is_the_one_that_the_careful_way_reads():
    """Field by field, after every change in every place; and what is proven is valid."""
    reader = LabelReader()
    for label in (*DRIVE, NO_SETTING):
        reader.check(label)
    proven = 0
    for text in CHANGED:
        raw = text.encode(errors="surrogatepass")
        label = reader.prove(raw)
        if label is None:
            continue
        proven += 1
        document = strict_json.parse(raw, "")
        assert fields(label) == fields(validation.parse(document))
        assert json.dumps(CheckedLabel(label).document) == json.dumps(document)
        assert msgspec.json.format(raw, indent=-1) == raw
    assert proven > 100


SIZE = DRIVE[1]["resolution"]
DEEP = json.loads("[" * 25 + "]" * 25)
INSIDE = [
    DRIVE[1] | {"resolution": SIZE | more}
    for more in ({"horizontal.x": 1}, {"": 1}, {"own": DEEP}, {"own": 1})
]


def parsed(texts: list[str]) -> Iterator[object]:
    for text in texts:
        with contextlib.suppress(ValueError, RecursionError):
            yield json.loads(text)


def test_a_document_that_its_encoding_proves_is_valid():
    """Also without being encoded again: the encoder knows no other way to write it."""
    reader = LabelReader()
    for label in (*DRIVE, NO_SETTING, INSIDE[-1]):
        reader.check(label)
    proven = 0
    for changed in (*INSIDE, *parsed(CHANGED[::2])):
        try:
            raw = encode_document(changed)
        except (ValueError, TypeError, RecursionError):
            continue
        if label := reader.prove(raw, is_encoded=True):
            proven += 1
            assert fields(label) == fields(validation.parse(changed))
    assert proven > 100


def fields(label: object) -> dict[str, str]:
    """The values of a label's declared fields, told exactly."""
    own, inner = schema.Label.__struct_fields__, schema.Annotation.__struct_fields__
    values = {name: repr(getattr(label, name)) for name in own if name != "label"}
    return values | {name: repr(getattr(label.label, name)) for name in inner}


@pytest.fixture
def carefully_read(monkeypatch) -> list[bytes]:
    """The texts that the strict parser got."""
    texts, parse = [], strict_json.parse
    monkeypatch.setattr(
        strict_json, "parse", lambda raw, source: texts.append(raw) or parse(raw, source)
    )
    return texts


def old(label: dict) -> dict:
    """A label of an earlier version: without the fields that came later."""
    later = ("session_id", "amended_by", "picture_size", "picture_sha256", "upload_date")
    annotation = {k: v for k, v in label["label"].items() if k not in ("steering", "throttle")}
    return {k: v for k, v in label.items() if k not in later} | {"label": annotation}


@pytest.mark.parametrize(
    "kind",
    {
        "as recorded": lambda label: label,
        "with custom fields": lambda label: label | OWN,
        "custom fields first": lambda label: OWN | label,
        "old": old,
        "with keys in another order": lambda label: dict(sorted(label.items())),
        "to be deleted": lambda label: label | {"to_delete": True},
        "corrected": lambda label: label | {"replaces": "0" * 32},
        "uploaded": lambda label: label | {"s3_bucket": "b", "s3_key": "k", "amended_by": "Zoé"},
        "without a setting": lambda label: {k: v for k, v in label.items() if k != "car_setting"},
    }.items(),
    ids=lambda kind: kind[0],
)
def test_all_but_the_first_label_of_a_kind_are_read_quickly(tmp_path, carefully_read, kind):
    _, change = kind
    labels = {n: change(document(n, steering=0.1, text=f"n {n}")) for n in range(50)}
    path = tmp_path / "labels.json"
    label_file.write(path, {label["img_id"]: label for label in labels.values()})
    assert list(label_file.read(path).values()) == list(labels.values())
    settings = "car_setting" in labels[0]
    assert len(carefully_read) == 1 + settings


def test_labels_of_several_kinds_are_read_quickly(tmp_path, carefully_read):
    """As in a file that somebody corrects: some are new, some marked, some untouched."""
    kinds = itertools.cycle([{}, {"to_delete": True}, {"replaces": "0" * 32}, OWN])
    labels = [document(n) | kind for n, kind in zip(range(100), kinds, strict=False)]
    path = tmp_path / "labels.json"
    label_file.write(path, {label["img_id"]: label for label in labels})
    assert list(label_file.read(path).values()) == labels
    assert len(carefully_read) == 4 + 1


def test_entries_that_are_not_in_order_are_still_told_apart(tmp_path):
    """Ids in ascending order cannot be there twice; in a file of another order they are kept."""
    lines = [f'"{label["img_id"]}":{msgspec.json.encode(label).decode()}' for label in DRIVE]
    path = tmp_path / "labels.json"
    path.write_text("{\n" + ",\n".join(reversed(lines)) + "\n}\n")
    assert list(label_file.read_each(path)) == DRIVE[::-1]
    for order in ([0, 2, 1, 0], [1, 0, 0], [0, 0], [0, 1, 2, 1]):
        path.write_text("{\n" + ",\n".join(lines[at] for at in order) + "\n}\n")
        for read in (label_file.read, lambda path: list(label_file.read_each(path))):
            with pytest.raises(InputError, match="duplicate key"):
                read(path)


def test_labels_of_a_drive_share_their_setting(tmp_path):
    """A hundred thousand labels need no hundred thousand copies of hardware_conf.json."""
    path = tmp_path / "labels.json"
    label_file.write(path, LABELS)
    settings = [label["car_setting"] for label in label_file.read(path).values()]
    assert settings[1] is settings[-1]


def test_an_author_in_another_unicode_form_has_the_same_fingerprint():
    """The fingerprint is that of NFC; the text stays as it is in the file."""
    label = edits.example_label()
    annotation = {**label["label"], "created_by": unicodedata.normalize("NFD", "Zoé")}
    right = ids.fingerprint(label["img_id"], {**annotation, "created_by": "Zoé"})
    label |= {"label": annotation, "label_fingerprint": right}
    reader = LabelReader()
    reader.check(edits.example_label())
    proven = reader.prove(msgspec.json.encode(label))
    assert proven is not None
    assert proven.label.created_by == annotation["created_by"]


def test_a_label_under_the_id_of_another_is_refused(tmp_path):
    """Also where the label itself is valid, and the reader has met its kind."""
    first, second, third = DRIVE[0], DRIVE[1], DRIVE[4]
    path = tmp_path / "labels.json"
    label_file.write(path, {first["img_id"]: first, second["img_id"]: third})
    for read in (label_file.read, lambda path: list(label_file.read_each(path))):
        with pytest.raises(InputError, match=f"entry '{second['img_id']}': its img_id is"):
            read(path)
