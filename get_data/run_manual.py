"""Drives the car by hand and records a picture with a label many times a second.

    python get_data/run_manual.py -o drives/monday
    python get_data/run_manual.py -o drives/monday --simulate --duration 30

Pad: Menu arms, A ends the run, B stops the car, Y pauses recording, X erases the last 5 seconds.
Run again with the same folder to continue it; what a cut recording left is repaired first.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs uninstalled, from any folder

from common import signals

if __name__ == "__main__":
    signals.exit_on_signal()  # the other imports take time

import argparse
from collections.abc import Sequence
from contextlib import AbstractContextManager, closing, nullcontext, suppress
from dataclasses import asdict
from datetime import datetime
from functools import partial

import path
from car import hardware_conf, pi_checks
from car.assembly import SEEDS, Car, Parts, RealCar, SimulatedCar
from car.drive import Drive, Rules
from car.hardware_conf import HardwareConf
from car.interfaces import Command, Frame
from car.pad.display import show_pad
from car.simulator.track import TRACKS
from common.atomic_files import temporary_file
from common.errors import InputError, RecordingFailed, WriteFailed
from common.preflight import CheckResult, CheckUnknown, Preflight
from get_data.cli import arguments, exit_codes, files, output, process, session_questions
from get_data.labels import label_file, session
from get_data.labels.classes import Classes
from get_data.labels.schema import MAX_CLASSES, SESSION_KEYS
from get_data.live import terminal, web_view
from get_data.live.web_view import LiveView
from get_data.live.wire import DriveState
from get_data.recording import capture_clock, disk, jpeg, resume
from get_data.recording.capture_clock import CaptureClock
from get_data.recording.recorder import Recorder, check_available, check_encodable
from get_data.recording.report import format_report

ERASE_S = 5.0
LAST_IMG_ID = "last_img_id"

_RATE = arguments.number_between(0.1, 200, "pictures a second")
_SHARE = arguments.number_between(0.01, 1, "of full throttle")
_DIRECTIONS = arguments.integer_between(2, MAX_CLASSES, "classes")  # one tells nothing
_SPEEDS = arguments.integer_between(1, MAX_CLASSES, "classes")  # one: driven at one speed
_SEED = arguments.integer_between(0, SEEDS - 1, "as a seed")


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """The options, checked for what argparse can check."""
    parser = arguments.create_parser(__doc__)
    add = parser.add_argument
    add(
        "-o",
        "--output",
        type=arguments.path_argument,
        metavar="DIR",
        help="where the drive goes; --check and --check-pad do without",
    )
    add("--simulate", action="store_true", help="a simulated car that drives by itself")
    add(
        "--sim-track",
        choices=TRACKS,
        help=f"the simulated road; default: the one that --track names, else {TRACKS[0]}",
    )
    add("--seed", type=_SEED, metavar="N", help="the same simulated driver, pushes and light again")
    add(
        "--check",
        action="store_true",
        help="only look whether all is ready to drive; at the disk too with -o",
    )
    add("--check-pad", action="store_true", help="only show what each control of the pad does")
    add("--duration", type=arguments.positive_number, metavar="S", help="seconds to drive")
    add("--rate", type=_RATE, default=20.0, metavar="HZ", help="pictures a second; default 20")
    add(
        "--resolution",
        type=arguments.picture_size,
        default=(160, 120),
        metavar="WxH",
        help="default 160x120",
    )
    add("--nb-dir", type=_DIRECTIONS, default=5, metavar="N", help="direction classes; default 5")
    add("--nb-speed", type=_SPEEDS, default=2, metavar="N", help="speed classes; default 2")
    add("--max-throttle", type=_SHARE, metavar="X", help="what full trigger means, 0.01 to 1")
    add(
        "--view",
        type=arguments.PORT,
        metavar="PORT",
        help="show what the camera sees in a browser",
    )
    add(
        "--view-host",
        type=arguments.utf8_text,
        default="127.0.0.1",
        metavar="HOST",
        help="who may look: default only this machine; 0.0.0.0 for the whole network",
    )
    for key in SESSION_KEYS:
        option = f"--{key.replace('_', '-')}"
        add(option, type=arguments.utf8_text, metavar="TEXT", help=f"the session's {key}")
    args = parser.parse_args(argv)
    if not (args.output or args.check or args.check_pad):
        parser.error("-o DIR is needed: where the drive goes")
    if not args.simulate and (args.sim_track or args.seed is not None):
        parser.error("--sim-track and --seed are for a simulated drive: add --simulate")
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the script; returns its exit code."""
    args = parse_args(argv)
    conf = hardware_conf.read(path.HARDWARE_CONF)
    if args.check_pad:
        show_pad(conf.pad)
        return exit_codes.DONE
    last_img_id_file = path.database_folder() / LAST_IMG_ID
    last_moment = capture_clock.load_last_time(last_img_id_file)
    newest = {last_img_id_file: last_moment}
    if args.output:
        newest[args.output / label_file.NAME] = check_folder(args, conf)
    followed = capture_clock.follow_policy(synchronised=pi_checks.is_clock_synchronized())
    ids = followed.warnings(newest)
    said = session_of(args)
    with view_of(args, conf) as view, closing(car_of(args, conf, said["track"])) as car:
        parts = make_ready(car, args, conf, ids)
        if args.check:
            return exit_codes.DONE
        files.create_folders(args.output, path.database_folder())
        warn_of_memory(path.database_folder())
        session_questions.save_template(said, args.output / session.NAME)
        with recorder_of(args, conf, said, car.settings(), last_img_id_file) as recorder:
            files.print_repair(args.output, recorder.repaired)
            moments = filter(None, (last_moment, *recorder.capture_times))
            captured = CaptureClock(after=followed.newest(moments), taken=recorder.has_picture)
            return drive(car, parts, recorder, captured, view, args, conf)


