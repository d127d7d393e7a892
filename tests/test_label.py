"""The label: one declaration, from which parser, checks, schema, template and types come."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest

from common.errors import InputError
from get_data.labelizer import partial_label
from get_data.labels import edits, ids, schema, validation
from get_data.labels.classes import Classes


def changed(path: str, value: object) -> dict[str, Any]:
    """The example label with one value changed, its fingerprint right again."""
    document = json.loads(json.dumps(edits.example_label()))
    where, keys = document, path.split(".")
    for key in keys[:-1]:
        where = where[key]
    where[keys[-1]] = value
    return document


@pytest.mark.parametrize(
    ("created_by", "direction", "speed", "expected"),
    [
        ("auto", 2, 1, "4f793167d5c25875fd2eff9825a5d201"),
        ("Zoé", 3, 0, "6e431933fc5b416d9d735e68858f48fc"),
        ("Zoe\u0301", 3, 0, "6e431933fc5b416d9d735e68858f48fc"),  # the same name, written otherwise
    ],
)
def test_fingerprint_is_the_published_one(created_by, direction, speed, expected):
    annotation = {
        "created_by": created_by,
        "label_direction": direction,
        "label_speed": speed,
        "nb_dir": 5,
        "nb_speed": 2,
    }
    assert ids.fingerprint("20201231T15-45-55-123456", annotation) == expected


def test_example_is_valid_and_has_every_key_but_those_of_corrections():
    example = edits.example_label()
    validation.parse(example)
    assert set(example) == schema.RESERVED - {"to_delete", "replaces", "split", "amended_by"}


def test_parse_takes_a_label_with_keys_of_ones_own():
    validation.parse(changed("weather", "rain") | {"lap": 3, "helpers": ["Ada", "Bob"]})


def test_parse_takes_raw_as_text():
    assert validation.parse(changed("raw", "true")).raw == "true"


@pytest.mark.parametrize(
    ("path", "value", "complaint"),
    [
        ("img_id", "../up", "img_id: Expected str matching"),
        ("img_id", "a\n", "img_id: ends with a line break"),
        ("file_name", "../a.jpg", "file_name: Expected str matching"),
        ("file_name", "a..jpg", "file_name: 'a..jpg' is not a plain file name"),
        ("file_name", "a\0.jpg", "file_name: Expected str matching"),
        ("file_name", "x" * 300 + ".jpg", "is not a plain file name"),
        ("timestamp", "yesterday", "timestamp: 'yesterday' is not an ISO 8601 time"),
        ("upload_date", "soon", "upload_date: 'soon' is not an ISO 8601 time"),
        ("label.created_on_date", "1/2/3", "label.created_on_date: '1/2/3' is not"),
        ("label.label_direction", "2", "label.label_direction: Expected int, got str"),
        ("label.label_direction", 2.5, "label.label_direction: Expected int, got float"),
        ("label.label_direction", True, "label.label_direction: Expected int, got bool"),
        ("label.label_direction", -1, "label.label_direction: Expected int >= 0"),
        ("label.label_direction", 5, "label.label_direction: 5 is not below nb_dir 5"),
        ("label.label_speed", 2, "label.label_speed: 2 is not below nb_speed 2"),
        ("label.raw_direction", 1.5, "label.raw_direction: Expected float <= 1.0"),
        ("label.created_by", "", "label.created_by: Expected str of length >= 1"),
        ("label", 3, "label: Expected object, got int"),
        ("label_fingerprint", "0" * 32, "label_fingerprint: 0000"),
        ("label_fingerprint", "zz", "label_fingerprint: Expected str matching"),
        ("picture_size", 0, "picture_size: Expected int >= 1"),
        ("picture_sha256", None, "picture_sha256: Expected str, got null"),
        ("resolution", {"horizontal": 0, "vertical": 1}, "resolution.horizontal: Expected int >="),
        ("to_delete", "true", "to_delete: Expected bool, got str"),
        ("replaces", 1, "replaces: Expected str, got int"),
        ("weather", {"rain": True}, "weather: a key of your own holds"),
        ("helpers", [["Ada"]], "helpers: a key of your own holds"),
    ],
)
def test_parse_names_the_path_of_the_bad_value(path, value, complaint):
    with pytest.raises(InputError) as caught:
        validation.parse(changed(path, value))
    assert complaint in str(caught.value)


def test_parse_names_a_missing_key():
    document = edits.example_label()
    del document["timestamp"]
    with pytest.raises(InputError, match="missing key timestamp"):
        validation.parse(document)


@pytest.mark.parametrize("document", [[], "label", 3, None])
def test_parse_refuses_what_is_no_object(document):
    with pytest.raises(InputError, match="Expected object"):
        validation.parse(document)


def test_parse_refuses_a_label_that_replaces_itself():
    document = edits.example_label()
    document["replaces"] = document["label_fingerprint"]
    with pytest.raises(InputError, match="replaces: names the label itself"):
        validation.parse(document)


def test_stale_fingerprint_is_told_the_right_one():
    document = changed("label.label_direction", 0)
    right = ids.fingerprint(document["img_id"], document["label"])
    with pytest.raises(InputError, match=f"stale, this label's is {right}"):
        validation.parse(document)


@pytest.mark.parametrize(
    ("steering", "expected"),
    [(-1, 0), (-0.61, 0), (-0.59, 1), (0, 2), (0.21, 3), (0.61, 4), (1, 4)],
)
def test_direction_classes_are_equal_bins_from_left_to_right(steering, expected):
    assert Classes(nb_dir=5).direction(steering) == expected


@pytest.mark.parametrize(
    ("throttle", "expected"), [(-1, 0), (0, 0), (0.24, 0), (0.26, 1), (0.5, 1), (0.9, 1)]
)
def test_speed_classes_are_equal_bins_up_to_the_largest_throttle(throttle, expected):
    assert Classes(nb_speed=2, max_throttle=0.5).speed(throttle) == expected


def test_img_id_and_moment_tell_the_same_time():
    moment = datetime(2020, 12, 31, 15, 45, 55, 123456, tzinfo=UTC)
    assert ids.format_img_id(moment) == "20201231T15-45-55-123456"
    assert ids.parse_img_id("20201231T15-45-55-123456") == moment
    assert ids.parse_img_id("holiday_001") is None
    assert ids.parse_img_id("20201231T15-45-55-1") is None


def test_img_id_is_in_utc():
    paris = timezone(timedelta(hours=1))
    moment = datetime(2020, 12, 31, 16, 45, 55, 123456, tzinfo=paris)
    assert ids.format_img_id(moment) == "20201231T15-45-55-123456"


def test_sent_fills_in_where_and_when_and_leaves_the_document_alone():
    document = changed("label.created_on_date", "2020-12-31T16:45:55+01:00")
    document |= {"to_delete": False, "weather": "rain", "raw": "true"}
    document["timestamp"] = "2020-12-31 16:45:55+01:00"
    before = json.dumps(document)
    uploaded = datetime(2021, 1, 1, tzinfo=UTC)
    sent = edits.uploaded(document, picture=b"jpeg", bucket="local", key="k", upload_time=uploaded)
    assert json.dumps(document) == before
    assert (sent["s3_bucket"], sent["s3_key"], sent["picture_size"]) == ("local", "k", 4)
    assert sent["upload_date"] == "2021-01-01T00:00:00.000000Z"
    assert sent["label"]["created_on_date"] == "2020-12-31T15:45:55.000000Z"
    assert sent["timestamp"] == "2020-12-31T15:45:55.000000Z"
    assert sent["raw"] is True
    assert sent["weather"] == "rain"
    assert "to_delete" not in sent


def test_corrected_names_what_it_replaces_and_is_valid():
    document = edits.example_label()
    correction = edits.corrected(
        document,
        created_by="Ada",
        direction=0,
        speed=1,
        created_on=datetime(2021, 1, 1, tzinfo=UTC),
    )
    validation.parse(correction)
    assert correction["replaces"] == document["label_fingerprint"]
    assert correction["label"]["label_direction"] == 0


def test_a_correction_leaves_what_only_the_old_label_had():
    document = edits.example_label() | {"dataset": ["first"], "to_delete": False, "our_key": [1]}
    before = json.dumps(document)
    correction = edits.corrected(
        document,
        created_by="Ada",
        direction=0,
        speed=1,
        created_on=datetime(2021, 1, 1, tzinfo=UTC),
    )
    validation.parse(correction)
    assert correction["dataset"] == []
    assert "to_delete" not in correction
    assert correction["our_key"] == [1]
    assert json.dumps(document) == before


def test_a_correction_to_the_same_label_replaces_nothing():
    document = edits.example_label()
    said = document["label"]
    correction = edits.corrected(
        document,
        created_by="auto",
        direction=said["label_direction"],
        speed=said["label_speed"],
        created_on=datetime(2021, 1, 1, tzinfo=UTC),
    )
    assert correction["label_fingerprint"] == document["label_fingerprint"]
    assert "replaces" not in correction


@pytest.mark.parametrize("said", [None, "nothing", [1]])
def test_a_label_that_says_nothing_can_be_corrected(said):
    document = edits.example_label() | {"label": said, "label_fingerprint": 5}
    correction = edits.corrected(
        document,
        created_by="Ada",
        direction=2,
        speed=0,
        created_on=datetime(2021, 1, 1, tzinfo=UTC),
        nb_dir=3,
        nb_speed=1,
    )
    assert validation.parse(correction).label.nb_dir == 3
    assert "replaces" not in correction


def test_marked_and_unmarked():
    document = edits.example_label()
    wish = edits.marked_for_deletion(document | {"replaces": "0" * 32})
    validation.parse(wish)
    assert edits.is_marked_for_deletion(wish)
    assert edits.unmarked(wish) == document
    assert edits.unmarked(document) == document


def test_a_valid_label_is_read_whole():
    seen = partial_label.read_partial(edits.example_label())
    assert seen.fault == ""
    assert (seen.direction, seen.speed, seen.nb_dir, seen.nb_speed) == (2, 1, 5, 2)
    assert (seen.steering, seen.throttle, seen.created_by) == (0.1, 0.4, "auto")
    assert seen.file_name == "20201231T15-45-55-123456.jpg"
    assert (seen.marked, seen.replaces) == (False, False)


@pytest.mark.parametrize(
    ("change", "seen"),
    [
        ({"label_direction": "2"}, {"direction": None, "text_direction": 2, "speed": 1}),
        ({"label_direction": " 2"}, {"direction": None, "text_direction": None}),
        ({"label_direction": "9"}, {"direction": None, "text_direction": None}),
        ({"label_direction": True}, {"direction": None, "text_direction": None}),
        ({"label_direction": 2.0}, {"direction": None, "text_direction": None}),
        ({"label_direction": 5}, {"direction": None}),
        ({"label_speed": None}, {"direction": 2, "speed": None}),
        ({"nb_dir": 0, "label_direction": 4}, {"nb_dir": None, "direction": 4}),
        ({"raw_direction": "left"}, {"raw_direction": None, "raw_speed": 0.4}),
        ({"raw_direction": 7}, {"raw_direction": None}),
        ({"raw_direction": True}, {"raw_direction": None}),
        ({"created_by": 5}, {"created_by": "auto"}),
    ],
    ids=str,
)
def test_the_usable_values_of_an_invalid_label_are_read(change, seen):
    document = edits.example_label()
    document["label"] |= change
    found = partial_label.read_partial(document)
    assert {name: getattr(found, name) for name in seen} == seen
    assert found.fault != ""


@pytest.mark.parametrize(
    "document", [None, 5, "x", [], {}, {"label": []}, {"label": None}], ids=str
)
def test_any_json_value_is_read_partially(document):
    found = partial_label.read_partial(document)
    assert found.fault != ""
    assert (found.file_name, found.direction, found.marked) == (None, None, False)


def fields(schema: dict[str, Any]):
    """Every field of a schema, with what it says."""
    for name, struct in schema["$defs"].items():
        for field, says in struct["properties"].items():
            yield f"{name}.{field}", says


@pytest.mark.parametrize(
    ("name", "says"), [pytest.param(*item, id=item[0]) for item in fields(schema.json_schema())]
)
def test_schema_describes_every_field_with_unit_and_range(name, says):
    if "$ref" in says:
        return  # described where it is defined
    assert says["description"]
    assert says["unit"]
    if says.get("type") in ("integer", "number"):
        assert "minimum" in says
        assert "maximum" in says or "exclusiveMaximum" in says


def test_every_field_of_the_declaration_has_an_index_type():
    asked = {"to_delete", "replaces", "split"}  # only in a label file, never in an index
    top = {name.partition(".")[0] for name in schema.INDEX_TYPES}
    assert top == set(schema.Label.__struct_fields__) - asked


def test_parse_and_schema_agree_on_what_is_required():
    required = schema.json_schema()["$defs"]["Label"]["required"]
    for key in required:
        document = edits.example_label()
        del document[key]
        with pytest.raises(InputError, match=f"missing key {key}"):
            validation.parse(document)
    msgspec.convert({key: edits.example_label()[key] for key in required}, schema.Label)
