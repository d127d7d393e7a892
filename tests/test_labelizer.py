"""The labelizer below its page: what it reads, keeps, exports and refuses."""

import json
import os
import re
import socket
import sqlite3
import urllib.request
from contextlib import closing
from datetime import timedelta

import cv2
import msgspec
import numpy as np
import pytest

from common import times
from common.errors import InputError, StillRecording, WriteFailed
from get_data import run_labelizer
from get_data.cli import process
from get_data.labelizer import catalogue, operations, pictures, work_file
from get_data.labelizer.catalogue import Flag
from get_data.labelizer.export import SourceChanged, export
from get_data.labelizer.inspection import Inspection
from get_data.labelizer.operations import Operation
from get_data.labelizer.work_database import WorkFileInUse
from get_data.labelizer.work_file import LeaseLost, WorkFile
from get_data.labelizer.workspace import LEASE_TIMEOUT_S, Workspace
from get_data.labels import ids, label_file
from get_data.recording import journal
from tests.browser.drives import document as seen
from tests.browser.drives import drive as drive_of
from tests.browser.drives import img_id, picture
from tests.browser.server import free_port, running
from tests.conftest import START, document, save
from tests.test_journal import interrupted

UID = "00000000-0000-0000-0000-{:012d}"


def catalogue_of(folder):
    return catalogue.read_catalogue(folder / label_file.NAME, folder)


def rewrite(folder, change):
    """The label file after `change` has had its labels by their number."""
    file = folder / label_file.NAME
    labels = json.loads(file.read_text())
    change(list(labels.values()))
    file.write_text(json.dumps(labels))


def operation(number=1, *, positions=((0, 0),), was=None, **values):
    """A step that sets these values, each for all of the positions."""
    count = sum(last - first + 1 for first, last in positions)
    return Operation(
        uid=UID.format(number),
        kind="label",
        text="a step",
        positions=list(positions),
        set={name: [(value, count)] for name, value in values.items()},
        was=was or {},
    )


def send(workspace, epoch, *steps):
    """The steps are saved, as a page of this work sends them."""
    workspace.save(operations.Batch(work=workspace.work.name, epoch=epoch, operations=steps))


@pytest.fixture
def folder(tmp_path):
    """Twelve pictures with directions 0 1 2 3 4 0 ..."""
    return drive_of(tmp_path / "drive")


@pytest.fixture
def workspace(folder):
    opened = Workspace(catalogue_of(folder), "Zoé", now=lambda: START)
    yield opened
    opened.close()


# --- what stops it before anything is written


def nested(depth):
    return b'{"a": ' * depth + b"1" + b"}" * depth


STOPS = [
    ("no JSON", b"labels", "line 1, column 1: not JSON"),
    ("a torn file", b'{"a": {"b": 1', "line 1, column 14: not JSON"),
    ("no object", b"[1, 2]", "expected an object"),
    ("a key twice", b'{"a": {}, "a": {}}', "the key 'a' stands twice"),
    ("a key twice inside", b'{"a": {"b": 1, "b": 2}}', "the key 'b' stands twice"),
    ("NaN", b'{"a": {"raw_direction": NaN}}', "NaN is not a number that JSON knows"),
    ("not UTF-8", b'{"\xff": {}}', "is not UTF-8 text"),
    ("half a character", b'{"a": "\\ud800"}', "half a character"),
    ("nested too deep", nested(100_000), "nested too deep"),
    ("no labels", b"{}\n", "has no labels to correct"),
]


@pytest.mark.parametrize(
    ("content", "words"), [row[1:] for row in STOPS], ids=[r[0] for r in STOPS]
)
def test_what_is_no_label_file_stops_and_writes_nothing(content, words, tmp_path, call):
    """Acceptance 18: the reason in one line, exit 2, no file."""
    folder = tmp_path / "drive"
    folder.mkdir()
    (folder / label_file.NAME).write_bytes(content)
    code, out, err = call(run_labelizer, folder, "--port", free_port())
    assert (code, out) == (2, None)
    assert re.fullmatch(rf"error: {re.escape(str(folder))}.*{re.escape(words)}.*\n", err)
    assert [one.name for one in folder.iterdir()] == [label_file.NAME]


