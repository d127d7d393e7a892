"""An outline tells the same of a label as the whole label does, whichever way it is read."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.times import to_microseconds
from get_data.labels import ids, outline
from get_data.labels.drives import drive_key, outline_drive_key, outline_time_us, time_of
from get_data.labels.outline import OutlineReader
from get_data.labels.schema import Document, PictureReference
from tests.conftest import document
from tests.helpers.made_up_json import mutated
from tests.test_label_reader import CHANGED, DRIVE, OWN

ENCODED = [msgspec.json.encode(label) for label in DRIVE]
TEXTS = ("event", "track", "track_type", "driver", "comment", "split")
CLASSES = ("nb_dir", "label_direction", "nb_speed", "label_speed")


def plainly(raw: bytes) -> object:
    """What a label tells, from the whole of it; the error of one that is none."""
    try:
        reference = msgspec.json.decode(raw, type=PictureReference)
        label = msgspec.json.decode(raw, type=Document)
    except (ValueError, TypeError, RecursionError) as error:
        return repr(error)
    annotation = label.get("label")
    annotation = annotation if isinstance(annotation, dict) else {}
    numbers = [annotation.get(name) for name in CLASSES]
    return (
        msgspec.to_builtins(reference),
        str(label.get("session_id", "")),
        [str(label.get(name, "")) for name in TEXTS],
        str(annotation.get("created_by", "")),
        [number if isinstance(number, int) else -1 for number in numbers],
        drive_key(label),
        to_microseconds(time_of(label)),
    )


def by_outline(reader: OutlineReader, raw: bytes) -> object:
    try:
        found = reader.read(raw)
    except (ValueError, TypeError, RecursionError) as error:
        return repr(error)
    return (
        {name: getattr(found, name) for name in PictureReference.__struct_fields__},
        "" if found.session_id is msgspec.UNSET else str(found.session_id),
        [getattr(found, name) for name in TEXTS],
        found.label.created_by,
        [getattr(found.label, name) for name in CLASSES],
        outline_drive_key(found),
        outline_time_us(found),
    )


@pytest.mark.parametrize("label", DRIVE)
def test_an_outline_of_each_changed_label_tells_the_same(label):
    reader = OutlineReader()
    reader.read(msgspec.json.encode(label | {"label": label["label"] | {"sure": True}}))
    for text in CHANGED[DRIVE.index(label) :: len(DRIVE)]:
        raw = text.encode(errors="surrogatepass")
        assert by_outline(reader, raw) == plainly(raw), text


@given(st.lists(mutated(DRIVE[2] | {"session_id": "20240501T12-00-00-000000-abcd"}), max_size=4))
def test_outlines_of_labels_with_any_values_tell_the_same(labels):
    """Such as those in which a team had a field of its own before it was declared."""
    reader = OutlineReader()
    for label in labels:
        try:
            raw = msgspec.json.encode(label)
        except (ValueError, OverflowError):
            continue
        assert by_outline(reader, raw) == plainly(raw)


def test_labels_like_those_before_are_decoded_once(monkeypatch):
    """Also with custom fields, of the label and inside it."""
    reader = OutlineReader()
    custom = msgspec.json.encode(
        document(1) | OWN | {"label": document(1)["label"] | {"sure": True}}
    )
    before = [by_outline(reader, raw) for raw in (*ENCODED, custom)]
    monkeypatch.setattr(outline, "_decode_document", lambda _raw: pytest.fail("decoded again"))
    assert [by_outline(reader, raw) for raw in (*ENCODED, custom)] == before


def test_no_number_of_custom_fields_is_too_many():
    reader = OutlineReader()
    for number in range(200):
        raw = msgspec.json.encode(document(number) | {f"own {number}": number, "a": 1})
        assert by_outline(reader, raw) == plainly(raw)
    assert by_outline(reader, ENCODED[0]) == plainly(ENCODED[0])


def test_no_number_of_settings_is_too_many():
    reader = OutlineReader()
    for number in range(600):
        raw = msgspec.json.encode(document(number) | {"car_setting": {"car": number}})
        assert by_outline(reader, raw) == plainly(raw)


IDS = [
    *(document(number)["img_id"] for number in range(3)),
    *("20240230T12-00-00-000000", "20240501T12-00-61-000000", "20240501T12-00-00-00000"),
    *("20240501T12-00-00-00000٣", "20240501T12-00-00-0000000", "00000501T12-00-00-000000"),
    *("20240501T12-00-00-00000a", "20240501T12-00-00-+00001", "20240501T12-00-00-1_0000"),
    *("99991231T23-59-59-999999", "00010101T00-00-00-000000", "٢0240501T12-00-00-000000", ""),
]


@pytest.mark.parametrize("img_id", IDS)
def test_the_time_in_an_id_is_the_same_in_microseconds(img_id):
    time = ids.parse_img_id(img_id)
    assert ids.img_id_microseconds(img_id) == (None if time is None else to_microseconds(time))
