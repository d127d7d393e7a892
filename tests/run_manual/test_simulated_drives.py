"""The track of a simulated drive, and a simulated drive that was stopped."""

import json
import re
import signal
import time

import pytest

from get_data import run_manual
from get_data.labels import session
from tests.helpers import unhurried
from tests.helpers.recordings import assert_whole
from tests.helpers.waiting import HANGS_S, wait_until
from tests.run_manual.drives import has_pictures, start

TRACKS = [  # of the folder, options, simulated track, track in the labels
    ("", [], "school", "school"),
    ("", ["--track", "park"], "park", "park"),
    ("", ["--track", "Park"], "park", "Park"),
    ("", ["--sim-track", "park"], "park", "park"),
    ("", ["--sim-track", "park", "--track", "park"], "park", "park"),
    ("", ["--track", "gym"], "school", "gym"),
    ("", ["--sim-track", "park", "--track", "gym"], "park", "gym"),
    ("park", [], "park", "park"),
    ("park", ["--sim-track", "park"], "park", "park"),
    ("gym", ["--sim-track", "park"], "park", "gym"),
]


@pytest.mark.parametrize(("known", "options", "simulated", "named"), TRACKS, ids=str)
def test_the_simulated_track_is_the_one_that_the_labels_name(
    tmp_path, call, known, options, simulated, named
):
    folder = tmp_path / "drive"
    if known:
        folder.mkdir()
        session.write(folder / session.NAME, {"track": known})
    seed = ["--seed", 7]
    drive = ["-o", folder, "--simulate", "--duration", "0.2", *seed, *options]
    code, _, err = call(run_manual, *drive)
    assert code == 0, err
    assert ("warning" in err) == (named.casefold() != simulated)
    labels = assert_whole(folder)
    assert labels
    for label in labels.values():
        run = label["car_setting"]["run"]
        assert (label["track"], run["sim_track"], run["seed"]) == (named, simulated, 7)


@pytest.mark.parametrize("option", [[], ["--check"]])
@pytest.mark.parametrize("known", [False, True], ids=["option", "folder"])
def test_a_simulated_track_that_contradicts_the_labels_is_refused_before_the_drive(
    tmp_path, call, no_motors, known, option
):
    folder = tmp_path / "drive"
    track = ["--track", "park"]
    if known:
        folder.mkdir()
        session.write(folder / session.NAME, {"track": "park"})
        track = []
    drive = ["-o", folder, "--simulate", "--sim-track", "school", *track, *option]
    code, out, err = call(run_manual, *drive)
    assert (code, out) == (2, None)
    assert "--sim-track school" in err
    assert "'park'" in err
    assert folder.exists() == known


@pytest.mark.slow
def test_a_simulated_drive_that_was_stopped_goes_on_and_reports_it(tmp_path, monkeypatch):
    """A busy machine, a frozen container or a debugger may stop all processes."""
    unhurried.hurry_up(monkeypatch)
    folder = tmp_path / "drive"
    process = start(folder)
    wait_until(has_pictures(folder))
    process.send_signal(signal.SIGSTOP)
    time.sleep(0.5)
    before = len(list(folder.glob("*.jpg")))
    process.send_signal(signal.SIGCONT)
    wait_until(has_pictures(folder, before + 40))
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=HANGS_S)
    stops = json.loads(out)["stops"]
    assert process.returncode == 130
    assert set(stops) <= {"the drive was held up", "commands came too late"}
    assert sum(stops.values()) >= 1
    assert re.search(r"  stopped +\d+ times?: ", err)
    labels = sorted(assert_whole(folder).items())
    driving = [name for name, label in labels[before + 5 :] if label["label"]["raw_speed"] > 0]
    assert len(driving) > 10, "the car stands and is recorded"
