"""Options, session templates, settings and folders that a drive refuses."""

import io
import json
import sys

import pytest

from get_data import run_manual
from get_data.labels import ids
from tests.bad_input.rows import (
    CUSTOM_KEYS,
    DEEP,
    DRIVE,
    NOT_UTF_8,
    NOWHERE,
    Prepare,
    Row,
    all_of,
    as_params,
    fifo,
    file_with,
    folder,
    nested,
    run,
    without_permission,
)
from tests.conftest import document, save
from tests.helpers.folders import snapshot

DRIVES = [
    ("rate 0", ["--rate", "0"], ["--rate: expected 0.1 to 200 pictures a second, got '0'"]),
    ("rate NaN", ["--rate", "nan"], ["--rate: expected 0.1 to 200 pictures a second, got 'nan'"]),
    ("rate 201", ["--rate", "201"], ["--rate: expected 0.1 to 200 pictures a second, got '201'"]),
    (
        "rate fast",
        ["--rate", "fast"],
        ["--rate: expected 0.1 to 200 pictures a second, got 'fast'"],
    ),
    ("no duration", ["--duration", "0"], ["--duration: expected a number above 0, got '0'"]),
    (
        "infinite duration",
        ["--duration", "inf"],
        ["--duration: expected a number above 0, got 'inf'"],
    ),
    ("0x0", ["--resolution", "0x0"], ["--resolution: expected WxH, 16 to 4096", "'0x0'"]),
    ("one number", ["--resolution", "160"], ["--resolution: expected WxH", "'160'"]),
    ("5,000 digits", ["--resolution", "9" * 5000 + "x1"], ["--resolution: expected WxH"]),
    ("too large", ["--resolution", "9999x9999"], ["--resolution: expected WxH", "'9999x9999'"]),
    ("-1x-1", ["--resolution=-1x-1"], ["--resolution: expected WxH", "'-1x-1'"]),
    ("no classes", ["--nb-dir", "0"], ["--nb-dir: expected 2 to 99 classes, got '0'"]),
    ("100 classes", ["--nb-speed", "100"], ["--nb-speed: expected 1 to 99 classes, got '100'"]),
    (
        "throttle NaN",
        ["--max-throttle", "nan"],
        ["--max-throttle: expected 0.01 to 1 of full throttle, got 'nan'"],
    ),
    (
        "throttle 2",
        ["--max-throttle", "2"],
        ["--max-throttle: expected 0.01 to 1 of full throttle, got '2'"],
    ),
    ("no port", ["--view", "0"], ["--view: expected 1 to 65535 as a port, got '0'"]),
    ("a port too high", ["--view", "65536"], ["--view: expected 1 to 65535 as a port"]),
    ("no host", ["--view", "8080", "--view-host", "no.such.invalid"], ["cannot listen at no.such"]),
    ("a driver in Latin-1", ["--driver", NOT_UTF_8], ["--driver: expected text in UTF-8"]),
    ("a comment too long", ["--comment", "x" * 70_000], ["comment", "is too long"]),
    ("-o is empty", ["-o", ""], ["-o/--output: expected a file or a folder, got ''"]),
    ("-o is a file", ["-o", "hardware_conf.json"], ["hardware_conf.json"]),
    ("-o that cannot be created", ["-o", NOWHERE], [f"{NOWHERE} cannot be"]),
    ("-o in Latin-1", ["-o", NOT_UTF_8], ["UTF-8"]),
]


def session_template(content: str) -> Prepare:
    """Write a session template into the folder of the drive."""
    return file_with("new/session_template.json", content)


SESSION_TEMPLATE = "new/session_template.json"

