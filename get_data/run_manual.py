"""Drive the car by hand and record pictures with labels many times a second.

    python get_data/run_manual.py -o drives/monday
    python get_data/run_manual.py -o drives/monday --simulate --duration 30
    python get_data/run_manual.py -o drives/by-model --simulate --pilot model.json

Pad: Menu arms, A ends the run, B stops the car, Y pauses recording, X erases the last 5 seconds.
While the car stands still, recording waits.
Run it with the same folder again to continue the recording; an interrupted one is repaired first.
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
from math import inf

import path
from car import hardware_conf, pi_checks
from car.assembly import SEEDS, Car, Parts, RealCar, SimulatedCar
from car.drive import Drive, DriveLimits
from car.hardware_conf import HardwareConf
from car.interfaces import Command, Frame, Pilot
from car.pad.display import show_pad
from car.pilot import model
from car.pilot.piloting import MIN_RATE_HZ
from car.simulator.track import TRACKS, choose_track
from common.errors import RecordingFailed, WriteFailed
from common.preflight import CheckResult, CheckUnknown, Preflight
from get_data.cli import arguments, exit_codes, files, output, process, session_questions
from get_data.labels import label_file, session
from get_data.labels.classes import Classes
from get_data.labels.drives import STANDING_S
from get_data.labels.schema import MAX_CLASSES
from get_data.live import terminal, web_view
from get_data.live.web_view import LiveView
from get_data.live.wire import DriveState
from get_data.recording import capture_clock, disk, jpeg, resume
from get_data.recording.advice import find_advice
from get_data.recording.capture_clock import CaptureClock
from get_data.recording.recorder import Recorder, check_available, check_encodable
from get_data.recording.report import format_location, format_report
from get_data.recording.standing import StandingFilter

ERASE_S = 5.0
LAST_IMG_ID = "last_img_id"

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
    session_questions.add_options(parser)
    args = parser.parse_args(argv)
    if not (args.output or args.check or args.check_pad):
        parser.error("-o DIR is required: the output folder")
    if not args.simulate and (args.sim_track or args.seed is not None):
        parser.error("--sim-track and --seed require --simulate")
    if args.pilot and not args.simulate:
        parser.error("--pilot requires --simulate: a model drives a simulated car only")
    if args.pilot and args.rate < MIN_RATE_HZ:
        parser.error(f"--pilot requires a --rate of {MIN_RATE_HZ:g} pictures a second or more")
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
    conf = hardware_conf.read(path.HARDWARE_CONF)
    pilot = model.read(args.pilot) if args.pilot else None

    if args.check_pad:
        show_pad(conf.pad)
        return exit_codes.DONE

    last_img_id_file = path.database_folder() / LAST_IMG_ID
    last_time = capture_clock.load_last_time(last_img_id_file)
    newest = {last_img_id_file: last_time}
    if args.output:
        newest[args.output / label_file.NAME] = check_folder(args, conf)
    policy = capture_clock.follow_policy(synchronised=pi_checks.is_clock_synchronized())
    warnings = policy.warnings(newest)
    simulated_track = (args.sim_track or TRACKS[0]) if args.simulate else ""
    content = session_questions.get_session(args, simulated_track=simulated_track)
    with (
        open_view(args, conf) as view,
        closing(create_car(args, conf, content["track"], pilot)) as car,
    ):
        parts = prepare_car(car, args, conf, warnings)
        if args.check:
            return exit_codes.DONE

        # nothing is written before the car has passed its checks
        files.create_folders(args.output, path.database_folder())
        try:
            capture_clock.check_writable(path.database_folder())
        except WriteFailed as error:
            output.print_message(f"warning: {error}")
        session_questions.save_template(content, args.output / session.NAME)
        # where a wrong clock is behind, the start follows the earlier pictures as their ids do
        started = max(policy.now, policy.newest(filter(None, newest.values())) or policy.now)
        with open_recorder(
            args, conf, content, car.settings(), last_img_id_file, started
        ) as recorder:
            files.print_repair(args.output, recorder.repaired)
            times = filter(None, (last_time, *recorder.capture_times))
            clock = CaptureClock(after=policy.newest(times), taken=recorder.has_picture)
            return drive(car, parts, recorder, clock, view, args, conf)


def check_folder(args: argparse.Namespace, conf: HardwareConf) -> datetime | None:
    """Check the output folder, and return the time of its newest picture.

    Raises:
        InputError: it is not a recording, or one with other settings.
        RecordingFailed: it cannot be recorded into.
        StillRecording: another process is recording into it.
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


