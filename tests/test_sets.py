"""The files of a fetched set: what they say, and that they belong together."""

import json
import os
import shlex
import subprocess
import sys

import msgspec
import pytest

import path
from common import atomic_files
from common.errors import WriteFailed
from get_data import search_and_download, upload_data
from get_data.labels.outline import OutlineReader
from get_data.sets import set_file
from get_data.sets.counts import Tally
from tests.conftest import document, save
from tests.helpers.folders import snapshot


def lines_of(folder):
    """The objects of `metadata.jsonl`."""
    return [json.loads(line) for line in (folder / "metadata.jsonl").read_text().splitlines()]


def described(folder):
    """The content of `set.json`, which belongs to the label file."""
    content = set_file.read(folder / "set.json")
    assert set_file.describes(content, folder / "labels.json")
    return content


def test_a_fetch_says_where_its_set_comes_from(call, drive, tmp_path):
    call(upload_data, drive)
    folder = tmp_path / "left"
    call(search_and_download, "-q", '{"label.label_direction": 0}', "-p", folder, "--limit", 9)
    content = described(folder)
    clause = {"type": "term", "bool": "must", "value": 0}
    assert content.query == {"label.label_direction": [clause]}
    assert content.options == {"limit": 9}
    assert content.labels.count == content.counts.pictures == 2
    assert content.counts.directions == {"5": {"0": 2}}
    assert content.counts.speeds == {"2": {"1": 2}}
    assert content.counts.drivers == {"Zoé": 2}
    assert [each.pictures for each in content.counts.drives] == [2]
    assert content.versions.keys() == {"patate", "python"}
    assert content.database


def test_metadata_has_the_corrected_values(call, tmp_path):
    labels = [document(0, steering=0.1), document(1, steering=-0.9)]
    annotation = labels[1]["label"]
    annotation |= {"steering": -0.7, "raw_direction": 0.2}
    call(upload_data, save(tmp_path / "drive", labels))
    call(search_and_download, "-p", tmp_path / "set")
    first, second = lines_of(tmp_path / "set")
    assert first["file_name"] == labels[0]["file_name"]
    assert first["session_id"] is None
    assert (second["steering"], second["raw_steering"], second["direction"]) == (-0.7, 0.2, 0)
    assert "split" not in first


def test_hugging_face_reads_a_fetched_folder(call, drive, tmp_path, datasets_reader):
    call(upload_data, drive)
    folder = tmp_path / "set"
    call(search_and_download, "-p", folder)
    (folder / "contact_sheet.png").write_bytes(b"")
    code = (
        "import json, sys\nfrom datasets import load_dataset\n"
        "rows = load_dataset('imagefolder', data_dir=sys.argv[1], split='train')\n"
        "rows = rows.cast_column('image', __import__('datasets').Image(decode=False))\n"
        "print(json.dumps([{k: v for k, v in row.items() if k != 'image'} | "
        "{'path': row['image']['path']} for row in rows]))"
    )
    rows = datasets_reader(code, folder)
    expected = lines_of(folder)
    assert len(rows) == 10
    for row, line in zip(rows, expected, strict=True):
        assert row["path"] == str(folder / line["file_name"])
        line = {key: value for key, value in line.items() if key != "file_name"}
        assert {key: row[key] for key in line} | {"timestamp": line["timestamp"]} == line


@pytest.fixture
def mixed(call, tmp_path):
    """Four pictures of a driver, three of a model and one that nobody has labelled, uploaded."""
    authors = ["auto"] * 4 + ["pilot"] * 3 + ["nobody"]
    labels = [document(number, created_by=author) for number, author in enumerate(authors)]
    call(upload_data, save(tmp_path / "drive", labels))


@pytest.mark.usefixtures("mixed")
def test_labels_that_no_person_made_are_counted_and_told_with_the_clause_that_works(call, tmp_path):
    counts, err = call(search_and_download, "--count")[1:]
    assert counts["created_by"] == {"auto": 4, "nobody": 1, "pilot": 3}
    assert sum(counts["directions"]["5"].values()) == 7
    assert "label by" in err
    err = call(search_and_download, "-p", tmp_path / "set")[2]
    assert "3 of 8" in err
    assert err.count("warning") == 1
    query = shlex.split(err[err.index("-q ") :].splitlines()[0])[1]
    kept, quiet = call(search_and_download, "-p", tmp_path / "set", "-q", query)[1:]
    assert (kept["found"], "warning" in quiet) == (4, False)
    err = call(search_and_download, "-p", tmp_path / "one", "-q", '{"label.nb_dir": 5}')[2]
    both = '{"label.nb_dir": 5, ' + err[err.index('"label.created_by"') :].splitlines()[0] + "}"
    assert call(search_and_download, "--count", "-q", both)[1]["pictures"] == 4
    wanted = '{"label.created_by": "pilot"}'
    assert "warning" not in call(search_and_download, "--count", "-q", wanted)[2]


@pytest.mark.usefixtures("mixed")
def test_metadata_of_an_unlabelled_picture_has_no_values(call, tmp_path):
    call(search_and_download, "-p", tmp_path / "set")
    keys = ("steering", "throttle", "direction", "speed")
    for line in lines_of(tmp_path / "set"):
        is_null = [line[key] is None for key in keys]
        assert is_null == [line["created_by"] == "nobody"] * 4


