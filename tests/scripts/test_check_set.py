"""`check_set.py`: exit code, stdout, stderr, page and that nothing else changes."""

import io
import json
import re
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import timedelta

import cv2
import numpy as np
import pytest

import path
from get_data import check_set, search_and_download, upload_data
from get_data.labels import edits, ids, label_file
from get_data.labels.classes import Classes
from get_data.quality.thumbnails import CACHE_NAME
from get_data.recording import journal
from tests.conftest import START, document, save
from tests.helpers import learning, terminal
from tests.helpers.permissions import permissions_enforced
from tests.quality.planted import late

CLASSES = Classes(max_throttle=0.5)
HOSTILE = '</style><script>alert("1")</script><img src=x onerror=alert(2)>'
PICTURES = 600
KEYS = {
    *(
        "labels",
        "unreadable",
        "unlabelled",
        "findings",
        "suspects",
        "clips",
        "delay_pictures",
        "delay",
    ),
    *("drives", "classes", "balance", "standing", "standing_runs", "missed", "gaps", "pauses"),
    *("mixed", "contradictions", "duplicates", "split"),
}


def label_of(number, content, steering, *, throttle=0.3, seconds=None, **own):
    return edits.new_label(
        captured=START
        + timedelta(seconds=number / learning.RATE_HZ if seconds is None else seconds),
        picture=content,
        width=learning.WIDTH_PX,
        height=learning.HEIGHT_PX,
        steering=float(steering),
        throttle=throttle,
        classes=CLASSES,
        session={"event": "test day", "driver": "Zoé", **own},
        car_setting={"car": "patate", "run": {"max_throttle": 0.5}},
        session_id="20240501T12-00-00-000000-7f3a",
    )


def encode(grey):
    return cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()


def save_set(folder, labels, contents):
    folder.mkdir()
    label_file.write(folder / label_file.NAME, {each["img_id"]: each for each in labels})
    for label, content in zip(labels, contents, strict=True):
        (folder / label["file_name"]).write_bytes(content)
    return folder


@pytest.fixture(scope="module")
def lesson():
    return learning.record("school", seed=3, pictures=PICTURES)


@pytest.fixture(scope="module")
def contents(lesson):
    shape = (len(lesson.pictures), learning.HEIGHT_PX, learning.WIDTH_PX)
    return [
        encode(grey) for grey in np.round(lesson.pictures.reshape(shape) * 255).astype(np.uint8)
    ]


@pytest.fixture(scope="module")
def clean(lesson, contents, tmp_path_factory):
    """A drive on which nothing is wrong."""
    labels = [
        label_of(*each) for each in zip(range(PICTURES), contents, lesson.steering, strict=True)
    ]
    return save_set(tmp_path_factory.mktemp("sets") / "clean", labels, contents)


@pytest.fixture(scope="module")
def spoilt(lesson, contents, tmp_path_factory):
    """A drive with every fault, and a hostile name."""
    labels = []
    pictures = list(contents)
    for number, steering in enumerate(lesson.steering):
        throttle = 0.0 if 500 <= number < 540 else 0.3
        if throttle == 0.0:
            pictures[number] = pictures[500]
        label = label_of(number, pictures[number], steering, throttle=throttle, event=HOSTILE)
        label["split"] = "train" if number % 2 else "val"
        labels.append(label)
    wrong = labels[50]["label"]
    del wrong["steering"]
    wrong["label_direction"] = (wrong["label_direction"] + 2) % 5
    labels[60]["label"] |= {"nb_dir": 1, "label_direction": 0}
    labels[70]["car_setting"] = {"car": "other", "run": {"max_throttle": 0.5}}
    labels[80]["resolution"] = {"horizontal": 80, "vertical": 60}
    labels[90]["label"] |= {"created_by": "Ada", "steering": -1.0, "label_direction": 0}
    for label in labels:
        label["label_fingerprint"] = ids.fingerprint(label["img_id"], label["label"])
    kept = [number for number in range(PICTURES) if number < 100 or number > 480 or number % 8]
    folder = tmp_path_factory.mktemp("sets") / "spoilt"
    return save_set(folder, [labels[row] for row in kept], [pictures[row] for row in kept])


