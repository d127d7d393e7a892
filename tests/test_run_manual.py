"""`run_manual.py` as users run it, ended in every way it can end."""

import io
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise

import cv2
import numpy as np
import pytest

import path
from car import assembly
from car.interfaces import Button, Frame
from common.errors import CameraFailed, InputError, PadLost
from get_data import run_manual
from get_data.cli import process
from get_data.labels import label_file, session
from get_data.labels.ids import fingerprint, parse_img_id
from get_data.labels.schema import SESSION_KEYS
from get_data.recording import capture_clock, journal, merge
from tests.conftest import document, picture, save
from tests.fakes import fake_camera
from tests.helpers import unhurried
from tests.helpers.recordings import assert_whole, interrupted_recording
from tests.helpers.waiting import HANGS_S, wait_until
from tests.test_live_view import free_port

SCRIPT = path.ROOT / "get_data" / "run_manual.py"
SESSION_OPTIONS = [f"--{key}=x" for key in ("event", "track", "track-type", "driver", "comment")]


@pytest.fixture(autouse=True)
def _unhurried(monkeypatch, tmp_path_factory):
    unhurried.drives(monkeypatch, tmp_path_factory.mktemp("unhurried"))


def start(folder, *options, **more):
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), "-o", str(folder), "--simulate", *options],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **more,
    )


def run_drive(folder, *options):
    process = start(folder, *options)
    out, err = process.communicate(timeout=HANGS_S)
    return process.returncode, out, err


def has_pictures(folder, pictures=10):
    """Return a condition: the folder has this many pictures."""
    return lambda: len(list(folder.glob("*.jpg"))) >= pictures


@pytest.mark.slow
def test_a_drive_becomes_labels_and_a_report(tmp_path):
    folder = tmp_path / "drive"
    code, out, err = run_drive(folder, "--duration", "2", "--driver", "Zoé", "--rate", "30")
    assert code == 0
    labels = assert_whole(folder)
    counts = json.loads(out)
    moments = sorted(map(parse_img_id, labels))
    periods = round((moments[-1] - moments[0]).total_seconds() * 30)
    assert counts["pictures"] == len(labels)
    assert len(labels) - 1 <= periods <= len(labels) - 1 + counts["missed"]
    assert sum(counts["directions"]) == sum(counts["speeds"]) == len(labels)
    assert counts["dropped"] == 0
    assert f"pictures  {len(labels)}" in err
    assert "30 asked" in err
    assert "Traceback" not in err
    label = next(iter(labels.values()))
    assert label["driver"] == "Zoé"
    assert label["car_setting"]["run"]["rate_hz"] == 30
    assert session.read(folder / session.NAME)["driver"] == "Zoé"


def test_options_reach_the_labels(tmp_path, capsys):
    options = ["--resolution", "64x48", "--nb-dir", "3", "--nb-speed", "4", "--max-throttle", "0.3"]
    drive = ["-o", str(tmp_path / "drive"), "--simulate", "--duration", "1"]
    assert run_manual.main([*drive, *options]) == 0
    out = capsys.readouterr().out
    assert [len(json.loads(out)[key]) for key in ("directions", "speeds")] == [3, 4]
    labels = assert_whole(tmp_path / "drive")
    assert labels
    for label in labels.values():
        assert label["resolution"] == {"horizontal": 64, "vertical": 48}
        assert (label["label"]["nb_dir"], label["label"]["nb_speed"]) == (3, 4)
        assert 0 <= label["label"]["raw_speed"] <= 0.3


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_drive_and_everything_is_saved(tmp_path, number):
    folder = tmp_path / "drive"
    process = start(folder)
    wait_until(has_pictures(folder))
    process.send_signal(number)
    out, err = process.communicate(timeout=HANGS_S)
    assert process.returncode == 130
    assert json.loads(out)["pictures"] == len(assert_whole(folder)) >= 10
    assert "Traceback" not in err


@pytest.mark.slow
def test_a_terminal_that_is_closed_ends_the_drive_and_everything_is_saved(tmp_path):
    """Neither stdout nor stderr can be written any more; that is no failure."""
    folder = tmp_path / "drive"
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [
            "setsid",
            "--ctty",
            sys.executable,
            str(SCRIPT),
            "-o",
            str(folder),
            "--simulate",
            *SESSION_OPTIONS,
        ],
        stdin=slave,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    wait_until(has_pictures(folder))
    os.close(master)
    assert process.wait(HANGS_S) == 130
    assert len(assert_whole(folder)) >= 10


@pytest.mark.slow
def test_ctrl_c_twice_still_saves(tmp_path):
    folder = tmp_path / "drive"
    process = start(folder)
    wait_until(has_pictures(folder))
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=HANGS_S)
    assert process.returncode == 130
    assert len(assert_whole(folder)) >= 10


