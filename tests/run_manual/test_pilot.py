"""A simulated car that a model drives: its labels, and what happens when the model fails."""

import hashlib
import threading
from math import nan

import pytest

from car import assembly
from car.interfaces import NEUTRAL, Command
from car.pilot import model, piloting
from car.simulator.world import World
from get_data import run_manual
from tests.helpers.recordings import assert_whole
from tests.helpers.waiting import HANGS_S
from tests.pilot import files
from tests.run_manual.drives import record_briefly


@pytest.fixture
def wheels(monkeypatch):
    """Return the commands that reach the wheels, behind the guard."""
    commands = []

    class WatchedWorld(World):
        def apply(self, command):
            commands.append(command)
            super().apply(command)

    monkeypatch.setattr(assembly, "World", WatchedWorld)
    return commands


def test_the_commands_of_a_pilot_reach_the_wheels_and_its_labels_say_so(tmp_path, call, wheels):
    file = files.write(tmp_path / "pilot.json", steering=0.25, throttle=0.4)
    code, counts, err = record_briefly(call, tmp_path / "d", "--duration", "1.5", "--pilot", file)
    assert code == 0, err
    assert wheels[-1] == NEUTRAL
    assert {command for command in wheels if command != NEUTRAL} == {Command(0.25, 0.4)}
    labels = assert_whole(tmp_path / "d").values()
    driven = [one["label"] for one in labels if one["label"]["raw_speed"]]
    assert driven
    assert {one["label"]["created_by"] for one in labels} == {"pilot"}
    assert {(one["raw_direction"], one["steering"]) for one in driven} == {(0.25, 0.25)}
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    for one in labels:
        run = one["car_setting"]["run"]
        assert (run["pilot"], run["pilot_sha256"]) == ("pilot.json", sha256)
    assert counts["rms_offset_m"] > 0
    assert 0 < counts["on_road"] <= 1
    assert counts["laps"] == 0


def test_a_person_drives_after_a_pilot_into_the_same_folder(tmp_path, call):
    file = files.write(tmp_path / "pilot.json")
    for options in (["--pilot", file], []):
        assert record_briefly(call, tmp_path / "d", *options)[0] == 0
    authors = {
        (one["label"]["created_by"], "pilot" in one["car_setting"]["run"])
        for one in assert_whole(tmp_path / "d").values()
    }
    assert authors == {("pilot", True), ("auto", False)}


class FailingPilot:
    """Pilot that drives until it has seen some pictures."""

    def __init__(self, fail, *, pictures=30):
        self.fail = fail
        self.pictures_left = pictures

    def describe(self):
        return "failing pilot"

    def settings(self):
        return {"pilot": "failing"}

    def command(self, pixels):
        self.pictures_left -= 1
        return Command(0.1, 0.3) if self.pictures_left > 0 else self.fail()


def raises():
    raise ZeroDivisionError("division by zero")


FAILURES = {
    "NaN": lambda: Command(nan, 0.3),
    "an exception": raises,
    "something else": lambda: [0.1, 0.3],
}


@pytest.mark.parametrize("fail", FAILURES.values(), ids=FAILURES.keys())
def test_a_pilot_that_fails_stops_the_car_and_ends_the_drive(
    tmp_path, call, wheels, monkeypatch, fail
):
    monkeypatch.setattr(model, "read", lambda _file: FailingPilot(fail))
    options = ["-o", tmp_path / "d", "--simulate", "--pilot", "x.json"]
    code, counts, err = call(run_manual, *options)
    assert code == 1
    assert err.splitlines()[-1].startswith("error: the pilot failed")
    assert Command(0.1, 0.3) in wheels
    assert wheels[-1] == NEUTRAL
    assert counts["pictures"] == len(assert_whole(tmp_path / "d")) > 0


def test_a_pilot_that_hangs_stops_the_car_and_ends_the_drive(tmp_path, call, wheels, monkeypatch):
    monkeypatch.setattr(piloting, "TIMEOUT_S", 0.3)
    monkeypatch.setattr(piloting, "GIVE_UP_S", 1.0)
    monkeypatch.setattr(piloting, "_JOIN_TIMEOUT_S", 0.0)
    goes_on = threading.Event()
    monkeypatch.setattr(model, "read", lambda _file: FailingPilot(lambda: goes_on.wait(HANGS_S)))
    options = ["-o", tmp_path / "d", "--simulate", "--pilot", "x.json"]
    code, counts, err = call(run_manual, *options)
    goes_on.set()
    assert code == 1
    assert piloting.LATE in err.splitlines()[-1]
    assert counts["stops"][piloting.LATE] >= 1
    assert wheels[-1] == NEUTRAL
    assert_whole(tmp_path / "d")


@pytest.mark.parametrize("option", [[], ["--check"]], ids=["drive", "check"])
def test_a_pilot_that_fails_at_once_is_found_before_the_motors_are_opened(
    tmp_path, call, no_motors, monkeypatch, option
):
    monkeypatch.setattr(model, "read", lambda _file: FailingPilot(raises, pictures=0))
    options = ["-o", tmp_path / "d", "--simulate", "--pilot", "x.json", *option]
    code, out, err = call(run_manual, *options)
    assert (code, out) == (1, None)
    assert "pad" in err.splitlines()[-1]
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize(
    ("name", "content", "fact"),
    [
        ("none.json", None, "does not exist"),
        ("", None, "is a folder"),
        ("pilot.json", "{", "not JSON"),
        ("pilot.json", '{"format": "patate-pilot", "version": 2}', "version 2"),
    ],
)
def test_a_file_that_is_no_pilot_is_refused_before_the_motors_are_opened(
    tmp_path, call, no_motors, name, content, fact
):
    if content:
        (tmp_path / name).write_text(content)
    options = ["-o", tmp_path / "d", "--simulate", "--pilot", tmp_path / name]
    code, out, err = call(run_manual, *options)
    assert (code, out) == (2, None)
    assert err.startswith(f"error: {tmp_path / name}")
    assert fact in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "d").exists()