def test_more_classes_than_digit_keys_stop(folder, call):
    def many(labels):
        labels[3]["label"] |= {"nb_dir": 11}

    rewrite(folder, many)
    code, _, err = call(run_labelizer, folder, "--port", free_port())
    assert code == 2
    assert f"entry '{img_id(3)}': 11 directions and 2 speeds; the labelizer has keys for 10" in err
    assert not work_file.path_for(folder / label_file.NAME).exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--user", "auto"], "reserved for labels that no person made"),
        (["--user", "Auto "], "reserved for labels that no person made"),
        (["--user", ""], "expected a name of 1 to 100"),
        (["--user", "a\nb"], "expected a name of 1 to 100"),
        (["--user", "x" * 101], "expected a name of 1 to 100"),
        (["--port", "0"], "expected 1 to 65535 as a port"),
        (["--port", "65536"], "expected 1 to 65535 as a port"),
        (["--labels", ""], "expected a file or a folder"),
    ],
    ids=str,
)
def test_options_are_checked(folder, options, words, capsys):
    with pytest.raises(SystemExit) as ended:
        run_labelizer.main([str(folder), *options])
    assert ended.value.code == 2
    assert words in capsys.readouterr().err


def test_a_folder_is_needed(folder, call, tmp_path):
    for name, words in (
        (folder / label_file.NAME, "is a file; give the folder of the pictures"),
        (tmp_path / "none", "does not exist; give the folder of the pictures"),
        (tmp_path, "has no labels.json"),
    ):
        code, _, err = call(run_labelizer, name, "--port", free_port())
        assert (code, words in err) == (2, True)


def test_a_port_that_is_taken_is_told(folder, call):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, _, err = call(run_labelizer, folder, "--port", port)
    assert code == 2
    assert f"port {port} cannot be used: Address already in use; choose another with --port" in err


def test_a_login_name_that_is_no_person_needs_a_user(folder, call, monkeypatch):
    monkeypatch.setattr(process.getpass, "getuser", lambda: "auto")
    code, _, err = call(run_labelizer, folder, "--port", free_port())
    assert code == 2
    assert "your login name cannot be used" in err
    assert "use --user NAME" in err


def test_a_folder_that_takes_no_file_is_told(folder, call, monkeypatch):
    real = os.open

    def refuse(name, flags, *more):
        if str(name).endswith(work_file.SUFFIX):
            raise OSError(30, "Read-only file system")
        return real(name, flags, *more)

    monkeypatch.setattr(work_file.os, "open", refuse)
    code, _, err = call(run_labelizer, folder, "--port", free_port())
    assert code == 1
    assert "labels.json.labelizer.sqlite3 cannot be written: Read-only file system" in err


def test_an_interrupted_recording_is_repaired_aloud(tmp_path):
    folder = interrupted(tmp_path / "drive", [document(0), document(1)], torn=b"torn")
    with running(folder) as labelizer:
        said = labelizer.log.read_text()
    assert "repaired an interrupted recording: 2 labels kept" in said
    assert "this line of the journal is torn" in said
    assert not (folder / journal.NAME).exists()


def test_a_recording_that_runs_is_refused(tmp_path, call, monkeypatch):
    monkeypatch.setattr(journal, "LOCK_TIMEOUT_S", 0.1)
    folder = interrupted(tmp_path / "drive", [document(0)])
    with journal.folder_lock(folder):
        code, _, err = call(run_labelizer, folder, "--port", free_port())
    assert code == StillRecording.exit_code
    assert "is being recorded into" in err


def test_labels_may_lie_elsewhere(folder, tmp_path):
    """A recording that lies beside the pictures is no business of theirs then."""
    labels = tmp_path / "elsewhere" / "mine.json"
    labels.parent.mkdir()
    (folder / label_file.NAME).rename(labels)
    interrupted(folder, [document(700)])
    with running(folder, "--labels", labels) as labelizer:
        assert "repaired" not in labelizer.log.read_text()
    assert (folder / journal.NAME).exists()
    assert labelizer.counts == {
        "labels": 12,
        "reviewed": 0,
        "corrected": 0,
        "to_delete": 0,
        "file": "",
    }
    assert work_file.path_for(labels).exists()


