"""Simulated drives that stop: recording waits while the car stands."""

import json
import threading
import urllib.request
from contextlib import suppress
from dataclasses import replace

import pytest

from car import assembly
from car.interfaces import Button
from get_data import run_manual
from get_data.commands import run_manual as command
from get_data.labels.constants import STANDING_S
from tests.helpers.recordings import assert_whole
from tests.helpers.waiting import HANGS_S
from tests.run_manual.drives import record_briefly
from tests.test_live_view import free_port

ENDS = ("--duration", HANGS_S)  # a drive whose driver waits for ever


class StopAndGo:
    """A driver who drives, stands, drives and presses A; pictures decide when, not the clock.

    `pictures` are the time and the throttle of each that could have been recorded.
    """

    def __init__(self, monkeypatch, *, is_over):
        """`is_over` takes the number of a phase and how many seconds its pictures span."""
        self.pictures = []
        self._phase_start = self._phase = 0
        self._is_over = is_over
        real_pad, real_drive, driver = assembly.SimulatedPad, command.Drive, self

        class Pad(real_pad):
            def read(self):
                return driver._act(super().read())

        class Drive(real_drive):
            def __init__(self, *, on_picture, **parts):
                def watch(frame, command):
                    on_picture(frame, command)
                    driver.pictures.append((frame.captured_s, command.throttle))

                super().__init__(on_picture=watch, **parts)

        monkeypatch.setattr(assembly, "SimulatedPad", Pad)
        monkeypatch.setattr(command, "Drive", Drive)

    def _act(self, state):
        stands = self._phase == 1
        pictures = self.pictures[self._phase_start :]
        fitting = [moment_s for moment_s, throttle in pictures if bool(throttle) != stands]
        if len(fitting) > 5 and self._is_over(self._phase, fitting[-1] - fitting[0]):
            self._phase, self._phase_start = self._phase + 1, len(self.pictures)
        if self._phase == 3:
            return replace(state, pressed=state.pressed | {Button.STOP_RUN})
        if self._phase == 1:
            return replace(state, command=replace(state.command, throttle=0.0))
        return state

    @property
    def moved(self):
        """Pictures with throttle."""
        return [moment_s for moment_s, throttle in self.pictures if throttle]

    @property
    def stood(self):
        """Pictures without throttle since the car first had any."""
        return [at_s for at_s, throttle in self.pictures if not throttle and at_s > self.moved[0]]


def throttles(folder):
    """Return the throttle of each label, in the order of capture."""
    labels = assert_whole(folder)
    return [labels[img_id]["label"]["raw_speed"] for img_id in sorted(labels)]


def test_recording_waits_while_the_car_stands_and_tells_it(tmp_path, call, monkeypatch):
    """In the browser, in the report and in the labels."""
    folder, port, shown = tmp_path / "drive", free_port(), []

    def is_over(phase, lasted_s):
        awaited = ("recording", "waiting: standing", "recording")[phase]
        if phase == 1 and lasted_s < STANDING_S + 0.3:
            return False
        return bool(shown) and shown[-1][0] == awaited

    driver = StopAndGo(monkeypatch, is_over=is_over)
    over = threading.Event()

    def watch():
        while not over.wait(0.02):
            with (
                suppress(OSError),  # the server has not begun, or has ended
                urllib.request.urlopen(f"http://127.0.0.1:{port}/state") as answer,
            ):
                if state := json.load(answer):
                    shown.append((state["state"], state["recording"], state["progress"]["stopped"]))

    watching = threading.Thread(target=watch)
    watching.start()
    code, counts, err = call(run_manual, "-o", folder, "--simulate", "--view", port, *ENDS)
    over.set()
    watching.join()
    assert code == 0, err
    assert set(shown) >= {("waiting: standing", False, ""), ("recording", True, "")}

    recorded = throttles(folder)
    assert len([throttle for throttle in recorded if throttle]) == len(driver.moved)
    left_out = len(driver.pictures) - len(recorded)
    assert left_out > 0
    kept_s = sorted(driver.stood)[: len(driver.stood) - left_out]
    assert kept_s[-1] - kept_s[0] < STANDING_S
    assert (counts["pictures"], counts["dropped"]) == (len(recorded), 0)
    assert (counts["waits"], counts["standing_not_recorded"]) == (1, left_out)
    assert f"{left_out} picture" in err
    gone_on_s = min(moment_s for moment_s in driver.moved if moment_s > kept_s[-1])
    total_s = driver.pictures[-1][0] - driver.pictures[0][0]
    waited_s = gone_on_s - kept_s[-1]
    assert counts["duration_s"] == pytest.approx(total_s - waited_s, abs=0.1)


def test_standing_is_recorded_on_demand_and_into_a_folder_without_it(tmp_path, call, monkeypatch):
    folder = tmp_path / "drive"
    assert record_briefly(call, folder)[0] == 0
    earlier = len(throttles(folder))
    driver = StopAndGo(monkeypatch, is_over=lambda phase, s: phase != 1 or s > STANDING_S + 0.2)
    code, counts, err = call(run_manual, "-o", folder, "--simulate", "--record-standing", *ENDS)
    assert code == 0, err
    assert "warning" not in err
    assert len(throttles(folder)) - earlier == counts["pictures"] == len(driver.pictures)
    assert (counts["waits"], counts["standing_not_recorded"]) == (0, 0)
    runs = [label["car_setting"]["run"] for label in assert_whole(folder).values()]
    assert [run["record_standing"] for run in runs] == [False] * earlier + [True] * counts[
        "pictures"
    ]
