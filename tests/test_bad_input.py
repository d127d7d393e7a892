"""Everything a user, a script or a broken disk can hand to the scripts that they cannot use.

Each row: what is wrong, the script, its arguments, what makes the thing, the exit code, and the
words that must be said. Rows run in a folder with a drive in it and a database that holds that
drive; when a row is over, both are as they were.
"""

import contextlib
import io
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import pytest

import path
from get_data import (
    contact_sheet,
    run_manual,
    search_and_download,
    upload_data,
    upload_to_db,
    write_label_template,
)
from get_data.cli import exit_codes, process
from get_data.labels import edits, ids, label_file
from get_data.recording import journal
from tests.conftest import document, save
from tests.helpers.folders import snapshot
from tests.helpers.permissions import permissions_enforced

READERS = [upload_data, upload_to_db, contact_sheet]  # of label files
BYTES = os.fsdecode(b"\xff\xe9")  # a name that is not UTF-8, as Python spells it
LONG = "x" * 300
NOWHERE = "/proc/none"  # not even root can make a folder there

Make = Callable[[Path], object]


@dataclass(frozen=True)
class Row:
    """One thing that is wrong."""

    id: str
    script: ModuleType
    arguments: list[str]
    code: int
    words: list[str]
    make: Make = lambda place: None
    variables: dict[str, str] = field(default_factory=dict)
    makes: str = ""  # a folder for the result, which may be there although the run failed


# --- what rows are made of


def holds(name: str, content: str | bytes) -> Make:
    """A file with this content."""

    def make(place):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(content.encode() if isinstance(content, str) else content)

    return make


def folder(name: str) -> Make:
    """A folder, in place of whatever has that name."""

    def make(place):
        (place / name).unlink(missing_ok=True)
        (place / name).mkdir(parents=True)

    return make


def link(name: str, target: str) -> Make:
    """A symbolic link, in place of whatever has that name."""

    def make(place):
        (place / name).unlink(missing_ok=True)
        (place / name).symlink_to(target)

    return make


def pipe(name: str) -> Make:
    """A named pipe that nobody writes into: whoever opens it waits for ever."""

    def make(place):
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).unlink(missing_ok=True)
        os.mkfifo(place / name)

    return make


def listening(name: str) -> Make:
    """A socket."""

    def make(place):
        (place / name).unlink(missing_ok=True)
        with contextlib.chdir((place / name).parent), socket.socket(socket.AF_UNIX) as server:
            server.bind((place / name).name)

    return make


def forbidden(name: str, mode: int = 0) -> Make:
    """A file or folder that we have no right to read, or with 0o555 none to write."""
    return lambda place: (place / name).chmod(mode)


def all_of(*makes: Make) -> Make:
    return lambda place: [make(place) for make in makes]


def one_label(**changes: object) -> Make:
    """`drive` holds one label, changed: `label__nb_dir=3` is the key `nb_dir` inside `label`."""

    def make(place):
        one = document(0)
        for name, value in changes.items():
            *inside, key = name.split("__")
            node = one
            for step in inside:
                node[step] = dict(node[step])
                node = node[step]
            node[key] = value
        content = json.dumps({document(0)["img_id"]: one})
        (place / "drive" / label_file.NAME).write_text(content)

    return make


def without(key: str) -> Make:
    """`drive` holds one label that lacks a key."""

    def make(place):
        one = {name: value for name, value in document(0).items() if name != key}
        holds("drive/labels.json", json.dumps({document(0)["img_id"]: one}))(place)

    return make


def correction(of: int, replaces: int) -> Make:
    """`drive` holds a correction of one picture, which names the label of another."""
    return corrections((of, replaces))


def corrections(*pairs: tuple[int, int]) -> Make:
    """`drive` holds corrections: each of one picture, naming the label of another."""

    def make(place):
        corrected = {}
        for of, replaces in pairs:
            was = document(of, steering=STEERING[of])
            one = edits.corrected(was, created_by="Ada", direction=1, speed=1, created_on=START)
            one["replaces"] = document(replaces, steering=STEERING[replaces])["label_fingerprint"]
            corrected[one["img_id"]] = one
        holds("drive/labels.json", json.dumps(corrected))(place)

    return make


STEERING = [-0.9, -0.5, 0.0, 0.5, 0.9]  # of the drive
START = ids.parse_img_id(document(0)["img_id"])
PICTURE = document(0)["file_name"]
DEEP = 100_000


def nested(depth: int) -> list:
    content: list = []
    for _ in range(depth):
        content = [content]
    return content