@pytest.mark.slow
def test_ctrl_c_on_a_terminal_reaches_only_the_drive(tmp_path):
    """A terminal signals every process of the job; the writer must survive it."""
    folder = tmp_path / "drive"
    process = start(folder, start_new_session=True)
    wait_until(has_pictures(folder))
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=HANGS_S)
    assert process.returncode == 130
    assert len(assert_whole(folder)) >= 10


@pytest.mark.slow
def test_a_killed_drive_is_completed_for_the_next_script(tmp_path):
    folder = tmp_path / "drive"
    process = start(folder)
    wait_until(has_pictures(folder, 20))
    process.kill()
    process.communicate()
    upload = path.ROOT / "get_data" / "upload_data.py"
    done = subprocess.run(
        [sys.executable, str(upload), str(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["created"] == len(assert_whole(folder)) >= 20


@pytest.mark.slow
def test_a_folder_that_is_renamed_and_recreated_during_the_drive_is_reported(tmp_path):
    folder, away = tmp_path / "drive", tmp_path / "away"
    process = start(folder, "--duration", "60")
    wait_until(has_pictures(folder))
    folder.rename(away)
    folder.mkdir()
    before = len(list(away.glob("*.jpg")))
    wait_until(lambda: len(list(away.glob("*.jpg"))) > before + 5)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=HANGS_S)
    assert process.returncode == 130
    assert str(away) in err
    counts = json.loads(out)
    assert counts["moved"] == str(away)
    assert counts["pictures"] == len(assert_whole(away))
    assert list(folder.iterdir()) == []


def record_briefly(call, folder, *options):
    """Record a few pictures into the folder; return exit code, report and stderr."""
    return call(run_manual, "-o", folder, "--simulate", "--duration", "0.2", *options)


def contents(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}


@pytest.mark.slow
def test_the_same_folder_is_continued_and_its_session_kept(tmp_path):
    folder = tmp_path / "drive"
    run_drive(folder, "--duration", "1", "--driver", "Zoé")
    first = label_file.read(folder / label_file.NAME)
    code, _, err = run_drive(folder, "--duration", "1")
    assert code == 0, err
    labels = assert_whole(folder)
    assert labels.keys() > first.keys()
    assert {label["driver"] for label in labels.values()} == {"Zoé"}
    assert max(first) < min(labels.keys() - first.keys())


@pytest.mark.parametrize("key", SESSION_KEYS)
def test_an_option_that_contradicts_the_template_is_refused_before_the_drive(
    tmp_path, call, no_motors, key
):
    folder = tmp_path / "drive"
    folder.mkdir()
    template = folder / session.NAME
    session.write(template, {key: "this", "tyres": 4})
    before = contents(folder)
    code, out, err = record_briefly(call, folder, f"--{key.replace('_', '-')}", "that")
    assert (code, out) == (2, None)
    for fact in (str(template), key, "'this'", "'that'"):
        assert fact in err
    assert contents(folder) == before


def test_an_option_fills_an_empty_field_of_the_template(tmp_path, call):
    folder = tmp_path / "drive"
    folder.mkdir()
    (folder / session.NAME).write_text('{"event": "", "driver": "Zoe\\u0301", "tyres": 4}')
    code, _, err = record_briefly(call, folder, "--event", "race", "--driver", "Zo\u00e9")
    assert code == 0, err
    assert "warning" not in err
    kept = session.read(folder / session.NAME)
    assert (kept["event"], kept["tyres"]) == ("race", 4)
    labels = assert_whole(folder).values()
    assert {(label["event"], label["tyres"]) for label in labels} == {("race", 4)}


def test_earlier_pictures_without_a_field_given_now_are_reported(tmp_path, call):
    assert record_briefly(call, tmp_path / "drive")[0] == 0
    code, _, err = record_briefly(call, tmp_path / "drive", "--event", "race")
    assert code == 0
    assert f"{tmp_path / 'drive'}: earlier pictures do not have event" in err
    events = {label["event"] for label in assert_whole(tmp_path / "drive").values()}
    assert events == {"", "race"}


OTHER_SETTINGS = {
    "nb_dir": ["--nb-dir", "3"],
    "nb_speed": ["--nb-speed", "1"],
    "max_throttle": ["--max-throttle", "0.31"],
    "resolution": ["--resolution", "64x48"],
}


@pytest.mark.parametrize("option", [[], ["--check"]], ids=["drive", "check"])
@pytest.mark.parametrize("name", OTHER_SETTINGS)
def test_a_folder_is_not_continued_with_other_settings(tmp_path, call, name, option):
    folder = tmp_path / "drive"
    assert record_briefly(call, folder)[0] == 0
    before = contents(folder)
    code, out, err = record_briefly(call, folder, *OTHER_SETTINGS[name], *option)
    assert (code, out) == (2, None)
    assert str(folder) in err
    assert name in err
    assert "another folder" in err
    assert contents(folder) == before


@pytest.mark.parametrize("where", [label_file.NAME, journal.NAME, f"{journal.ERASED}/labels.json"])
def test_classes_of_erased_and_unrepaired_labels_count_too(tmp_path, call, no_motors, where):
    label = document(0)
    label["label"]["nb_dir"] = 7
    label["label_fingerprint"] = fingerprint(label["img_id"], label["label"])
    folder = interrupted_recording(tmp_path / "drive", [label])
    session.write(folder / session.NAME, {})
    if where != journal.NAME:
        (folder / journal.NAME).unlink()
        (folder / where).parent.mkdir(exist_ok=True)
        label_file.write(folder / where, {label["img_id"]: label})
    code, _, err = record_briefly(call, folder)
    assert code == 2
    assert "nb_dir 7" in err
    assert "nb_dir 5" in err


def test_a_simulated_drive_does_not_go_among_real_pictures(tmp_path, call, no_motors):
    folder = save(tmp_path / "drive", [document(0)])
    labels = label_file.read(folder / label_file.NAME)
    for label in labels.values():
        label["car_setting"]["run"] = {"simulated": False}
    label_file.write(folder / label_file.NAME, labels)
    code, _, err = record_briefly(call, folder)
    assert code == 2
    assert "simulated false" in err


def test_another_rate_and_another_car_are_reported(tmp_path, call, monkeypatch):
    assert record_briefly(call, tmp_path / "drive")[0] == 0
    conf = json.loads(path.HARDWARE_CONF.read_text()) | {"car": "another"}
    monkeypatch.setattr(path, "HARDWARE_CONF", tmp_path / "conf.json")
    path.HARDWARE_CONF.write_text(json.dumps(conf))
    code, _, err = record_briefly(call, tmp_path / "drive", "--rate", "10")
    assert code == 0
    assert "rate_hz 20.0, this drive has rate_hz 10.0" in err
    assert "this drive has car another" in err


@pytest.fixture
def network_time(tmp_path, monkeypatch):
    """Set what `timedatectl` answers about network time."""
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
    """Write an id of the future where a drive reads ids; return the file."""
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


@pytest.mark.parametrize("place", ["last_img_id", "labels", "journal"])
@pytest.mark.parametrize(
    ("answer", "follows"), [("yes", False), ("no", True), ("", True)], ids=["set", "not", "unknown"]
)
def test_ids_ahead_of_a_synchronised_clock_are_reported_and_not_followed(
    tmp_path, home, call, network_time, place, answer, follows
):
    """They are followed only where the clock may be wrong, since ids must increase."""
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


def test_a_check_needs_no_folder(tmp_path, call, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = call(run_manual, "--simulate", "--check")
    assert (code, out) == (0, None)
    assert [line.split()[0] for line in err.splitlines()] == ["motors"]
    code, _, err = call(run_manual, "--check")
    assert code == 1
    names = [line.split()[0] for line in err.splitlines()[:-1]]
    assert {"pad", "camera", "clock", "supply"} <= set(names)
    assert not {"space", "disk"} & set(names)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option", [[], ["--simulate"], ["--duration", "1"]])
def test_a_drive_needs_a_folder(option, capsys):
    with pytest.raises(SystemExit) as caught:
        run_manual.main(option)
    assert caught.value.code == 2
    assert "-o" in capsys.readouterr().err


@pytest.mark.slow
def test_ids_continue_when_the_clock_was_wrong(tmp_path, home):
    memory = home / "database" / "last_img_id"
    memory.parent.mkdir()
    memory.write_text(f"{FUTURE}\n")
    run_drive(tmp_path / "drive", "--duration", "1")
    assert all(img_id > FUTURE for img_id in assert_whole(tmp_path / "drive"))
    assert memory.read_text().strip() == max(assert_whole(tmp_path / "drive"))


@pytest.mark.slow
def test_a_drive_whose_ids_cannot_be_remembered_is_recorded_and_warned_of(tmp_path, home):
    (home / "database").symlink_to("/proc/sys")  # where not even root can create a file
    code, _, err = run_drive(tmp_path / "drive", "--duration", "1")
    assert code == 0, err
    assert len(assert_whole(tmp_path / "drive")) > 10
    before, _, after = err.partition(f"{tmp_path / 'drive'}\n")
    assert f"warning: {home / 'database'} cannot be written" in before
    assert "warning: " in after
    assert "last_img_id cannot be written" in after


@pytest.mark.slow
def test_erasing_and_pausing_from_the_pad(tmp_path, monkeypatch, capsys):
    """The simulated driver presses the buttons."""
    presses = [
        (1.0, Button.ERASE),
        (1.5, Button.PAUSE),
        (2.5, Button.PAUSE),
        (3.5, Button.STOP_RUN),
    ]
    real = assembly.SimulatedPad
    monkeypatch.setattr(assembly, "SimulatedPad", lambda world: real(world, presses=presses))
    code = run_manual.main(["-o", str(tmp_path / "drive"), "--simulate", "--duration", "20"])
    counts = json.loads(capsys.readouterr().out)
    assert code == 0
    kept = sorted(assert_whole(tmp_path / "drive"))
    erased = sorted(file.stem for file in (tmp_path / "drive" / "erased").glob("*.jpg"))
    assert (len(kept), len(erased)) == (counts["pictures"], counts["erased"])
    assert erased[-1] < kept[0]
    gaps_s = [(parse_img_id(b) - parse_img_id(a)).total_seconds() for a, b in pairwise(kept)]
    pause_s = sum(gaps_s) - counts["duration_s"]  # not part of the drive's duration
    assert pause_s > 0.9
    assert min(abs(gap_s - pause_s) for gap_s in gaps_s) < 0.01


@pytest.mark.slow
def test_a_terminal_sees_the_drive_in_less_than_eighty_columns(tmp_path):
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT), "-o", str(tmp_path / "d"), "--simulate", "--duration", "3"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=slave,
    )
    os.close(slave)
    seen = b""
    while True:
        try:
            seen += os.read(master, 65536)
        except OSError:  # the slave is closed
            break
    os.close(master)
    assert process.wait() == 0
    lines = [re.sub(r"\x1b\[K", "", line) for line in re.split(r"[\r\n]+", seen.decode())]
    live = [line for line in lines if "│" in line]
    assert live
    assert all(len(line) < 80 for line in lines)
    shown = r"\d\.\d s +\d+ pictures +\d+\.\d Hz +[·█]+│[·█]+ +\d\.\d m/s +recording"
    assert any(re.search(shown, line) for line in live)


@pytest.mark.slow
def test_a_blocked_terminal_does_not_hold_up_the_drive(tmp_path):
    """As ssh over a lost radio link: nobody reads, and writing blocks."""
    folder = tmp_path / "drive"
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT), "-o", str(folder), "--simulate", "--rate", "30"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=slave,
    )
    os.set_blocking(slave, False)
    wait_until(has_pictures(folder, 5))
    while True:  # the terminal's buffer is full
        try:
            os.write(slave, b"x" * 4096)
        except BlockingIOError:
            break
    os.set_blocking(slave, True)
    before = len(list(folder.glob("*.jpg")))
    wait_until(has_pictures(folder, before + 40))
    process.send_signal(signal.SIGHUP)
    wait_until(lambda: list(folder.glob("labels.*")) == [folder / label_file.NAME])
    assert len(assert_whole(folder)) >= before + 40
    os.close(slave)
    os.close(master)
    process.wait(HANGS_S)


