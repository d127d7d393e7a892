"""The programs in `docs/examples`, from a drive to a car that drives itself."""

import runpy
import sys

import numpy as np
import pytest

import path
from car.clock import VirtualClock
from car.interfaces import clamp_command
from car.pilot import model
from car.simulator.camera import SimulatedCamera
from car.simulator.motors import SimulatedMotors
from car.simulator.world import World
from docs.examples import train
from get_data import search_and_download, upload_data, upload_to_db
from get_data.labels import ids, label_file
from tests.helpers import driven_sets

EXAMPLES = path.ROOT / "docs" / "examples"


def run(monkeypatch, example, *arguments):
    """Run an example as from the command line."""
    file = EXAMPLES / example
    monkeypatch.setattr(sys, "argv", [str(file), *map(str, arguments)])
    monkeypatch.setattr(sys, "path", [*sys.path])
    runpy.run_path(str(file), run_name="__main__")


def let_drive(pilot, *, seconds, track="school", seed=101):
    """Let a pilot drive on a virtual clock; return how well it kept to the road."""
    world = World(track, seed=seed, clock=VirtualClock())
    camera = SimulatedCamera(world, width_px=160, height_px=120, rate_hz=driven_sets.RATE_HZ)
    motors = SimulatedMotors(world)
    while world.clock.now() < seconds:
        motors.apply(clamp_command(pilot.command(camera.capture().pixels)))
    return world.road_keeping()


def test_the_example_is_short_enough_to_be_read():
    assert len((EXAMPLES / "train.py").read_text().splitlines()) <= 60


@pytest.mark.slow
def test_a_car_drives_itself_on_what_was_fetched(tmp_path, call, monkeypatch):
    drive, fetched, pilot = (tmp_path / name for name in ("drive", "set", "pilot.json"))
    driven_sets.record(drive, pictures=900)
    assert call(upload_data, drive)[0] == 0
    assert call(search_and_download, "-p", fetched)[0] == 0
    run(monkeypatch, "train.py", fetched, pilot)
    keeping = let_drive(model.read(pilot), seconds=30)
    assert keeping.on_road == 1.0
    assert keeping.rms_offset_m < 0.06
    assert len(keeping.offsets_m) > 100, "it drives all the time"


def test_the_example_reads_corrected_values_of_people_and_no_models(
    tmp_path, call, monkeypatch, capsys
):
    """A thumb that slips in one picture is corrected by the other example."""
    drive, fetched = tmp_path / "drive", tmp_path / "set"
    labels = driven_sets.record(drive, pictures=40)
    for number, label in enumerate(labels):
        annotation = label["label"] | {"created_by": "pilot" if number > 30 else "auto"}
        steering = 0.9 if number == 10 else 0.1
        annotation |= {"raw_direction": steering, "steering": steering}
        annotation["label_direction"] = 4 if number == 10 else 2
        label["label"] = annotation
        label["label_fingerprint"] = ids.fingerprint(label["img_id"], annotation)
    label_file.write(drive / label_file.NAME, {label["img_id"]: label for label in labels})
    assert call(upload_data, drive)[0] == 0
    run(monkeypatch, "correct.py", drive, tmp_path / "corrected.json")
    assert "3 of 40" in capsys.readouterr().out
    assert call(upload_to_db, tmp_path / "corrected.json", "-p", drive, "-y")[0] == 0
    assert call(search_and_download, "-p", fetched)[0] == 0
    pictures, commands = train.read_set(fetched, None)
    assert pictures.shape == (31, train.WIDTH * train.HEIGHT)
    assert 0 <= pictures.min() < 0.3 < 0.7 < pictures.max() <= 1
    assert commands[10] == pytest.approx([0.1, labels[10]["label"]["throttle"]])
    assert len(np.unique(commands[[8, 10, 12], 0])) == 1


def test_pictures_that_were_kept_apart_are_not_learned_from(tmp_path, call, capsys):
    fetched = tmp_path / "set"
    for seed in (1, 2):
        driven_sets.record(tmp_path / f"{seed}", seed=seed, pictures=60)
        call(upload_data, tmp_path / f"{seed}")
    call(search_and_download, "-p", fetched, "--split", "train=50,val=50")
    train.main(fetched, tmp_path / "pilot.json")
    assert "R2" in capsys.readouterr().out
    learned, kept_apart = train.read_set(fetched, "train"), train.read_set(fetched, "val")
    assert len(learned[0]) == len(kept_apart[0]) == 60
    weights, bias = train.fit(*learned)
    layer = model.read(tmp_path / "pilot.json").layers[0]
    assert layer.weights == pytest.approx(weights)
    assert layer.bias == pytest.approx(bias)
