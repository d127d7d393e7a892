"""Drives the car by hand and records a picture with a label many times a second.

    python get_data/run_manual.py -o drives/monday --simulate --duration 30

Pad: Menu arms, A ends the run, B stops the car, Y pauses recording, X erases the last 5 seconds.
Run again with the same folder to continue it; what a cut recording left is repaired first.
"""

import argparse
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs uninstalled, from any folder

import path
from car import hardware_conf
from car.clock import RealClock
from car.drive import CONTROL_HZ, Drive, Rules
from car.hardware_conf import HardwareConf
from car.interfaces import Camera, Clock, GuardedMotors, Pad
from car.simulator import GuardedSimulatedMotors, SimulatedCamera, SimulatedPad, World
from errors import InputError, RecordingFailed
from get_data import command_line
from get_data.labels import label_file, session
from get_data.labels.label import MAX_CLASSES, SESSION_KEYS, Classes
from get_data.recording import capture_clock
from get_data.recording.capture_clock import CaptureClock
from get_data.recording.recorder import Recorder
from get_data.recording.report import Control, Moment, live_line, page

ERASE_S = 5.0
LIVE_PERIOD_S = 0.1
LAST_IMG_ID = "last_img_id"


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """The options, checked for what argparse can check."""
    parser = command_line.parser(__doc__)
    add = parser.add_argument
    add(
        "-o",
        "--output",
        type=command_line.file_or_folder,
        required=True,
        metavar="DIR",
        help="where the drive goes",
    )
    add("--simulate", action="store_true", help="a simulated car that drives by itself")
    add("--duration", type=command_line.positive_number, metavar="S", help="seconds to drive")
    add("--rate", type=_rate, default=20.0, metavar="HZ", help="pictures a second; default 20")
    add("--resolution", type=_resolution, default=(160, 120), metavar="WxH", help="default 160x120")
    add("--nb-dir", type=_classes, default=5, metavar="N", help="direction classes; default 5")
    add("--nb-speed", type=_classes, default=2, metavar="N", help="speed classes; default 2")
    add("--max-throttle", type=_share, metavar="X", help="what full trigger means, above 0 to 1")
    for key in SESSION_KEYS:
        option = f"--{key.replace('_', '-')}"
        add(option, type=command_line.sentence, metavar="TEXT", help=f"the session's {key}")
    return parser.parse_args(argv)


def _rate(text: str) -> float:
    rate_hz = command_line.positive_number(text)
    if not 0.1 <= rate_hz <= 200:
        raise argparse.ArgumentTypeError(f"expected 0.1 to 200 pictures a second, got {text!r}")
    return rate_hz


def _share(text: str) -> float:
    share = command_line.positive_number(text)
    if share > 1:
        raise argparse.ArgumentTypeError(f"expected a number above 0 up to 1, got {text!r}")
    return share


def _classes(text: str) -> int:
    count = command_line.whole_number(text)
    if count > MAX_CLASSES:
        raise argparse.ArgumentTypeError(f"expected 1 to {MAX_CLASSES} classes, got {text!r}")
    return count


def _resolution(text: str) -> tuple[int, int]:
    width, x, height = text.partition("x")
    sides = [int(side) if side.isdecimal() else 0 for side in (width, height)]
    if not x or not all(16 <= side <= 4096 for side in sides):
        raise argparse.ArgumentTypeError(f"expected WxH, 16 to 4096 pixels each, got {text!r}")
    return sides[0], sides[1]