@pytest.fixture
def drive_on_terminal(monkeypatch, capsys):
    """Function for a short drive in this process, with these lines typed on its terminal."""
    master, slave = pty.openpty()
    stdin = os.fdopen(slave)
    monkeypatch.setattr(sys, "stdin", stdin)

    def drive(folder, *options, typed=""):
        os.write(master, typed.encode())
        code = run_manual.main(["-o", str(folder), "--simulate", "--duration", "0.2", *options])
        return code, capsys.readouterr().err

    yield drive
    stdin.close()
    os.close(master)


def test_a_terminal_is_asked_for_the_session_and_the_answers_are_kept(tmp_path, drive_on_terminal):
    folder = tmp_path / "drive"
    code, err = drive_on_terminal(folder, "--driver", "Zoé", typed="open day\n\nwet ground\n")
    assert code == 0
    assert re.findall(r"\b(\w+): ", err)[:3] == ["event", "track_type", "comment"]
    answers = {
        "event": "open day",
        "track": "school",
        "track_type": "",
        "driver": "Zoé",
        "comment": "wet ground",
    }
    assert json.loads((folder / session.NAME).read_text()) == answers
    for label in assert_whole(folder).values():
        assert {key: label[key] for key in answers} == answers
    code, err = drive_on_terminal(folder)  # the answers are known
    assert code == 0
    assert "event: " not in err
    assert session.read(folder / session.NAME) == answers


