"""Recordings of whole drives: labels, pictures, report, and the buttons of the pad."""

import json
import os
import signal
import threading
from dataclasses import replace
from functools import partial
from itertools import pairwise

import cv2
import numpy as np
import pytest

import path
from car import assembly
from car.interfaces import Button
from common.errors import PadLost
from get_data import run_manual
from get_data.cli import process
from get_data.commands import run_manual as command
from get_data.labels import label_file, session
from get_data.labels.ids import parse_img_id
from get_data.recording import advice, merge
from tests.helpers.recordings import assert_whole
from tests.helpers.waiting import HANGS_S, wait_until
from tests.run_manual.drives import has_pictures, record_briefly, run_drive, start


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
    drive = ["-o", str(tmp_path / "drive"), "--simulate", "--duration", "0.2"]
    assert run_manual.main([*drive, *options]) == 0
    out = capsys.readouterr().out
    assert [len(json.loads(out)[key]) for key in ("directions", "speeds")] == [3, 4]
    labels = assert_whole(tmp_path / "drive")
    assert labels
    for label in labels.values():
        assert label["resolution"] == {"horizontal": 64, "vertical": 48}
        assert (label["label"]["nb_dir"], label["label"]["nb_speed"]) == (3, 4)
        assert 0 <= label["label"]["raw_speed"] <= 0.3


def test_a_report_advises_what_to_do_before_the_next_drive(tmp_path, call, monkeypatch):
    real = assembly.SimulatedCamera

    class CoveredCamera(real):
        def capture(self):
            frame = super().capture()
            return replace(frame, pixels=frame.pixels // 8)

    monkeypatch.setattr(assembly, "SimulatedCamera", CoveredCamera)
    monkeypatch.setattr(advice, "MIN_MEASURED", 1)
    code, counts, err = record_briefly(call, tmp_path / "drive")
    assert code == 0
    assert counts["advice"] == ["dark"]
    assert counts["picture_quality"]["measured"] >= 1
    assert counts["picture_quality"]["dark"] == 1
    shares = [counts["steering"][side] for side in ("left", "straight", "right")]
    assert sum(shares) == (pytest.approx(1, abs=0.01) if counts["steering"]["pictures"] else 0)
    assert "\n  advice " in err


@pytest.mark.slow
def test_pictures_have_the_quality_of_hardware_conf(tmp_path, monkeypatch, capsys):
    conf = tmp_path / "hardware_conf.json"
    conf.write_text(json.dumps({**json.loads(path.HARDWARE_CONF.read_text()), "jpeg_quality": 37}))
    monkeypatch.setattr(path, "HARDWARE_CONF", conf)
    run_manual.main(["-o", str(tmp_path / "drive"), "--simulate", "--duration", "0.2"])
    capsys.readouterr()
    grey = np.zeros((120, 160, 3), np.uint8)
    jpeg = cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, 37])[1].tobytes()
    tables = jpeg[: jpeg.index(b"\xff\xc0")]  # the quantization tables
    pictures = list((tmp_path / "drive").glob("*.jpg"))
    assert pictures
    assert all(picture.read_bytes().startswith(tables) for picture in pictures)


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


@pytest.mark.slow
def test_a_recording_that_stopped_is_reported_after_the_drive(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command, "Recorder", partial(command.Recorder, min_free_bytes=2**62))
    drive = ["-o", str(tmp_path / "drive"), "--simulate", "--duration", "1.3"]
    code = process.run(lambda: run_manual.main(drive))
    output = capsys.readouterr()
    assert code == 1
    assert "error: " in output.err
    assert "recording stopped early: the disk is nearly full" in output.err
    counts = json.loads(output.out)
    assert counts["stopped"] == "the disk is nearly full"
    assert counts["pictures"] == len(assert_whole(tmp_path / "drive"))


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
    real = command.Recorder.close
    real_run = command.Drive.run

    def kill_writer_first(self):
        wait_until(lambda: self.progress.written)
        self._writer.kill()
        real(self)

    def run(self, duration_s):
        real_run(self, duration_s)
        if error:
            raise error

    monkeypatch.setattr(command.Recorder, "close", kill_writer_first)
    monkeypatch.setattr(command.Drive, "run", run)
    drive = ["-o", str(folder), "--simulate", "--duration", "0.2"]
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
    real = command.Recorder

    def create_obstructed(*arguments, **options):
        recorder = real(*arguments, **options)
        (folder / label_file.NAME).mkdir()
        return recorder

    monkeypatch.setattr(command, "Recorder", create_obstructed)
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
def test_a_stalled_disk_loses_no_picture_and_delays_no_tick(tmp_path, monkeypatch, capsys):
    """The writer is suspended for a while, as if by a slow SD card."""
    recorders, drives, stalled = [], [], []

    class Recording(command.Recorder):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            self.taken = 0
            recorders.append(self)

        def record(self, *arguments, **options):
            self.taken += super().record(*arguments, **options)

    class Driving(command.Drive):
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

    monkeypatch.setattr(command, "Recorder", Recording)
    monkeypatch.setattr(command, "Drive", Driving)
    stalling = threading.Thread(target=stall)
    stalling.start()
    code = run_manual.main(["-o", str(tmp_path / "drive"), "--simulate"])
    stalling.join()
    counts = json.loads(capsys.readouterr().out)
    assert (code, stalled) == (0, [True])
    assert counts["dropped"] == 0
    assert counts["pictures"] == len(assert_whole(tmp_path / "drive")) == recorders[0].taken