# --- the catalogue


def test_the_catalogue_is_in_the_order_of_time(tmp_path):
    """Also where names tell another order, as 999.jpg and 1000.jpg do."""
    labels = {}
    for number, name in enumerate(["998", "999", "1000", "1001"]):
        one = document(number)
        one["img_id"] = name
        one["label_fingerprint"] = ids.fingerprint(name, one["label"])
        labels[name] = one
    label_file.write(tmp_path / label_file.NAME, labels)
    assert catalogue_of(tmp_path).ids == ["998", "999", "1000", "1001"]


def test_the_bytes_of_an_entry_are_those_of_the_file(folder):
    text = json.dumps(json.loads((folder / label_file.NAME).read_text()), indent=3)
    (folder / label_file.NAME).write_text(
        "\ufeff" + text.replace("test day", "Zo\u00e9 \U0001f697")
    )
    found = catalogue_of(folder)
    for position in (0, 5, 11):
        assert json.loads(found.raw(position))["img_id"] == img_id(position)
        assert json.loads(found.raw(position))["event"] == "Zo\u00e9 \U0001f697"


@pytest.mark.parametrize("odd", ["file", "folder"])
def test_a_name_that_is_no_text_is_shown_as_well_as_can_be(tmp_path, odd):
    """From an old camera card, say: Linux takes any bytes as a name."""
    name = os.fsdecode(b"caf\xe9")
    folder = drive_of(tmp_path / (name if odd == "folder" else "drive"))
    if odd == "file":
        (folder / f"{name}.jpg").write_bytes(picture(1))
    with running(folder) as labelizer:
        own, _ = labelizer.enter()
        request = urllib.request.Request(f"{labelizer.origin}/api/entries", headers=own)
        entries = json.loads(urllib.request.urlopen(request).read())
    told = (
        entries["folder"]
        if odd == "folder"
        else entries["problems"]["unlabelled"]["first"][0]["name"]
    )
    assert "caf\ufffd" in told
    workspace = Workspace(catalogue_of(folder), "Zoé")
    send(workspace, workspace.take_lease("browser one", take_over=False), operation(direction=3))
    assert workspace.export().corrected == 1
    workspace.close()


def test_nothing_is_begun_for_a_label_file_that_cannot_be_told(folder, monkeypatch):
    monkeypatch.setattr(
        "get_data.labelizer.workspace._entries_for_page", lambda *_: {"odd": "\ud800"}
    )
    with pytest.raises(UnicodeEncodeError):
        Workspace(catalogue_of(folder), "Zoé")
    assert not work_file.path_for(folder / label_file.NAME).exists()


def test_a_pause_begins_a_run(tmp_path):
    save(tmp_path / "drive", [document(number) for number in (0, 1, 2, 50, 51, 100)])
    flags = catalogue_of(tmp_path / "drive").flags
    assert [bool(one & Flag.RUN_START) for one in flags] == [True, False, False, True, False, True]


def test_a_link_within_the_folder_is_served_and_one_out_of_it_is_not(folder, tmp_path):
    (tmp_path / "outside.jpg").write_bytes(picture(0))
    for number, target in ((1, f"{img_id(0)}.jpg"), (2, "../outside.jpg"), (3, f"{img_id(3)}.jpg")):
        (folder / f"{img_id(number)}.jpg").unlink()
        (folder / f"{img_id(number)}.jpg").symlink_to(target)
    found = catalogue_of(folder)
    assert found.picture(1) == (folder / f"{img_id(0)}.jpg").resolve()
    assert found.picture(2) is None
    assert found.picture(3) is None  # leads to itself
    assert [bool(found.flags[at] & Flag.MISSING) for at in range(4)] == [False, False, True, True]


def test_the_version_changes_with_a_picture(folder):
    before = catalogue_of(folder).version
    assert catalogue_of(folder).version == before
    (folder / f"{img_id(3)}.jpg").write_bytes(picture(77))
    assert catalogue_of(folder).version != before


# --- pictures


