"""What a killed recording left is repaired by whichever script comes first."""

import errno
import json
import os
from pathlib import Path
from random import Random

import pytest

from common.errors import InputError, RecordingFailed, StillRecording
from get_data.labels import label_file
from get_data.recording import journal, merge
from tests.conftest import document, picture
from tests.helpers import peak_memory
from tests.helpers.recordings import interrupted_recording
from tests.helpers.waiting import HANGS_S
from tests.soak import disk_log, power_cut


@pytest.mark.new_interpreter
def test_a_merge_holds_little_more_than_the_files_in_memory(tmp_path):
    """Two hours of driving are 144,000 labels."""
    documents = [document(number) for number in range(2000)]
    label_file.write(tmp_path / "labels.json", {one["img_id"]: one for one in documents[:1000]})
    lines = [json.dumps(one) for one in documents[1000:]]
    (tmp_path / journal.NAME).write_text("\n".join(lines))
    size = sum(file.stat().st_size for file in tmp_path.iterdir())
    code = """
        from pathlib import Path
        from get_data.recording import journal, merge
        def use(folder):
            if (Path(folder) / journal.NAME).exists():
                assert merge.merge(Path(folder), check_pictures=False).labels == 1000
            else:
                assert len(journal.read_ids(Path(folder))) == 2000
    """
    merging, reading = peak_memory.peaks(code, tmp_path, tmp_path)
    assert max(merging, reading) < 4 * size


def test_what_the_labels_held_before_a_merge_stays_as_it_stood(tmp_path):
    """Also what is no label, in entries that somebody has laid out anew."""
    before = '{\n "holiday": {\n  "number": 1e2, "text": "\\u00e9"\n }\n}\n'
    (tmp_path / "labels.json").write_text(before)
    folder = interrupted_recording(tmp_path, [document(0)])
    assert merge.repair(folder).labels == 1
    after = (folder / "labels.json").read_text()
    assert json.loads(after) == {document(0)["img_id"]: document(0), **json.loads(before)}
    assert after.splitlines()[2] == '"holiday":{"number":1e2,"text":"\\u00e9"}'


def test_a_line_that_begins_with_a_mark_of_utf8_is_read(tmp_path):
    folder = interrupted_recording(tmp_path, [document(0)])
    (folder / journal.NAME).write_text(f"\ufeff{json.dumps(document(0))}\n")
    assert merge.repair(folder).labels == 1
    assert label_file.read(folder / "labels.json") == {document(0)["img_id"]: document(0)}


def test_no_journal_is_nothing_to_repair(tmp_path):
    assert merge.repair(tmp_path) is None


def test_whole_pictures_are_merged_into_the_labels_that_were_there(tmp_path):
    label_file.write(tmp_path / "labels.json", {document(0)["img_id"]: document(0)})
    (tmp_path / document(0)["file_name"]).write_bytes(picture(0))
    folder = interrupted_recording(tmp_path, [document(1), document(2)])
    merged = merge.repair(folder)
    assert (merged.labels, merged.erased, merged.damaged) == (2, 0, {})
    labels = label_file.read(folder / "labels.json")
    assert list(labels.values()) == [document(0), document(1), document(2)]
    assert not (folder / journal.NAME).exists()


DAMAGE = {
    "missing": (lambda file: file.unlink(), "the picture is missing"),
    "empty": (lambda file: file.write_bytes(b""), "the picture is empty"),
    "short": (lambda file: file.write_bytes(picture(1)[:-3]), "instead of"),
    "other": (lambda file: file.write_bytes(picture(1)[::-1]), "other content"),
}


