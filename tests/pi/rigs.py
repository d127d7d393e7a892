"""What a drive is tried on: a Pi, the pulses on its pins, and a pad to plug in."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tests.pi import bench, kernel, pwm
from tests.pi.kernel import pads, traces
from tests.pi.libraries import GpioLibrary
from tests.pi.pad import FifoPad, Pad
from tests.pi.pulses import Pulses

PWM_CHANNELS = {18: 2, 13: 1}  # of a Pi 5


@dataclass(frozen=True)
class Rig:
    """A Pi, and what is connected to it.

    `command` returns the command line that runs a command in the Pi, which needs the variables of
    `environment`.
    """

    command: Callable[..., list[str]]
    environment: Mapping[str, str]
    recorder: Pulses
    plug_in: Callable[..., Pad]


def create(folder: Path, conf: Mapping[str, Any], library: GpioLibrary) -> Rig:
    """Create a rig with that hardware_conf.json: the kernel's devices, or emulated ones.

    Pins of the kernel are driven by the library that needs them, whichever is named.
    """
    if kernel.IS_VIRTUAL_PI:
        return _of_the_kernel(folder, conf)
    pi = bench.create_pi(folder, library)
    pi.conf.write_text(json.dumps(conf))
    environment = bench.environment(pi)
    recorder = Pulses(pi)
    if "pwm" in conf["motors"].values():
        recorder = pwm.PwmPulses(pwm.add_chip(pi, pwm.PI_5, channels=4), PWM_CHANNELS)
        environment |= pwm.environment(pi)
    return Rig(pi.command, environment, recorder, partial(FifoPad, pi))


def _of_the_kernel(folder: Path, conf: Mapping[str, Any]) -> Rig:
    folder.mkdir()
    file = folder / "hardware_conf.json"
    file.write_text(json.dumps(conf))
    motors = conf["motors"]
    match motors["driver"]:
        case "gpio":
            recorder: Pulses = traces.PinTrace()
        case "pwm":
            recorder = traces.PwmTrace(PWM_CHANNELS)
        case "pca9685":
            recorder = traces.Pca9685Trace()
    return Rig(kernel.command(file), kernel.environment(), recorder, partial(pads.plug_in, "xpad"))