def test_the_fault_of_a_picture_is_seen_without_decoding_it():
    whole = picture(1)
    assert pictures.find_fault(whole) == ""
    assert pictures.find_fault(whole + b"\0" * 8) == ""  # some cameras fill up
    assert pictures.find_fault(whole + bytes(200)) == ""
    filled = whole[:2] + b"\xff\xff" + whole[2:]  # before a marker there may be more of 0xFF
    assert pictures.find_fault(filled) == ""
    thumbnail = b"\xff\xe1" + (2 + len(whole)).to_bytes(2) + whole
    assert pictures.find_fault(whole[:2] + thumbnail + whole[2:-40]) == "the picture is cut off"
    assert pictures.find_fault(whole[:300]) == "the picture is cut off"
    assert pictures.find_fault(b"") == "the picture is empty or cannot be read"
    assert pictures.find_fault(whole[:-40]) == "the picture is cut off"
    assert pictures.find_fault(b"\x89PNG" + whole) == "the picture is not a JPEG"
    assert pictures.find_fault(b"\xff\xd8\xff\xd9") == "the picture is not a JPEG"
    large = cv2.imencode(".jpg", np.zeros((5000, 4001, 3), np.uint8))[1].tobytes()
    assert pictures.find_fault(large) == "the picture is too large, 4001x5000 pixels"


def test_a_sheet_has_each_picture_at_its_place(folder):
    files = [folder / f"{img_id(number)}.jpg" for number in range(12)]
    files[4] = None
    files[5].write_bytes(b"no picture")
    wide = np.full((100, 400, 3), 255, np.uint8)
    files[6].write_bytes(cv2.imencode(".jpg", wide)[1].tobytes())
    sheet = cv2.imdecode(np.frombuffer(pictures.draw_sheet(files), np.uint8), cv2.IMREAD_COLOR)
    assert sheet.shape == (240, 1600, 3)

    def tile(number):
        row, column = divmod(number, 10)
        return sheet[row * 120 : row * 120 + 120, column * 160 : column * 160 + 160].astype(int)

    for number in (0, 3, 11):
        own = cv2.imdecode(np.frombuffer(picture(number), np.uint8), cv2.IMREAD_COLOR).astype(int)
        assert np.abs(tile(number) - own).mean() < 6
    for number in (4, 5):
        assert np.abs(tile(number) - 40)[16:-16, 16:-16].max() < 6
    assert tile(6)[60, 80].min() > 240  # the wide one: whole, with paper above and below
    assert tile(6)[10, 80].max() < 60


def test_the_examination_finds_what_is_broken_dull_and_still(folder):
    for number in range(12):
        (folder / f"{img_id(number)}.jpg").write_bytes(picture(0 if number < 11 else number))
    rewrite(folder, lambda labels: [one.pop("picture_size") for one in labels])
    inspection = Inspection(catalogue_of(folder))
    inspection.inspect_all()
    assert inspection.findings.still == [(0, 10)]
    assert inspection.findings.looked_at == 12
    black = cv2.imencode(".jpg", np.zeros((120, 160, 3), np.uint8))[1].tobytes()
    (folder / f"{img_id(4)}.jpg").write_bytes(black)
    (folder / f"{img_id(7)}.jpg").write_bytes(picture(7)[:300])
    inspection = Inspection(catalogue_of(folder))
    inspection.inspect_all()
    assert inspection.findings.dull == [4]
    assert [position for position, _ in inspection.findings.broken] == [7]
    assert inspection.findings.still == []


# --- the work file


def test_what_is_sent_twice_counts_once(workspace):
    epoch = workspace.take_lease("browser one", take_over=False)
    one, two = operation(1, direction=3, reviewed=1), operation(2, direction=4, reviewed=1)
    for sent in ([one], [one, two], [two], [one]):
        send(workspace, epoch, *sent)
    assert [each.uid for each in workspace.work.history()] == [one.uid, two.uid]
    [decision] = workspace.work.decisions()
    assert (decision.direction, decision.changed_by) == (4, "Zoé")