def test_a_terminal_is_asked_for_the_empty_fields_of_a_form(tmp_path, drive_on_terminal):
    """They are asked before the first picture; an empty answer counts."""
    folder = tmp_path / "drive"
    folder.mkdir()
    session.write(folder / session.NAME, {"event": "race", "driver": "", "tyres": 4})
    code, err = drive_on_terminal(folder, "--track", "park", typed="asphalt\nZoé\n\n")
    assert code == 0
    assert re.findall(r"\b(\w+): ", err)[:3] == ["track_type", "driver", "comment"]
    answers = {"event": "race", "track": "park", "track_type": "asphalt", "driver": "Zoé"}
    assert session.read(folder / session.NAME) == {**answers, "comment": "", "tyres": 4}
    code, err = drive_on_terminal(folder)
    assert code == 0
    assert "comment: " not in err


def test_a_terminal_is_not_asked_for_what_a_check_does_not_need(tmp_path, drive_on_terminal):
    code, err = drive_on_terminal(tmp_path / "drive", "--check", typed="open day\n" * 5)
    assert code == 0
    assert "event: " not in err


@pytest.mark.slow
def test_without_a_terminal_nobody_is_asked(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.StringIO("not an answer\n" * 5))
    run_manual.main(["-o", str(tmp_path / "drive"), "--simulate", "--duration", "0.2"])
    assert "event: " not in capsys.readouterr().err
    kept = session.read(tmp_path / "drive" / session.NAME)
    assert kept == {**dict.fromkeys(kept, ""), "track": "school"}  # the simulated one


