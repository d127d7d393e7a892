"""Check and measure this Pi, and write one report to send back.

    make onpi
    make onpi OPTIONS="--loopback 23"

It takes a minute or two and changes nothing. On a Pi it sends neutral to the motors: lift the
wheels. The report has no names of users or machines; look at it before you send it.
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import path
from car import hardware_conf
from common.errors import WriteFailed
from get_data.cli import arguments, exit_codes, output, process
from tests.on_pi import devices, drives, loopback, machine
from tests.on_pi.outcomes import Outcome, anonymize, run_part

PARTS = ("machine", "libraries", "settings", "disk", "drive", "check", "pad", "camera", "pulses")

_PINS = arguments.integer_between(2, 27, "as a GPIO number")
_SECONDS = arguments.number_between(0.1, 3600, "seconds")


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = arguments.create_parser(__doc__)
    parser.add_argument(
        "-o",
        "--output",
        type=arguments.path_argument,
        metavar="FILE",
        help="the report (default: onpi-TIME.json in this folder)",
    )
    parser.add_argument(
        "--only", choices=PARTS, action="append", metavar="PART", help=f"one of {', '.join(PARTS)}"
    )
    parser.add_argument(
        "--loopback", type=_PINS, metavar="N", help="GPIO N is connected to GPIO 18 by a wire"
    )
    parser.add_argument(
        "--seconds", type=_SECONDS, default=15.0, metavar="S", help="of each measure (default: 15)"
    )
    parser.add_argument("-y", "--yes", action="store_true", help="the wheels are off the ground")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the parts, write the report, and return the exit code."""
    args = parse_args(argv)
    now = datetime.now(UTC)
    file: Path = args.output or Path(f"onpi-{now:%Y%m%d-%H%M%S}.json")
    conf = hardware_conf.read(path.HARDWARE_CONF)
    if machine.model() and not args.yes:
        output.confirm(
            "The motors get neutral now, and with --loopback the servo moves. Are the wheels off "
            "the ground?",
            without_terminal="lift the wheels, then give -y",
        )
    parts: dict[str, Callable[[], Mapping[str, Any]]] = {
        "machine": machine.describe_machine,
        "libraries": machine.describe_libraries,
        "settings": machine.describe_settings,
        "disk": drives.measure_disk,
        "drive": partial(drives.drive_simulated, args.seconds),
        "check": drives.check_car,
        "pad": devices.describe_pads,
        "camera": partial(devices.measure_camera, conf, args.seconds),
        "pulses": partial(loopback.measure_pulses, conf, args.loopback, args.seconds),
    }
    outcomes = []
    for name in args.only or PARTS:
        outcome = run_part(name, parts[name])
        outcomes.append(outcome)
        reason = f"  {outcome.reason}" if outcome.reason else ""
        output.print_message(f"  {name:9} {outcome.status:7}{reason}")
    write_report(file, now, conf, outcomes)
    output.print_message(f"Wrote {file}: look at it, then send it back")
    incomplete = [each for each in outcomes if each.status in ("failed", "missing")]
    return exit_codes.SOME_ITEMS_FAILED if incomplete else exit_codes.DONE


def write_report(
    file: Path, now: datetime, conf: hardware_conf.HardwareConf, outcomes: Sequence[Outcome]
) -> None:
    """Write the report into a new file.

    Raises:
        WriteFailed: the file exists, or cannot be written.
    """
    report = {
        "format": 1,
        "time": now.isoformat(timespec="seconds"),
        "version": arguments.version(),
        "commit": machine.ask("git", "-C", str(path.ROOT), "rev-parse", "HEAD"),
        "hardware_conf": hardware_conf.to_dict(conf),
        "parts": {each.part: asdict(each) for each in outcomes},
    }
    text = json.dumps(anonymize(report), indent=1, ensure_ascii=False)
    try:
        with file.open("x", encoding="utf-8") as target:
            target.write(text + "\n")
    except OSError as error:
        raise WriteFailed(f"{file} cannot be written: {error.strerror}; give -o FILE") from error


if __name__ == "__main__":
    sys.exit(process.run(main))