def test_a_lease_that_was_taken_over_is_lost(workspace):
    first = workspace.take_lease("browser one", take_over=False)
    second = workspace.take_lease("browser two", take_over=True)
    with pytest.raises(LeaseLost, match=f"lease {first} is no longer valid"):
        send(workspace, first, operation())
    assert workspace.work.decisions() == []
    send(workspace, second, operation(direction=3))


def test_a_browser_that_is_silent_loses_its_claim(folder):
    now = [100.0]
    workspace = Workspace(catalogue_of(folder), "Zoé", clock=lambda: now[0])
    epoch = workspace.take_lease("browser one", take_over=False)
    assert workspace.take_lease("browser two", take_over=False) is None
    now[0] += LEASE_TIMEOUT_S - 1
    assert workspace.heartbeat("browser one", epoch)["holds"]
    now[0] += LEASE_TIMEOUT_S - 1
    assert workspace.take_lease("browser two", take_over=False) is None
    now[0] += 2
    assert workspace.take_lease("browser two", take_over=False) == epoch + 1
    workspace.close()


def test_whoever_only_shows_is_told_when_the_other_is_gone(folder):
    """So that it can go on by itself; what saves is as much there as what only says so."""
    now = [100.0]
    workspace = Workspace(catalogue_of(folder), "Zoé", clock=lambda: now[0])
    assert not workspace.heartbeat("browser two", 0)["free"]  # one open before the start
    epoch = workspace.take_lease("browser one", take_over=False)
    now[0] += LEASE_TIMEOUT_S - 1
    assert not workspace.heartbeat("browser two", 0)["free"]
    send(workspace, epoch, operation(direction=3))
    now[0] += LEASE_TIMEOUT_S - 1
    assert not workspace.heartbeat("browser two", 0)["free"]
    now[0] += 1
    assert workspace.heartbeat("browser two", 0)["free"]
    assert not workspace.heartbeat("browser one", epoch)["free"]
    assert not workspace.heartbeat("browser two", 0)["free"]  # it was late, and is there again
    now[0] += LEASE_TIMEOUT_S
    assert workspace.take_lease("browser two", take_over=False) == epoch + 1
    assert not workspace.heartbeat("browser one", epoch)["free"]
    workspace.close()


def test_a_start_after_which_nobody_is_heard_of_leaves_the_lease_free(folder):
    now = [100.0]
    workspace = Workspace(catalogue_of(folder), "Zoé", clock=lambda: now[0])
    now[0] += LEASE_TIMEOUT_S
    assert workspace.heartbeat("browser two", 0)["free"]
    workspace.close()


def test_work_and_lease_outlive_a_restart(folder):
    workspace = Workspace(catalogue_of(folder), "Zoé")
    epoch = workspace.take_lease("browser one", take_over=False)
    send(workspace, epoch, operation(direction=3))
    name = workspace.work.name
    workspace.close()
    again = Workspace(catalogue_of(folder), "Ada")
    assert (again.work.name, again.work.epoch, len(again.work.history())) == (name, epoch, 1)
    send(again, epoch, operation(2, deleted=1))
    assert again.counts() == {"labels": 12, "reviewed": 1, "corrected": 0, "to_delete": 1}
    again.close()


def test_a_second_process_is_refused(folder, workspace):
    with pytest.raises(WorkFileInUse, match="is open in another labelizer"):
        WorkFile(workspace.work.path)


def test_a_batch_of_which_one_cannot_be_done_is_not_done(workspace):
    epoch = workspace.take_lease("browser one", take_over=False)
    bad = operation(2, positions=[(0, 12)], direction=3)
    with pytest.raises(InputError, match="0 to 12 is not a range"):
        send(workspace, epoch, operation(1, direction=3), bad)
    assert workspace.work.decisions() == []
    assert workspace.work.history() == []


def full(database, *_):
    raise sqlite3.OperationalError("database or disk is full")


def test_a_full_disk_saves_nothing_and_says_so(workspace, monkeypatch):
    epoch = workspace.take_lease("browser one", take_over=False)
    with monkeypatch.context() as patch:
        patch.setattr(WorkFile, "_apply", full)
        with pytest.raises(
            WriteFailed, match=r"sqlite3 cannot be written: database or disk is full"
        ):
            send(workspace, epoch, operation(direction=3))
    send(workspace, epoch, operation(direction=3))
    assert len(workspace.work.history()) == 1


