"""The ids of a drive whose clock is, or was, wrong."""

import json
import os
from datetime import UTC, datetime, timedelta

import pytest

from get_data import run_manual
from get_data.labels import label_file
from get_data.labels.ids import fingerprint, parse_img_id
from get_data.recording import capture_clock, journal
from tests.conftest import document, picture, save
from tests.helpers.recordings import assert_whole
from tests.run_manual.drives import record_briefly


@pytest.fixture
def network_time(tmp_path, monkeypatch):
    """Return a function that sets the answer of `timedatectl` about network time."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def set_answer(text):
        (folder / "timedatectl").write_text(f"#!/bin/sh\necho '{text}'\n")
        (folder / "timedatectl").chmod(0o755)

    set_answer("")
    return set_answer


FUTURE = "20990101T00-00-00-000000"


def store_future_id(place, tmp_path, home):
    """Write an id of the future to where a drive reads ids; return the file."""
    folder = tmp_path / "drive"
    if place == "last_img_id":
        file = home / "database" / "last_img_id"
        file.parent.mkdir()
        file.write_text(f"{FUTURE}\n")
        return file
    label = {**document(0), "img_id": FUTURE, "file_name": f"{FUTURE}.jpg"}
    label["label_fingerprint"] = fingerprint(FUTURE, label["label"])
    save(folder, [label], pictures=False)
    if place == "journal":
        (folder / label_file.NAME).unlink()
        (folder / journal.NAME).write_text(json.dumps(label) + "\n")
    (folder / f"{FUTURE}.jpg").write_bytes(picture(0))
    return folder / label_file.NAME


@pytest.mark.parametrize(
    ("place", "answer", "follows"),
    [
        ("last_img_id", "yes", False),
        ("labels", "yes", False),
        ("journal", "yes", False),
        ("last_img_id", "no", True),
        ("labels", "", True),
        ("journal", "", True),
    ],
)
def test_ids_ahead_of_a_synchronised_clock_are_reported_and_not_followed(
    tmp_path, home, call, network_time, place, answer, follows
):
    """Ids must increase, so they are followed where the clock may be wrong."""
    file = store_future_id(place, tmp_path, home)
    network_time(answer)
    code, _, err = call(run_manual, "-o", tmp_path / "drive", "--simulate", "--check")
    assert code == 0
    assert f"{file} has the id {FUTURE}" in err  # `--check` reports it too
    code, counts, err = record_briefly(call, tmp_path / "drive")
    assert code == 0, err
    before_start, _, _ = err.partition(f"\n{tmp_path / 'drive'}\n")
    assert f"{file} has the id {FUTURE}" in before_start
    new = assert_whole(tmp_path / "drive").keys() - {FUTURE}
    assert len(new) == counts["pictures"] > 0
    assert all((img_id > FUTURE) == follows for img_id in new)
    assert capture_clock.load_last_time(home / "database" / "last_img_id") == parse_img_id(max(new))


def test_a_clock_that_was_an_hour_ahead_is_still_followed(tmp_path, home, call, network_time):
    """A small step back does not justify ids that decrease."""
    network_time("yes")
    last = datetime.now(UTC) + timedelta(hours=1)
    (home / "database").mkdir()
    capture_clock.save_last_time(home / "database" / "last_img_id", last)
    code, _, err = record_briefly(call, tmp_path / "drive")
    assert code == 0
    assert "last_img_id" not in err
    assert min(map(parse_img_id, assert_whole(tmp_path / "drive"))) > last


def test_ids_continue_when_the_clock_was_wrong(tmp_path, home, call):
    memory = home / "database" / "last_img_id"
    memory.parent.mkdir()
    memory.write_text(f"{FUTURE}\n")
    assert record_briefly(call, tmp_path / "drive")[0] == 0
    assert all(img_id > FUTURE for img_id in assert_whole(tmp_path / "drive"))
    assert memory.read_text().strip() == max(assert_whole(tmp_path / "drive"))


def test_a_drive_that_cannot_save_its_last_id_is_recorded_with_a_warning(tmp_path, home, call):
    (home / "database").symlink_to("/proc/sys")  # not even root can create a file there
    code, counts, err = record_briefly(call, tmp_path / "drive")
    assert code == 0, err
    assert len(assert_whole(tmp_path / "drive")) == counts["pictures"] > 0
    before, _, after = err.partition(f"{tmp_path / 'drive'}\n")
    assert f"warning: {home / 'database'} cannot be written" in before
    assert "warning: " in after
    assert "last_img_id cannot be written" in after