ROADS = [  # track of the folder, options, simulated track, track of the labels
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


@pytest.mark.parametrize(("known", "options", "road", "named"), ROADS, ids=str)
def test_the_simulated_road_is_the_one_that_the_labels_name(
    tmp_path, call, known, options, road, named
):
    folder = tmp_path / "drive"
    if known:
        folder.mkdir()
        session.write(folder / session.NAME, {"track": known})
    seed = ["--seed", 7]
    drive = ["-o", folder, "--simulate", "--duration", "0.5", *seed, *options]
    code, _, err = call(run_manual, *drive)
    assert code == 0, err
    assert ("warning" in err) == (named.casefold() != road)
    labels = assert_whole(folder)
    assert labels
    for label in labels.values():
        run = label["car_setting"]["run"]
        assert (label["track"], run["sim_track"], run["seed"]) == (named, road, 7)


@pytest.mark.parametrize("option", [[], ["--check"]])
@pytest.mark.parametrize("known", [False, True], ids=["option", "folder"])
def test_a_simulated_road_that_contradicts_the_labels_is_refused_before_the_drive(
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
    """As when a busy machine, a frozen container or a debugger stops all processes."""
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


def test_an_interrupted_recording_is_repaired_with_a_message_and_continued(tmp_path, capsys):
    folder = interrupted_recording(tmp_path / "drive", [document(0)], torn=b"torn")
    session.write(folder / session.NAME, {})
    run_manual.main(["-o", str(folder), "--simulate", "--duration", "0.3"])
    output = capsys.readouterr()
    assert f"{folder}: repaired an interrupted recording: 1 label kept" in output.err
    assert "this line of the journal is torn" in output.err
    labels = assert_whole(folder)
    assert len(labels) == json.loads(output.out)["pictures"] + 1
    assert document(0)["img_id"] in labels


@pytest.mark.slow
def test_a_recording_that_stopped_is_reported_after_the_drive(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(run_manual, "Recorder", partial(run_manual.Recorder, min_free_bytes=2**62))
    drive = ["-o", str(tmp_path / "drive"), "--simulate", "--duration", "1.3"]
    code = process.run(lambda: run_manual.main(drive))
    output = capsys.readouterr()
    assert code == 1
    assert "error: " in output.err
    assert "recording stopped early: the disk is nearly full" in output.err
    counts = json.loads(output.out)
    assert counts["stopped"] == "the disk is nearly full"
    assert counts["pictures"] == len(assert_whole(tmp_path / "drive"))


@pytest.mark.slow
def test_a_car_that_drives_on_without_recording_is_shown_as_driving(tmp_path, monkeypatch, call):
    monkeypatch.setattr(run_manual, "Recorder", partial(run_manual.Recorder, min_free_bytes=2**62))
    port, states = free_port(), []

    def is_driving():
        with (
            suppress(OSError),  # the server does not listen yet
            urllib.request.urlopen(f"http://127.0.0.1:{port}/state") as answer,
        ):
            state = json.load(answer)
            if state.get("progress", {}).get("stopped"):
                states.append(state["state"])
        return "driving" in states

    def watch():
        try:
            wait_until(is_driving)
        finally:
            os.kill(os.getpid(), signal.SIGINT)

    watching = threading.Thread(target=watch)
    watching.start()
    code, counts, _ = call(run_manual, "-o", tmp_path / "d", "--simulate", "--view", port)
    watching.join()
    assert states[-1] == "driving"
    assert all(state.endswith("press Menu") for state in states[:-1])
    assert (code, bool(counts["stopped"])) == (1, True)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (None, "the writer process failed"),
        (PadLost("the pad is gone"), "error: the pad is gone"),
    ],
    ids=["duration", "failure"],
)
def test_a_killed_writer_is_reported_and_hides_no_other_failure(
    tmp_path, monkeypatch, capsys, error, message
):
    folder = tmp_path / "drive"
    real = run_manual.Recorder.close
    real_run = run_manual.Drive.run

    def kill_writer_first(self):
        self._writer.kill()
        real(self)

    def run(self, duration_s):
        real_run(self, duration_s)
        if error:
            raise error

    monkeypatch.setattr(run_manual.Recorder, "close", kill_writer_first)
    monkeypatch.setattr(run_manual.Drive, "run", run)
    drive = ["-o", str(folder), "--simulate", "--duration", "1"]
    code = process.run(lambda: run_manual.main(drive))
    output = capsys.readouterr()
    assert code == 1
    assert message in output.err.splitlines()[-1]
    counts = json.loads(output.out)
    assert counts["stopped"].startswith("the writer process failed")
    labels = merge.repair(folder).labels
    assert counts["pictures"] == pytest.approx(
        labels, abs=1
    )  # it may be killed before it counts the last
    assert labels > 0


def test_a_recording_that_cannot_be_merged_is_reported(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "drive"
    real = run_manual.Recorder

    def create_obstructed(*arguments, **options):
        recorder = real(*arguments, **options)
        (folder / label_file.NAME).mkdir()
        return recorder

    monkeypatch.setattr(run_manual, "Recorder", create_obstructed)
    drive = ["-o", str(folder), "--simulate", "--duration", "0.3"]
    code = process.run(lambda: run_manual.main(drive))
    output = capsys.readouterr()
    assert code == 1
    counts = json.loads(output.out)
    assert counts["unmerged"]
    assert counts["unmerged"] in output.err.splitlines()[-1]
    (folder / label_file.NAME).rmdir()
    assert merge.repair(folder).labels == counts["pictures"]
    assert_whole(folder)


@pytest.mark.slow
def test_pictures_have_the_quality_that_the_car_is_set_to(tmp_path, monkeypatch, capsys):
    conf = tmp_path / "hardware_conf.json"
    conf.write_text(json.dumps({**json.loads(path.HARDWARE_CONF.read_text()), "jpeg_quality": 37}))
    monkeypatch.setattr(path, "HARDWARE_CONF", conf)
    run_manual.main(["-o", str(tmp_path / "drive"), "--simulate", "--duration", "1"])
    capsys.readouterr()
    grey = np.zeros((120, 160, 3), np.uint8)
    jpeg = cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, 37])[1].tobytes()
    tables = jpeg[: jpeg.index(b"\xff\xc0")]  # the quantization tables
    pictures = list((tmp_path / "drive").glob("*.jpg"))
    assert pictures
    assert all(picture.read_bytes().startswith(tables) for picture in pictures)


