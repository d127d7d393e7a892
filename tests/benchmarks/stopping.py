"""How long it takes until the wheels stand, for everything that stops the car.

python -m tests.benchmarks.stopping

Whole drives of a real car with the real RPi.GPIO and inputs, in a Pi made of namespaces; from what
is done to the drive until the first neutral pulse leaves the pin of the throttle.
"""

import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from tqdm import tqdm

from get_data.cli import arguments, output
from tests.pi.car import Car, driving
from tests.pi.stopping import STOPS, Stop

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


def measured(stop: Stop, trials: int) -> list[float]:
    """So many trials, in one drive where the drive outlives them, else in one each."""
    taken_s: list[float] = []
    with tqdm(total=trials, desc=stop.name, disable=not output.shows_progress()) as bar:
        while len(taken_s) < trials:
            with ExitStack() as stack:
                folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="patate-stop-"))
                car = stack.enter_context(driving(Path(folder), fault=stop.fault))
                again = True
                while again and len(taken_s) < trials:
                    taken_s.append(trial(car, stop))
                    bar.update()
                    again = stop.exit_code is None and not stop.fault
                    if again:
                        drives_on(car)
    return taken_s


def row(stop: Stop, taken_s: Sequence[float]) -> str:
    """A line of the table."""
    missed = ", missed" if max(taken_s) > stop.within_s else ""
    return (
        f"| {stop.name} | {len(taken_s)} | {median(taken_s) * 1000:.0f} "
        f"| {max(taken_s) * 1000:.0f} | {stop.within_s * 1000:.0f}{missed} |"
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Prints the table."""
    parser = arguments.create_parser(__doc__)
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--only", default="", metavar="WORDS", help="what happens, or a part of it")
    args = parser.parse_args(argv)
    print(  # noqa: T201
        "| what happens | trials | p50 ms | max ms | required ms |\n|---|---|---|---|---|"
    )
    for stop in (one for one in STOPS if args.only in one.name):
        print(row(stop, measured(stop, args.trials)), flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
