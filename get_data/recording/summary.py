"""What a recording holds, in numbers: counted at its end, without the pictures erased since."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from get_data.labels.classes import STRAIGHT, Classes
from get_data.labels.constants import STANDING_S
from get_data.recording import picture_quality
from get_data.recording.picture_quality import Measures
from get_data.recording.wire import Report, SteeringShares


@dataclass(frozen=True, slots=True)
class Recorded:
    """A picture on the disk, as far as erasures and the report need it.

    `measures`: None for a picture that was not measured.
    """

    captured_us: int
    img_id: str
    steering: float
    throttle: float
    direction: int
    speed: int
    after_pause: bool
    measures: Measures | None


def add_statistics(report: Report, recorded: Sequence[Recorded], classes: Classes) -> None:
    """Add counts, rate, gaps, steering and quality of the pictures that were kept."""
    report.pictures = len(recorded)
    report.directions = [0] * classes.nb_dir
    report.speeds = [0] * classes.nb_speed
    for picture in recorded:
        report.directions[picture.direction] += 1
        report.speeds[picture.speed] += 1
    gaps_s = [
        (later.captured_us - earlier.captured_us) / 1e6
        for earlier, later in pairwise(recorded)
        if not later.after_pause
    ]
    duration_s = sum(gaps_s)
    report.longest_gap_s = round(max(gaps_s, default=0.0), 3)
    report.duration_s = round(duration_s, 3)
    report.rate_hz = round(len(gaps_s) / duration_s, 2) if duration_s else 0.0
    report.standing = _count_standing(recorded)
    report.steering = _steering_shares(picture.steering for picture in recorded if picture.throttle)
    report.picture_quality = picture_quality.summarize(
        [picture.measures for picture in recorded if picture.measures]
    )


def _count_standing(recorded: Sequence[Recorded]) -> int:
    """Count the pictures of stops: stretches without throttle of STANDING_S or more.

    In a shorter one the car may roll on.
    """
    count, stretch_us = 0, list[int]()
    for picture in recorded:
        if not picture.throttle:
            stretch_us.append(picture.captured_us)
        elif stretch_us:
            # until the throttle: what lies between was not recorded
            count += _is_stop(stretch_us, picture.captured_us) * len(stretch_us)
            stretch_us = []
    if stretch_us:
        count += _is_stop(stretch_us, stretch_us[-1]) * len(stretch_us)
    return count


def _is_stop(stretch_us: Sequence[int], end_us: int) -> bool:
    return end_us - stretch_us[0] >= STANDING_S * 1e6


def _steering_shares(steering: Iterable[float]) -> SteeringShares:
    """Return the shares of the pictures with throttle that steer left, straight and right."""
    values = list(steering)
    if not values:
        return SteeringShares()
    left = sum(value < -STRAIGHT for value in values)
    right = sum(value > STRAIGHT for value in values)
    total = len(values)
    return SteeringShares(
        pictures=total,
        left=round(left / total, 3),
        straight=round((total - left - right) / total, 3),
        right=round(right / total, 3),
    )