def open_view(
    args: argparse.Namespace, conf: HardwareConf
) -> AbstractContextManager[LiveView | None]:
    """Start the live view, if there is a port for it.

    Raises:
        InputError: the port cannot be used.
    """
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
    output.print_message(f"Live view: {web_view.view_url(args.view_host, args.view)}")
    return view


def create_car(
    args: argparse.Namespace, conf: HardwareConf, track: str, pilot: Pilot | None
) -> Car:
    """Return the car, real or simulated, with none of its devices open yet.

    Raises:
        InputError: the session has another simulated track.
    """
    width_px, height_px = args.resolution
    if args.simulate:
        simulated = choose_track(args.sim_track, labelled=track)
        if track and track.casefold() != simulated:
            output.print_message(
                f"warning: the simulated track is {simulated!r}, but the labels have track "
                f"{track!r}"
            )
        return SimulatedCar(
            track=simulated,
            seed=args.seed,
            width_px=width_px,
            height_px=height_px,
            rate_hz=args.rate,
            max_throttle=max_throttle(args, conf),
            pilot=pilot,
        )
    return RealCar(conf, width_px=width_px, height_px=height_px, rate_hz=args.rate)


def prepare_car(
    car: Car, args: argparse.Namespace, conf: HardwareConf, id_warnings: Sequence[CheckResult]
) -> Parts:
    """Run all checks, print them, and open the parts of the car, the motors last.

    `id_warnings`: warnings of picture ids that are ahead of the clock.

    Raises:
        NotReady: a check failed.
        Declined: the user did not confirm that the wheels are free.
    """
    is_printed = args.check or not args.simulate  # a simulated car is always ready
    preflight = Preflight(output.print_message if is_printed else lambda _line: None)
    # P1: whatever can fail is checked before the motors are opened
    pad = preflight.open("pad", car.open_pad, car.check_pad)
    camera = preflight.open("camera", car.open_camera, car.check_camera)

    def picture() -> bytes:
        if not camera.is_ready:
            raise CheckUnknown("the time left depends on the size of a picture from the camera")
        return jpeg.encode_jpeg(camera.part.capture().pixels, conf.jpeg_quality)

    checks = list(car.checks())
    if is_printed:
        checks += [("ids", partial(_identity, warning)) for warning in id_warnings]
    else:
        for warning in id_warnings:
            output.print_message(f"warning: {warning.message}; {warning.note}")
    if is_printed and args.output:
        checks += disk.create_checks(args.output, picture, rate_hz=args.rate)
    for name, check in checks:
        preflight.check(name, check)
    preflight.require_all()
    if not args.simulate and sys.stdin.isatty():
        output.confirm(
            "The motors are switched on now. Are the wheels off the ground, or is the way free?",
            without_terminal="",
        )
    # P1, P2: the motors come last, and begin with neutral
    motors = preflight.open("motors", car.open_motors, car.check_motors)
    preflight.require_all()
    return Parts(camera.part, pad.part, motors.part)


def _identity(result: CheckResult) -> CheckResult:
    return result


def open_recorder(
    args: argparse.Namespace,
    conf: HardwareConf,
    content: session.Session,
    parts: dict[str, object],
    last_img_id_file: Path,
    started: datetime,
) -> Recorder:
    """Start recording into the output folder.

    Raises:
        InputError: it is not a recording, or one with other settings.
        RecordingFailed: it cannot be recorded into.
        StillRecording: another process is recording into it.
    """
    return Recorder(
        args.output,
        session=content,
        car_setting=car_setting(conf, args, parts),
        classes=Classes(args.nb_dir, args.nb_speed, max_throttle(args, conf)),
        rate_hz=args.rate,
        resolution=args.resolution,
        jpeg_quality=conf.jpeg_quality,
        last_img_id_file=last_img_id_file,
        started=started,
    )