BAD_OPTIONS = [  # with what the message names besides them
    (["--rate", "0"], ["0.1", "200"]),
    (["--rate", "nan"], ["0.1", "200"]),
    (["--rate", "1000"], ["0.1", "200"]),
    (["--duration", "-1"], ["above 0"]),
    (["--duration", "inf"], ["above 0"]),
    (["--resolution", "0x0"], ["WxH", "16", "4096"]),
    (["--resolution", "160"], ["WxH"]),
    (["--resolution", "axb"], ["WxH"]),
    (["--nb-dir", "0"], ["2", "99"]),
    (["--nb-dir", "1"], ["2", "99"]),
    (["--nb-dir", "1000"], ["2", "99"]),
    (["--nb-speed", "0"], ["1", "99"]),
    (["--max-throttle", "1.5"], ["0.01", "1"]),
    (["--sim-track", "gym"], ["school", "park"]),
    (["--seed", "-1"], ["0", "4294967295"]),
]


@pytest.mark.parametrize(("options", "facts"), BAD_OPTIONS, ids=lambda value: str(value)[:30])
def test_wrong_options_are_refused_before_anything_is_made(tmp_path, options, facts, capsys):
    with pytest.raises(SystemExit) as caught:
        run_manual.main(["-o", str(tmp_path / "drive"), "--simulate", *options])
    assert caught.value.code == 2
    message = capsys.readouterr().err.splitlines()[-1]
    assert [fact for fact in [*options, *facts] if fact not in message] == []
    assert not (tmp_path / "drive").exists()


@pytest.mark.parametrize("option", [["--sim-track", "park"], ["--seed", "0"]])
def test_options_of_a_simulated_drive_are_refused_for_a_real_one(tmp_path, option, capsys):
    with pytest.raises(SystemExit) as caught:
        run_manual.main(["-o", str(tmp_path / "drive"), *option])
    assert caught.value.code == 2
    assert "--simulate" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("option", [[], ["--check"]])