OWN_KEYS = [  # which no Elasticsearch takes
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

# --- label files: every script that reads them refuses them alike

LABEL_FILES = [
    ("empty file", holds("drive/labels.json", ""), ["drive/labels.json, line 1", "not JSON"]),
    ("not JSON", holds("drive/labels.json", "{'a': 1}"), ["labels.json, line 1, column 2: not JS"]),
    ("cut off", holds("drive/labels.json", '{"a": {"b'), ["labels.json, line 1", "not JSON"]),
    ("UTF-16", holds("drive/labels.json", "{}".encode("utf-16")), ["is not UTF-8", "save it as"]),
    ("Latin-1", holds("drive/labels.json", b'{"Zo\xe9": 1}'), ["is not UTF-8", "save it as"]),
    ("bytes of a picture", holds("drive/labels.json", b"\xff\xd8\xff\xe0\0JFIF"), ["not UTF-8"]),
    ("a list", holds("drive/labels.json", "[]"), ["expected an object of labels by img_id"]),
    ("a number", holds("drive/labels.json", "3"), ["expected an object of labels by img_id"]),
    ("null", holds("drive/labels.json", "null"), ["expected an object of labels by img_id"]),
    ("an entry that is none", holds("drive/labels.json", '{"a": 3}'), ["entry 'a': Expected obj"]),
    ("100,000 deep", holds("drive/labels.json", "[" * DEEP + "]" * DEEP), ["nested too deep"]),
    ("100,000 objects deep", holds("drive/labels.json", '{"a":' * DEEP), ["nested too deep"]),
    ("900 deep in a setting", one_label(car_setting__x=nested(900)), ["nested too deep"]),
    ("25 deep in a setting", one_label(car_setting__x=nested(25)), ["car_setting", "nested too"]),
    ("25 deep in a key of a part", one_label(label__x=nested(25)), ["label: ", "nested too deep"]),
    ("a zero byte in a setting", one_label(car_setting__x={"a\0b": None}), ["zero byte", "rename"]),
    ("a long setting", one_label(car_setting__x={"k" * 30_000: ["v" * 8000]}), ["car_setting.x.k"]),
    ("NaN", one_label(label__raw_speed=float("nan")), ["NaN is not a JSON number"]),
    ("Infinity", one_label(car_setting__x=float("-inf")), ["-Infinity"]),
    ("1e999", holds("drive/labels.json", '{"a": 1e999}'), ["the number 1e999 is too large"]),
    ("40 digits", one_label(lap=10**40), ["is too large"]),
    ("5,000 digits", holds("drive/labels.json", "9" * 5000), ["is too large"]),
    ("the same key twice", holds("drive/labels.json", '{"a": 1, "a": 1}'), ["'a'"]),
    ("half a character", holds("drive/labels.json", '{"a": "\\ud800"}'), ["surrogate"]),
    ("no img_id", without("img_id"), ["entry '2024", "missing key img_id"]),
    ("no label", without("label"), ["missing key label"]),
    ("no fingerprint", without("label_fingerprint"), ["missing key label_fingerprint"]),
    ("text as number", one_label(label__nb_dir="five"), ["label.nb_dir: Expected int, got str"]),
    ("true as number", one_label(label__nb_dir=True), ["label.nb_dir: Expected int, got bool"]),
    ("fraction as class", one_label(label__nb_dir=5.5), ["label.nb_dir: Expected int, got float"]),
    ("number as text", one_label(driver=3), ["driver: Expected str, got int"]),
    ("null as text", one_label(event=None), ["event: Expected str, got null"]),
    ("text as steering", one_label(label__raw_direction="left"), ["label.raw_direction: Expected"]),
    ("steering above 1", one_label(label__raw_direction=1.5), ["label.raw_direction: Expected"]),
    ("list as part", one_label(label=[1, 2]), ["label: Expected object, got array"]),
    ("list as resolution", one_label(resolution=[160, 120]), ["resolution: Expected object"]),
    ("resolution 0", one_label(resolution__vertical=0), ["resolution.vertical: Expected int >= 1"]),
    ("list as setting", one_label(car_setting=[]), ["car_setting: Expected object, got array"]),
    ("text as list", one_label(dataset="train"), ["dataset: Expected array, got str"]),
    ("number in a list", one_label(dataset=["a", 1]), ["dataset[1]: Expected str, got int"]),
    ("raw: maybe", one_label(raw="maybe"), ["raw: Invalid enum value 'maybe'"]),
    ("size 0", one_label(picture_size=0), ["picture_size: Expected int >= 1"]),
    ("half a hash", one_label(picture_sha256="ab"), ["picture_sha256: Expected str matching"]),
    ("direction above nb_dir", one_label(label__label_direction=5), ["5 is not below nb_dir 5"]),
    ("speed above nb_speed", one_label(label__label_speed=2), ["2 is not below nb_speed 2"]),
    ("negative class", one_label(label__label_speed=-1), ["label.label_speed: Expected int >= 0"]),
    ("100 classes", one_label(label__nb_dir=100), ["label.nb_dir: Expected int <= 99"]),
    ("nobody said it", one_label(label__created_by=""), ["label.created_by: Expected str of len"]),
    ("no time", one_label(timestamp="yesterday"), ["timestamp: 'yesterday' is not an ISO 8601"]),
    ("the 30th of February", one_label(label__created_on_date="2024-02-30"), ["created_on_date"]),
    (
        "before year 1",
        one_label(label__created_on_date="0001-01-01T00:00:00+05:00"),
        ["created_on"],
    ),
    ("after year 9999", one_label(upload_date="9999-12-31T23:59:59-05:00"), ["upload_date: '9999"]),
    ("file_name up", one_label(file_name="../secret.jpg"), ["file_name", "drive/labels.json, ent"]),
    ("file_name of dots", one_label(file_name="...jpg"), ["file_name: '...jpg' is not a plain"]),
    ("file_name absolute", one_label(file_name="/etc/x.jpg"), ["file_name: Expected str matching"]),
    ("file_name with NUL", one_label(file_name="a\0.jpg"), ["file_name: Expected str matching"]),
    (
        "file_name with a break",
        one_label(file_name="a\n.jpg"),
        ["file_name: Expected str matching"],
    ),
    ("file_name of Windows", one_label(file_name="a\\b.jpg"), ["file_name: Expected str matching"]),
    ("file_name too long", one_label(file_name="é" * 130 + ".jpg"), ["file_name", "plain file na"]),
    ("file_name of a label file", one_label(file_name="labels.json"), ["file_name: Expected str"]),
    ("img_id is a path", one_label(img_id="../x"), ["img_id: Expected str matching regex"]),
    ("img_id with a break", one_label(img_id="x\n"), ["img_id: ends with a line break"]),
    ("img_id of another", one_label(img_id="other"), ["label_fingerprint", "is stale"]),
    ("stale fingerprint", one_label(label__label_direction=1), ["is stale", "in `replaces`"]),
    ("fingerprint is none", one_label(label_fingerprint="x"), ["label_fingerprint: Expected str"]),
    ('to_delete: "true"', one_label(to_delete="true"), ["to_delete: Expected bool, got str"]),
    ("to_delete: 1", one_label(to_delete=1), ["to_delete: Expected bool, got int"]),
    (
        "replaces itself",
        one_label(replaces=document(0)["label_fingerprint"]),
        ["replaces: names the label itself"],
    ),
    ("replaces a name", one_label(replaces="Ada"), ["replaces: Expected str matching regex"]),
    (
        "an object of one's own",
        one_label(weather={"rain": 1}),
        ["weather: a key of your own holds"],
    ),
    ("lists in a list", one_label(weather=[[1]]), ["weather: a key of your own holds a text"]),
    *[
        (f"own key: {name}", one_label(**own), ["labels.json, entry '2024", *words])
        for name, own, words in OWN_KEYS
    ],
    ("a folder", folder("drive/labels.json"), ["drive/labels.json is a folder, not a JSON file"]),
    ("a pipe", pipe("drive/labels.json"), ["drive/labels.json is not a regular file"]),
    ("a socket", listening("drive/labels.json"), ["drive/labels.json is not a regular file"]),
    ("an endless device", link("drive/labels.json", "/dev/zero"), ["is not a regular file"]),
    ("a link to nothing", link("drive/labels.json", "gone"), ["drive has no labels.json"]),
    ("a link to itself", link("drive/labels.json", "labels.json"), ["drive has no labels.json"]),
    ("unreadable", forbidden("drive/labels.json"), ["labels.json cannot be read: Permission"]),
    ("no way in", forbidden("drive"), ["drive", "cannot be read: Permission denied"]),
]

# --- label files and folders as arguments

PATHS = [
    ("no such file", ["none.json"], ["none.json does not exist"]),
    ("no such folder", ["none/none.json"], ["none/none.json does not exist"]),
    ("below a file", ["hardware_conf.json/labels.json"], ["hardware_conf.json/labels.json"]),
    ("an empty argument", [""], ["expected a file or a folder, got ''"]),
    ("a name too long", [LONG], ["File name too long"]),
    ("a path too long", ["x/" * 3000], ["File name too long"]),
    ("a path that is just too long", ["d/" * 2045], ["File name too long"]),
    ("a folder without labels", ["."], [". has no labels.json"]),
    ("a name that is not UTF-8", [BYTES], [r"error: \udcff\udce9 does not exist"]),
    ("a name with quotes", ['it\'s "here".json'], ['it\'s "here".json does not exist']),
    ("a name of two lines", ["a\nerror: b.json"], [r"a\nerror: b.json does not exist"]),
    ("a name that moves the cursor", ["\x1b[2Ja.json"], [r"\x1b[2Ja.json does not exist"]),
    ("an unknown option", ["drive", "--force"], ["unrecognized arguments: --force"]),
    ("no argument", [], ["the following arguments are required"]),
    ("a terminal as labels", ["/dev/ptmx"], ["/dev/ptmx is not a regular file"]),
    ("an endless device", ["/dev/zero"], ["/dev/zero is not a regular file"]),
]

# --- journals: what a killed recording left is repaired first, and may itself be broken


def killed(*documents: dict, then: Make = lambda place: None) -> Make:
    """`killed` is a recording that was cut off, with a picture for each label."""

    def make(place):
        save(place / "killed", list(documents))
        (place / "killed" / label_file.NAME).unlink()
        lines = [json.dumps(one).encode() + b"\n" for one in documents]
        (place / "killed" / journal.NAME).write_bytes(b"".join(lines) + b"torn")
        then(place)

    return make


def erased_before(content: str) -> Make:
    """The only picture was erased, and what was erased before is this."""

    def make(place):
        holds(f"killed/{journal.ERASED}/{label_file.NAME}", content)(place)
        lines = [document(0), {journal.ERASED: [document(0)["img_id"]]}]
        holds("killed/labels.journal", "\n".join(map(json.dumps, lines)))(place)

    return make


def elsewhere(name: str) -> Make:
    """A name of the recording leads to what is somebody else's, of the right kind."""

    def make(place):
        save(place / "theirs", [document(50)])
        (place / "theirs" / journal.NAME).write_text(json.dumps(document(0)) + "\n")
        (place / "theirs" / journal.DAMAGED_LABELS).write_text("{}")
        own = place / "killed" / name
        own.parent.mkdir(exist_ok=True)
        own.unlink(missing_ok=True)
        is_folder = name in (journal.ERASED, journal.DAMAGED_PICTURES)
        own.symlink_to(place / "theirs" / ("" if is_folder else own.name))

    return make


DAMAGED = f"killed/{journal.DAMAGED_LABELS}"
JOURNALS = [
    ("a folder", 1, folder("killed/labels.journal"), ["killed/labels.journal", "regular file"]),
    ("a pipe", 1, pipe("killed/labels.journal"), ["killed/labels.journal", "regular file"]),
    ("unreadable", 1, forbidden("killed/labels.journal"), ["killed/labels.journal", "Permission"]),
    *(
        (
            f"{name} is a link",
            2,
            elsewhere(name),
            [f"killed/{name} is a link"],
        )
        for name in (
            *(journal.NAME, journal.ERASED, journal.DAMAGED_PICTURES, journal.DAMAGED_LABELS),
            *(label_file.NAME, f"{journal.ERASED}/{label_file.NAME}"),
        )
    ),
    ("labels.json is broken", 2, holds("killed/labels.json", "{"), ["killed/labels.json, line 1"]),
    ("labels.json is a folder", 2, folder("killed/labels.json"), ["killed/labels.json is a folde"]),
    ("the list of damage is broken", 2, holds(DAMAGED, "{"), [f"{DAMAGED}, line 1, column 2"]),
    ("the list of damage is a list", 2, holds(DAMAGED, "[]"), [DAMAGED, "move it away"]),
    ("the list of damage is a folder", 2, folder(DAMAGED), [f"{DAMAGED} is a folder"]),
    ("erased/labels.json is broken", 2, erased_before("{"), ["killed/erased/labels.json, line 1"]),
    (
        "erased/labels.json is a list",
        2,
        erased_before("[]"),
        ["erased/labels.json: expected"],
    ),
]

# --- everything else, script by script

QUERY = "query.json"


def asking(what: object) -> list[str]:
    """The arguments of a search for this, into the folder `out`."""
    return ["-q", what if isinstance(what, str) else json.dumps(what), "-p", "out"]


SEARCHES = [
    ("no such query", asking("none.json"), ["none.json does not exist"]),
    ("an empty query", asking(""), ["the query is empty", "-q"]),
    ("broken inline JSON", asking("{"), ["the query, line 1, column 2: not JSON"]),
    ("quotes lost in the shell", asking("{driver: 1}"), ["the query, line 1", "double quotes"]),
    ("inline list", asking("[{}]"), ["the query: expected an object such as"]),
    ("bytes in the query", asking("{" + BYTES), ["the query is not UTF-8"]),
    ("a query 100,000 deep", asking('{"a":' * 20_000), ["the query: nested too deep"]),
    ("NaN in the query", asking('{"a": {"type": "term", "value": NaN}}'), ["NaN"]),
    ("the same field twice", asking('{"a": {"type": ""}, "a": {"type": ""}}'), ["key 'a'"]),
    ("a clause that is none", asking({"a": 3}), ["the query, a: expected an object"]),
    ("no type", asking({"a": {"value": 3}}), ['a: "type" is missing']),
    ("type is a number", asking({"a": {"type": 3}}), ['a: "type" is 3']),
    ("type is 900 deep", asking({"a": {"type": nested(900)}}), ['a: "type" is [[[']),
    ("type is long", asking({"a": {"type": ["x" * 9] * 999}}), ['a: "type" is [']),
    (
        "unknown type",
        asking({"a": {"type": "fuzzy", "value": 1}}),
        ["a: ", "type 'fuzzy'"],
    ),
    ("unknown argument", asking({"a": {"type": "term", "values": 1}}), ["a: ", "'values'"]),
    (
        "unknown bool",
        asking({"a": {"type": "term", "bool": "any"}}),
        ["\"bool\" is 'any'; use must"],
    ),
    ("no value", asking({"a": {"type": "term"}}), ["a: 'value' is missing"]),
    (
        "a value that is none",
        asking({"a": {"type": "term", "value": {}}}),
        ["a: 'value' is not one"],
    ),
    (
        "terms of a text",
        asking({"a": {"type": "terms", "value": "x"}}),
        ["a: 'value' is not a list"],
    ),
    ("a range of nothing", asking({"a": {"type": "range"}}), ["a: range needs one of gte, gt"]),
    (
        "a text as class",
        asking({"label.label_direction": {"type": "term", "value": "left"}}),
        ["label.label_direction: 'left' is not a number"],
    ),
    (
        "no date",
        asking({"timestamp": {"type": "range", "gte": "yesterday"}}),
        ["timestamp: 'yesterday' is not a time such as"],
    ),
    (
        "regexp half open",
        asking({"a": {"type": "regexp", "value": "(a"}}),
        ["a: ", "expression '(a"],
    ),
    *[
        (
            f"{kind} too long in {key}",
            asking({"a": {"type": kind, key: "*" * 1001}}),
            ["the query, a: ", f"'{key}' is longer than 1000 characters"],
        )
        for kind, key in [("regexp", "value"), ("wildcard", "value"), ("wildcard", "wildcard")]
    ],
    ("a field of nobody", asking({"_source": {"type": "exists"}}), ["the field '_source'"]),
    ("an empty field", asking({"": {"type": "exists"}}), ["a key is empty; name the field"]),
    ("--limit 0", ["-p", "out", "--limit", "0"], ["--limit: expected a whole number", "'0'"]),
    ("--limit -1", ["-p", "out", "--limit", "-1"], ["--limit: expected a whole number", "'-1'"]),
    ("--limit x", ["-p", "out", "--limit", "x"], ["--limit: expected a whole number", "'x'"]),
    ("--limit 1e3", ["-p", "out", "--limit", "1e3"], ["--limit: expected a whole number"]),
    ("--limit of 30 digits", ["-p", "out", "--limit", "9" * 30], ["--limit: expected a whole num"]),
    ("--limit of 5,000 digits", ["-p", "out", "--limit", "9" * 5000], ["--limit: expected a who"]),
    ("dangling -p", ["-p"], ["argument -p/--pictures: expected one argument"]),
    ("no -p", [], ["the following arguments are required: -p/--pictures"]),
    ("-p is empty", ["-p", ""], ["-p/--pictures: expected a file or a folder, got ''"]),
    ("-p is a file", ["-p", "hardware_conf.json"], ["hardware_conf.json cannot be created"]),
    ("-p is below a file", ["-p", "hardware_conf.json/x"], ["hardware_conf.json/x cannot be"]),
    ("-p where none can be", ["-p", NOWHERE], [f"{NOWHERE} cannot be created"]),
    ("-p too long", ["-p", LONG], ["-p/--pictures", "File name too long"]),
    ("-p is a recording", ["-p", "drive"], ["drive is a recording"]),
    ("-o is in a recording", ["-p", "out", "-o", "drive/x.json"], ["drive is a recording"]),
    ("-o is a folder", ["-p", "out", "-o", "."], [". is a folder; name a file"]),
    ("-o is empty", ["-p", "out", "-o", ""], ["-o/--output: expected a file or a folder, got ''"]),
    (
        "-o is below a file",
        ["-p", "out", "-o", "hardware_conf.json/x"],
        ["cannot be created"],
    ),
    ("-o where none can be", ["-p", "out", "-o", f"{NOWHERE}/x"], [f"{NOWHERE} cannot be"]),
]

CAPITALS = ["-o", "new", "--simulate", "--duration", "1"]
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
    ("endless", ["--duration", "inf"], ["--duration: expected a number above 0, got 'inf'"]),
    ("0x0", ["--resolution", "0x0"], ["--resolution: expected WxH, 16 to 4096", "'0x0'"]),
    ("a square", ["--resolution", "160"], ["--resolution: expected WxH", "'160'"]),
    ("5,000 digits", ["--resolution", "9" * 5000 + "x1"], ["--resolution: expected WxH"]),
    ("a wall", ["--resolution", "9999x9999"], ["--resolution: expected WxH", "'9999x9999'"]),
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
    ("a driver in Latin-1", ["--driver", BYTES], ["--driver: expected text in UTF-8"]),
    ("a comment too long", ["--comment", "x" * 70_000], ["comment", "is too long"]),
    ("-o is empty", ["-o", ""], ["-o/--output: expected a file or a folder, got ''"]),
    ("-o is a file", ["-o", "hardware_conf.json"], ["hardware_conf.json"]),
    ("-o where none can be", ["-o", NOWHERE], [f"{NOWHERE} cannot be"]),
    ("-o in Latin-1", ["-o", BYTES], ["UTF-8"]),
]