@pytest.mark.parametrize(("damage", "reason"), DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_picture_is_put_aside_with_its_label(tmp_path, damage, reason):
    folder = interrupted_recording(tmp_path, [document(0), document(1), document(2)])
    bad = document(1)
    damage(folder / bad["file_name"])
    merged = merge.repair(folder)
    assert merged.labels == 2
    assert reason in merged.damaged[bad["img_id"]]
    aside = json.loads((folder / journal.DAMAGED_LABELS).read_text())
    assert aside[bad["img_id"]]["label"] == bad
    assert bad["img_id"] not in label_file.read(folder / "labels.json")
    assert not (folder / bad["file_name"]).exists()
    assert (folder / "damaged" / bad["file_name"]).exists() == (reason != "the picture is missing")


NOT_TO_BE_READ = {
    "a folder": (lambda file: file.mkdir(), "the picture is not a regular file"),
    "a pipe": (os.mkfifo, "the picture is not a regular file"),
    "a device": (lambda file: file.symlink_to("/dev/zero"), "the picture is not a regular file"),
    "a link to itself": (lambda file: file.symlink_to(file.name), "the picture cannot be read: "),
}


@pytest.mark.timeout(HANGS_S)  # opening a pipe may block for ever
@pytest.mark.parametrize(("make", "reason"), NOT_TO_BE_READ.values(), ids=NOT_TO_BE_READ)
def test_what_is_no_file_in_a_pictures_place_costs_only_itself(tmp_path, make, reason):
    folder = interrupted_recording(tmp_path, [document(0), document(1), document(2)])
    file = folder / document(1)["file_name"]
    file.unlink()
    make(file)
    merged = merge.repair(folder)
    assert merged.labels == 2
    assert merged.damaged.keys() == {document(1)["img_id"]}
    assert reason in merged.damaged[document(1)["img_id"]]


def test_a_picture_that_the_disk_gives_no_more_costs_only_itself(tmp_path, monkeypatch):
    folder = interrupted_recording(tmp_path, [document(0), document(1), document(2)])
    file, read = folder / document(1)["file_name"], Path.read_bytes

    def worn_out(path):
        if path == file:
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", worn_out)
    merged = merge.repair(folder)
    reason = "the picture cannot be read: Input/output error"
    assert (merged.labels, merged.damaged) == (2, {document(1)["img_id"]: reason})
    assert (folder / "damaged" / file.name).exists()


def test_a_folder_that_is_called_as_if_half_written_stays(tmp_path):
    folder = interrupted_recording(tmp_path, [document(0)])
    (folder / ".x.tmp").mkdir()
    assert merge.repair(folder).labels == 1
    assert (folder / ".x.tmp").is_dir()


@pytest.mark.parametrize("torn", [b'{"img_id": "2024', b"\0\0\0\0", b"3\n", b"[]\n", b"{}\n"])
def test_a_torn_line_is_kept_aside_and_costs_only_itself(tmp_path, torn):
    folder = interrupted_recording(tmp_path, [document(0)], torn=torn)
    (folder / document(1)["file_name"]).write_bytes(picture(1))
    merged = merge.repair(folder)
    assert merged.labels == 1
    assert merged.damaged[document(1)["img_id"]] == "the picture has no label"
    assert "this line of the journal is torn" in merged.damaged.values()
    assert (folder / "damaged" / document(1)["file_name"]).read_bytes() == picture(1)


@pytest.mark.parametrize("wrong", [[], {}, None], ids=repr)
def test_an_erasure_of_which_a_part_cannot_be_read_erases_nothing(wrong, tmp_path):
    erasure = {journal.ERASED: [document(0)["img_id"], wrong]}
    folder = interrupted_recording(tmp_path, [document(0), document(1), erasure])
    merged = merge.repair(folder)
    kept = label_file.read(folder / label_file.NAME)
    erased = folder / journal.ERASED / label_file.NAME
    labels = kept | (label_file.read(erased) if erased.exists() else {})
    assert labels.keys() == {document(number)["img_id"] for number in range(2)}
    assert not [reason for reason in merged.damaged.values() if "picture" in reason]


def test_two_repairs_keep_both_torn_lines(tmp_path):
    folder = interrupted_recording(tmp_path, [document(0)], torn=b"first")
    merge.repair(folder)
    os.utime(folder / "labels.json", (0, 0))
    interrupted_recording(folder, [document(1)], torn=b"second")
    merge.repair(folder)
    aside = json.loads((folder / journal.DAMAGED_LABELS).read_text())
    assert sorted(entry["line"] for entry in aside.values()) == ["first", "second"]


def test_half_written_files_go_and_pictures_of_other_kinds_stay(tmp_path):
    folder = interrupted_recording(tmp_path, [document(0)])
    (folder / journal.temporary_name("x.jpg")).write_bytes(b"half")
    (folder / "holiday.jpg").write_bytes(b"mine")
    merge.repair(folder)
    assert not list(folder.glob(".*"))
    assert (folder / "holiday.jpg").read_bytes() == b"mine"


def test_a_picture_whose_renaming_was_undone_by_a_power_cut_is_found(tmp_path):
    folder = interrupted_recording(tmp_path, [document(0)])
    file = folder / document(0)["file_name"]
    file.rename(folder / journal.temporary_name(file.name))
    assert merge.repair(folder).labels == 1
    assert file.read_bytes() == picture(0)


def test_an_erasure_is_completed(tmp_path):
    erasure = {"erased": [document(1)["img_id"], "unknown"]}
    folder = interrupted_recording(tmp_path, [document(0), document(1), erasure, document(2)])
    merged = merge.repair(folder)
    assert (merged.labels, merged.erased, merged.damaged) == (2, 1, {})
    assert label_file.read(folder / "erased" / "labels.json").keys() == {document(1)["img_id"]}
    assert (folder / "erased" / document(1)["file_name"]).read_bytes() == picture(1)


def test_an_erasure_that_a_kill_left_in_memory_survives_a_power_cut_during_the_repair(tmp_path):
    drive = tmp_path / "drive"
    drive.mkdir()
    log = disk_log.Log(drive)
    with disk_log.logged(log):
        power_cut.record(drive, [None, None, None, 0.15, None])
    erasure = next(
        number
        for number, operation in enumerate(log.operations)
        if isinstance(operation, disk_log.Write) and operation.data.startswith(b'{"erased"')
    )
    repaired = power_cut.repair_after_kill(log, erasure + 1, tmp_path / "killed")
    for cut in range(erasure + 1, len(repaired.operations) + 1):
        for seed in range(4):
            folder = tmp_path / f"cut-{cut}-{seed}"
            power_cut.cut_power(repaired, cut, Random(seed), folder)


STEPS = ["_quarantine", "_write_erased", "sync_file_system"]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_repair_that_is_killed_itself_is_done_again(tmp_path, monkeypatch, step, when):
    class Killed(BaseException):
        pass

    real = getattr(merge, step)

    def killed(*arguments):
        if when == "after":
            real(*arguments)
        raise Killed

    erasure = {"erased": [document(1)["img_id"]]}
    folder = interrupted_recording(
        tmp_path, [document(0), document(1), erasure, document(2)], torn=b"torn"
    )
    (folder / document(2)["file_name"]).write_bytes(b"")
    with monkeypatch.context() as patch:
        patch.setattr(merge, step, killed)
        with pytest.raises(Killed):
            merge.repair(folder)
    merged = merge.repair(folder)
    assert (merged.labels, merged.erased, len(merged.damaged)) == (1, 1, 2)
    assert label_file.read(folder / "labels.json").keys() == {document(0)["img_id"]}
    aside = json.loads((folder / journal.DAMAGED_LABELS).read_text())
    assert aside[document(2)["img_id"]]["reason"] == "the picture is empty"


def test_a_recording_that_still_runs_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(journal, "LOCK_TIMEOUT_S", 0.1)
    folder = interrupted_recording(tmp_path, [document(0)])
    with (
        journal.folder_lock(folder),
        pytest.raises(StillRecording, match="wait until that has ended"),
    ):
        merge.repair(folder)
    assert (folder / journal.NAME).exists()


def test_labels_that_cannot_be_read_keep_the_journal(tmp_path):
    folder = interrupted_recording(tmp_path, [document(0)])
    (folder / "labels.json").write_text("not json")
    with pytest.raises(InputError, match="not JSON"):
        merge.repair(folder)
    assert (folder / journal.NAME).exists()


def test_a_journal_that_cannot_be_removed_is_named(tmp_path, monkeypatch):
    folder = interrupted_recording(tmp_path, [document(0)])

    def read_only(_path):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(merge, "sync_file_system", read_only)
    with pytest.raises(RecordingFailed, match="Read-only file system"):
        merge.repair(folder)
    assert (folder / journal.NAME).exists()


def test_an_erased_picture_that_is_damaged_is_put_aside_with_its_label(tmp_path):
    erasure = {"erased": [document(1)["img_id"], document(2)["img_id"]]}
    folder = interrupted_recording(tmp_path, [document(0), document(1), document(2), erasure])
    (folder / "erased").mkdir()
    torn = (folder / document(1)["file_name"]).rename(folder / "erased" / document(1)["file_name"])
    torn.write_bytes(b"")
    merged = merge.repair(folder)
    assert merged.damaged == {document(1)["img_id"]: "the picture is empty"}
    assert label_file.read(folder / "erased" / "labels.json") == {
        document(2)["img_id"]: document(2)
    }
    assert (folder / "damaged" / document(1)["file_name"]).exists()
    assert not torn.exists()


def test_half_written_files_among_the_erased_go_too(tmp_path):
    folder = interrupted_recording(tmp_path, [document(0)])
    (folder / "erased").mkdir()
    (folder / "erased" / ".labels.json.1.tmp").write_bytes(b"half")
    merge.repair(folder)
    assert list((folder / "erased").iterdir()) == []


def test_pictures_are_synced_before_a_label_file_names_them(tmp_path, monkeypatch):
    """Else a power cut may leave a label whose picture is torn, and no journal that tells."""
    erasure = {"erased": [document(1)["img_id"]]}
    folder = interrupted_recording(tmp_path, [document(0), document(1), erasure])
    at_the_last_sync = []

    def sync(_folder):
        at_the_last_sync[:] = sorted(str(file.relative_to(folder)) for file in folder.rglob("*"))

    monkeypatch.setattr(merge, "sync_file_system", sync)
    merge.repair(folder)
    names = (document(0)["file_name"], f"erased/{document(1)['file_name']}")
    assert at_the_last_sync == sorted(["labels.journal", "erased", *names])


def test_an_erasure_is_on_the_disk_before_its_pictures_move(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda _file: synced.append(sorted(tmp_path.iterdir())))
    writing = journal.Journal(tmp_path)
    writing.add(document(0))
    assert synced == [[tmp_path / journal.NAME]]  # its name, so that it is found
    writing.erase([document(0)["img_id"]])
    assert len(synced) == 2
    writing.close()


def test_an_erasure_that_cannot_be_synced_is_none(tmp_path, monkeypatch):
    writing = journal.Journal(tmp_path)
    writing.add(document(0))
    before = (tmp_path / journal.NAME).read_bytes()

    def fails(_file):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(OSError, match="Input/output"):
        writing.erase([document(0)["img_id"]])
    assert (tmp_path / journal.NAME).read_bytes() == before
    writing.close()