def test_a_machine_that_is_no_car_is_reported_line_by_line_and_nothing_is_made(tmp_path, option):
    process = subprocess.run(
        [sys.executable, str(SCRIPT), "-o", str(tmp_path / "drive"), *option],
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 1
    lines = process.stderr.splitlines()
    assert re.match("  pad +FAILED  no pad is connected: plug one in", lines[0])
    assert re.match("  camera +FAILED  picamera2 cannot be used: .*sudo apt install", lines[1])
    assert re.match("  disk +ok +a picture is safe after", lines[-2])
    assert re.match("  space +unknown ", lines[-3])
    assert lines[-1] == "error: not ready to drive: pad, camera; nothing has moved"
    assert list(tmp_path.iterdir()) == []


class StalledCamera:
    """A camera that gives no more pictures once a certain property is read."""

    missed = 0

    def __init__(self, stalls_at):
        self.stalls_at, self.stalled = stalls_at, False

    def answer(self, name, value):
        self.stalled |= name == self.stalls_at
        if self.stalled:
            raise CameraFailed("no picture comes")
        return value

    def measure_rate_hz(self, _duration_s):
        return self.answer("rate", 20.0)

    def check_colours(self):
        return self.answer("colours", "red is red")

    def describe(self):
        return "a camera"

    def advice(self):
        return ""

    def capture(self):
        return self.answer("picture", Frame(np.zeros((120, 160, 3), np.uint8), 0.0))

    def close(self):
        pass


@pytest.mark.parametrize(
    ("stalls_at", "failed"),
    [("", []), ("rate", ["camera"]), ("colours", ["camera"]), ("picture", ["space"])],
)
def test_a_camera_that_stalls_fails_one_check(tmp_path, call, monkeypatch, stalls_at, failed):
    monkeypatch.setattr(assembly, "open_camera", lambda *_, **__: StalledCamera(stalls_at))
    code, _, err = call(run_manual, "-o", tmp_path / "drive", "--check")
    assert code == 1  # there is no pad
    rows = re.findall("(?m)^  (camera|space) +(ok|FAILED|unknown)", err)
    assert [name for name, found in rows if found == "FAILED"] == failed
    assert ("space", "unknown") in rows or "camera" not in failed


def test_a_shape_that_costs_view_is_noted_with_the_one_that_does_not(tmp_path):
    camera = fake_camera.connect_camera(tmp_path)
    camera.behave("model=imx708")
    process = subprocess.run(
        [sys.executable, str(SCRIPT), "-o", str(tmp_path / "drive"), "--check"],
        env=os.environ | camera.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "75% of its width and 100% of its height" in process.stderr
    assert (
        "\n           note    --resolution 160x90 shows all that this sensor mode sees"
        in process.stderr
    )


def test_the_address_of_the_view_can_be_opened_from_the_whole_network(tmp_path, call, monkeypatch):
    monkeypatch.setattr(socket, "gethostname", lambda: "car")
    port = free_port()
    view = ["--view", port, "--view-host", "0.0.0.0"]
    code, _, err = call(run_manual, "-o", tmp_path / "d", "--simulate", "--duration", "0.2", *view)
    assert code == 0
    assert f"http://car.local:{port}/\n" in err


@pytest.mark.parametrize("option", [[], ["--check"], ["--check-pad"]])
def test_a_broken_map_of_a_pad_is_wrong_input_whatever_is_done(tmp_path, monkeypatch, call, option):
    conf = tmp_path / "hardware_conf.json"
    pad = {"map": "my_pad.json"}
    conf.write_text(json.dumps({**json.loads(path.HARDWARE_CONF.read_text()), "pad": pad}))
    (tmp_path / "my_pad.json").write_text("{")
    monkeypatch.setattr(path, "HARDWARE_CONF", conf)
    code, out, err = call(run_manual, "-o", tmp_path / "drive", *option)
    assert (code, out) == (2, None)
    assert err.startswith(f"error: {tmp_path}/my_pad.json, line 1, column 2: not JSON")
    assert not (tmp_path / "drive").exists()


def test_a_pad_that_is_not_there_cannot_be_checked(call):
    code, out, err = call(run_manual, "--check-pad")
    assert (code, out) == (1, None)
    assert err.startswith("error: no pad is connected: plug one in")


@pytest.mark.slow
def test_a_simulated_car_is_checked_only_on_demand(tmp_path, call):
    code, out, err = call(run_manual, "-o", tmp_path / "drive", "--simulate", "--check")
    assert (code, out) == (0, None)
    names = [line.split()[0] for line in err.splitlines()]
    assert names == ["space", "disk", "motors"]
    assert not (tmp_path / "drive").exists()
    code, _, err = call(run_manual, "-o", tmp_path / "drive", "--simulate", "--duration", "0.2")
    assert code == 0
    assert " ok " not in err


BROKEN_CONF = [
    ("{", "line 1, column 2: not JSON"),
    ('{"car": "x", "max_throttle": "fast", "jpeg_quality": 90}', "max_throttle: Expected float"),
    ('{"car": "x", "max_throttle": 2, "jpeg_quality": 90}', "max_throttle: Expected float <= 1"),
    ('{"car": "x", "max_throttle": 0.5}', "missing key jpeg_quality"),
    ('{"car": "x", "max_throtle": 1}', "unknown field max_throtle"),
]


@pytest.mark.parametrize(("content", "complaint"), BROKEN_CONF)
def test_a_broken_hardware_conf_is_reported_with_its_key(tmp_path, monkeypatch, content, complaint):
    conf = tmp_path / "hardware_conf.json"
    conf.write_text(content)
    monkeypatch.setattr(path, "HARDWARE_CONF", conf)
    with pytest.raises(InputError) as caught:
        run_manual.main(["-o", str(tmp_path / "drive"), "--simulate"])
    assert str(conf) in str(caught.value)
    assert complaint in str(caught.value)
    assert not (tmp_path / "drive").exists()


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        (session.NAME, '{"img_id": "x"}', "img_id: every label has a key of that name"),
        (session.NAME, "[", "not JSON"),
        (label_file.NAME, "{}", "has labels that were not recorded there"),
    ],
)
def test_a_folder_that_is_no_recording_is_refused(tmp_path, name, content, complaint, capsys):
    folder = tmp_path / "drive"
    folder.mkdir()
    (folder / name).write_text(content)
    code = process.run(lambda: run_manual.main(["-o", str(folder), "--simulate"]))
    output = capsys.readouterr()
    assert (code, output.out) == (2, "")
    assert complaint in output.err
    assert [file.name for file in folder.iterdir()] == [name]


