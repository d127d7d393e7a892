"""How long it takes until the wheels stand, for everything that stops the car.

python -m tests.benchmarks.stopping

Whole drives of a real car with the real inputs, in a Pi made of namespaces, by each driver: the
real RPi.GPIO, the real rpi-lgpio, and the hardware PWM with the kernel's files played; from what is
done to the drive until the first neutral pulse leaves the pin of the throttle.
"""

import os
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

from tqdm import tqdm

from get_data.cli import arguments, output
from tests.pi.car import PWM_CONF, Car, GuardLate, driving
from tests.pi.libraries import GPIO_LIBRARIES
from tests.pi.stopping import STOPS, Stop

DRIVERS: dict[str, dict[str, Any]] = {
    library.name: {"library": library} for library in GPIO_LIBRARIES
}
DRIVERS["hardware PWM"] = {"conf": PWM_CONF}
AGAIN_AFTER_S = 0.8  # the pad is looked for every half second


def trial(car: Car, stop: Stop) -> float:
    """How long it took this time, in seconds."""
    car.ensure_driving()
    moment_s = stop.act(car)
    return car.stop_delay_s(moment_s, observe_s=stop.observe_s)


def drives_on(car: Car) -> None:
    """The car goes backwards again, after a stop that the drive outlives."""
    car.resume_processes()
    car.thumb.release()
    if not car.pad.node.exists():
        car.pad.replug()
        time.sleep(AGAIN_AFTER_S)
    car.go()


def measured(stop: Stop, driver: str, trials: int) -> list[float]:
    """So many trials, in one drive where the drive outlives them, else in one each."""
    taken_s: list[float] = []
    name = f"{stop.name}, {driver}"
    with tqdm(total=trials, desc=name, disable=not output.shows_progress()) as bar:
        while len(taken_s) < trials:
            with ExitStack() as stack:
                folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="patate-stop-"))
                setup = {"fault": stop.fault, **DRIVERS[driver]}
                car = stack.enter_context(driving(Path(folder), **setup))
                again = True
                while again and len(taken_s) < trials:
                    try:
                        taken_s.append(trial(car, stop))
                    except GuardLate:  # the car of a busy machine: no trial
                        break
                    bar.update()
                    again = stop.exit_code is None and not stop.fault
                    if again:
                        drives_on(car)
    return taken_s


def cells(stop: Stop, taken_s: Sequence[float]) -> str:
    """Return median and maximum, as two cells of the table."""
    missed = ", missed" if max(taken_s) > stop.within_s else ""
    return f"{median(taken_s) * 1000:.0f} | {max(taken_s) * 1000:.0f}{missed}"


def main(argv: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = arguments.create_parser(__doc__)
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--only", default="", metavar="WORDS", help="what happens, or a part of it")
    parser.add_argument("--driver", action="append", choices=DRIVERS, help="default: each")
    args = parser.parse_args(argv)
    drivers = args.driver or list(DRIVERS)
    columns = [f"{driver}: p50 ms | max ms" for driver in drivers]
    print(  # noqa: T201
        f"| what happens | required ms | {' | '.join(columns)} | load |\n"
        f"|---|---|{'---|---|' * len(drivers)}---|"
    )
    for stop in (one for one in STOPS if args.only in one.name):
        found = [cells(stop, measured(stop, driver, args.trials)) for driver in drivers]
        required, load = f"{stop.within_s * 1000:.0f}", f"{os.getloadavg()[0]:.0f}"
        print(  # noqa: T201
            f"| {stop.name} | {required} | {' | '.join(found)} | {load} |", flush=True
        )


if __name__ == "__main__":
    sys.exit(main())
