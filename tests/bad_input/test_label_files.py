"""Label files that every script refuses."""

import pytest

from tests.bad_input.rows import (
    CUSTOM_KEYS,
    DEEP,
    READERS,
    Row,
    as_params,
    fifo,
    file_with,
    folder,
    label_with,
    label_without,
    link,
    nested,
    unix_socket,
    without_permission,
)
from tests.conftest import document

LABEL_FILES = [
    ("empty file", file_with("drive/labels.json", ""), ["drive/labels.json, line 1", "not JSON"]),
    (
        "not JSON",
        file_with("drive/labels.json", "{'a': 1}"),
        ["labels.json, line 1, column 2: not JS"],
    ),
    ("truncated", file_with("drive/labels.json", '{"a": {"b'), ["labels.json, line 1", "not JSON"]),
    (
        "UTF-16",
        file_with("drive/labels.json", "{}".encode("utf-16")),
        ["is not UTF-8", "save it as"],
    ),
    ("Latin-1", file_with("drive/labels.json", b'{"Zo\xe9": 1}'), ["is not UTF-8", "save it as"]),
    (
        "a picture",
        file_with("drive/labels.json", b"\xff\xd8\xff\xe0\0JFIF"),
        ["not UTF-8"],
    ),
    ("a list", file_with("drive/labels.json", "[]"), ["expected an object of labels by img_id"]),
    ("a number", file_with("drive/labels.json", "3"), ["expected an object of labels by img_id"]),
    ("null", file_with("drive/labels.json", "null"), ["expected an object of labels by img_id"]),
    (
        "an entry that is no object",
        file_with("drive/labels.json", '{"a": 3}'),
        ["entry 'a': Expected obj"],
    ),
    ("100,000 deep", file_with("drive/labels.json", "[" * DEEP + "]" * DEEP), ["nested too deep"]),
    ("100,000 objects deep", file_with("drive/labels.json", '{"a":' * DEEP), ["nested too deep"]),
    ("900 deep in a setting", label_with(car_setting__x=nested(900)), ["nested too deep"]),
    ("25 deep in a setting", label_with(car_setting__x=nested(25)), ["car_setting", "nested too"]),
    ("25 deep in a key of a part", label_with(label__x=nested(25)), ["label: ", "nested too deep"]),
    (
        "a zero byte in a setting",
        label_with(car_setting__x={"a\0b": None}),
        ["zero byte", "rename"],
    ),
    (
        "a long setting",
        label_with(car_setting__x={"k" * 30_000: ["v" * 8000]}),
        ["car_setting.x.k"],
    ),
    ("NaN", label_with(label__raw_speed=float("nan")), ["NaN is not a JSON number"]),
    ("Infinity", label_with(car_setting__x=float("-inf")), ["-Infinity"]),
    ("1e999", file_with("drive/labels.json", '{"a": 1e999}'), ["the number 1e999 is too large"]),
    ("40 digits", label_with(lap=10**40), ["is too large"]),
    ("5,000 digits", file_with("drive/labels.json", "9" * 5000), ["is too large"]),
    ("the same key twice", file_with("drive/labels.json", '{"a": 1, "a": 1}'), ["'a'"]),
    ("half a character", file_with("drive/labels.json", '{"a": "\\ud800"}'), ["surrogate"]),
    ("no img_id", label_without("img_id"), ["entry '2024", "missing key img_id"]),
    ("no label", label_without("label"), ["missing key label"]),
    ("no fingerprint", label_without("label_fingerprint"), ["missing key label_fingerprint"]),
    ("text as number", label_with(label__nb_dir="five"), ["label.nb_dir: Expected int, got str"]),
    ("true as number", label_with(label__nb_dir=True), ["label.nb_dir: Expected int, got bool"]),
    ("fraction as class", label_with(label__nb_dir=5.5), ["label.nb_dir: Expected int, got float"]),
    ("number as text", label_with(driver=3), ["driver: Expected str, got int"]),
    ("null as text", label_with(event=None), ["event: Expected str, got null"]),
    (
        "text as steering",
        label_with(label__raw_direction="left"),
        ["label.raw_direction: Expected"],
    ),
    ("steering above 1", label_with(label__raw_direction=1.5), ["label.raw_direction: Expected"]),
    ("list as part", label_with(label=[1, 2]), ["label: Expected object, got array"]),
    ("list as resolution", label_with(resolution=[160, 120]), ["resolution: Expected object"]),
    (
        "resolution 0",
        label_with(resolution__vertical=0),
        ["resolution.vertical: Expected int >= 1"],
    ),
    ("list as setting", label_with(car_setting=[]), ["car_setting: Expected object, got array"]),
    ("text as list", label_with(dataset="train"), ["dataset: Expected array, got str"]),
    ("number in a list", label_with(dataset=["a", 1]), ["dataset[1]: Expected str, got int"]),
    ("raw: maybe", label_with(raw="maybe"), ["raw: Invalid enum value 'maybe'"]),
    ("size 0", label_with(picture_size=0), ["picture_size: Expected int >= 1"]),
    ("half a hash", label_with(picture_sha256="ab"), ["picture_sha256: Expected str matching"]),
    ("direction above nb_dir", label_with(label__label_direction=5), ["5 is not below nb_dir 5"]),
    ("speed above nb_speed", label_with(label__label_speed=2), ["2 is not below nb_speed 2"]),
    ("negative class", label_with(label__label_speed=-1), ["label.label_speed: Expected int >= 0"]),
    ("100 classes", label_with(label__nb_dir=100), ["label.nb_dir: Expected int <= 99"]),
    ("no creator", label_with(label__created_by=""), ["label.created_by: Expected str of len"]),
    (
        "not a time",
        label_with(timestamp="yesterday"),
        ["timestamp: 'yesterday' is not an ISO 8601"],
    ),
    ("the 30th of February", label_with(label__created_on_date="2024-02-30"), ["created_on_date"]),
    (
        "before year 1",
        label_with(label__created_on_date="0001-01-01T00:00:00+05:00"),
        ["created_on"],
    ),
    (
        "after year 9999",
        label_with(upload_date="9999-12-31T23:59:59-05:00"),
        ["upload_date: '9999"],
    ),
    (
        "file_name in the parent folder",
        label_with(file_name="../secret.jpg"),
        ["file_name", "drive/labels.json, ent"],
    ),
    ("file_name of dots", label_with(file_name="...jpg"), ["file_name: '...jpg' is not a plain"]),
    (
        "file_name absolute",
        label_with(file_name="/etc/x.jpg"),
        ["file_name: Expected str matching"],
    ),
    ("file_name with NUL", label_with(file_name="a\0.jpg"), ["file_name: Expected str matching"]),
    (
        "file_name with a line break",
        label_with(file_name="a\n.jpg"),
        ["file_name: Expected str matching"],
    ),
    (
        "file_name of Windows",
        label_with(file_name="a\\b.jpg"),
        ["file_name: Expected str matching"],
    ),
    (
        "file_name too long",
        label_with(file_name="é" * 130 + ".jpg"),
        ["file_name", "plain file na"],
    ),
    ("file_name of a label file", label_with(file_name="labels.json"), ["file_name: Expected str"]),
    ("img_id is a path", label_with(img_id="../x"), ["img_id: Expected str matching regex"]),
    ("img_id with a line break", label_with(img_id="x\n"), ["img_id: ends with a line break"]),
    ("img_id of another", label_with(img_id="other"), ["label_fingerprint", "is stale"]),
    ("stale fingerprint", label_with(label__label_direction=1), ["is stale", "in `replaces`"]),
    (
        "malformed fingerprint",
        label_with(label_fingerprint="x"),
        ["label_fingerprint: Expected str"],
    ),
    ('to_delete: "true"', label_with(to_delete="true"), ["to_delete: Expected bool, got str"]),
    ("to_delete: 1", label_with(to_delete=1), ["to_delete: Expected bool, got int"]),
    (
        "replaces itself",
        label_with(replaces=document(0)["label_fingerprint"]),
        ["replaces: names the label itself"],
    ),
    ("replaces a name", label_with(replaces="Ada"), ["replaces: Expected str matching regex"]),
    (
        "object in a custom key",
        label_with(weather={"rain": 1}),
        ["weather: a key of your own holds"],
    ),
    (
        "list of lists in a custom key",
        label_with(weather=[[1]]),
        ["weather: a key of your own holds a text"],
    ),
    *[
        (f"custom key: {name}", label_with(**keys), ["labels.json, entry '2024", *facts])
        for name, keys, facts in CUSTOM_KEYS
    ],
    ("a folder", folder("drive/labels.json"), ["drive/labels.json is a folder, not a JSON file"]),
    ("a pipe", fifo("drive/labels.json"), ["drive/labels.json is not a regular file"]),
    ("a socket", unix_socket("drive/labels.json"), ["drive/labels.json is not a regular file"]),
    ("an endless device", link("drive/labels.json", "/dev/zero"), ["is not a regular file"]),
    ("a link to nothing", link("drive/labels.json", "gone"), ["drive has no labels.json"]),
    ("a link to itself", link("drive/labels.json", "labels.json"), ["drive has no labels.json"]),
    (
        "unreadable",
        without_permission("drive/labels.json"),
        ["labels.json cannot be read: Permission"],
    ),
    (
        "folder unreadable",
        without_permission("drive"),
        ["drive", "cannot be read: Permission denied"],
    ),
]

ROWS = [
    *[
        Row(f"labels: {name}", script, ["drive"], 2, facts, prepare)
        for name, prepare, facts in LABEL_FILES
        for script in READERS
    ],
]


@pytest.mark.parametrize("row", as_params(ROWS))
def test_bad_input_gets_one_line_and_changes_nothing(row, assert_refused):
    assert_refused(row)