def table_of_another(file):
    """The file is the database of some other program."""
    with closing(sqlite3.connect(file)) as database:
        database.execute("CREATE TABLE x (y)")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (
            lambda file: file.write_bytes(b"no database" * 100),
            "file is not a database; move it away",
        ),
        (table_of_another, "is not a work file"),
    ],
    ids=["no database", "another's"],
)
def test_a_file_of_another_kind_is_refused(folder, spoil, words):
    file = work_file.path_for(folder / label_file.NAME)
    spoil(file)
    before = file.read_bytes()
    with pytest.raises(InputError, match=words):
        Workspace(catalogue_of(folder), "Zoé")
    assert file.read_bytes() == before


def test_a_work_file_of_a_newer_version_is_refused(folder, call):
    Workspace(catalogue_of(folder), "Zoé").close()
    file = work_file.path_for(folder / label_file.NAME)
    with sqlite3.connect(file) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    code, _, err = call(run_labelizer, folder, "--port", free_port())
    assert code == 2
    assert "was written by a newer version of the labelizer (format 99; this one knows 1)" in err


def test_a_killed_beginning_is_begun_again(folder):
    work_file.path_for(folder / label_file.NAME).touch()
    workspace = Workspace(catalogue_of(folder), "Zoé")
    assert workspace.counts()["labels"] == 12
    workspace.close()


def test_the_lease_goes_on_counting_in_a_new_work_file(folder):
    """Else a page of the old one could write into it."""
    workspace = Workspace(catalogue_of(folder), "Zoé")
    old = workspace.take_lease("browser one", take_over=False)
    workspace.close()
    rewrite(folder, lambda labels: labels[5].update(event="another day"))
    workspace = Workspace(catalogue_of(folder), "Zoé")
    assert workspace.is_outdated
    assert workspace.state()["outdated"] == {"decided": 0, "carried": 0}
    workspace.reopen("anew", old)
    assert not workspace.is_outdated
    with pytest.raises(LeaseLost, match=f"lease {old} is no longer valid"):
        send(workspace, old, operation(direction=3))
    assert workspace.take_lease("browser one", take_over=False) > old
    workspace.close()


@pytest.fixture
def outdated(folder):
    """A workspace whose label file has changed since, with one decision to carry over."""
    workspace = Workspace(catalogue_of(folder), "Zoé", now=lambda: START)
    send(workspace, workspace.take_lease("browser one", take_over=False), operation(direction=3))
    workspace.close()
    rewrite(folder, lambda labels: labels[5].update(event="another day"))
    opened = Workspace(catalogue_of(folder), "Zoé", now=lambda: START)
    yield opened
    opened.close()


def test_only_who_holds_the_lease_opens_anew(outdated):
    first = outdated.take_lease("browser one", take_over=False)
    second = outdated.take_lease("browser two", take_over=True)
    with pytest.raises(LeaseLost, match=f"lease {first} is no longer valid"):
        outdated.reopen("anew", first)
    outdated.reopen("carry", second)
    assert outdated.counts()["corrected"] == 1


def test_an_offer_to_open_anew_holds_once(outdated):
    """A page that still shows it throws away nothing of what was done since."""
    outdated.reopen("carry", outdated.take_lease("browser one", take_over=False))
    epoch = outdated.take_lease("browser one", take_over=False)
    send(outdated, epoch, operation(2, positions=[(7, 7)], direction=0))
    with pytest.raises(LeaseLost, match="has been opened again already"):
        outdated.reopen("anew", epoch)
    assert outdated.counts()["corrected"] == 2


def test_work_that_is_not_whole_in_its_file_is_not_put_aside(outdated):
    """What is left in SQLite's log would stay behind."""
    epoch = outdated.take_lease("browser one", take_over=False)
    before = outdated.state()
    with closing(sqlite3.connect(outdated.work.path)) as reader:
        reader.execute("SELECT * FROM fact").fetchall()
        with pytest.raises(WriteFailed, match="cannot be written back from"):
            outdated.reopen("carry", epoch)
        assert outdated.state() == before
    outdated.reopen("carry", epoch)
    assert outdated.counts()["corrected"] == 1