def check_folder(args: argparse.Namespace, conf: HardwareConf) -> datetime | None:
    """Look whether the drive can go into the output folder; return the newest moment there.

    Raises: InputError, RecordingFailed, StillRecording.
    """
    check_encodable(args.output, path.database_folder())
    check_available(args.output)
    earlier = resume.read_previous(args.output)
    setting = resume.drive_settings(
        car_setting(conf, args, {}), nb_dir=args.nb_dir, nb_speed=args.nb_speed
    )
    for difference in resume.check_compatible(args.output, earlier, setting):
        output.print_message(f"warning: {difference}")
    return earlier.newest


def view_of(
    args: argparse.Namespace, conf: HardwareConf
) -> AbstractContextManager[LiveView | None]:
    """Serves browsers, if that is asked for. Raises: InputError."""
    if args.view is None:
        return nullcontext()
    view = LiveView(
        host=args.view_host,
        port=args.view,
        folder=args.output or Path(),
        resolution=args.resolution,
        rate_hz=args.rate,
        jpeg_quality=conf.jpeg_quality,
    )
    output.print_message(f"what the camera sees: {web_view.view_url(args.view_host, args.view)}")
    return view


def session_of(args: argparse.Namespace) -> session.Session:
    """Return the session; a simulated drive is on the simulated track, unless another is told.

    Raises: InputError.
    """
    given = {key: getattr(args, key) for key in SESSION_KEYS}
    template = args.output / session.NAME if args.output else None
    known = session.read(template)["track"] if template and files.exists(template) else ""
    if args.simulate and not (known or args.track):
        given["track"] = args.sim_track or TRACKS[0]
    if not args.output:
        return {key: value or "" for key, value in given.items()}
    return session_questions.resolve_session(args.output, given, may_ask=not args.check)


def sim_track(args: argparse.Namespace, track: str) -> str:
    """Return the road to simulate: the one asked for, else the one that the labels name.

    Raises: InputError when the labels would name another simulated road.
    """
    named = track.casefold() if track.casefold() in TRACKS else ""
    road: str = args.sim_track or named or TRACKS[0]
    if named and named != road:
        raise InputError(
            f"--sim-track {road}: the labels would say that the track is {track!r}; take "
            f"--sim-track {named}, or --track {road} and a folder of its own"
        )
    if track and not named:
        output.print_message(f"warning: the road is {road!r}, and the labels say track {track!r}")
    return road


def car_of(args: argparse.Namespace, conf: HardwareConf, track: str) -> Car:
    """The car that is asked for; nothing of a real one is open yet. Raises: InputError."""
    width_px, height_px = args.resolution
    if args.simulate:
        return SimulatedCar(
            track=sim_track(args, track),
            seed=args.seed,
            width_px=width_px,
            height_px=height_px,
            rate_hz=args.rate,
            max_throttle=max_throttle(args, conf),
        )
    return RealCar(conf, width_px=width_px, height_px=height_px, rate_hz=args.rate)


def make_ready(
    car: Car, args: argparse.Namespace, conf: HardwareConf, ids: Sequence[CheckResult]
) -> Parts:
    """Open the car's parts, the motors last, and check everything that can fail.

    `ids` are findings about ids that are ahead of the clock.

    Raises:
        NotReady: a check failed.
        Declined: the user does not want the motors to come on.
    """
    told = args.check or not args.simulate  # a simulated car is always ready
    preflight = Preflight(output.print_message if told else lambda _line: None)
    pad = preflight.open("pad", car.open_pad, car.check_pad)
    camera = preflight.open("camera", car.open_camera, car.check_camera)

    def picture() -> bytes:
        if not camera.is_ready:
            raise CheckUnknown("the minutes left depend on the size of a picture from the camera")
        return jpeg.encode_jpeg(camera.part.capture().pixels, conf.jpeg_quality)

    checks = list(car.checks())
    if told:
        checks += [("ids", partial(_same, found)) for found in ids]
    if told and args.output:
        checks += disk.create_checks(args.output, picture, rate_hz=args.rate)
    for found in () if told else ids:
        output.print_message(f"warning: {found.message}; {found.note}")
    for name, check in checks:
        preflight.check(name, check)
    preflight.require_all()
    if not args.simulate and sys.stdin.isatty():
        output.confirm(
            "The motors come on now. Are the wheels off the ground, or is the way free?",
            otherwise="",
        )
    motors = preflight.open("motors", car.open_motors, car.check_motors)
    preflight.require_all()
    return Parts(camera.part, pad.part, motors.part)


