"""The pad and the camera: what they are, and how well they can be read."""

import time
from itertools import pairwise
from typing import Any

import path
from car import hardware_conf
from car.camera.drivers import open_camera
from car.clock import RealClock
from car.hardware_conf import HardwareConf
from car.pad import connection
from car.pad.devices import Device, Folders, find_pads
from car.pad.drivers import open_pad
from car.pad.pad_map import AXES, BUTTONS, HATS
from common.errors import CameraFailed, PadLost
from tests.on_pi.outcomes import Failed, Missing, summarize

_LIBRARIES: tuple[hardware_conf.PadLibrary, ...] = ("inputs", "evdev")


def describe_pads() -> dict[str, Any]:
    """Return all pads, and what each library says of the first. Raises Missing, Failed."""
    devices = find_pads(Folders())
    if not devices:
        raise Missing("no pad is connected: plug one in, or pair it")
    conf = hardware_conf.read(path.HARDWARE_CONF)
    facts: dict[str, Any] = {
        "pads": [_describe(device) for device in devices],
        "libraries": {name: _read_by(name, devices[0]) for name in _LIBRARIES},
    }
    pad = open_pad(conf.pad, RealClock())
    try:
        facts["described"] = pad.describe()
        fault = pad.read().fault
    finally:
        pad.close()
    if fault:
        raise Failed(f"{fault}: run_manual.py --check-pad --learn", facts)
    return facts


def _describe(device: Device) -> dict[str, Any]:
    axes = {number: code for code, number in (AXES | HATS).items()}
    keys = {number: code for code, number in BUTTONS.items()}
    return {
        "name": device.name,
        "bus": device.bus,
        "driver": device.driver,
        "axes": [axes.get(number, number) for number in sorted(device.axes)],
        "keys": [keys.get(number, number) for number in sorted(device.keys)],
    }


def _read_by(name: hardware_conf.PadLibrary, device: Device) -> dict[str, Any]:
    """Return ranges and cost of reading, or why the library cannot read the pad."""
    try:
        found = connection.open_first(connection.load_library(name), Folders())
    except PadLost as error:
        return {"error": str(error)}
    try:
        known = {code: number for code, number in AXES.items() if number in device.axes}
        infos = {code: found.opened.read_axis(number) for code, number in known.items()}
        costs_us = []
        for _ in range(50):
            start_s = time.thread_time()
            found.opened.read(256)
            costs_us.append((time.thread_time() - start_s) * 1e6)
            time.sleep(0.02)
        ranges = {
            code: [info.value, info.minimum, info.maximum] for code, info in infos.items() if info
        }
        return {"ranges": ranges, "read_us": summarize(costs_us)}
    except OSError as error:
        return {"error": str(error)}
    finally:
        found.opened.close()


def measure_camera(conf: HardwareConf, seconds: float, rate_hz: float = 20.0) -> dict[str, Any]:
    """Take pictures for some seconds; return intervals and costs. Raises Missing, Failed."""
    try:
        camera = open_camera(conf.camera, width_px=160, height_px=120, rate_hz=rate_hz)
    except CameraFailed as error:
        raise Missing(str(error)) from error
    try:
        facts: dict[str, Any] = {"described": camera.describe(), "advice": camera.advice()}
        moments_s, ages_ms = [], []
        start_s, start_cpu_s = time.monotonic(), time.process_time()
        while time.monotonic() - start_s < seconds:
            frame = camera.capture()
            moments_s.append(frame.captured_s)
            ages_ms.append((time.monotonic() - frame.captured_s) * 1000)
        cpu_s = time.process_time() - start_cpu_s
        intervals_ms = [(after - before) * 1000 for before, after in pairwise(moments_s)]
        facts |= {
            "pictures": len(moments_s),
            "missed": camera.missed,
            "interval_ms": summarize(intervals_ms, 2),
            "age_ms": summarize(ages_ms, 2),
            "cpu_ms_per_picture": round(cpu_s * 1000 / max(len(moments_s), 1), 2),
        }
        try:
            facts["colours"] = camera.check_colours()
        except CameraFailed as error:
            raise Failed(str(error), facts) from error
        return facts
    finally:
        camera.close()
