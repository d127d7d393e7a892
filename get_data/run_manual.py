"""Drive the car by hand and record pictures with labels many times a second.

    python get_data/run_manual.py -o drives/monday
    python get_data/run_manual.py -o drives/monday --simulate --duration 30
    python get_data/run_manual.py -o drives/by-model --simulate --pilot model.json

Pad: Menu arms, A ends the run, B stops the car, Y pauses recording, X erases the last 5 seconds.
While the car stands still, recording waits.
Run it with the same folder again to continue the recording; an interrupted one is repaired first.
"""

import os
import sys

# runs uninstalled, from any folder
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from common import early_signals

if __name__ == "__main__":
    early_signals.exit_on_signal()  # the other imports take time

import argparse
from collections.abc import Sequence

from car.constants import MIN_PILOT_RATE_HZ, SEEDS, TRACKS
from common import signals
from get_data.cli import arguments, process, session_options
from get_data.labels.constants import MAX_CLASSES, STANDING_S

_RATE = arguments.number_between(0.1, 200, "pictures a second")
_SHARE = arguments.number_between(0.01, 1, "of full throttle")
_DIRECTIONS = arguments.integer_between(2, MAX_CLASSES, "classes")  # 1 would carry no information
_SPEEDS = arguments.integer_between(1, MAX_CLASSES, "classes")  # 1: drive at a constant speed
_SEED = arguments.integer_between(0, SEEDS - 1, "as a seed")


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = arguments.create_parser(__doc__)
    add_recording_options(parser)
    add_simulation_options(parser)
    add_view_options(parser)
    session_options.add(parser)
    args = parser.parse_args(argv)
    if args.learn and not args.check_pad:
        parser.error("--learn requires --check-pad")
    if not (args.output or args.check or args.check_pad):
        parser.error("-o DIR is required: the output folder")
    if not args.simulate and (args.sim_track or args.seed is not None):
        parser.error("--sim-track and --seed require --simulate")
    if args.pilot and not args.simulate:
        parser.error("--pilot requires --simulate: a model drives a simulated car only")
    if args.pilot and args.rate < MIN_PILOT_RATE_HZ:
        parser.error(
            f"--pilot requires a --rate of {MIN_PILOT_RATE_HZ:g} pictures a second or more"
        )
    return args


def add_recording_options(parser: argparse.ArgumentParser) -> None:
    """Add the options for the recording and for the checks before it."""
    add = parser.add_argument
    add(
        "-o",
        "--output",
        type=arguments.path_argument,
        metavar="DIR",
        help="output folder (required except with --check and --check-pad)",
    )
    add("--check", action="store_true", help="check the car, and with -o the disk, then exit")
    add("--check-pad", action="store_true", help="show what each control of the pad does")
    add(
        "--learn",
        action="store_true",
        help="with --check-pad: ask for each control, and write the map of this pad",
    )
    add("--duration", type=arguments.positive_number, metavar="S", help="stop after S seconds")
    add("--rate", type=_RATE, default=20.0, metavar="HZ", help="pictures per second (default: 20)")
    add(
        "--resolution",
        type=arguments.picture_size,
        default=(160, 120),
        metavar="WxH",
        help="size of the pictures in pixels (default: 160x120)",
    )
    for option, number, default, attribute in (
        ("--nb-dir", _DIRECTIONS, 5, "direction"),
        ("--nb-speed", _SPEEDS, 2, "speed"),
    ):
        text = f"number of {attribute} classes (default: {default})"
        add(option, type=number, default=default, metavar="N", help=text)
    add(
        "--max-throttle",
        type=_SHARE,
        metavar="X",
        help="throttle at full trigger, 0.01 to 1 (default: as in hardware_conf.json)",
    )
    add(
        "--record-standing",
        action="store_true",
        help="record a standing car too (default: recording waits after "
        f"{STANDING_S:g} s without throttle)",
    )


def add_simulation_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of a simulated drive."""
    parser.add_argument(
        "--simulate", action="store_true", help="drive a simulated car, which steers itself"
    )
    parser.add_argument(
        "--sim-track",
        choices=TRACKS,
        help=f"simulated track (default: the value of --track, or {TRACKS[0]})",
    )
    parser.add_argument(
        "--seed",
        type=_SEED,
        metavar="N",
        help="seed of the simulated driver, disturbances and light, to repeat a drive",
    )
    parser.add_argument(
        "--pilot",
        type=arguments.path_argument,
        metavar="FILE",
        help="let this model steer the simulated car (docs/training.md)",
    )


def add_view_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the live view."""
    parser.add_argument(
        "--view",
        type=arguments.PORT,
        metavar="PORT",
        help="show the camera picture in a browser, at this port",
    )
    parser.add_argument(
        "--view-host",
        type=arguments.utf8_text,
        default="127.0.0.1",
        metavar="HOST",
        help="address to listen on (default: this machine only; 0.0.0.0: the whole network)",
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script and return its exit code."""
    args = parse_args(argv)
    with signals.exit_while_importing():
        from get_data.commands import run_manual
    return run_manual.run(args)


if __name__ == "__main__":
    raise SystemExit(process.run(main))