def _same(found: CheckResult) -> CheckResult:
    return found


def warn_of_memory(folder: Path) -> None:
    """Says, before the drive, when the last id cannot be kept in the folder for the next one."""
    try:
        with temporary_file(folder):
            pass
    except OSError as error:
        output.print_message(
            f"warning: {folder} cannot be written: {error.strerror}; check its rights, or ids may "
            "come twice when the clock is wrong"
        )


def recorder_of(
    args: argparse.Namespace,
    conf: HardwareConf,
    said: session.Session,
    parts: dict[str, object],
    last_img_id_file: Path,
) -> Recorder:
    """Records into the output folder. Raises: InputError, RecordingFailed, StillRecording."""
    return Recorder(
        args.output,
        session=said,
        car_setting=car_setting(conf, args, parts),
        classes=Classes(args.nb_dir, args.nb_speed, max_throttle(args, conf)),
        rate_hz=args.rate,
        resolution=args.resolution,
        jpeg_quality=conf.jpeg_quality,
        last_img_id_file=last_img_id_file,
    )


def car_setting(
    conf: HardwareConf, args: argparse.Namespace, parts: dict[str, object]
) -> dict[str, object]:
    """What a label says of the car: what it is, and how it and its parts were set for this run."""
    run = {
        "simulated": args.simulate,
        "rate_hz": args.rate,
        "resolution": "{}x{}".format(*args.resolution),
        "max_throttle": max_throttle(args, conf),
        **parts,
    }
    return {**hardware_conf.contents(conf), "run": run}


def max_throttle(args: argparse.Namespace, conf: HardwareConf) -> float:
    """What full trigger means, as a share of full throttle."""
    told: float | None = args.max_throttle
    return told or conf.max_throttle


def drive(
    car: Car,
    parts: Parts,
    recorder: Recorder,
    captured: CaptureClock,
    view: LiveView | None,
    args: argparse.Namespace,
    conf: HardwareConf,
) -> int:
    """The car was driven and what it saw is recorded; returns the exit code."""

    def record(frame: Frame, command: Command) -> None:
        recorder.record(
            frame.pixels,
            captured=captured.time_at(frame.captured_s),
            steering=command.steering,
            throttle=command.throttle,
        )

    def show(frame: Frame) -> None:
        if view:
            view.show(frame.pixels, now())

    def now() -> DriveState:
        command, state, progress = driving.command, driving.state, recorder.progress
        doing = "driving" if state.armed and progress.stopped else state.name
        return DriveState(command.steering, command.throttle, doing, progress, car.speed_m_s())

    driving = Drive(
        camera=parts.camera,
        pad=parts.pad,
        motors=parts.motors,
        clock=car.clock,
        rules=Rules(max_throttle(args, conf), conf.pad.silence_s, conf.pad.dead_man),
        on_frame=show,
        on_picture=record,
        on_erase=lambda: recorder.erase(ERASE_S),
        on_pause=recorder.pause,
    )
    with process.stop_on_signal(driving.stop) as signalled:
        try:
            with terminal.status_line(now):
                driving.run(args.duration)
        finally:
            with suppress(RecordingFailed):  # `check_complete` tells it, after what ended the drive
                recorder.close()
            try:
                report(args, driving, recorder, missed=parts.camera.missed)
            except WriteFailed:
                if not signalled.is_set():  # else the terminal was closed
                    raise
        recorder.check_complete()
        return exit_codes.INTERRUPTED if signalled.is_set() else exit_codes.DONE


def report(args: argparse.Namespace, driving: Drive, recorder: Recorder, *, missed: int) -> None:
    """What was recorded is said: a page for people, counts for programs."""
    output.print_message(recorder.report.moved or f"{args.output}")
    if recorder.report.moved:
        output.print_message(
            f"warning: {args.output} was renamed; all pictures are in the folder above"
        )
    if recorder.report.unremembered:
        output.print_message(f"warning: {recorder.report.unremembered}")
    for line in format_report(
        recorder.report,
        missed=missed,
        asked_hz=args.rate,
        control=driving.timing,
        stops=driving.stop_counts,
    ):
        output.print_message(line)
    output.write_json({**asdict(recorder.report), "missed": missed, "stops": driving.stop_counts})


if __name__ == "__main__":
    raise SystemExit(process.run(main))