@dataclass(frozen=True)
class Outcome:
    code: int
    found: dict
    err: str
    page: str


@pytest.fixture(scope="module")
def outcome(spoilt, tmp_path_factory):
    """The outcome of one run on the spoilt drive, with a page."""
    file = tmp_path_factory.mktemp("pages") / "page.html"
    out, err = io.TextIOWrapper(io.BytesIO()), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = check_set.main([str(spoilt), "--html", str(file)])
    found = json.loads(out.buffer.getvalue())
    return Outcome(code, found, err.getvalue(), file.read_text())


def content_of(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.name != CACHE_NAME}


def test_nothing_is_found_on_a_clean_drive(call, clean):
    before = content_of(clean)
    code, found, _ = call(check_set, clean)
    assert (code, found["labels"], found["delay_pictures"]) == (0, PICTURES, 0)
    assert found.keys() == KEYS
    assert found["findings"] == []
    assert (found["standing"], found["missed"], found["contradictions"]) == (0, 0, [])
    assert sum(found["classes"]["direction"].values()) == PICTURES
    assert content_of(clean) == before


def test_every_fault_is_found_and_done_is_done(outcome, spoilt):
    found = outcome.found
    assert outcome.code == 0
    expected = {"suspects", "standing", "missed", "mixed", "contradictions", "duplicates", "split"}
    assert expected <= set(found["findings"])
    assert found["missed"] == PICTURES - found["labels"]
    assert found["standing"] == 40
    assert len(found["standing_runs"]) == 1
    assert found["mixed"]["nb_dir"].keys() == {"5", "1"}
    assert found["mixed"]["cars"] == {"patate": found["labels"] - 1, "other": 1}
    assert len(found["mixed"]["sizes"]) == 2
    assert len(found["contradictions"]) == 1
    assert [len(same) for same in found["duplicates"]] == [40]
    assert found["split"]["leaks"]
    assert found["split"]["r2_random"] > found["split"]["r2_blocks"]
    assert str(spoilt) in outcome.err


def test_late_labels_are_told(call, lesson, contents, tmp_path):
    steering = late(lesson.steering, 3)
    labels = [label_of(*each) for each in zip(range(PICTURES), contents, steering, strict=True)]
    _, found, err = call(check_set, save_set(tmp_path / "late", labels, contents))
    assert (found["delay_pictures"], found["drives"][0]["delay_pictures"]) == (3, 3)
    assert "delay" in found["findings"]
    scripts = re.findall(r"python get_data/(\w+)\.py", err)
    # a correction of a recording is refused until the database has it
    assert scripts == ["upload_data", "run_labelizer", "upload_to_db"]


def test_labels_that_were_fetched_need_no_upload_before_they_are_corrected(
    call, lesson, contents, tmp_path
):
    steering = late(lesson.steering, 3)
    labels = [
        label_of(*each) | {"upload_date": "2026-11-29T12:00:00Z"}
        for each in zip(range(PICTURES), contents, steering, strict=True)
    ]
    _, _, err = call(check_set, save_set(tmp_path / "fetched", labels, contents))
    assert re.findall(r"python get_data/(\w+)\.py", err) == ["run_labelizer", "upload_to_db"]


def test_suspects_are_pictures_of_the_set_and_none_twice(outcome, spoilt):
    found = outcome.found
    labels = label_file.read(spoilt / label_file.NAME)
    ids = set(labels)
    assert len(set(found["suspects"])) == len(found["suspects"]) > 0
    assert set(found["suspects"]) <= ids
    people = {img_id for img_id, label in labels.items() if label["label"]["created_by"] == "Ada"}
    assert len(people) == 1
    assert not people & set(found["suspects"])
    assert all(first <= last and {first, last} <= ids for first, last in found["clips"])


