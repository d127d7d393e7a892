"""The programs in `docs/examples`, from a drive to a car that drives itself."""

import io
import json
import runpy
import sys
from contextlib import redirect_stdout

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


def relabel(drive, author):
    """Say that somebody else made the labels of a drive."""
    labels = label_file.read(drive / label_file.NAME)
    for label in labels.values():
        label["label"] |= {"created_by": author}
        label["label_fingerprint"] = ids.fingerprint(label["img_id"], label["label"])
    label_file.write(drive / label_file.NAME, labels)


def told_by_training(monkeypatch, fetched, pilot):
    """Run the example; return what it prints."""
    out = io.StringIO()
    with monkeypatch.context() as patch, redirect_stdout(out):
        run(patch, "train.py", fetched, pilot)
    return out.getvalue()


def test_the_example_tells_why_it_cannot_say_how_good_the_model_is(tmp_path, call, monkeypatch):
    """A model's drive was one part of the split, and the example printed nothing."""
    for seed in (1, 2):
        driven_sets.record(tmp_path / f"{seed}", seed=seed, pictures=60)
    relabel(tmp_path / "2", "pilot")
    for seed in (1, 2):
        call(upload_data, tmp_path / f"{seed}")
    fetched, pilot = tmp_path / "set", tmp_path / "pilot.json"
    call(search_and_download, "-p", fetched, "--split", "train=50,val=50")
    lines = [json.loads(line) for line in (fetched / "metadata.jsonl").read_text().splitlines()]
    models = {line["split"] for line in lines if line["created_by"] == "pilot"}
    assert len(models) == 1
    if models == {"train"}:  # whichever side the seed has put it on
        swapped = {"train": "val", "val": "train"}
        lines = [line | {"split": swapped[line["split"]]} for line in lines]
        (fetched / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert "val has 0 pictures" in told_by_training(monkeypatch, fetched, pilot)
    assert model.read(pilot)
    alike = {"created_by": "auto", "steering": 0.1}
    lines = [line | (alike if line["split"] == "val" else {}) for line in lines]
    (fetched / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert "val has 60 pictures" in told_by_training(monkeypatch, fetched, pilot)


@pytest.mark.parametrize("case", ["no arguments", "no pilot", "no metadata", "nothing to learn"])
def test_the_example_ends_with_one_line_where_it_cannot_train(tmp_path, call, monkeypatch, case):
    fetched, pilot = tmp_path / "set", tmp_path / "pilot.json"
    fetched.mkdir()
    if case == "nothing to learn":
        driven_sets.record(tmp_path / "drive", pictures=3)
        relabel(tmp_path / "drive", "nobody")
        call(upload_data, tmp_path / "drive")
        call(search_and_download, "-p", fetched)
    arguments = {"no arguments": [], "no pilot": [fetched]}.get(case, [fetched, pilot])
    with pytest.raises(SystemExit) as ended:
        run(monkeypatch, "train.py", *arguments)
    assert isinstance(ended.value.code, str)
    assert "\n" not in ended.value.code
    assert not pilot.exists()


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
    assert "R2 of the steering" in capsys.readouterr().out
    learned, kept_apart = train.read_set(fetched, "train"), train.read_set(fetched, "val")
    assert len(learned[0]) == len(kept_apart[0]) == 60
    weights, bias = train.fit(*learned)
    layer = model.read(tmp_path / "pilot.json").layers[0]
    assert layer.weights == pytest.approx(weights)
    assert layer.bias == pytest.approx(bias)
