"""What a driver can still mend on the spot, judged by the report of a drive.

A limit is where a fault is likely; why: docs/scripts.md, "The report of a drive".
"""

from collections.abc import Iterator
from typing import NamedTuple

from get_data.labels.classes import STRAIGHT_HEAVY
from get_data.recording.wire import Report

MIN_DRIVE_S = 30.0  # a shorter drive may be half a lap
MIN_PICTURES = 100
MIN_MEASURED = 20  # pictures of which brightness and sharpness are known
STANDING = 0.1  # share of the pictures
ONE_SIDED = 3.0  # times as much to one side as to the other
MIN_SIDE = 0.1  # share of the pictures with throttle: of fewer bends nothing follows
DARK = OVEREXPOSED = 0.5  # share of the measured pictures
OUT_OF_FOCUS = SMEARED = 0.25  # share of the measured pictures


class Advice(NamedTuple):
    """One thing to do; `code` is its name in the JSON."""

    code: str
    text: str


def find_advice(report: Report, *, record_standing: bool = False) -> list[Advice]:
    """Return what to do before the next drive; nothing for a good or a short one."""
    return [
        *_advise_on_driving(report, record_standing=record_standing),
        *_advise_on_pictures(report),
    ]


def _advise_on_driving(report: Report, *, record_standing: bool) -> Iterator[Advice]:
    if report.duration_s < MIN_DRIVE_S or report.pictures < MIN_PICTURES:
        return
    steering = report.steering
    if report.standing >= STANDING * report.pictures:
        share = report.standing / report.pictures
        remedy = "leave out --record-standing" if record_standing else "drive longer between stops"
        yield Advice("standing", f"{share:.0%} of the pictures show a standing car: {remedy}")
    if steering.straight >= STRAIGHT_HEAVY:
        yield Advice(
            "straight",
            f"{steering.straight:.0%} of the pictures go straight: drive a track with more bends",
        )
    sides = {"left": steering.left, "right": steering.right}
    less, more = sorted(sides, key=lambda side: sides[side])
    if sides[more] >= max(MIN_SIDE, ONE_SIDED * sides[less]):
        yield Advice(
            "one_sided",
            f"{sides[more]:.0%} of the pictures steer {more}, {sides[less]:.0%} {less}: drive the "
            "bends the other way too",
        )


def _advise_on_pictures(report: Report) -> Iterator[Advice]:
    quality = report.picture_quality
    if quality.measured < MIN_MEASURED:
        return
    if quality.dark >= DARK:
        yield Advice("dark", f"the road is dark in {quality.dark:.0%} of the pictures: more light")
    if quality.overexposed >= OVEREXPOSED:
        yield Advice(
            "overexposed",
            f"the road is overexposed in {quality.overexposed:.0%} of the pictures: less light, or "
            "start again in this light",
        )
    if quality.out_of_focus >= OUT_OF_FOCUS:
        yield Advice(
            "out_of_focus",
            f"{quality.out_of_focus:.0%} of the pictures are blurred all over: clean the lens, "
            "then focus it",
        )
    if quality.smeared >= SMEARED:
        yield Advice(
            "smeared",
            f"{quality.smeared:.0%} of the pictures are smeared by motion: more light (a shorter "
            "exposure), or drive slower",
        )