def test_a_straight_heavy_set_is_told_with_a_balanced_sample(call, lesson, contents, tmp_path):
    straight = np.flatnonzero(np.abs(lesson.steering) < 0.2)[:160]
    bends = np.flatnonzero(np.abs(lesson.steering) > 0.2)[:40]
    rows = sorted((*straight, *bends))
    labels = [label_of(row, contents[row], lesson.steering[row]) for row in rows]
    folder = save_set(tmp_path / "heavy", labels, [contents[row] for row in rows])
    _, found, _ = call(check_set, folder)
    assert "balance" in found["findings"]
    assert found["balance"]["straight_heavy"]
    assert 0.7 < found["balance"]["middle_share"] < 0.9
    chosen = found["balance"]["img_ids"]
    assert len(chosen) == found["balance"]["pictures"] < 100
    assert set(chosen) < {label["img_id"] for label in labels}
    assert call(check_set, folder, "--seed", 1)[1]["balance"]["img_ids"] != chosen


@pytest.mark.parametrize("labelled", [0, 150])
def test_unlabelled_pictures_are_told_and_left_out_of_the_balance(call, tmp_path, labelled):
    labels = [
        document(number, steering=0.9 if number < labelled else 0.0) for number in range(labelled)
    ]
    labels += [document(number, created_by="nobody") for number in range(labelled, 200)]
    _, found, err = call(check_set, save(tmp_path / "drive", labels))
    assert (found["unlabelled"], found["balance"]["straight_heavy"]) == (200 - labelled, False)
    assert "unlabelled" in found["findings"]
    assert found["classes"]["direction"] == (
        {"0": 0, "1": 0, "2": 0, "3": 0, "4": 150} if labelled else {}
    )
    assert found["balance"]["straight_share"] == 0
    assert "run_labelizer.py" in err
    assert ("straight on" in err) is bool(labelled)


@pytest.mark.parametrize("options", [["--sample", "12"], ["--per-class", "driver=12"]], ids=str)
def test_of_a_chosen_set_no_picture_is_missed(call, tmp_path, options):
    labels = [document(number) for number in range(60) if number % 4]
    call(upload_data, save(tmp_path / "drive", labels))
    call(search_and_download, "-p", tmp_path / "whole")
    assert "missed" in call(check_set, tmp_path / "whole")[1]["findings"]
    call(search_and_download, "-p", tmp_path / "set", *options)
    _, found, err = call(check_set, tmp_path / "set")
    assert (found["labels"], found["missed"], found["gaps"]) == (12, 0, [])
    assert "missed" not in found["findings"]
    assert "missed" not in err.lower()


def test_lines_fit_a_terminal_of_80_columns(outcome, spoilt):
    """All but those that hold a path or are to be copied."""
    whole = (str(spoilt.parent.parent), "python get_data/")
    texts = [line for line in outcome.err.splitlines() if not any(each in line for each in whole)]
    assert len(texts) > 30
    assert max(map(len, texts)) <= 80


def test_of_very_many_parts_or_cars_a_few_are_named(call, tmp_path):
    labels = [document(number) for number in range(60)]
    for number, label in enumerate(labels):
        label |= {"split": f"part-{number}", "car_setting": {"car": f"car-{number}"}}
    _, found, err = call(check_set, save(tmp_path / "drive", labels))
    assert len(found["split"]["parts"]) == len(found["mixed"]["cars"]) == 60
    assert 0 < err.count("part-") < 20
    assert 0 < err.count("car-") < 20