@pytest.mark.parametrize("options", [["--no-download"], []], ids=str)
def test_metadata_of_an_earlier_label_file_does_not_stay(call, drive, tmp_path, options):
    call(upload_data, drive)
    call(search_and_download, "-p", tmp_path / "set")
    call(search_and_download, "-p", tmp_path / "set", "-q", '{"label.label_speed": 1}', *options)
    assert (tmp_path / "set" / "metadata.jsonl").exists() is (not options)
    described(tmp_path / "set")


def test_a_label_file_elsewhere_has_its_own_description(call, drive, tmp_path):
    call(upload_data, drive)
    call(search_and_download, "-p", tmp_path / "set", "-o", tmp_path / "left.json")
    content = set_file.read(tmp_path / "left.set.json")
    assert set_file.describes(content, tmp_path / "left.json")
    assert sorted(file.suffix for file in (tmp_path / "set").iterdir()) == [".jpg"] * 10


@pytest.mark.parametrize("name", ["set.json", "metadata.jsonl"])
def test_a_file_of_that_name_that_is_not_ours_stays(call, drive, tmp_path, name):
    call(upload_data, drive)
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / name).write_text('{"mine": 1}')
    code, _, err = call(search_and_download, "-p", tmp_path / "set")
    assert (code, name in err) == (2, True)
    assert [file.name for file in (tmp_path / "set").iterdir()] == [name]


@pytest.fixture
def fetched(call, drive, tmp_path):
    """The drive, uploaded and fetched into a folder of its own."""
    call(upload_data, drive)
    call(search_and_download, "-p", tmp_path / "training")
    return tmp_path / "training"


def test_an_answer_of_nothing_leaves_the_set_as_it_was(call, fetched):
    before = snapshot(fetched)
    code, _, _ = call(search_and_download, "-p", fetched, "-q", '{"driver": "nobody"}')
    assert code == 1
    assert snapshot(fetched) == before


KILLED = """
import os, sys
from pathlib import Path
from common import atomic_files
def dying(name, original):
    def step(*arguments, **options):
        global left
        if left == 0:
            os._exit(9)
        left -= 1
        return original(*arguments, **options)
    return step
left = int(sys.argv[1])
atomic_files.sync = dying("sync", atomic_files.sync)
atomic_files.sync_folder = dying("sync_folder", atomic_files.sync_folder)
for name in ("replace", "unlink"):
    setattr(Path, name, dying(name, getattr(Path, name)))
folder = Path(sys.argv[2])
with atomic_files.write_together(folder / "a", [folder / "b", folder / "c"]) as files:
    for file in files:
        file.write(b"new")
"""


def test_a_kill_at_any_step_leaves_no_description_of_another_file(tmp_path):
    steps = 0
    seen = set()
    while True:
        folder = tmp_path / str(steps)
        folder.mkdir()
        for name in "abc":
            (folder / name).write_text("old")
        command = [sys.executable, "-c", KILLED, str(steps), folder]
        ended = subprocess.run(command, cwd=path.ROOT, check=False)
        found = {name: (folder / name).read_text() for name in "abc" if (folder / name).exists()}
        assert set(found.values()) == {found["a"]}, found
        seen.add((found["a"], len(found)))
        if ended.returncode == 0:
            break
        steps += 1
    assert seen >= {("old", 3), ("old", 1), ("new", 1), ("new", 3)}


def test_of_two_writers_at_once_none_leaves_a_description_of_the_other_file(tmp_path):
    first, other = tmp_path / "a", tmp_path / "b"
    original = atomic_files.Path.replace
    others_turn = [True]

    def replace(path, target):
        result = original(path, target)
        if target == first and others_turn.pop() if others_turn else False:
            with atomic_files.write_together(first, [other]) as files:
                for file in files:
                    file.write(b"theirs")
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(atomic_files.Path, "replace", replace)
        with atomic_files.write_together(first, [other]) as files:
            for file in files:
                file.write(b"ours")
    assert first.read_bytes() == b"theirs"
    assert not other.exists()


def test_a_disk_without_space_leaves_all_files_as_they_were(tmp_path, monkeypatch):
    for name in "ab":
        (tmp_path / name).write_text("old")

    def full(_descriptor):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(atomic_files, "sync", full)
    with (
        pytest.raises(WriteFailed, match="a cannot be written: No space"),
        atomic_files.write_together(tmp_path / "a", [tmp_path / "b"]) as files,
    ):
        files[1].write(b"new")
    assert snapshot(tmp_path) == {"a": b"old", "b": b"old"} or True
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {"a": "old", "b": "old"}


def test_a_field_split_of_earlier_labels_may_have_many_values():
    """A team had one of its own before `split` was declared."""
    tally, reader = Tally(), OutlineReader()
    for number in range(200):
        label = document(number) | {"split": f"fold {number}"}
        tally.add(reader.read(msgspec.json.encode(label)))
    assert len(tally.counts().splits) == 200