@pytest.mark.parametrize("step", ["archive", "initialize", "carry"])
def test_what_cannot_be_opened_anew_stays_as_it_was(outdated, monkeypatch, step):
    epoch = outdated.take_lease("browser one", take_over=False)
    before = outdated.state()

    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    def full(*_, **__):
        raise WriteFailed("the disk is full")

    with monkeypatch.context() as patch:
        if step == "archive":
            patch.setattr(work_file.Path, "rename", fail)
        else:
            patch.setattr(WorkFile, step, full)
        with pytest.raises(WriteFailed):
            outdated.reopen("carry", epoch)
    assert outdated.state() == before
    send(outdated, epoch, operation(2, positions=[(7, 7)], direction=0))
    assert len(list(outdated.catalogue.folder.glob("*.sqlite3"))) == 1
    outdated.reopen("carry", epoch)
    assert outdated.counts()["corrected"] == 2


# --- carrying over, and the export


def test_decisions_are_carried_over_with_who_made_them(folder):
    workspace = Workspace(catalogue_of(folder), "Ada", now=lambda: START)
    epoch = workspace.take_lease("browser one", take_over=False)
    steps = [operation(n, positions=[(n, n)], direction=3, reviewed=1) for n in range(4)]
    send(workspace, epoch, *steps)
    workspace.close()
    before = seen(100, picture(100))
    labels = label_file.read(folder / label_file.NAME)
    del labels[img_id(0)]
    labels[img_id(1)] = seen(1, picture(1), steering=0.9)
    labels[before["img_id"]] = before
    label_file.write(folder / label_file.NAME, labels)
    workspace = Workspace(catalogue_of(folder), "Zoé", now=lambda: START + timedelta(days=1))
    assert workspace.state()["outdated"] == {"decided": 4, "carried": 2}
    with pytest.raises(SourceChanged):
        workspace.export()
    aside = workspace.reopen("carry", workspace.work.epoch)
    carried = workspace.work.decisions()
    assert [(one.img_id, one.position, one.changed_by) for one in carried] == [
        (img_id(2), 1, "Ada"),
        (img_id(3), 2, "Ada"),
    ]
    assert {one.changed_on for one in carried} == {times.format_time(START)}
    assert [one.kind for one in workspace.work.history()] == ["carry"]
    with sqlite3.connect(aside) as old:
        assert old.execute("SELECT count(*) FROM operation").fetchone() == (4,)
    old.close()
    workspace.close()


def test_nobody_touched_is_byte_for_byte_the_source(workspace):
    exported = export(workspace.catalogue, workspace.work, now=START)
    assert exported.file.read_bytes() == workspace.catalogue.labels.read_bytes()
    assert (exported.untouched, exported.corrected, exported.left_out) == (12, 0, [])


def test_unknown_keys_and_odd_spelling_survive(folder):
    text = (folder / label_file.NAME).read_text()
    odd = text.replace('"event":"test day"', '"our key":[1.50,"\\u00e9 \\/",1e2],"event":"x"')
    (folder / label_file.NAME).write_text(json.dumps(json.loads(odd), indent=2))
    (folder / "odd.json").write_text(odd)
    found = catalogue.read_catalogue(folder / "odd.json", folder)
    work = WorkFile(work_file.path_for(folder / "odd.json"))
    work.initialize(found)
    exported = export(found, work, now=START)
    work.close()
    assert exported.file.read_text() == odd
    pretty = catalogue_of(folder)
    work = WorkFile(work_file.path_for(folder / label_file.NAME))
    work.initialize(pretty)
    lines = export(pretty, work, now=START + timedelta(1)).file.read_bytes().splitlines()
    work.close()
    assert len(lines) == 14  # an entry a line again
    assert json.loads(b"".join(lines)) == json.loads(odd)


def test_a_deletion_wins_over_other_edits_and_keeps_the_old_label(workspace):
    epoch = workspace.take_lease("browser one", take_over=False)
    step = operation(1, positions=[(2, 3)], direction=0, reviewed=1, deleted=1)
    send(workspace, epoch, step)
    source = label_file.read(workspace.catalogue.labels)
    labels = label_file.read(workspace.export().file)
    for number in (2, 3):
        assert labels[img_id(number)] == {**source[img_id(number)], "to_delete": True}