def test_pictures_that_cannot_be_read_are_listed_with_exit_code_3(call, clean, tmp_path):
    labels = label_file.read(clean / label_file.NAME)
    few = {name: labels[name] for name in sorted(labels)[:10]}
    folder = tmp_path / "few"
    folder.mkdir()
    label_file.write(folder / label_file.NAME, few)
    first, second, *others = few.values()
    for label in others:
        (folder / label["file_name"]).write_bytes((clean / label["file_name"]).read_bytes())
    (folder / second["file_name"]).write_bytes(b"\xff\xd8 broken")
    code, found, err = call(check_set, folder)
    assert code == 3
    assert found["unreadable"] == [first["img_id"], second["img_id"]]
    assert "unreadable" in found["findings"]
    for name in found["unreadable"]:
        assert f"failed: {name}: " in err


def test_a_folder_without_any_of_its_pictures_is_refused(call, tmp_path):
    folder = save(tmp_path / "none", [document(0)], pictures=False)
    assert call(check_set, folder)[:2] == (2, None)


def test_a_folder_without_labels_or_with_no_label_is_refused(call, tmp_path):
    assert call(check_set, tmp_path)[:2] == (2, None)
    assert call(check_set, save(tmp_path / "empty", []))[:2] == (2, None)
    assert call(check_set, tmp_path / "missing")[:2] == (2, None)


def test_a_read_only_folder_is_read_with_a_warning(call, tmp_path):
    folder = save(tmp_path / "drive", [document(number) for number in range(3)])
    folder.chmod(0o500)
    with permissions_enforced():
        code, found, err = call(check_set, folder)
    assert (code, found["labels"]) == (0, 3)
    assert "warning: " in err
    assert not (folder / CACHE_NAME).exists()


@pytest.mark.slow
def test_on_a_terminal_json_is_printed_only_if_asked(tmp_path):
    folder = save(tmp_path / "drive", [document(number) for number in range(3)])
    script = [sys.executable, path.ROOT / "get_data" / "check_set.py", folder]
    for options, printed in (((), False), (("--json",), True)):
        code, output = terminal.run([*script, *options])
        assert code == 0
        assert ('"delay_pictures"' in output) == printed


def test_the_page_loads_nothing_and_runs_nothing(outcome):
    text = outcome.page
    sources = re.findall(r'<[^>]*\s(?:src|href)="([^"]*)"', text)
    assert sources
    assert not re.search(r"url\(|@import", text)
    assert all(source.startswith("data:image/jpeg;base64,") for source in sources)
    assert "<script" not in text
    assert len(text) < 1_000_000


def test_a_hostile_name_stays_a_text(outcome):
    text = outcome.page
    assert text.count("</style>") == 1
    assert "&lt;script&gt;alert" in text
    assert "<img src=x" not in text


def test_the_page_replaces_only_a_page_and_is_called_like_one(call, tmp_path):
    folder = save(tmp_path / "drive", [document(number) for number in range(3)])
    page = tmp_path / "page.html"
    assert call(check_set, folder, "--html", page)[0] == 0
    first = page.read_bytes()
    assert call(check_set, folder, "--html", page)[0] == 0
    assert page.read_bytes() == first
    before = content_of(folder)
    other = tmp_path / "other.html"
    other.write_text("<!DOCTYPE html>\n<title>my own</title>")
    own = folder / label_file.NAME, next(folder.glob("*.jpg"))
    new = (folder / name for name in (journal.NAME, "labels_new.json", "new.jpg", "page"))
    for file in (*own, *new, other):
        assert call(check_set, folder, "--html", file)[:2] == (2, None)
    assert content_of(folder) == before


def test_the_page_is_not_written_through_a_link_or_into_nowhere(call, tmp_path):
    folder = save(tmp_path / "drive", [document(0)])
    target = tmp_path / "target.html"
    link = tmp_path / "link.html"
    link.symlink_to(target)
    for file in (link, tmp_path, tmp_path / "missing" / "page.html"):
        assert call(check_set, folder, "--html", file)[:2] == (2, None)
    assert not target.exists()
