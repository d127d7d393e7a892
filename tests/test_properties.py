"""Input that nobody thought of: never a traceback, never a change after a refusal, nothing lost."""

import contextlib
import io
import json
import os
import shutil
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import path
from common.errors import Declined
from get_data import contact_sheet, run_manual, search_and_download, upload_data, upload_to_db
from get_data.cli import exit_codes, process
from get_data.commands import run_manual as command
from get_data.labels import classes, edits, ids, label_file, schema, session
from get_data.labels.constants import SESSION_KEYS
from get_data.labels.schema import RESERVED
from get_data.labels.validation import custom_key_fault
from get_data.recording import journal
from tests.conftest import document, picture, save
from tests.helpers.made_up_json import ANYTHING, NASTY, SCALARS, TEXTS, examples, mutated, torn

pytestmark = pytest.mark.slow

CODES = {
    exit_codes.DONE,
    exit_codes.FAILED,
    exit_codes.WRONG_USAGE,
    exit_codes.SOME_ITEMS_FAILED,
}


# --- a place to work in

DRIVE = [document(number, steering=0.4 * number - 0.8) for number in range(3)]
LABELS = {one["img_id"]: one for one in DRIVE}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> Path:
    """A folder with a drive, and a home whose database holds it."""
    place = tmp_path_factory.mktemp("prepared")
    save(place / "drive", DRIVE)
    os.environ["PATATE_HOME"] = str(place / "home")
    assert call(upload_data, str(place / "drive"))[0] == 0
    return place


@pytest.fixture(autouse=True)
def _in_a_place(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)


class Place:
    """One copy of the prepared folder, as the current directory's `home` and `drive`."""

    def __init__(self, prepared: Path) -> None:
        for name in ("home", "drive", "out"):
            shutil.rmtree(name, ignore_errors=True)
        shutil.copytree(prepared / "home", "home")
        shutil.copytree(prepared / "drive", "drive")
        os.environ["PATATE_HOME"] = str(Path("home").absolute())
        self._before = self._now()

    def _now(self) -> tuple:
        files = {
            str(file): file.read_bytes()
            for file in sorted(Path("drive").rglob("*"))
            if file.is_file()
        }
        pictures = sorted(str(file) for file in Path("home/database/pictures").rglob("*.jpg"))
        with contextlib.closing(sqlite3.connect("home/database/index.sqlite")) as index:
            rows = [index.execute(f"SELECT * FROM {table}").fetchall() for table in TABLES]
        return files, pictures, rows

    def is_unchanged(self) -> bool:
        return self._now() == self._before

    def begin_here(self) -> None:
        """What was done to the input so far counts as given."""
        self._before = self._now()


TABLES = ("labels", "gone")


