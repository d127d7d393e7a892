"""Rows of bad input: what is wrong, which script is run, and how it must refuse.

A row runs in the fixture `workspace`, a folder with a drive and a database that holds that drive.
"""

import contextlib
import json
import os
import shutil
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import pytest

from get_data import check_set, contact_sheet, upload_data, upload_to_db
from get_data.cli import exit_codes, process
from get_data.labels import edits, ids, label_file
from get_data.recording import journal
from tests.conftest import document, save
from tests.helpers.waiting import HANGS_S

READERS = [upload_data, upload_to_db, contact_sheet, check_set]  # of label files
DRIVE = ["-o", "new", "--simulate", "--duration", "1"]
SEARCH_ALL = ["-p", "out"]

NOT_UTF_8 = os.fsdecode(b"\xff\xe9")  # a name that is not UTF-8, as Python spells it
LONG = "x" * 300
NOWHERE = "/proc/none"  # not even root can create a folder there
DEEP = 100_000
SECRET = "s3cret"
INDEX = "home/database/index.sqlite"
STEERING = [-0.9, -0.5, 0.0, 0.5, 0.9]  # of the drive
START = ids.parse_img_id(document(0)["img_id"])

Prepare = Callable[[Path], object]


@dataclass(frozen=True)
class Row:
    """One script, run with one thing that is wrong."""

    id: str
    script: ModuleType
    arguments: list[str]
    code: int
    facts: list[str]  # which the message contains
    prepare: Prepare = lambda workspace: None
    variables: dict[str, str] = field(default_factory=dict)
    output: str = ""  # a folder for the result, which may exist although the run failed


def as_params(rows: list[Row]) -> list[object]:
    """Return the rows as parameters of a test, each with an id of its own."""
    names = [f"{row.script.__name__.split('.')[-1]}, {row.id}" for row in rows]
    if len(set(names)) < len(names):
        raise ValueError(f"rows of the same name: {sorted(names)}")
    return [
        pytest.param(row, id=name, marks=_marks(row)) for row, name in zip(rows, names, strict=True)
    ]


def _marks(row: Row) -> list[pytest.MarkDecorator]:
    """Return the marks of a row; slow if another script has shown that shared code refuses it."""
    is_shared = row.id.startswith(("labels: ", "path: ", "journal: "))
    slow = [pytest.mark.slow] if is_shared and row.script is not READERS[0] else []
    return [pytest.mark.timeout(HANGS_S), *slow]  # opening a FIFO may block for ever


def run(script: ModuleType, arguments: list[str]) -> int:
    """Run a script in this process and return its exit code, as the shell sees it."""
    try:
        return process.run(lambda: script.main(arguments))
    except SystemExit as error:  # from argparse
        return error.code


def assert_one_line(out: str, err: str, code: int, facts: list[str]) -> None:
    """Check that one line of stderr has the facts; only the name of the database precedes it."""
    assert "Traceback" not in err
    assert SECRET not in err
    assert [fact for fact in facts if fact not in err] == []
    lines = err.removesuffix("\n").split("\n")
    if code == exit_codes.SOME_ITEMS_FAILED:
        failed = [line for line in lines if line.startswith("failed: ")]
        assert json.loads(out)["failed"] == len(failed) == 1
        return
    assert out == ""
    if lines[0].startswith("database: local, "):
        lines = lines[1:]
    (line,) = lines
    assert line.startswith("error: ")
    assert len(line) < 1200


# --- files and folders


def file_with(name: str, content: str | bytes) -> Prepare:
    """Write a file."""

    def prepare(workspace):
        file = workspace / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)

    return prepare


def folder(name: str) -> Prepare:
    """Create a folder in place of any file of that name."""

    def prepare(workspace):
        (workspace / name).unlink(missing_ok=True)
        (workspace / name).mkdir(parents=True)

    return prepare


def link(name: str, target: str) -> Prepare:
    """Create a symbolic link in place of any file of that name."""

    def prepare(workspace):
        (workspace / name).unlink(missing_ok=True)
        (workspace / name).symlink_to(target)

    return prepare


def fifo(name: str) -> Prepare:
    """Create a FIFO without a writer: opening it blocks for ever."""

    def prepare(workspace):
        (workspace / name).parent.mkdir(exist_ok=True)
        (workspace / name).unlink(missing_ok=True)
        os.mkfifo(workspace / name)

    return prepare