@dataclass(frozen=True, slots=True)
class Car:
    """The parts of one car, real or simulated."""

    camera: Camera
    pad: Pad
    motors: GuardedMotors
    clock: Clock
    speed_m_s: Callable[[], float] | None = None


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the script; returns its exit code."""
    args = parse_args(argv)
    if not args.simulate:
        raise InputError("this version drives the simulated car only: add --simulate")
    conf = hardware_conf.read(path.HARDWARE_CONF)
    max_throttle = args.max_throttle or conf.max_throttle
    last_img_id_file = path.database() / LAST_IMG_ID
    last_moment = capture_clock.remembered(last_img_id_file)
    said = session_of(args)
    check_names(args.output, path.database())
    command_line.make_folders(args.output, path.database())
    keep(said, args.output / session.NAME)
    with Recorder(
        args.output,
        session=said,
        car_setting=car_setting(conf, args),
        classes=Classes(args.nb_dir, args.nb_speed, max_throttle),
        rate_hz=args.rate,
        resolution=args.resolution,
        jpeg_quality=conf.jpeg_quality,
        last_img_id_file=last_img_id_file,
    ) as recorder:
        command_line.say_repaired(args.output, recorder.repaired)
        car = simulated_car(args, max_throttle)
        captured = CaptureClock(
            after=max(filter(None, (last_moment, recorder.newest)), default=None)
        )
        drive = Drive(
            camera=car.camera,
            pad=car.pad,
            motors=car.motors,
            clock=car.clock,
            rules=Rules(max_throttle),
            on_frame=lambda _frame: None,
            on_picture=lambda frame, command: recorder.record(
                frame.pixels,
                captured=captured.at(frame.captured_s),
                steering=command.steering,
                throttle=command.throttle,
            ),
            on_erase=lambda: recorder.erase(ERASE_S),
            on_pause=recorder.pause,
        )
        with ended_by_signal(drive.stop) as signalled:
            with live(drive, recorder, car):
                drive.run(args.duration)
            recorder.close()
            return report(args, drive, recorder, interrupted=signalled.is_set())


def car_setting(conf: HardwareConf, args: argparse.Namespace) -> dict[str, object]:
    """What a label says of the car: what it is, and how it was set for this run."""
    run = {
        "simulated": args.simulate,
        "rate_hz": args.rate,
        "resolution": "{}x{}".format(*args.resolution),
        "max_throttle": args.max_throttle or conf.max_throttle,
    }
    return {**hardware_conf.contents(conf), "run": run}


def check_names(*folders: Path) -> None:
    """The writing process can be told the folders. Raises: InputError."""
    for folder in folders:
        try:
            str(folder.absolute()).encode()
        except UnicodeEncodeError as error:
            raise InputError(f"{folder.absolute()}: to record there, rename it in UTF-8") from error


def session_of(args: argparse.Namespace) -> session.Session:
    """What holds for the whole recording: from its template, else from options and answers.

    Raises: InputError when the template is broken, or the folder is not a recording.
    """
    template = args.output / session.NAME
    given = {key: getattr(args, key) for key in SESSION_KEYS}
    if command_line.is_there(template):
        for key, value in session.read(template).items():
            if given.get(key) not in (None, value):
                command_line.say(f"warning: {template} stays as it is: {key} is {value!r}")
        return session.read(template)
    if (args.output / label_file.NAME).exists():
        raise InputError(
            f"{args.output} has labels that were not recorded there; choose another folder"
        )
    if sys.stdin.isatty():
        given = {
            key: command_line.ask(f"{key}: ") if value is None else value
            for key, value in given.items()
        }
    content = {key: value or "" for key, value in given.items()}
    session.check(content, "the session")
    return content


def keep(said: session.Session, template: Path) -> None:
    """The template is there. Raises: WriteFailed."""
    if not template.exists():
        session.write(template, said)


def simulated_car(args: argparse.Namespace, max_throttle: float) -> Car:
    """A car on a simulated track, driven by a simulated person, in real time."""
    clock = RealClock()
    world = World(clock=clock, seed=time.time_ns() % 2**32, max_throttle=max_throttle)
    width_px, height_px = args.resolution
    return Car(
        SimulatedCamera(world, width_px=width_px, height_px=height_px, rate_hz=args.rate),
        SimulatedPad(world),
        GuardedSimulatedMotors(world),
        clock,
        speed_m_s=lambda: world.state().speed_m_s,
    )


@contextmanager
def ended_by_signal(stop: Callable[[], None]) -> Iterator[threading.Event]:
    """While the block runs, Ctrl-C, a lost terminal or a kill stop the drive and nothing else."""
    signalled = threading.Event()

    def handle(_number: int, _frame: object) -> None:
        signalled.set()
        stop()

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield signalled
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def live(drive: Drive, recorder: Recorder, car: Car) -> Iterator[None]:
    """While the block runs, a terminal shows the drive; in a thread that nothing waits for."""
    over = threading.Event()
    if not sys.stderr.isatty():
        yield
        return

    def show() -> None:
        start = time.monotonic()
        written, since, rate_hz = 0, start, 0.0
        while not over.wait(LIVE_PERIOD_S):
            now, progress = time.monotonic(), recorder.progress
            if now - since >= 1.0:
                rate_hz = (progress.written - written) / (now - since)
                written, since = progress.written, now
            moment = Moment(
                seconds=now - start,
                rate_hz=rate_hz,
                steering=drive.command.steering,
                throttle=drive.command.throttle,
                speed_m_s=car.speed_m_s() if car.speed_m_s else None,
                state=drive.state.name,
            )
            sys.stderr.write(f"\r{live_line(moment, progress)}\x1b[K")
            sys.stderr.flush()

    thread = threading.Thread(target=show, name="live", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(timeout=1.0)
        if not thread.is_alive():  # else the terminal is dead, and would block us too
            sys.stderr.write("\n")


def report(args: argparse.Namespace, drive: Drive, recorder: Recorder, *, interrupted: bool) -> int:
    """Says what was recorded; returns the exit code.

    Raises: RecordingFailed when not everything is on the disk.
    """
    timing = drive.timing
    control = Control(
        CONTROL_HZ,
        timing.ticks,
        timing.skipped,
        timing.percentile_s(99),
        timing.percentile_s(100),
    )
    command_line.say(f"{args.output}")
    for line in page(
        recorder.report, dropped=recorder.dropped, asked_hz=args.rate, control=control
    ):
        command_line.say(line)
    command_line.report({**asdict(recorder.report), "dropped": recorder.dropped})
    if recorder.report.stopped or recorder.report.unmerged:
        raise RecordingFailed(
            f"{args.output}: recording stopped early: {recorder.report.stopped}"
            f"{recorder.report.unmerged}; the pictures until then are saved"
        )
    return command_line.INTERRUPTED if interrupted else command_line.DONE


if __name__ == "__main__":
    raise SystemExit(command_line.run(main))