def car_setting(
    conf: HardwareConf, args: argparse.Namespace, parts: dict[str, object]
) -> dict[str, object]:
    """Return the `car_setting` of the labels: the car, and the settings of this run."""
    run = {
        "simulated": args.simulate,
        "rate_hz": args.rate,
        "resolution": "{}x{}".format(*args.resolution),
        "max_throttle": max_throttle(args, conf),
        "record_standing": args.record_standing,
        **parts,
    }
    return {**hardware_conf.to_dict(conf), "run": run}


def max_throttle(args: argparse.Namespace, conf: HardwareConf) -> float:
    """Return the throttle at full trigger, as a share of full throttle."""
    option: float | None = args.max_throttle
    return option or conf.max_throttle


def drive(
    car: Car,
    parts: Parts,
    recorder: Recorder,
    clock: CaptureClock,
    view: LiveView | None,
    args: argparse.Namespace,
    conf: HardwareConf,
) -> int:
    """Drive the car, record what it sees, and return the exit code."""
    standing = StandingFilter(inf if args.record_standing else STANDING_S)

    def record(frame: Frame, command: Command) -> None:
        if not standing.admits(frame.captured_s, command.throttle):
            recorder.skip()
            return
        # the id is the moment of exposure, not that of arrival
        recorder.record(
            frame.pixels,
            captured=clock.time_at(frame.captured_s),
            steering=command.steering,
            throttle=command.throttle,
            by_pilot=args.pilot is not None,
        )

    def show(frame: Frame) -> None:
        if view:
            view.show(frame.pixels, now())

    def now() -> DriveState:
        command, state, progress = driving.command, driving.state, recorder.progress
        waiting = state.recording and standing.waiting and not command.throttle
        recording = state.recording and not waiting
        if state.armed and progress.stopped:
            doing = "driving"  # S15: a recording that has ended does not end the drive
        else:
            doing = "waiting: standing" if waiting else driving.describe_state()
        if args.pilot and recording:
            doing += " (pilot)"
        return DriveState(
            command.steering, command.throttle, doing, recording, progress, car.speed_m_s()
        )

    driving = Drive(
        camera=parts.camera,
        pad=parts.pad,
        motors=parts.motors,
        clock=car.clock,
        limits=DriveLimits(max_throttle(args, conf), conf.pad.silence_s, conf.pad.dead_man),
        on_frame=show,
        on_picture=record,
        on_erase=lambda: recorder.erase(ERASE_S),
        on_pause=recorder.pause,
    )
    # S13: a signal ends the drive in the same way as A
    with process.stop_on_signal(driving.stop) as signalled:
        try:
            # S23: written by a thread of its own, which a hanging terminal may block
            with terminal.status_line(now):
                driving.run(args.duration)
        finally:
            with suppress(RecordingFailed):  # raised by check_complete() below
                recorder.close()
            try:
                report(args, car, driving, recorder, standing, missed=parts.camera.missed)
            except WriteFailed:
                if not signalled.is_set():  # otherwise the terminal was closed
                    raise
        recorder.check_complete()
        return exit_codes.INTERRUPTED if signalled.is_set() else exit_codes.DONE


def report(
    args: argparse.Namespace,
    car: Car,
    driving: Drive,
    recorder: Recorder,
    standing: StandingFilter,
    *,
    missed: int,
) -> None:
    """Print what was recorded: a summary for people, counts for programs."""
    road = car.road_keeping()
    advice = find_advice(recorder.report, record_standing=args.record_standing)
    lines = format_report(
        recorder.report,
        missed=missed,
        asked_hz=args.rate,
        control=driving.timing,
        stops=driving.stop_counts,
        waits=standing.waits,
        left_out=standing.left_out,
        road=road,
        advice=advice,
    )
    for line in (*format_location(recorder.report, args.output), *lines):
        output.print_message(line)
    counts = {
        **asdict(recorder.report),
        "missed": missed,
        "stops": driving.stop_counts,
        "waits": standing.waits,
        "standing_not_recorded": standing.left_out,
        "rms_offset_m": round(road.rms_offset_m, 6) if road else None,
        "on_road": round(road.on_road, 6) if road else None,
        "laps": road.laps if road else None,
        "advice": [each.code for each in advice],
    }
    output.write_json(counts)


if __name__ == "__main__":
    raise SystemExit(process.run(main))