def unix_socket(name: str) -> Prepare:
    """Create a socket."""

    def prepare(workspace):
        file = workspace / name
        file.unlink(missing_ok=True)
        with contextlib.chdir(file.parent), socket.socket(socket.AF_UNIX) as server:
            server.bind(file.name)

    return prepare


def without_permission(name: str, mode: int = 0) -> Prepare:
    """Remove the permissions of a file or folder; 0o555 leaves all but writing."""
    return lambda workspace: (workspace / name).chmod(mode)


def without_folder(name: str) -> Prepare:
    """Remove a folder."""
    return lambda workspace: shutil.rmtree(workspace / name)


def all_of(*steps: Prepare) -> Prepare:
    """Take several steps, in order."""
    return lambda workspace: [step(workspace) for step in steps]


# --- label files and recordings


def label_with(**changes: object) -> Prepare:
    """Write one changed label to `drive`; `label__nb_dir=3` is the key `nb_dir` inside `label`."""

    def prepare(workspace):
        label = document(0)
        for name, value in changes.items():
            *parts, key = name.split("__")
            node = label
            for part in parts:
                node[part] = dict(node[part])
                node = node[part]
            node[key] = value
        content = json.dumps({document(0)["img_id"]: label})
        (workspace / "drive" / label_file.NAME).write_text(content)

    return prepare


def label_without(key: str) -> Prepare:
    """Write one label without a key to `drive`."""

    def prepare(workspace):
        label = {name: value for name, value in document(0).items() if name != key}
        file_with("drive/labels.json", json.dumps({document(0)["img_id"]: label}))(workspace)

    return prepare


def correction(of: int, replaces: int) -> Prepare:
    """Write a correction of one picture, which replaces a label of another, to `drive`."""
    return corrections((of, replaces))


def corrections(*pairs: tuple[int, int]) -> Prepare:
    """Write corrections to `drive`: each of one picture, replacing a label of another."""

    def prepare(workspace):
        labels = {}
        for of, replaces in pairs:
            label = document(of, steering=STEERING[of])
            label = edits.corrected(label, created_by="Ada", direction=1, speed=1, created_on=START)
            replaced = document(replaces, steering=STEERING[replaces])
            label["replaces"] = replaced["label_fingerprint"]
            labels[label["img_id"]] = label
        file_with("drive/labels.json", json.dumps(labels))(workspace)

    return prepare


def killed_recording(*documents: dict, then: Prepare = lambda workspace: None) -> Prepare:
    """Create `killed`, a recording with a torn journal and a picture for each label."""

    def prepare(workspace):
        save(workspace / "killed", list(documents))
        (workspace / "killed" / label_file.NAME).unlink()
        lines = [json.dumps(label).encode() + b"\n" for label in documents]
        (workspace / "killed" / journal.NAME).write_bytes(b"".join(lines) + b"torn")
        then(workspace)

    return prepare


def nested(depth: int) -> list:
    """Return lists inside each other."""
    content: list = []
    for _ in range(depth):
        content = [content]
    return content


CUSTOM_KEYS = [  # which Elasticsearch rejects
    ("empty", {"": "x"}, ["'': nothing is before"]),
    ("blank", {" ": "x"}, ["' ': nothing is before"]),
    ("two dots", {"a..b": "x"}, ["'a..b': nothing is before or between the dots", "rename it"]),
    ("a dot before", {".x": "x"}, ["'.x': nothing is before or between the dots", "rename it"]),
    ("_id", {"_id": "x"}, ["'_id': Elasticsearch has a _id of its own; rename the key"]),
    ("_source", {"_source": "x"}, ["'_source': Elasticsearch has a _source of its own"]),
    ("inside a word", {"driver.x": "x"}, ["'driver.x': there is a key driver already", "rename"]),
    ("inside a sentence", {"event.text": "x"}, ["'event.text': there is a key event already"]),
    ("inside an id", {"img_id.x": "x"}, ["'img_id.x': there is a key img_id already"]),
    ("inside a key", {"s3_key.x": "x"}, ["'s3_key.x': there is a key s3_key already"]),
    ("a class", {"label.nb_dir": "7"}, ["'label.nb_dir': there is a key label.nb_dir already"]),
    ("inside another", {"a": "x", "a.b": "x"}, ["'a.b': there is a key a already"]),
    ("21 deep", {".".join("a" * 21): "x"}, ["the key has more than 19 dots; rename it"]),
]