def template(content: str) -> Make:
    """A session template in the folder that a drive goes into."""
    return holds("new/session_template.json", content)


TEMPLATE = "new/session_template.json"
IN_THE_WAY = [
    ("template is broken", template("{"), [f"{TEMPLATE}, line 1, column 2: not JSON"]),
    ("template is a list", template("[]"), [f"{TEMPLATE}: expected an object"]),
    ("reserved key", template('{"img_id": "x"}'), [f"{TEMPLATE}: img_id: every label has a key"]),
    ("a number as driver", template('{"driver": 3}'), [f"{TEMPLATE}: driver: expected a text"]),
    ("an object", template('{"sky": {"sun": 1}}'), [f"{TEMPLATE}: sky: expected a text, a num"]),
    (
        "driver is 900 deep",
        template(json.dumps({"driver": nested(900)})),
        [f"{TEMPLATE}: driver: expected a text, got [[["],
    ),
    ("key twice", template('{"driver": "a", "driver": "b"}'), [TEMPLATE, "key 'driver'"]),
    *[
        (f"own key: {name}", template(json.dumps(own)), [f"{TEMPLATE}: ", *words])
        for name, own, words in OWN_KEYS
    ],
    ("too much", template(json.dumps({"notes": "x" * 70_000})), [TEMPLATE, "is too long"]),
    ("template is a folder", folder(TEMPLATE), [f"{TEMPLATE} is a folder"]),
    ("template is a pipe", pipe(TEMPLATE), [f"{TEMPLATE} is not a regular file"]),
    ("labels of others", holds("new/labels.json", "{}"), ["new has labels that were not recorded"]),
    (
        "labels are broken",
        all_of(template("{}"), holds("new/labels.json", "[")),
        ["new/labels.json, line 1, column 2: not JSON"],
    ),
    (
        "labels are a folder",
        all_of(template("{}"), folder("new/labels.json")),
        ["new/labels.json is a folder"],
    ),
    (
        "hardware_conf.json is gone",
        lambda place: (place / "hardware_conf.json").unlink(),
        ["hardwa"],
    ),
    (
        "hardware_conf.json is broken",
        holds("hardware_conf.json", "{"),
        ["hardware_conf.json, line 1, column 2: not JSON"],
    ),
    (
        "hardware_conf.json in UTF-16",
        holds("hardware_conf.json", b"\xff\xfe{\0"),
        ["hardware_conf"],
    ),
    (
        "hardware_conf.json in Latin-1",
        holds("hardware_conf.json", b'{"car": "\xe9"}'),
        ["hardware_conf.json is not UTF-8"],
    ),
    (
        "hardware_conf.json 100,000 deep",
        holds("hardware_conf.json", '{"car":' * DEEP),
        ["hardware"],
    ),
    (
        "hardware_conf.json with a wrong key",
        holds("hardware_conf.json", '{"car": "a", "max_throttle": 1, "jpeg_quality": 0}'),
        ["hardware_conf.json: jpeg_quality: Expected int >= 1"],
    ),
    (
        "hardware_conf.json with a key twice",
        holds(
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
    ("hardware_conf.json is a pipe", pipe("hardware_conf.json"), ["hardware_conf.json", "regular"]),
    ("last_img_id is broken", holds("home/database/last_img_id", "x"), ["last_img_id holds no id"]),
    ("last_img_id is empty", holds("home/database/last_img_id", ""), ["last_img_id holds no id"]),
    ("last_img_id is bytes", holds("home/database/last_img_id", b"\xff"), ["last_img_id"]),
    ("last_img_id is a folder", folder("home/database/last_img_id"), ["last_img_id is a folder"]),
    ("last_img_id is a pipe", pipe("home/database/last_img_id"), ["last_img_id", "regular file"]),
    (
        "last_img_id is the end of time",
        holds("home/database/last_img_id", "99991231T23-59-59-999999"),
        ["last_img_id", "delete it if the clock is right"],
    ),
    (
        "new is closed",
        all_of(folder("new"), forbidden("new")),
        ["new cannot be recorded into: Permission denied"],
    ),
]


def at_the_end_of_time() -> dict:
    one = document(0)
    one["img_id"] = "99991231T23-59-59-999999"
    one["label_fingerprint"] = ids.fingerprint(one["img_id"], one["label"])
    return one


LABEL_TEMPLATES = [
    ("-o is a folder", ["-o", "drive"], 2, ["drive is a folder; name a file"]),
    ("-o is empty", ["-o", ""], 2, ["-o/--output: expected a file or a folder, got ''"]),
    (
        "-o in a missing folder",
        ["-o", "none/x.json"],
        1,
        ["none/x.json cannot be written: No such"],
    ),
    (
        "-o below a file",
        ["-o", "hardware_conf.json/x"],
        1,
        ["hardware_conf.json/x cannot be writt"],
    ),
    ("-o where none can be", ["-o", f"{NOWHERE}.json"], 1, [f"{NOWHERE}.json cannot be written"]),
    ("-o too long", ["-o", LONG], 2, ["-o/--output", "File name too long"]),
    ("-o exists", ["-o", "hardware_conf.json"], 1, ["hardware_conf.json exists", "-o"]),
    ("dangling -o", ["-o"], 2, ["argument -o/--output: expected one argument"]),
    ("an argument too many", ["template.json"], 2, ["unrecognized arguments: template.json"]),
]


SECRET = "s3cret"
ES, S3 = "https://example.org:9200", "PATATE_S3_ENDPOINT_URL"
TEAM = {
    "PATATE_ES_URL": ES,
    "PATATE_ES_USER_ID": "zoe",
    "PATATE_ES_USER_PWD": SECRET,
    "PATATE_S3_BUCKET": "pictures",
    "PATATE_S3_KEY_ID": "id",
    "PATATE_S3_KEY": SECRET,
}
AWS_LOGIN = {
    "PATATE_S3_KEY_ID": "",
    "PATATE_S3_KEY": "",
    "AWS_ACCESS_KEY_ID": "id",
    "AWS_SECRET_ACCESS_KEY": SECRET,
}
NO_ADDRESS = {
    "a space before": " {}",
    "a tab behind": "{}\t",
    "a line break behind": "{}\n",
    "a byte that is not UTF-8": "{}/\udcff",
    "half a percent": "{}/%zz",
    "a query": "{}/?api_key=s3cret",
    "a fragment": "{}/#s3cret",
    "a space in the host": "https://example org:9200",
    "two dots": "https://example..org:9200",
    "a host of 300 letters": f"https://{LONG}:9200",
    "a zone": "https://[fe80::1%25eth0]:9200",
    "five numbers": "https://1.2.3.4.5:9200",
    "a name that no language has": "https://xn--a:9200",
    "a word as port": "https://example.org:s3cret",
    "a port too high": "https://example.org:65536",
    "no scheme": "example.org:9200",
}
LOGINS = {
    "a login": "https://elastic:s3cret@example.org:9200",
    "a login without a scheme": "elastic:s3cret@example.org:9200",
    "a login with a slash": "https://elastic:/s3cret@example.org",
}
TEAMS = [
    *[
        (f"{name[7:9]}, {wrong}", {name: url.format(ES)}, [name, "such as"])
        for name in ("PATATE_ES_URL", S3)
        for wrong, url in NO_ADDRESS.items()
    ],
    *[
        (f"{name[7:9]}, {wrong}", {name: url}, [f"{name} holds a login", f"set {name[:9]}_"])
        for name in ("PATATE_ES_URL", S3)
        for wrong, url in LOGINS.items()
    ],
    ("no port", {"PATATE_ES_URL": "https://example.org"}, ["PATATE_ES_URL", "port"]),
    ("user in Latin-1", {"PATATE_ES_USER_ID": BYTES}, ["PATATE_ES_USER_ID is not UTF-8 text"]),
    ("password in Latin-1", {"PATATE_ES_USER_PWD": BYTES}, ["PATATE_ES_USER_PWD is not UTF-8"]),
    ("no such authority", {"PATATE_ES_CA_CERTS": "none"}, ["PATATE_ES_CA_CERTS", "none"]),
    ("authority too long", {"PATATE_ES_CA_CERTS": LONG}, ["PATATE_ES_CA_CERTS", "no PEM"]),
    ("key in Latin-1", {"PATATE_S3_KEY": BYTES}, ["PATATE_S3_KEY has a space"]),
    (
        "region of two words",
        AWS_LOGIN | {"AWS_DEFAULT_REGION": "eu west"},
        ["the region of the AWS profile is 'eu west'", "set PATATE_S3_REGION"],
    ),
]


def table() -> list[Row]:
    """All rows."""
    rows = [
        Row(f"labels: {name}", script, ["drive"], 2, words, make)
        for name, make, words in LABEL_FILES
        for script in READERS
    ]
    rows += [
        Row(f"path: {name}", script, arguments, 2, words)
        for name, arguments, words in PATHS
        for script in READERS
    ]
    rows += [
        Row(f"journal: {name}", script, ["killed"], code, words, killed(document(0), then=make))
        for name, code, make, words in JOURNALS
        for script in READERS
    ]
    rows += [
        Row(f"search: {name}", search_and_download, arguments, 2, words)
        for name, arguments, words in SEARCHES
    ]
    rows += [
        Row(f"drive: {name}", run_manual, [*CAPITALS, *options], 2, words)
        for name, options, words in DRIVES
    ]
    rows += [
        Row(f"drive: {name}", run_manual, CAPITALS, 2, words, make)
        for name, make, words in IN_THE_WAY
    ]
    rows += [
        Row(f"template: {name}", write_label_template, arguments, code, words)
        for name, arguments, code, words in LABEL_TEMPLATES
    ]
    rows += [
        Row(f"team: {name}", upload_data, ["drive"], 2, words, variables=TEAM | wrong)
        for name, wrong, words in TEAMS
    ]
    return rows + OTHERS


def cut(name: str, at: float) -> Make:
    """A file that ends too early, at this share of its length."""

    def make(place):
        content = (place / name).read_bytes()
        (place / name).write_bytes(content[: int(len(content) * at)])

    return make


def every(*makes: Make) -> Make:
    """One after the other."""

    def make(place):
        for each in makes:
            each(place)

    return make


def in_the_database(statement: str, *values: object) -> Make:
    """The index after somebody else's SQL."""

    def make(place):
        index = sqlite3.connect(place / INDEX)
        index.execute(statement, values)
        index.commit()
        index.close()

    return make


def remove(name: str) -> Make:
    return lambda place: shutil.rmtree(place / name)


INDEX = "home/database/index.sqlite"
HALF = {"PATATE_ES_URL": "https://example.org"}
WHOLE = {**HALF, "PATATE_S3_BUCKET": "pictures"}
ALL = ["-p", "out"]
LABEL_DAMAGED = ["home/database", "label index is damaged"]
DB_DAMAGED = ["index.sqlite", "damaged"]

OTHERS = [
    Row(
        "a picture of the end of time",
        run_manual,
        CAPITALS,
        1,
        ["no picture can be later than 99991231T23-59-59-999999", "record into another folder"],
        lambda place: save(place / "new", [at_the_end_of_time()], pictures=False),
        makes="new",
    ),
    # nowhere to record to
    Row("no -o", run_manual, ["--simulate"], 2, ["-o DIR"]),
    # pictures that cannot be used: each is one failed item
    Row(
        "picture is a link out of the folder",
        upload_data,
        ["new"],
        3,
        [f"failed: {document(90)['img_id']}", "is a link out of its folder"],
        all_of(
            lambda place: save(place / "new", [document(90)]),
            holds("secret", "secret"),
            link(f"new/{document(90)['file_name']}", "../secret"),
        ),
    ),
    Row(
        "picture is a folder",
        upload_data,
        ["new"],
        3,
        [f"failed: {document(90)['img_id']}", "is not a regular file"],
        all_of(
            lambda place: save(place / "new", [document(90)]),
            folder(f"new/{document(90)['file_name']}"),
        ),
    ),
    Row(
        "picture is empty",
        upload_data,
        ["new"],
        3,
        [f"failed: {document(90)['img_id']}", "is empty"],
        all_of(
            lambda place: save(place / "new", [document(90)]),
            holds(f"new/{document(90)['file_name']}", ""),
        ),
    ),
    Row(
        "picture is another one",
        upload_to_db,
        ["new"],
        3,
        [f"failed: {document(90)['img_id']}", "is damaged"],
        all_of(
            lambda place: save(place / "new", [document(90)]),
            holds(f"new/{document(90)['file_name']}", "x"),
        ),
    ),
    Row(
        "no picture at all",
        upload_data,
        ["new"],
        2,
        ["new has none of the pictures of new/labels.json", "-p"],
        lambda place: save(place / "new", [document(90)], pictures=False),
    ),
    Row("-p is nowhere", upload_data, ["drive", "-p", "none"], 2, ["none is not a folder of pic"]),
    Row(
        "-p is a file", upload_to_db, ["drive", "-p", "hardware_conf.json"], 2, ["is not a folder"]
    ),
    Row("-p is empty", upload_to_db, ["drive", "-p", ""], 2, ["-p/--pictures: expected a file or"]),
    Row("-p too long", upload_data, ["drive", "-p", LONG], 2, ["-p/--pictures", "too long"]),
    Row(
        "pictures behind a closed door",
        upload_data,
        ["drive/labels.json", "-p", "closed"],
        2,
        ["closed", "Permission denied"],
        all_of(folder("closed"), forbidden("closed", 0o400)),
    ),
    Row("one of two is bad", upload_data, ["drive", "none.json"], 2, ["none.json does not exist"]),
    # corrections and deletions
    Row(
        "deletion in an upload",
        upload_data,
        ["drive"],
        2,
        ["correction", "upload_to_db.py"],
        one_label(to_delete=True),
    ),
    Row(
        "correction in an upload",
        upload_data,
        ["drive"],
        2,
        ["correction", "upload_to_db.py"],
        one_label(replaces="0" * 32),
    ),
    Row(
        "replaces of another picture",
        upload_to_db,
        ["drive", "-y"],
        2,
        ["replaces", "a label of"],
        correction(0, replaces=1),
    ),
    Row(
        "replaces of another picture, and of its own",
        upload_to_db,
        ["drive", "-y"],
        2,
        [f"entry '{document(0)['img_id']}': replaces", "a label of"],
        corrections((0, 1), (1, 1)),
    ),
    Row(
        "replaces a label that comes with it",
        upload_to_db,
        ["new", "-y"],
        2,
        [f"entry '{document(90)['img_id']}': replaces", "a label of"],
        lambda place: save(
            place / "new",
            [document(90, replaces=document(91)["label_fingerprint"]), document(91)],
        ),
    ),
    Row(
        "nobody to ask",
        upload_to_db,
        ["drive"],
        1,
        ["run with -y"],
        correction(0, replaces=0),
    ),
    Row("two label files", upload_to_db, ["drive", "drive"], 2, ["unrecognized arguments: drive"]),
    # contact sheets
    Row(
        "no labels", contact_sheet, ["new"], 2, ["new has no labels"], lambda p: save(p / "new", [])
    ),
    Row(
        "--most 0", contact_sheet, ["drive", "--most", "0"], 2, ["--most: expected 1 to 2000 pict"]
    ),
    Row(
        "--most 2001", contact_sheet, ["drive", "--most", "2001"], 2, ["--most: expected 1 to 2000"]
    ),
    Row(
        "--most many",
        contact_sheet,
        ["drive", "--most", "a lot"],
        2,
        ["--most: expected 1 to 2000"],
    ),
    Row(
        "sheet is a folder", contact_sheet, ["drive", "-o", "."], 2, [". is a folder; name a file"]
    ),
    Row(
        "sheet in a missing folder",
        contact_sheet,
        ["drive", "-o", "none/sheet.png"],
        1,
        ["none/sheet.png cannot be written: No such file or directory"],
    ),
    Row(
        "sheet where none can be",
        contact_sheet,
        ["drive", "-o", f"{NOWHERE}.png"],
        1,
        [f"{NOWHERE}.png cannot be written"],
    ),
    Row(
        "sheet in a read-only folder",
        contact_sheet,
        ["drive"],
        1,
        ["drive/contact_sheet.png cannot be written: Permission denied"],
        forbidden("drive", 0o555),
    ),
    # outputs that are no files
    Row("a pipe", write_label_template, ["-o", "p"], 2, ["p is not a regular file"], pipe("p")),
    Row("a pipe", contact_sheet, ["drive", "-o", "p"], 2, ["p is not a regular file"], pipe("p")),
    Row("a pipe", search_and_download, [*ALL, "-o", "p"], 2, ["p is not a regular"], pipe("p")),
    Row("a socket", write_label_template, ["-o", "s"], 2, ["not a regular file"], listening("s")),
    # searches
    Row(
        "out is closed",
        search_and_download,
        ALL,
        1,
        ["out/labels.json cannot be written: Permission denied"],
        all_of(folder("out"), forbidden("out", 0o555)),
    ),
    Row(
        "out is in a closed folder",
        search_and_download,
        ["-p", "closed/out"],
        2,
        ["closed/out", "Permission denied"],
        all_of(folder("closed"), forbidden("closed")),
    ),
    Row(
        "out is a link to nothing",
        search_and_download,
        ALL,
        2,
        ["out cannot be created: File exists"],
        link("out", "gone"),
    ),
    Row("out is a link to itself", search_and_download, ALL, 2, ["symbolic"], link("out", "out")),
    Row(
        "labels.json of out is a folder",
        search_and_download,
        ALL,
        2,
        ["out/labels.json is a folder; name a file"],
        folder("out/labels.json"),
    ),
    Row(
        "labels.json of out is unreadable",
        search_and_download,
        ALL,
        2,
        ["out/labels.json cannot be read: Permission denied; move it away"],
        all_of(holds("out/labels.json", "{}"), forbidden("out/labels.json")),
    ),
    Row(
        "query is UTF-16",
        search_and_download,
        asking(QUERY),
        2,
        ["query.json is not UTF-8 text"],
        holds(QUERY, "{}".encode("utf-16")),
    ),
    Row(
        "query is a list",
        search_and_download,
        asking(QUERY),
        2,
        ["query.json: expected an object"],
        holds(QUERY, "[]"),
    ),
    Row(
        "query is a pipe",
        search_and_download,
        asking(QUERY),
        2,
        ["query.json is not a regular file"],
        pipe(QUERY),
    ),
    Row("query is a folder", search_and_download, asking("drive"), 2, ["drive is a folder"]),
    Row("query is a device", search_and_download, asking("/dev/zero"), 2, ["not a regular file"]),
    Row("query with a long name", search_and_download, asking(LONG), 2, ["File name too long"]),
    # the environment
    Row("half a team", upload_data, ["drive"], 2, ["not PATATE_S3_BUCKET"], variables=HALF),
    Row("half a team", search_and_download, ALL, 2, ["not PATATE_S3_BUCKET"], variables=HALF),
    Row("a team", upload_to_db, ["drive"], 2, ["PATATE_ES_URL", "port"], variables=WHOLE),
    Row(
        "a secret alone",
        upload_data,
        ["drive"],
        2,
        ["PATATE_S3_KEY", "PATATE_ES_URL and PATATE_S3_BUCKET"],
        variables={"PATATE_S3_KEY": "hunter2"},
    ),
    Row(
        "no such database",
        upload_data,
        ["drive"],
        2,
        ["PATATE_DATABASE", "cloud", "local"],
        variables={"PATATE_DATABASE": "cloud"},
    ),
    *[
        Row(
            "home is a file",
            script,
            arguments,
            2,
            ["hardware_conf.json", "is not a folder; move the file away or set PATATE_HOME"],
            variables={"PATATE_HOME": "hardware_conf.json"},
        )
        for script, arguments in [
            (upload_data, ["drive"]),
            (upload_to_db, ["drive"]),
            (search_and_download, ALL),
        ]
    ],
    Row(
        "home is a file",
        run_manual,
        CAPITALS,
        2,
        ["hardware_conf.json/database"],
        variables={"PATATE_HOME": "hardware_conf.json"},
    ),
    *[
        Row(
            "database is a file",
            script,
            arguments,
            2,
            ["home/database is not a folder; move the file away or set PATATE_HOME"],
            all_of(remove("home/database"), holds("home/database", "mine")),
        )
        for script, arguments in [
            (upload_data, ["drive"]),
            (upload_to_db, ["drive"]),
            (search_and_download, ALL),
        ]
    ],
    Row(
        "database is a file",
        run_manual,
        CAPITALS,
        2,
        ["home/database"],
        all_of(remove("home/database"), holds("home/database", "mine")),
    ),
    Row(
        "home where none can be",
        upload_data,
        ["drive"],
        1,
        [f"check the rights and the space of {NOWHERE}/database"],
        variables={"PATATE_HOME": NOWHERE},
    ),
    Row(
        "home where none can be",
        run_manual,
        CAPITALS,
        2,
        [f"{NOWHERE}/database"],
        variables={"PATATE_HOME": NOWHERE},
    ),
    Row(
        "a login for AWS of two lines",
        upload_data,
        ["drive"],
        1,
        ["credentials", "line break", "set PATATE_S3_KEY_ID and PATATE_S3_KEY"],
        variables=TEAM | AWS_LOGIN | {"AWS_ACCESS_KEY_ID": "id\n"},
    ),
    # a damaged database
    *[
        Row(name, script, arguments, 1, DB_DAMAGED, make, makes="out")
        for name, make in [
            ("index is no index", holds(INDEX, "mine " * 2000)),
            ("index is cut off", cut(INDEX, 0.5)),
            ("index has no tables", in_the_database("DROP TABLE labels")),
        ]
        for script, arguments in [
            (upload_data, ["drive"]),
            (upload_to_db, ["drive"]),
            (search_and_download, ALL),
        ]
    ],
    *[
        Row(
            f"{name}, asked {'for some' if query else 'for all'}",
            search_and_download,
            [*ALL, *query],
            1,
            LABEL_DAMAGED,
            make,
            makes="out",
        )
        for name, make in [
            ("a label is no JSON", in_the_database("UPDATE labels SET document = ?", b"{")),
            (
                "a label is no UTF-8",
                in_the_database("UPDATE labels SET document = ?", b'{"\xff":1}'),
            ),
            ("a label is none", in_the_database("UPDATE labels SET document = ?", b"[]")),
            ("a label is a number", in_the_database("UPDATE labels SET document = 5")),
            ("a label says nothing", in_the_database("UPDATE labels SET document = ?", b"{}")),
            ("a label is too deep", in_the_database("UPDATE labels SET document = ?", b"[" * DEEP)),
        ]
        for query in ([], ["-q", '{"event": {"type": "exists", "bool": "must_not"}}'])
    ],
    Row(
        "index is empty",
        search_and_download,
        ALL,
        1,
        ["index.sqlite", "version 0"],
        holds(INDEX, ""),
        makes="out",
    ),
    Row(
        "index of a later version",
        upload_data,
        ["drive"],
        1,
        ["index.sqlite", "version 9"],
        every(in_the_database("DELETE FROM labels"), in_the_database("PRAGMA user_version = 9")),
    ),
    Row(
        "index is a folder",
        search_and_download,
        ALL,
        1,
        ["index.sqlite cannot be opened: it is not a regular file; move it"],
        folder(INDEX),
        makes="out",
    ),
    Row(
        "index is a pipe",
        search_and_download,
        ALL,
        1,
        ["index.sqlite cannot be opened: it is not a regular file; move it"],
        pipe(INDEX),
        makes="out",
    ),
    Row(
        "index is unreadable",
        search_and_download,
        ALL,
        1,
        ["index.sqlite", "check the rights of"],
        forbidden(INDEX),
        makes="out",
    ),
    Row(
        "database is closed",
        upload_data,
        ["drive"],
        1,
        ["home/database", "check the rights of"],
        forbidden("home/database"),
    ),
    Row(
        "pictures of the store are a file",
        upload_data,
        ["new"],
        1,
        ["picture store", "home/database"],
        all_of(
            lambda place: save(place / "new", [document(90)]),
            remove("home/database/pictures"),
            holds("home/database/pictures", "mine"),
        ),
    ),
]


# --- how a row is run


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> Path:
    """A folder with a drive, a car's values, and a home whose database holds the drive."""
    place = tmp_path_factory.mktemp("prepared")
    save(place / "drive", [document(number, steering=STEERING[number]) for number in range(5)])
    shutil.copy(path.HARDWARE_CONF, place / "hardware_conf.json")
    subprocess.run(
        [sys.executable, str(path.ROOT / "get_data" / "upload_data.py"), str(place / "drive")],
        env={**os.environ, "PATATE_HOME": str(place / "home")},
        capture_output=True,
        check=True,
    )
    return place


@pytest.fixture
def place(prepared, tmp_path, monkeypatch) -> Path:
    """The current directory of a row: `drive`, `hardware_conf.json` and `home`."""
    place = tmp_path / "place"
    shutil.copytree(prepared, place, symlinks=True)
    monkeypatch.chdir(place)
    monkeypatch.setenv("PATATE_HOME", str(place / "home"))
    monkeypatch.setattr(path, "HARDWARE_CONF", place / "hardware_conf.json")
    return place


def ids_of(rows: list[Row]) -> list[str]:
    return [f"{row.script.__name__.split('.')[-1]}, {row.id}" for row in rows]


def marked(row: Row) -> object:
    """The row; slow where another script is refused the same by what all share."""
    is_shared = row.id.startswith(("labels: ", "path: ", "journal: "))
    return pytest.param(
        row, marks=[pytest.mark.slow] if is_shared and row.script is not READERS[0] else []
    )


ROWS = table()


def test_every_row_has_a_name_of_its_own():
    assert len(set(ids_of(ROWS))) == len(ROWS) >= 70


@pytest.mark.timeout(20)
@pytest.mark.parametrize("row", [marked(row) for row in ROWS], ids=ids_of(ROWS))
def test_bad_input_gets_one_line_and_changes_nothing(row, place, monkeypatch, capfd):
    row.make(place)
    for name, value in row.variables.items():
        monkeypatch.setenv(name, value)
    before = snapshot(place, without=row.makes)
    with permissions_enforced():
        code = run(row.script, row.arguments)
    said = capfd.readouterr()
    assert_one_line(said.out, said.err, row.code, row.words)
    assert code == row.code
    assert snapshot(place, without=row.makes) == before


IN_A_PROCESS = """
import sys
from get_data import upload_data
from tests.helpers.permissions import permissions_enforced
from tests.test_bad_input import run
with permissions_enforced():
    sys.exit(run(upload_data, ["new"]))
"""


@pytest.mark.slow
def test_a_store_that_may_only_be_read_is_said(place):
    """In a process of its own: the store's threads keep the rights that they were born with."""
    save(place / "new", [document(90)])
    for folder in ("home/database/pictures", "home/database/pictures/20240501"):
        (place / folder).chmod(0o555)
    before = snapshot(place)
    done = subprocess.run(
        [sys.executable, "-c", IN_A_PROCESS],
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(path.ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    words = ["picture store", "home/database", "Permission denied"]
    assert_one_line(done.stdout, done.stderr, 1, words)
    assert done.returncode == 1
    assert snapshot(place) == before


def run(script: ModuleType, arguments: list[str]) -> int:
    """The exit code of a script that is called through the door that the shell uses."""
    try:
        return process.run(lambda: script.main(arguments))
    except SystemExit as error:  # as argparse ends
        return error.code


def assert_one_line(out: str, err: str, code: int, words: list[str]) -> None:
    """One line names what is wrong; before it only the database."""
    assert "Traceback" not in err
    assert SECRET not in err
    for one in words:
        assert one in err
    lines = err.removesuffix("\n").split("\n")
    if code == exit_codes.SOME_ITEMS_FAILED:
        assert json.loads(out)["failed"] == sum(one.startswith("failed: ") for one in lines) == 1
        return
    assert out == ""
    if lines[0].startswith("database: local, "):
        lines = lines[1:]
    (line,) = lines
    assert line.startswith("error: ")
    assert len(line) < 1200


# --- disks that are full or may not be written to; only root may make such a disk


@pytest.fixture
def disk(place):
    """A very small disk of its own below `disk`."""
    (place / "disk").mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", "disk"],
        capture_output=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip("this user may not mount a disk")
    yield place / "disk"
    subprocess.run(["umount", "disk"], cwd=place, check=True)


DISKS = [
    ("template", write_label_template, ["-o", "disk/x.json"], "disk/x.json cannot be written"),
    ("sheet", contact_sheet, ["drive", "-o", "disk/x.png"], "disk/x.png cannot be written"),
    ("search", search_and_download, ["-p", "disk"], "disk/labels.json cannot be written"),
    ("upload", upload_data, ["new"], "disk/home/database"),
    ("repair", upload_data, ["disk/killed"], "disk/killed/labels"),
]


FULL, READ_ONLY = "No space left on device", "Read-only file system"


@pytest.mark.parametrize(
    ("script", "arguments", "words", "fault"),
    [
        pytest.param(*row, fault, id=f"{name}, {fault}")
        for name, *row in DISKS
        for fault in (FULL, READ_ONLY)
        if (name, fault) != ("repair", READ_ONLY)  # read as it stands: test_untrusted_folders
    ],
)
def test_a_disk_that_takes_nothing_is_named_and_keeps_what_it_has(
    script, arguments, words, fault, place, disk, monkeypatch, capfd
):
    killed(document(0))(disk)
    save(place / "new", [document(90)])
    shutil.copytree(place / "home", disk / "home")
    in_sqlite_words = arguments == ["new"]
    if in_sqlite_words:
        monkeypatch.setenv("PATATE_HOME", str(disk / "home"))
    if fault == READ_ONLY:
        subprocess.run(["mount", "-o", "remount,ro", "disk"], check=True)
    else:
        with contextlib.suppress(OSError), (disk / "filler").open("wb", buffering=0) as filler:
            while True:
                filler.write(b"x" * 512)
    before = snapshot(place)
    code = run(script, arguments)
    said = capfd.readouterr()
    assert_one_line(said.out, said.err, 1, [words, "" if in_sqlite_words else fault])
    assert code == 1
    after = snapshot(place)
    for name in ("shm", "wal"):  # SQLite could not make room for its own
        assert after.pop(f"disk/home/database/index.sqlite-{name}", b"").strip(b"\0") == b""
    assert after == before


# --- what only a process of its own can be given

PROCESSES = [
    ("stdout is full", "upload_data.py drive >/dev/full", 1, "stdout cannot be written: No space"),
    (
        "template on a full disk",
        "write_label_template.py >/dev/full",
        1,
        "stdout cannot be written",
    ),
    ("stdout is closed", "upload_data.py drive >&-", 0, "Up to date"),
    ("stdin is closed", "upload_to_db.py corrected <&-", 1, "run with -y"),
    ("stderr is closed", "upload_data.py none.json 2>&-", 2, ""),
    ("stderr is full", "upload_data.py none.json 2>/dev/full", 2, ""),
    ("nobody reads and an item fails", "upload_data.py new | true", 3, "failed: "),
    ("a folder that is gone", "upload_data.py none.json", 2, "none.json does not exist"),
    ("out of a folder that is gone", "search_and_download.py -p out", 2, "cd to another"),
    (
        "a drive in a folder that is gone",
        "run_manual.py --simulate --duration 1 -o out",
        2,
        "cd to another",
    ),
    ("a name that is not UTF-8", "upload_data.py $'\\xff'", 2, r"\udcff does not exist"),
    ("no such option", "search_and_download.py -p out --limit=0", 2, "got '0'"),
    ("an ASCII terminal", "contact_sheet.py Zo\u00e9 2>&1", 2, r"error: Zo\xe9 does not exist"),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "code", "words"), [row[1:] for row in PROCESSES], ids=[row[0] for row in PROCESSES]
)
def test_a_process_ends_with_its_code_and_one_line(command, code, words, place, request):
    correction(0, replaces=0)(place)
    shutil.move(place / "drive", place / "corrected")
    save(place / "drive", [document(number, steering=STEERING[number]) for number in range(5)])
    save(place / "new", [document(90), document(0, steering=STEERING[0])], pictures=False)
    (place / "new" / document(0)["file_name"]).write_bytes(b"")
    before = snapshot(place)
    gone = "mkdir gone; cd gone; rmdir ../gone;" if "is gone" in request.node.name else ""
    done = subprocess.run(
        [
            "bash",
            "-c",
            f"{gone} set -o pipefail; {sys.executable} {path.ROOT}/get_data/{command}",
        ],
        env={**os.environ, "PYTHONIOENCODING": "ascii:backslashreplace"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    said = (done.stdout + done.stderr).decode()
    assert done.returncode == code, said
    assert words in said
    assert "Traceback" not in said
    assert "Exception" not in said
    assert said.count("error: ") == (code in (1, 2) and words != "")
    assert snapshot(place) == before


# --- names that are unusual and right


@pytest.mark.parametrize(
    "name",
    ["a b", 'it\'s "x"', "Zo\u00e9 \U0001f697", "-p", "#?%41&;$(x)", BYTES, "x" * 255],
    ids=ascii,
)
def test_a_folder_may_have_any_name(name, place, monkeypatch, capfd):
    """Uploaded from there, fetched into there, drawn there, with the database there."""
    folder = place / name
    (place / "drive").rename(folder)
    monkeypatch.setenv("PATATE_HOME", str(folder / "home"))
    for script, arguments in [
        (upload_data, [f"./{name}"]),
        (search_and_download, ["-p", f"./{name}/out", "-o", f"./{name}/out/{'y' * 255}"]),
        (contact_sheet, [f"./{name}"]),
        (write_label_template, ["-o", f"./{name}/template.json"]),
    ]:
        assert run(script, arguments) == 0, capfd.readouterr().err
    assert (
        json.loads((folder / "out" / ("y" * 255)).read_bytes()).keys()
        == json.loads((folder / "labels.json").read_bytes()).keys()
    )


class Terminal(io.StringIO):
    """Somebody who answers."""

    def isatty(self):
        return True


def test_an_answer_that_is_not_utf_8_is_refused(place, monkeypatch, capfd):
    before = snapshot(place)
    monkeypatch.setattr(sys, "stdin", Terminal("Zo\udce9\n" * 9))
    assert run(run_manual, CAPITALS) == 2
    assert "error: event: " in capfd.readouterr().err
    assert snapshot(place) == before


def test_who_has_no_name_can_apply_corrections(place, monkeypatch, capsys):
    def nameless():
        raise KeyError("getpwuid(): uid not found: 4711")

    monkeypatch.setattr(process.getpass, "getuser", nameless)
    correction(0, replaces=0)(place)
    assert run(upload_to_db, ["drive", "-y"]) == 0
    assert json.loads(capsys.readouterr().out)["replaced"] == 1


def test_a_session_key_that_the_journal_uses_loses_no_label(place, capsys):
    """`erased` is a word of the journal's own."""
    for number, value in enumerate(["", "no", False, ["x"]]):
        one = document(number, erased=value)
        save(place / "killed", [one])
        (place / "killed" / label_file.NAME).unlink()
        (place / "killed" / journal.NAME).write_text(json.dumps(one) + "\n")
        assert run(upload_data, ["killed"]) in (0, 3)
        assert list(label_file.read(place / "killed" / label_file.NAME)) == [one["img_id"]]
        shutil.rmtree(place / "killed")
