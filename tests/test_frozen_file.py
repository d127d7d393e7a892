"""The object of a frozen set: small, one JSON document, and the same bytes again."""

import hashlib
import json
import random
import zlib
from datetime import timedelta

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from get_data.database.frozen import label_columns
from get_data.database.frozen.frozen_file import Damaged, FrozenSetReader, FrozenSetWriter
from get_data.database.interfaces import picture_key
from get_data.labels import ids, label_lines
from get_data.labels.label_lines import Line, NotLines
from tests.conftest import START, document

DESCRIPTION = b'{"format": "patate-set",\n "created": "2024-05-01T12:00:00Z"}'


def labels_of_a_drive(count):
    """Labels as an index has them: hashes, steering and times are news in each."""
    generator = random.Random(1)
    for number in range(count):
        taken = START + timedelta(microseconds=50_000 * number + generator.randrange(2000))
        steering, throttle = generator.uniform(-1, 1), generator.uniform(0, 1)
        label = document(0, upload_date=ids.format_img_id(taken))
        sha256 = f"{generator.getrandbits(256):064x}"
        img_id = ids.format_img_id(taken)
        label |= {
            "img_id": img_id,
            "file_name": f"{img_id}.jpg",
            "s3_bucket": "our-pictures",
            "s3_key": picture_key(img_id, sha256),
            "picture_sha256": sha256,
            "picture_size": generator.randrange(4000, 7000),
            "label_fingerprint": f"{generator.getrandbits(128):032x}",
            "label": label["label"]
            | {"raw_direction": steering, "raw_speed": throttle}
            | {"steering": steering if number % 10 else 0.5, "throttle": throttle},
        }
        yield Line(img_id, msgspec.json.encode(label))


def label_file_of(lines):
    return b"{\n" + b",\n".join(map(label_lines.encode, lines)) + b"\n}\n"


def object_of(lines):
    raw = label_file_of(lines)
    sha256 = hashlib.sha256(raw).hexdigest()
    writer = FrozenSetWriter(count=len(lines), sha256=sha256, description=DESCRIPTION)
    for line in lines:
        writer.add_picture(json.loads(line.document)["s3_key"])
    return writer.close(lines)


def blocks_of(content, size):
    return (content[start : start + size] for start in range(0, len(content), size))


LINES = list(labels_of_a_drive(2500))
OBJECT = object_of(LINES)


@pytest.mark.parametrize("size", [1, 1000, 10**9])
def test_the_labels_come_back_whatever_the_blocks_are(size):
    reader = FrozenSetReader(blocks_of(OBJECT, size))
    assert list(reader.lines()) == LINES
    assert reader.head.set == json.loads(DESCRIPTION)


def test_it_is_one_json_document_of_at_most_a_megabyte_for_ten_thousand_labels():
    text, rest = b"", OBJECT
    while rest:
        member = zlib.decompressobj(31)
        text += member.decompress(rest)
        rest = member.unused_data
    assert json.loads(text)["count"] == len(LINES)
    assert len(OBJECT) / len(LINES) <= 100


def test_the_same_set_is_the_same_bytes():
    assert object_of(LINES) == OBJECT


def test_who_asks_for_pictures_reads_only_the_beginning():
    asked = []

    def blocks():
        for block in blocks_of(OBJECT, 1000):
            asked.append(block)
            yield block

    head = FrozenSetReader(blocks()).head
    assert head.pictures == [json.loads(line.document)["s3_key"] for line in LINES]
    assert len(asked) * 1000 < len(OBJECT) / 3


@pytest.mark.parametrize("length", [0, 1, 100, len(OBJECT) // 2, len(OBJECT) - 1])
def test_a_set_that_is_cut_off_is_damaged(length):
    with pytest.raises(Damaged):
        list(FrozenSetReader(iter([OBJECT[:length]])).lines())


@pytest.mark.parametrize("place", range(11, len(OBJECT), len(OBJECT) // 20))
def test_a_set_with_another_byte_is_damaged(place):
    content = bytearray(OBJECT)
    content[place] ^= 64
    try:
        lines = list(FrozenSetReader(iter([bytes(content)])).lines())
    except Damaged:
        return
    assert lines == LINES  # a byte of the gzip header that means nothing


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-1, 1) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.dictionaries(st.text(max_size=3), JSON_VALUES, max_size=4), max_size=8))
def test_any_labels_come_back_from_their_columns(documents):
    """Those without a hash too, with commas in texts, and with any keys."""
    labels = []
    for number, other in enumerate(documents):
        img_id = f"holiday_{number}"
        sha256 = ids.sha256(str(number).encode())
        label = {"img_id": img_id, **other, "picture_sha256": sha256 if number % 3 else None}
        labels.append((Line(img_id, msgspec.json.encode(label)), picture_key(img_id, sha256)))
    keys = iter([(line.img_id, key) for line, key in labels])
    found = []
    for block in label_columns.pack(labels):
        raw = msgspec.json.encode(block)
        of_block = [next(keys) for _ in range(block.count)]
        found += label_columns.unpack(label_columns.decode_block(raw), of_block)
    assert found == [line for line, _ in labels]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]\n",
        b"{}\n{}\n",
        b'{\n"a":{}\n',
        b'{\n"a":{},\n}\n',
        b'{\n"a":{}\n}',
        b'{\n"a":{}\n}\nx',
        b'{"a":{}}\n',
        b'{\n "a":{}\n}\n',
        b'{\n"a":1\n}\n',
        b'{\n"\\u0061":{}\n}\n',
        b'{\n"\xff":{}\n}\n',
    ],
)
def test_what_is_not_an_entry_a_line_is_not_read_as_such(raw):
    with pytest.raises(NotLines):
        list(label_lines.read(raw.splitlines(keepends=True)))


def test_entries_a_line_are_read():
    assert list(label_lines.read([b"{}\n"])) == []
    assert list(label_lines.read(label_file_of(LINES[:3]).splitlines(keepends=True))) == LINES[:3]
