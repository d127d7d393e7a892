"""Folders of a drive on a virtual clock, as a recording leaves them."""

from datetime import timedelta
from pathlib import Path

import cv2

from car.clock import VirtualClock
from car.interfaces import Command
from car.simulator.camera import SimulatedCamera
from car.simulator.motors import SimulatedMotors
from car.simulator.pad import SimulatedPad
from car.simulator.world import World
from get_data.labels import edits, label_file
from get_data.labels.classes import Classes
from get_data.labels.schema import Document
from tests.conftest import START

RATE_HZ = 20.0


def record(folder: Path, *, track: str = "school", seed: int = 1, pictures: int) -> list[Document]:
    """Record what the simulated driver does; return the labels in order of time."""
    folder.mkdir()
    world = World(track, seed=seed, clock=VirtualClock())
    camera = SimulatedCamera(world, width_px=160, height_px=120, rate_hz=RATE_HZ)
    pad, motors = SimulatedPad(world), SimulatedMotors(world)
    labels = []
    for _ in range(pictures):
        frame = camera.capture()
        thumbs = pad.read().command
        command = Command(thumbs.steering, thumbs.throttle * world.max_throttle)
        motors.apply(command)
        content = cv2.imencode(".jpg", frame.pixels)[1].tobytes()
        label = edits.new_label(
            captured=START + timedelta(days=seed, seconds=frame.captured_s),
            picture=content,
            width=160,
            height=120,
            steering=command.steering,
            throttle=command.throttle,
            classes=Classes(max_throttle=world.max_throttle),
            session={"driver": "simulator", "track": track},
            car_setting={"car": "patate", "run": {"max_throttle": world.max_throttle}},
            session_id=f"20240501T12-00-00-000000-{seed:04x}",
        )
        (folder / label["file_name"]).write_bytes(content)
        labels.append(label)
    label_file.write(folder / label_file.NAME, {label["img_id"]: label for label in labels})
    return labels