FOLDERS = [
    (
        "template is broken",
        session_template("{"),
        [f"{SESSION_TEMPLATE}, line 1, column 2: not JSON"],
    ),
    ("template is a list", session_template("[]"), [f"{SESSION_TEMPLATE}: expected an object"]),
    (
        "reserved key",
        session_template('{"img_id": "x"}'),
        [f"{SESSION_TEMPLATE}: img_id: every label has a key"],
    ),
    (
        "a number as driver",
        session_template('{"driver": 3}'),
        [f"{SESSION_TEMPLATE}: driver: expected a text"],
    ),
    (
        "an object",
        session_template('{"sky": {"sun": 1}}'),
        [f"{SESSION_TEMPLATE}: sky: expected a text, a num"],
    ),
    (
        "driver is 900 deep",
        session_template(json.dumps({"driver": nested(900)})),
        [f"{SESSION_TEMPLATE}: driver: expected a text, got [[["],
    ),
    (
        "key twice",
        session_template('{"driver": "a", "driver": "b"}'),
        [SESSION_TEMPLATE, "key 'driver'"],
    ),
    *[
        (
            f"custom key: {name}",
            session_template(json.dumps(keys)),
            [f"{SESSION_TEMPLATE}: ", *facts],
        )
        for name, keys, facts in CUSTOM_KEYS
    ],
    (
        "template too long",
        session_template(json.dumps({"notes": "x" * 70_000})),
        [SESSION_TEMPLATE, "is too long"],
    ),
    (
        "template of too many keys",
        session_template(json.dumps({"driver": "x"} | {f"key{i}": i for i in range(5000)})),
        [SESSION_TEMPLATE, "5,001", "32,768"],
    ),
    ("template is a folder", folder(SESSION_TEMPLATE), [f"{SESSION_TEMPLATE} is a folder"]),
    ("template is a pipe", fifo(SESSION_TEMPLATE), [f"{SESSION_TEMPLATE} is not a regular file"]),
    (
        "labels that were not recorded",
        file_with("new/labels.json", "{}"),
        ["new has labels that were not recorded"],
    ),
    (
        "labels are broken",
        all_of(session_template("{}"), file_with("new/labels.json", "[")),
        ["new/labels.json, line 1, column 2: not JSON"],
    ),
    (
        "labels are a folder",
        all_of(session_template("{}"), folder("new/labels.json")),
        ["new/labels.json is a folder"],
    ),
    (
        "hardware_conf.json is missing",
        lambda workspace: (workspace / "hardware_conf.json").unlink(),
        ["hardwa"],
    ),
    (
        "hardware_conf.json is broken",
        file_with("hardware_conf.json", "{"),
        ["hardware_conf.json, line 1, column 2: not JSON"],
    ),
    (
        "hardware_conf.json in UTF-16",
        file_with("hardware_conf.json", b"\xff\xfe{\0"),
        ["hardware_conf"],
    ),
    (
        "hardware_conf.json in Latin-1",
        file_with("hardware_conf.json", b'{"car": "\xe9"}'),
        ["hardware_conf.json is not UTF-8"],
    ),
    (
        "hardware_conf.json 100,000 deep",
        file_with("hardware_conf.json", '{"car":' * DEEP),
        ["hardware"],
    ),
    (
        "hardware_conf.json with a wrong key",
        file_with("hardware_conf.json", '{"car": "a", "max_throttle": 1, "jpeg_quality": 0}'),
        ["hardware_conf.json: jpeg_quality: Expected int >= 1"],
    ),
    (
        "hardware_conf.json with a key twice",
        file_with(
            "hardware_conf.json",
            '{"car": "a", "max_throttle": 1, "jpeg_quality": 90, "max_throttle": 0.1}',
        ),
        ["hardware_conf.json: duplicate key 'max_throttle'"],
    ),
    (
        "hardware_conf.json is a folder",
        folder("hardware_conf.json"),
        ["hardware_conf.json is a folder"],
    ),
    ("hardware_conf.json is a pipe", fifo("hardware_conf.json"), ["hardware_conf.json", "regular"]),
    (
        "last_img_id is broken",
        file_with("home/database/last_img_id", "x"),
        ["last_img_id holds no id"],
    ),
    (
        "last_img_id is empty",
        file_with("home/database/last_img_id", ""),
        ["last_img_id holds no id"],
    ),
    ("last_img_id is bytes", file_with("home/database/last_img_id", b"\xff"), ["last_img_id"]),
    ("last_img_id is a folder", folder("home/database/last_img_id"), ["last_img_id is a folder"]),
    ("last_img_id is a pipe", fifo("home/database/last_img_id"), ["last_img_id", "regular file"]),
    (
        "last_img_id is the last moment of year 9999",
        file_with("home/database/last_img_id", "99991231T23-59-59-999999"),
        ["last_img_id", "delete it if the clock is right"],
    ),
    (
        "new is unreadable",
        all_of(folder("new"), without_permission("new")),
        ["new cannot be recorded into: Permission denied"],
    ),
]


def label_of_year_9999() -> dict:
    """Return a label whose id is the last one possible."""
    label = document(0)
    label["img_id"] = "99991231T23-59-59-999999"
    label["label_fingerprint"] = ids.fingerprint(label["img_id"], label["label"])
    return label


ROWS = [
    *[
        Row(f"drive: {name}", run_manual, [*DRIVE, *options], 2, facts)
        for name, options, facts in DRIVES
    ],
    *[
        Row(f"drive: {name}", run_manual, DRIVE, 2, facts, prepare)
        for name, prepare, facts in FOLDERS
    ],
    Row(
        "a picture of the last moment of year 9999",
        run_manual,
        DRIVE,
        1,
        ["no picture can be later than 99991231T23-59-59-999999", "record into another folder"],
        lambda workspace: save(workspace / "new", [label_of_year_9999()], pictures=False),
        output="new",
    ),
    Row("no -o", run_manual, ["--simulate"], 2, ["-o DIR"]),
]


@pytest.mark.parametrize("row", as_params(ROWS))
def test_bad_input_gets_one_line_and_changes_nothing(row, assert_refused):
    assert_refused(row)


class Terminal(io.StringIO):
    """A terminal with answers."""

    def isatty(self):
        return True


def test_an_answer_that_is_not_utf_8_is_refused(workspace, monkeypatch, capfd):
    before = snapshot(workspace)
    monkeypatch.setattr(sys, "stdin", Terminal("Zo\udce9\n" * 9))
    assert run(run_manual, DRIVE) == 2
    assert "error: event: " in capfd.readouterr().err
    assert snapshot(workspace) == before