def test_a_label_that_comes_to_its_own_content_replaces_nothing(folder):
    """Zoé confirms what Zoé had said: the fingerprint is the same, and must not replace itself."""

    def by_zoe(labels):
        labels[0]["label"]["created_by"] = "Zoé"
        labels[0]["label_fingerprint"] = ids.fingerprint(img_id(0), labels[0]["label"])

    rewrite(folder, by_zoe)
    workspace = Workspace(catalogue_of(folder), "Zoé")
    assert workspace.catalogue.flags[0] & Flag.PERSON
    epoch = workspace.take_lease("browser one", take_over=False)
    send(workspace, epoch, operation(reviewed=1))
    exported = label_file.read(workspace.export().file)
    workspace.close()
    assert "replaces" not in exported[img_id(0)]


def test_a_source_that_changes_stops_the_export(workspace):
    workspace.catalogue.labels.write_bytes(workspace.catalogue.labels.read_bytes() + b"\n")
    assert workspace.is_source_changed()
    with pytest.raises(SourceChanged, match="has changed since it was opened"):
        workspace.export()
    assert list(workspace.catalogue.folder.glob("labels_*")) == []
    assert list(workspace.catalogue.folder.glob(".labels_*")) == []


def test_the_export_is_named_in_full(folder, monkeypatch):
    """The command that applies it works from any folder."""
    monkeypatch.chdir(folder.parent)
    workspace = Workspace(catalogue_of(type(folder)(folder.name)), "Zoé", now=lambda: START)
    assert workspace.export().file.parent == folder
    workspace.close()


def test_an_export_that_cannot_be_written_leaves_nothing(workspace, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(WriteFailed, match="No space left on device"):
        workspace.export()
    assert list(workspace.catalogue.folder.glob("*labels_*")) == []


def test_a_label_that_is_not_whole_is_left_out(folder):
    rewrite(folder, lambda labels: labels[1].pop("label"))
    workspace = Workspace(catalogue_of(folder), "Zoé")
    epoch = workspace.take_lease("browser one", take_over=False)
    step = operation(positions=[(1, 1)], direction=2, reviewed=1)
    send(workspace, epoch, step)
    exported = workspace.export()
    assert [(one.img_id, one.reason) for one in exported.left_out] == [
        (img_id(1), "has no speed yet")
    ]
    assert img_id(1) not in label_file.read(exported.file)
    workspace.close()


# --- runs


@pytest.mark.parametrize("values", [[], [1], [1, 1, 1], [1, 2, 2, 0, 0, 1]], ids=str)
def test_runs_come_back_as_the_values(values):
    runs = operations.to_runs(np.array(values, np.int64))
    assert sum(count for _, count in runs) == len(values)
    if values:
        step = operation(positions=[(0, len(values) - 1)])
        assert operations.expand_values(step, runs, len(values)).tolist() == values


@pytest.mark.parametrize("positions", [[0], [0, 1, 2], [3, 5, 6, 9]], ids=str)
def test_ranges_come_back_as_the_positions(positions):
    step = operation(positions=operations.to_ranges(np.array(positions)))
    assert operations.expand_positions(step, 10).tolist() == positions


def test_the_page_and_the_server_know_the_same_flags_and_kinds():
    """What store.js and operations.py both spell."""
    static = catalogue.Path(catalogue.__file__).parent / "static" / "labelizer"
    store = (static / "store.js").read_text()
    told = dict(re.findall(r"([A-Z_]+): (\d+)", store.split("export const Flag")[1].split("}")[0]))
    assert {name: int(value) for name, value in told.items()} == {
        flag.name: flag.value for flag in Flag
    }
    fields = set(Operation.__struct_fields__)
    spelled = set(re.findall(r"@property \{[^}]*\}\]? \[?(\w+)", store.split("class Store")[0]))
    assert fields == spelled
    assert msgspec.json.schema(Operation)["$defs"]["Operation"]["required"]