@pytest.fixture
def no_motors(monkeypatch):
    """Fail the test if the motors are opened."""

    def fail(_car):
        raise AssertionError("the motors were opened")

    monkeypatch.setattr(assembly.SimulatedCar, "open_motors", fail)


@pytest.mark.parametrize("place", ["drive", "drive/monday"])
def test_a_file_in_place_of_the_folder_is_reported_before_the_motors_are_opened(
    tmp_path, call, no_motors, place
):
    (tmp_path / "drive").write_text("mine")
    code, _, err = call(run_manual, "-o", tmp_path / place, "--simulate")
    assert code == 2
    assert str(tmp_path / place) in err
    assert f"{tmp_path / 'drive'} is a file" in err
    assert (tmp_path / "drive").read_text() == "mine"


@pytest.mark.parametrize("option", [[], ["--check"]])
def test_a_folder_in_use_by_another_drive_is_reported_before_the_motors_are_opened(
    tmp_path, monkeypatch, call, no_motors, option
):
    monkeypatch.setattr(journal, "LOCK_TIMEOUT_S", 0.1)
    with journal.folder_lock(tmp_path):
        code, _, err = call(run_manual, "-o", tmp_path, "--simulate", *option)
    assert code == 1
    assert "is being recorded into by another process" in err
    assert list(tmp_path.glob("*.json")) == []


def test_an_unreadable_folder_is_reported_before_the_motors_are_opened(
    tmp_path, monkeypatch, call, no_motors
):
    def refuses(folder):
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(journal, "acquire_lock", refuses)
    code, _, err = call(run_manual, "-o", tmp_path, "--simulate")
    assert code == 2
    assert str(tmp_path) in err
    assert "Permission denied" in err


@pytest.mark.slow
def test_a_disk_that_stalls_costs_no_picture_and_no_tick(tmp_path, monkeypatch, capsys):
    """The writer is suspended for a while, as by a slow SD card."""
    recorders, drives, stalled = [], [], []

    class Recording(run_manual.Recorder):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            self.taken = 0
            recorders.append(self)

        def record(self, *arguments, **options):
            self.taken += super().record(*arguments, **options)

    class Driving(run_manual.Drive):
        def __init__(self, **parts):
            super().__init__(**parts)
            drives.append(self)

    def stall():
        wait_until(lambda: recorders and recorders[0].taken >= 5)
        (recorder,), (driving,) = recorders, drives
        os.kill(recorder._writer.pid, signal.SIGSTOP)
        try:
            taken, ticks = recorder.taken, driving.timing.ticks
            wait_until(lambda: recorder.taken >= taken + 20 and driving.timing.ticks >= ticks + 20)
            stalled.append(True)
        finally:
            os.kill(recorder._writer.pid, signal.SIGCONT)
            driving.stop()

    monkeypatch.setattr(run_manual, "Recorder", Recording)
    monkeypatch.setattr(run_manual, "Drive", Driving)
    stalling = threading.Thread(target=stall)
    stalling.start()
    code = run_manual.main(["-o", str(tmp_path / "drive"), "--simulate"])
    stalling.join()
    counts = json.loads(capsys.readouterr().out)
    assert (code, stalled) == (0, [True])
    assert counts["dropped"] == 0
    assert counts["pictures"] == len(assert_whole(tmp_path / "drive")) == recorders[0].taken
