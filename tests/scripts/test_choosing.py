"""`search_and_download.py` chooses, counts, splits and prunes: exit code, JSON, effect."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

import path
from get_data import search_and_download, upload_data, upload_to_db
from get_data.labels import label_file
from get_data.recording import journal
from get_data.sets import set_file
from tests.conftest import document, save
from tests.helpers.folders import snapshot

DRIVES = 12
CLASSES = [-0.9, -0.5, 0.0, 0.0, 0.0, 0.0, 0.5, 0.9]
TOTAL = DRIVES * len(CLASSES)


@pytest.fixture
def drives(call, tmp_path):
    """Twelve drives of eight pictures in the database, half of the pictures straight."""
    labels = [
        document(1000 * number + each, steering=steering, track=f"track {number % 3}")
        for number in range(DRIVES)
        for each, steering in enumerate(CLASSES)
    ]
    call(upload_data, save(tmp_path / "drives", labels))


def fetch(call, folder, *options):
    """Fetch; return counts and labels."""
    code, counts, err = call(search_and_download, "-p", folder, *options)
    assert code == 0, err
    return counts, label_file.read(folder / "labels.json")


@pytest.mark.usefixtures("drives")
def test_a_sample_comes_from_all_drives_and_is_the_same_again(call, tmp_path):
    counts, labels = fetch(call, tmp_path / "a", "--sample", 24, "--seed", 5)
    assert (counts["found"], counts["fetched"], len(labels)) == (24, 24, 24)
    assert counts["choice"] == {"matched": TOTAL, "asked": 24, "found": 24}
    assert len({img_id[:16] for img_id in labels}) == DRIVES  # a drive begins every 100 s
    again = fetch(call, tmp_path / "b", "--sample", 24, "--seed", 5)[1]
    assert (tmp_path / "a/labels.json").read_bytes() == (tmp_path / "b/labels.json").read_bytes()
    assert labels == again
    assert fetch(call, tmp_path / "c", "--sample", 24, "--seed", 6)[1].keys() != labels.keys()


@pytest.mark.usefixtures("drives")
@pytest.mark.parametrize(
    "options", [[], ["--no-download"], ["--split", "train=50,val=50"]], ids=" ".join
)
@pytest.mark.parametrize("limit", [20, TOTAL - 1, TOTAL, TOTAL + 1])
def test_a_limit_takes_the_oldest_and_warns_if_more_match(call, tmp_path, limit, options):
    code, counts, err = call(search_and_download, "-p", tmp_path, "--limit", limit, *options)
    labels = label_file.read(tmp_path / label_file.NAME)
    drives = [
        document(1000 * number + each) for number in range(DRIVES) for each in range(len(CLASSES))
    ]
    oldest = [label["img_id"] for label in drives][:limit]
    assert (code, counts["found"]) == (0, len(labels))
    if "--split" in options:  # between the parts some are left out
        assert counts["choice"]["matched"] == len(oldest)
        assert labels.keys() <= set(oldest)
    else:
        assert list(labels) == oldest
    assert ("--limit" in err) is (limit < TOTAL)


@pytest.mark.usefixtures("drives")
@pytest.mark.parametrize("limit", [8, TOTAL - 1, TOTAL])
def test_a_count_with_a_limit_warns_if_more_match(call, limit):
    code, counts, err = call(search_and_download, "--count", "--limit", limit)
    assert (code, counts["pictures"]) == (0, limit)
    assert len(counts["drives"]) == math.ceil(limit / len(CLASSES))
    assert ("--limit" in err) is (limit < TOTAL)


def test_a_limit_counts_pictures_not_labels(call, drive, tmp_path):
    """The newest picture has a second label, which is none that the limit leaves out."""
    other = document(9, steering=-0.9, created_by="Ada")
    for folder in (drive, save(tmp_path / "other", [other])):
        assert call(upload_data, folder)[0] == 0
    _, counts, err = call(search_and_download, "-p", tmp_path / "set", "--limit", 10)
    assert (counts["found"], counts["other_labels"]) == (10, 1)
    assert "--limit" not in err


@pytest.mark.usefixtures("drives")
def test_classes_are_balanced_and_what_is_lacking_is_said(call, tmp_path):
    options = ("-p", tmp_path / "set", "--per-class", "label.label_direction=20")
    code, counts, err = call(search_and_download, *options)
    assert (code, counts["found"]) == (0, 4 * 12 + 20)
    found = {"0 of 5": 12, "1 of 5": 12, "2 of 5": 20, "3 of 5": 12, "4 of 5": 12}
    assert counts["choice"]["found"] == found
    assert err.count("asked for 20 pictures, found 12") == 4
    content = set_file.read(tmp_path / "set" / "set.json")
    assert content.options == {"per_class": "label.label_direction=20"}
    assert content.choice == counts["choice"]
    assert content.counts.directions["5"] == {"0": 12, "1": 12, "2": 20, "3": 12, "4": 12}


@pytest.mark.usefixtures("drives")
def test_a_split_is_in_the_labels_and_the_metadata(call, tmp_path):
    folder = tmp_path / "set"
    counts, labels = fetch(call, folder, "--split", "train=80,val=10,test=10")
    assert (counts["choice"]["split_by"], counts["choice"]["left_out"]) == ("drive", 0)
    by_drive = {}
    for img_id, label in labels.items():
        by_drive.setdefault(img_id[:16], set()).add(label["split"])
    assert all(len(parts) == 1 for parts in by_drive.values())
    lines = [json.loads(line) for line in (folder / "metadata.jsonl").read_text().splitlines()]
    assert {line["img_id"]: line["split"] for line in lines} == {
        img_id: label["split"] for img_id, label in labels.items()
    }
    assert set_file.read(folder / "set.json").counts.splits == counts["choice"]["parts"]


@pytest.mark.usefixtures("drives")
def test_no_database_stores_the_split(call, tmp_path):
    folder = tmp_path / "set"
    labels = fetch(call, folder, "--split", "train=50,val=50")[1]
    first = next(iter(labels.values()))
    first["track"] = "corrected"
    label_file.write(folder / "labels.json", labels)
    code, counts, _ = call(upload_to_db, folder, "-y")
    assert (code, counts["amended"]) == (0, 1)
    again = fetch(call, tmp_path / "again")[1]
    assert again[first["img_id"]]["track"] == "corrected"
    assert [label for label in again.values() if "split" in label] == []


@pytest.mark.usefixtures("drives")
def test_counting_fetches_nothing_and_counts_what_a_fetch_would_bring(call, tmp_path, home):
    before = snapshot(home)
    code, counts, err = call(search_and_download, "--count", "-q", '{"track": "track 1"}')
    assert code == 0
    assert (counts["pictures"], counts["drivers"], len(counts["drives"])) == (32, {"Zoé": 32}, 4)
    assert counts["directions"] == {"5": {"0": 4, "1": 4, "2": 16, "3": 4, "4": 4}}
    assert "direction of 5" in err
    options = ("--sample", "12", "--split", "train=50,test=50")
    counts = call(search_and_download, "--count", "-p", tmp_path / "set", *options)[1]
    assert counts["pictures"] == counts["choice"]["found"] == 12
    assert sum(counts["splits"].values()) == 12
    assert not (tmp_path / "set").exists()
    assert snapshot(home) == before


def test_counting_an_empty_database_counts_nothing(call):
    code, counts, _ = call(search_and_download, "--count", "--sample", "3")
    assert (code, counts["pictures"], counts["choice"]["found"]) == (0, 0, 0)


@pytest.mark.parametrize(
    ("options", "facts"),
    [
        (["--sample", "3", "--limit", "3"], ["--limit", "--sample"]),
        (["--sample", "3", "--per-class", "driver=3"], ["--per-class", "--sample"]),
        (["--sample", "0"], ["--sample", "'0'"]),
        (["--per-class", "driver"], ["--per-class", "FIELD=N"]),
        (["--per-class", "driver=none"], ["--per-class", "'none'"]),
        (["--per-class", "labl.label_direction=3"], ["--per-class", "label.label_direction"]),
        (["--per-class", "timestamp=3"], ["timestamp"]),
        (["--split", "train=80,val=10"], ["--split", "100"]),
        (["--split", "train=100"], ["--split", "100"]),
        (["--split", "train=50,train=50"], ["--split", "train=50,train=50"]),
        (["--split", "train=50,dev=50"], ["--split", "dev=50"]),
        (["--split", "train=50,val=50", "--limit", "3"], ["--split", "would be empty"]),
        (["--split", "train=\uff15\uff10,val=50"], ["--split", "\uff15\uff10"]),
        (["--sample", "\u0663"], ["--sample"]),
        (["--seed", "-1"], ["--seed"]),
        (["--set", "baseline", "--seed", "0"], ["--set"]),
        (["--prune", "-o", "x.json"], ["--prune"]),
        (["--prune", "--no-download"], ["--prune"]),
        (["--prune", "--count"], ["--prune"]),
        (["--set", ""], ["--set", "name"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_a_bad_choice_is_refused_in_one_line_and_nothing_is_written(
    call, drive, capsys, tmp_path, options, facts
):
    call(upload_data, drive)
    try:
        code, out, err = call(search_and_download, "-p", tmp_path / "set", *options)
    except SystemExit as error:
        code, (out, err) = error.code, capsys.readouterr()
    assert (code, out or None) == (2, None)
    assert all(fact in err.splitlines()[-1] for fact in facts)
    assert not (tmp_path / "set").exists()


def pictures(folder):
    return sorted(file.name for file in folder.glob("*.jpg"))


def test_pictures_that_are_no_longer_in_the_set_are_removed(call, fetched_pair):
    folder, gone = fetched_pair
    mine = folder / "mine.jpg"
    mine.write_bytes(b"mine")
    code, counts, _ = call(search_and_download, "-p", folder, "--prune", "-y", "-q", RIGHT)
    assert (code, counts["found"], counts["pruned"]) == (0, 4, 6)
    assert counts["pruned_bytes"] > 0
    assert set(pictures(folder)).isdisjoint(gone)
    assert mine.exists()
    assert set_file.read(folder / "set.json").left_over == {}
    assert set_file.describes(set_file.read(folder / "set.json"), folder / "labels.json")
    assert call(search_and_download, "-p", folder, "--prune", "-q", RIGHT)[1]["pruned"] == 0


RIGHT = '{"label.label_direction": {"type": "range", "gt": 2}}'


@pytest.fixture
def fetched_pair(call, drive, tmp_path):
    """A folder with ten fetched pictures, and the names of the six that are no right turn."""
    call(upload_data, drive)
    folder = tmp_path / "set"
    labels = fetch(call, folder)[1]
    gone = {
        label["file_name"] for label in labels.values() if label["label"]["label_direction"] <= 2
    }
    return folder, gone


def test_without_prune_they_stay_and_are_remembered(call, fetched_pair):
    folder, gone = fetched_pair
    fetch(call, folder, "-q", RIGHT)
    assert set(set_file.read(folder / "set.json").left_over) == gone
    fetch(call, folder, "-q", RIGHT, "--limit", 1)
    assert len(set_file.read(folder / "set.json").left_over) == 9
    # what is in the set again is not left over
    fetch(call, folder)
    assert set_file.read(folder / "set.json").left_over == {}
    assert len(pictures(folder)) == 10


def test_nothing_is_removed_without_a_yes(call, fetched_pair):
    folder, gone = fetched_pair
    code, counts, err = call(search_and_download, "-p", folder, "--prune", "-q", RIGHT)
    assert (code, counts["found"]) == (1, 4)
    assert "6 pictures" in err.splitlines()[-1]
    assert "-y" in err.splitlines()[-1]
    assert gone <= set(pictures(folder))


@pytest.mark.parametrize("name", ["keep", "keep.labels", "keep.JSON"])
def test_pictures_of_another_set_in_the_folder_stay_whatever_its_name(call, fetched_pair, name):
    folder, gone = fetched_pair
    assert call(search_and_download, "-p", folder, "-o", folder / name)[0] == 0
    code, counts, _ = call(search_and_download, "-p", folder, "--prune", "-y", "-q", RIGHT)
    assert (code, counts["pruned"]) == (0, 0)
    assert gone <= set(pictures(folder))


@pytest.mark.parametrize("change", ["content", "link", "named"])
def test_a_file_that_is_not_the_fetched_one_stays(call, fetched_pair, tmp_path, change):
    folder, gone = fetched_pair
    file = folder / sorted(gone)[0]
    if change == "content":
        file.write_bytes(b"mine")
    elif change == "link":
        file.rename(tmp_path / "elsewhere.jpg")
        file.symlink_to(tmp_path / "elsewhere.jpg")
    else:
        (label,) = [
            one
            for one in label_file.read(folder / "labels.json").values()
            if one["file_name"] == file.name
        ]
        label_file.write(folder / "wanted.json", {label["img_id"]: label})
    code, counts, _ = call(search_and_download, "-p", folder, "--prune", "-y", "-q", RIGHT)
    assert (code, counts["pruned"]) == (0, 5)
    assert file.exists()


def test_a_folder_that_was_not_fetched_is_not_pruned(call, drive, tmp_path):
    call(upload_data, drive)
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "holiday.jpg").write_bytes(b"mine")
    before = snapshot(tmp_path)
    code, _, err = call(search_and_download, "-p", folder, "--prune", "-y")
    assert (code, "set.json" in err) == (2, True)
    code, _, err = call(search_and_download, "-p", drive, "--prune", "-y")
    assert (code, "is a recording" in err) == (2, True)
    assert snapshot(tmp_path) == before


def test_a_split_that_is_far_from_what_was_asked_for_is_told(call, tmp_path):
    labels = [document(number, track="hill") for number in range(20)]
    call(upload_data, save(tmp_path / "drive", [*labels, document(5000, track="park")]))
    options = ("-p", tmp_path / "set", "--split", "train=50,val=50")
    code, counts, err = call(search_and_download, *options)
    assert (code, sorted(counts["choice"]["parts"].values())) == (0, [1, 20])
    assert counts["choice"]["shares"] == {"train": 50, "val": 50}
    (line,) = [line for line in err.splitlines() if line.startswith("warning: --split: ")]
    assert "5%" in line
    assert "50%" in line


@pytest.mark.parametrize("make", [Path.touch, os.mkfifo], ids=["file", "pipe"])
def test_what_is_no_folder_is_not_pruned(call, drive, tmp_path, make):
    call(upload_data, drive)
    make(tmp_path / "mine")
    code, counts, err = call(search_and_download, "-p", tmp_path / "mine", "--prune", "-y")
    assert (code, counts) == (2, None)
    assert str(tmp_path / "mine") in err.splitlines()[-1]


def test_nothing_is_pruned_beside_a_label_file_that_cannot_be_read(call, fetched_pair):
    """It may name pictures. The set is fetched by then: exit 2 would deny it."""
    folder, gone = fetched_pair
    file = folder / "wanted.json"
    file.write_bytes((folder / "labels.json").read_bytes()[:-3])
    code, counts, err = call(search_and_download, "-p", folder, "--prune", "-y", "-q", RIGHT)
    assert (code, counts["found"], "pruned" in counts) == (1, 4, False)
    assert str(file) in err.splitlines()[-1]
    assert gone <= set(pictures(folder))


def test_pictures_of_a_set_that_was_fetched_meanwhile_stay(call, fetched_pair, monkeypatch):
    """Another fetch ends between the fetch and its `--prune`."""
    folder, gone = fetched_pair
    lock = journal.removal_lock

    def lock_after_another_fetch(place):
        monkeypatch.setattr(journal, "removal_lock", lock)
        assert call(search_and_download, "-p", folder)[0] == 0
        return lock(place)

    monkeypatch.setattr(journal, "removal_lock", lock_after_another_fetch)
    call(search_and_download, "-p", folder, "--prune", "-y", "-q", RIGHT)
    assert gone <= set(pictures(folder))
    assert len(label_file.read(folder / "labels.json")) == 10


def test_a_folder_in_use_is_not_pruned(call, fetched_pair):
    folder, gone = fetched_pair
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom get_data.recording import journal\n"
        "with journal.shared_lock(Path(sys.argv[1])):\n print(flush=True)\n time.sleep(600)\n"
    )
    using = subprocess.Popen(
        [sys.executable, "-c", code, folder], cwd=path.ROOT, stdout=subprocess.PIPE
    )
    try:
        using.stdout.readline()
        code, _, err = call(search_and_download, "-p", folder, "--prune", "-y", "-q", RIGHT)
    finally:
        using.kill()
        using.communicate()
    assert (code, str(folder) in err) == (1, True)
    assert gone <= set(pictures(folder))


def test_a_full_temporary_folder_is_one_line_and_changes_nothing(
    call, fetched_pair, tmp_path, monkeypatch
):
    folder, _ = fetched_pair
    before = snapshot(folder)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    code, _, err = call(search_and_download, "-p", folder, "--sample", 3)
    assert (code, "TMPDIR" in err.splitlines()[-1]) == (1, True)
    assert snapshot(folder) == before
