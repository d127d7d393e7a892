"""Driving the car, and recording."""

import argparse
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, closing, nullcontext, suppress
from dataclasses import asdict
from datetime import datetime
from functools import partial
from math import inf
from pathlib import Path

import msgspec

import path
from car import hardware_conf, pi_checks
from car.assembly import Car, Parts, RealCar, SimulatedCar
from car.constants import TRACKS
from car.drive import Drive, DriveLimits
from car.hardware_conf import HardwareConf
from car.interfaces import Command, Frame, Pilot
from car.pad import pad_map
from car.pad.display import show_pad
from car.pad.learning import learn_map
from car.pilot import model
from car.simulator.track import choose_track
from common.errors import Declined, RecordingFailed, WriteFailed
from common.preflight import CheckResult, CheckUnknown, Preflight
from get_data.cli import exit_codes, files, output, process, session_questions
from get_data.labels import label_file, session
from get_data.labels.classes import Classes
from get_data.labels.constants import STANDING_S
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


def run(args: argparse.Namespace) -> int:
    """Do what the options ask for, and return the exit code."""
    conf = hardware_conf.read(path.HARDWARE_CONF)
    pilot = model.read(args.pilot) if args.pilot else None

    if args.check_pad:
        if args.learn:
            conf = learn_pad(conf)
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


def learn_pad(conf: HardwareConf) -> HardwareConf:
    """Write a map for the pad that is connected; return the configuration that uses it.

    Raises:
        InputError: the map's place cannot be written; nothing was asked.
        Declined: there is a map that is to stay, or no terminal to ask on.
        PadLost: there is no pad, or it was unplugged; nothing was written.
        NotReady: no map can be made for it.
        WriteFailed: the file cannot be written.
    """
    name = conf.pad.map or pad_map.OWN_NAME
    file = path.HARDWARE_CONF.parent / name
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise Declined("--learn asks for one control after the other: run it in a terminal")
    files.check_output(file)
    pad_map.check_writable(file)
    replace = files.exists(file)
    if replace:
        output.confirm(f"{file} exists. Replace it by what is learned now?", without_terminal="")
    advice = learn_map(conf.pad, file, replace=replace)
    output.print_message(f"Wrote {file}. Try all controls; the one for `stop the run` ends this.")
    notes = [advice] if advice else []
    if not conf.pad.map:
        notes.insert(0, f'to drive with it: "pad": {{"map": "{name}"}} in {path.HARDWARE_CONF}')
    if notes:
        output.print_message(f"  note: {'; '.join(notes)}")
    return msgspec.structs.replace(conf, pad=msgspec.structs.replace(conf.pad, map=name))


def check_folder(args: argparse.Namespace, conf: HardwareConf) -> datetime | None:
    """Check the output folder, and return the time of its newest picture.

    Raises:
        InputError: it is not a recording, or one with other settings.
        RecordingFailed: it cannot be recorded into.
        StillRecording: another process is recording into it.
    """
    check_encodable(args.output, path.database_folder())
    files.check_outside_database(args.output)
    files.check_folder_name(args.output)
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