def call(script, *arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a script."""
    out, err = io.TextIOWrapper(io.BytesIO(), write_through=True), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = process.run(lambda: script.main(list(arguments)))
        except SystemExit as error:
            code = error.code
    return code, out.buffer.getvalue().decode(), err.getvalue()


def judge(place: Place, code: int, out: str, err: str) -> None:
    """A code that is documented, one line for a refusal, and then nothing changed."""
    assert code in CODES
    assert ("error: " in err) == (code in (1, 2))
    if code in (1, 2):
        assert out == ""
        assert err.count("\n") <= 2
    else:
        assert json.loads(out)
    if code == exit_codes.WRONG_USAGE:
        assert place.is_unchanged()


# --- the properties


@pytest.mark.parametrize(
    ("script", "options"),
    [(upload_data, []), (upload_to_db, ["-y"]), (contact_sheet, [])],
    ids=["upload_data", "upload_to_db", "contact_sheet"],
)
@examples(60)
@given(data=st.data())
def test_label_files_are_taken_or_refused(prepared, script, options, data):
    place = Place(prepared)
    content = data.draw(mutated(LABELS).flatmap(torn))
    Path("drive/labels.json").write_bytes(content)
    place.begin_here()
    judge(place, *call(script, "drive", *options))


@examples(60)
@given(data=st.data())
def test_labels_that_fit_their_fingerprint_are_taken_or_refused(prepared, data):
    """As above, but what was changed by hand was given its new fingerprint, and may be deleted."""
    place = Place(prepared)
    labels = data.draw(mutated(LABELS))
    for img_id, one in labels.items() if isinstance(labels, dict) else ():
        with contextlib.suppress(Exception):  # of a label that is too broken
            one["img_id"] = img_id
            one["label_fingerprint"] = ids.fingerprint(img_id, one["label"])
            if data.draw(st.booleans()):
                one |= data.draw(st.sampled_from([{"to_delete": True}, {"replaces": "0" * 32}]))
    Path("drive/labels.json").write_text(json.dumps(labels))
    place.begin_here()
    judge(place, *call(upload_to_db, "drive", "-y"))


TYPES = (
    "term",
    "terms",
    "match",
    "match_phrase",
    "range",
    "prefix",
    "wildcard",
    "regexp",
    "exists",
    "ids",
    "match_all",
    "fuzzy",
    "",
)
CLAUSE = st.fixed_dictionaries(
    {"type": st.sampled_from(TYPES)},
    optional={
        "bool": st.sampled_from(["must", "filter", "should", "must_not", "match", "any"]),
        "field": st.sampled_from(["text", "keyword", "", "x"]),
        "value": ANYTHING,
        "query": ANYTHING,
        "values": ANYTHING,
        "gte": SCALARS,
        "lt": SCALARS,
        "operator": st.sampled_from(["and", "or", 3]),
        "minimum_should_match": SCALARS,
        "case_insensitive": st.one_of(st.booleans(), SCALARS),
    },
)
FIELDS = st.one_of(
    st.sampled_from(
        [*schema.INDEX_TYPES, "label", "event.text", "driver.keyword", "car_setting.x"]
    ),
    TEXTS,
    NASTY,
)
QUERIES = st.dictionaries(
    FIELDS, st.one_of(CLAUSE, st.lists(CLAUSE, max_size=2), ANYTHING), max_size=3
)


@examples(100)
@given(query=QUERIES)
def test_queries_are_answered_or_refused(prepared, query):
    place = Place(prepared)
    judge(place, *call(search_and_download, "-q", json.dumps(query), "-p", "out"))
    assert place.is_unchanged()


@examples(80)
@given(field=FIELDS, clause=CLAUSE)
def test_single_clauses_are_answered_or_refused(prepared, field, clause):
    """Of these most are answered."""
    place = Place(prepared)
    arguments = {"terms": {"value"}, "range": {"gte", "lt"}, "ids": {"values"}}.get(
        clause["type"], {"query"} if clause["type"].startswith("match") else {"value"}
    )
    fitting = {
        key: value for key, value in clause.items() if key in {"type", "bool", *arguments}
    } | {key: "2024-05-01" for key in arguments if key not in clause}
    query = json.dumps({field: fitting})
    judge(place, *call(search_and_download, "-q", query, "-p", "out", "--no-download"))
    assert place.is_unchanged()


TEMPLATE = {"event": "race", "driver": "Zo\u00e9", "lap": 3, "tags": ["a", 1, True], "": ""}


@examples(60)
@given(content=mutated(TEMPLATE).flatmap(torn), driver=st.one_of(st.none(), TEXTS))
def test_session_templates_are_taken_or_refused(prepared, content, driver):
    """Without the drive itself: all that may be refused is refused before it."""
    place = Place(prepared)
    shutil.rmtree("drive")
    Path("drive").mkdir()
    Path("drive/session_template.json").write_bytes(content)
    place.begin_here()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "prepare_car", lambda *_arguments: None)
        patch.setattr(command, "Recorder", Drove)
        options = [] if driver is None else [f"--driver={driver}"]
        code, out, err = call(run_manual, "-o", "drive", "--simulate", *options)
    if code == 1:
        assert "it would be recorded" in err
        written = session.read(Path("drive/session_template.json"))
        json.dumps(edits.new_label(**{**RECORDED, "session": written}))
        return
    judge(place, code, out, err)
    assert code == exit_codes.WRONG_USAGE


class Drove:
    """Stands for the recorder, and ends the run."""

    def __init__(self, *_arguments: object, **_options: object) -> None:
        raise Declined("it would be recorded")


RECORDED = {
    "captured": ids.parse_img_id(DRIVE[0]["img_id"]),
    "picture": b"x",
    "width": 160,
    "height": 120,
    "steering": 0.0,
    "throttle": 0.0,
    "classes": classes.Classes(),
    "session": {},
    "car_setting": {},
}


LINE = st.one_of(
    st.sampled_from(DRIVE),
    st.sampled_from(DRIVE).flatmap(mutated),
    st.just({"erased": [DRIVE[0]["img_id"]]}),
    st.builds(lambda value: {"erased": value}, ANYTHING),
    ANYTHING,
)


@examples(60)
@given(lines=st.lists(LINE.flatmap(torn), max_size=4), ending=st.sampled_from([b"\n", b""]))
def test_journals_are_repaired_whatever_they_hold(prepared, lines, ending):
    """No picture is lost: it is labelled, or erased, or aside with the reason."""
    place = Place(prepared)
    Path("drive/labels.json").unlink()
    Path("drive", journal.NAME).write_bytes(b"\n".join(lines) + ending)
    place.begin_here()
    code, _, err = call(upload_data, "drive")
    assert code in CODES
    assert not Path("drive", journal.NAME).exists(), err
    label_file.read(Path("drive/labels.json"))
    there = {file.name: file.read_bytes() for file in Path("drive").rglob("*.jpg")}
    assert {one["file_name"]: picture(number) for number, one in enumerate(DRIVE)} == there


@examples(50)
@given(flips=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 7)), min_size=1, max_size=30))
def test_a_damaged_index_is_said(prepared, flips):
    Place(prepared)
    file = Path("home/database/index.sqlite")
    content = bytearray(file.read_bytes())
    for where, bit in flips:
        content[int(where * (len(content) - 1))] ^= 1 << bit
    file.write_bytes(content)
    for script, arguments in [
        (search_and_download, ["-p", "out"]),
        (search_and_download, ["-p", "out", "-q", '{"driver": {"type": "exists"}}']),
        (upload_to_db, ["drive"]),
    ]:
        code, _, err = call(script, *arguments)
        assert code in CODES
        assert ("error: " in err) == (code in (1, 2))


OWN_KEY = st.one_of(TEXTS, st.sampled_from(["erased", "reason", "a.b", "_x", "text", "type"]))
OWN = st.dictionaries(
    OWN_KEY.filter(lambda key: key not in RESERVED),
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63) + 1, 2**63 - 1),
        st.floats(allow_nan=False, allow_infinity=False),
        TEXTS,
        st.lists(st.one_of(st.booleans(), st.integers(-9, 9), TEXTS), max_size=3),
    ),
    max_size=4,
).filter(lambda own: not any(custom_key_fault(key, own) for key in own))
SAID = st.fixed_dictionaries(dict.fromkeys(SESSION_KEYS, TEXTS))
ADDED_ON_THE_WAY = {"s3_bucket", "s3_key", "upload_date", "label"}


@st.composite
def valid(draw, number: int) -> dict:
    """A label that is right, with whatever keys and settings a team's index takes."""
    one = document(number, steering=draw(st.floats(-1, 1))) | draw(OWN) | draw(SAID)
    settings = st.dictionaries(TEXTS, ANYTHING.filter(_fits), max_size=3)
    one["car_setting"] = draw(settings.filter(_is_taken))
    one["dataset"] = draw(st.lists(TEXTS, max_size=3))
    one["label"] = {**one["label"], "created_by": draw(TEXTS.filter(bool))}
    one["label_fingerprint"] = ids.fingerprint(one["img_id"], one["label"])
    return one


def _is_taken(settings: dict) -> bool:
    """Whether settings are short, and without a zero byte."""
    text = json.dumps(settings)
    return len(text) < 30_000 and "\\u0000" not in text


def _fits(value: object) -> bool:
    """Whether the numbers inside can be kept exactly."""
    if isinstance(value, dict):
        return all(map(_fits, value.values()))
    if isinstance(value, list):
        return all(map(_fits, value))
    return not isinstance(value, int) or abs(value) < 2**63


@examples(30, shrink=False)
@given(labels=st.tuples(*map(valid, range(3))))
def test_labels_come_back_as_they_went_in(prepared, labels):
    """Upload, search, fetch; and once more from there, where nothing is new."""
    shutil.rmtree("home", ignore_errors=True)
    for name in ("drive", "out"):
        shutil.rmtree(name, ignore_errors=True)
    os.environ["PATATE_HOME"] = str(Path("home").absolute())
    save(Path("drive"), list(labels))
    before = Path("drive/labels.json").read_bytes()
    assert call(upload_data, "drive")[0] == 0
    assert Path("drive/labels.json").read_bytes() == before
    assert call(search_and_download, "-p", "out")[0] == 0
    back = label_file.read(Path("out/labels.json"))
    for number, one in enumerate(labels):
        found = back[one["img_id"]]
        assert exactly(found, without=ADDED_ON_THE_WAY) == exactly(one, without=ADDED_ON_THE_WAY)
        assert exactly(found["label"]) == exactly(one["label"])
        assert Path("out", one["file_name"]).read_bytes() == picture(number)
    code, out, _ = call(upload_data, "out")
    assert (code, json.loads(out)["there"]) == (0, 3)


def exactly(content: dict, without: set[str] = frozenset()) -> str:
    """As text, in which 1, 1.0 and true are not the same."""
    return json.dumps({key: content[key] for key in content if key not in without}, sort_keys=True)


@pytest.mark.parametrize("name", ["hardware_conf.json", "last_img_id"])
@examples(60)
@given(data=st.data())
def test_the_cars_own_files_are_taken_or_refused(prepared, name, data):
    place = Place(prepared)
    start = json.loads((path.ROOT / "hardware_conf.json").read_bytes())
    content = data.draw(mutated(start).flatmap(torn))
    if name == "last_img_id":
        content = data.draw(st.one_of(st.binary(max_size=30), st.just(b"20240101T00-00-00-000000")))
        Path("home/database/last_img_id").write_bytes(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "prepare_car", lambda *_arguments: None)
        patch.setattr(command, "Recorder", Drove)
        if name != "last_img_id":
            Path(name).write_bytes(content)
            patch.setattr(path, "HARDWARE_CONF", Path(name).absolute())
        code, _, err = call(run_manual, "-o", "new", "--simulate")
    shutil.rmtree("new", ignore_errors=True)
    assert code in (1, 2)
    assert ("it would be recorded" in err) == (code == 1)
    assert err.count("\n") == 1
    assert place.is_unchanged()
