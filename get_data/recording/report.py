"""Text report at the end of a recording."""

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from math import ceil
from pathlib import Path
from typing import Protocol

from get_data.recording.advice import Advice
from get_data.recording.wire import Report

_BAR_WIDTH = 30
_LINE_WIDTH = 79
_CURVE_WIDTH = 48
_LEVELS = "▁▂▃▄▅▆▇█"
_HIGHEST_M = 0.4  # from the centre line, where the curve is at its top: the edge of the road


class LoopTiming(Protocol):
    """Timing of the control loop: its period, and the ticks made and skipped."""

    period_s: float
    ticks: int
    skipped: int

    def percentile_s(self, percent: float) -> float:
        """Return a percentile of the lateness of all ticks, in seconds."""


class RoadKeeping(Protocol):
    """How well the car has kept to the road, as a simulator knows it."""

    @property
    def rms_offset_m(self) -> float:
        """Root mean square distance from the centre line, in metres."""

    @property
    def on_road(self) -> float:
        """Share of the time on the road, 0 to 1."""

    @property
    def laps(self) -> int:
        """Complete laps."""

    @property
    def offsets_m(self) -> Sequence[float]:
        """Distances to the right of the centre line, in the order of time."""


def format_location(report: Report, folder: Path) -> list[str]:
    """Return where the pictures of a recording into `folder` are, and what was not as expected."""
    lines = [report.moved or f"{folder}"]
    if report.moved:
        lines.append(f"warning: {folder} was renamed; all pictures are in the folder above")
    if report.unremembered:
        lines.append(f"warning: {report.unremembered}")
    return lines


def format_report(
    report: Report,
    *,
    missed: int,
    asked_hz: float,
    control: LoopTiming,
    stops: Mapping[str, int],
    waits: int,
    left_out: int,
    road: RoadKeeping | None = None,
    advice: Iterable[Advice],
) -> list[str]:
    """Return the lines of the report, with the classes as bar charts.

    `missed` counts the pictures that were not fetched from the camera; `stops` maps each reason for
    a stop to its count. The car stood so long that recording waited `waits` times, and `left_out`
    pictures were not recorded. `road` is known of a simulated car only.
    """
    seconds = report.duration_s
    unit = "second" if round(seconds) == 1 else "seconds"
    time = f"{seconds:.0f} {unit}" if seconds < 60 else f"{seconds / 60:.1f} minutes"
    late_ms, latest_ms = (1000 * control.percentile_s(percent) for percent in (99, 100))
    lines = [
        f"  session   {report.session_id}",
        f"  pictures  {report.pictures} in {time}, {report.bytes_written / 1e6:.1f} MB",
        f"  rate      {report.rate_hz:.1f} Hz of {asked_hz:g} asked, "
        f"longest gap {report.longest_gap_s * 1000:.0f} ms, "
        f"{missed} missed, {report.dropped} dropped",
        f"  control   {1 / control.period_s:g} Hz, {control.skipped} of "
        f"{control.ticks + control.skipped} ticks skipped, "
        f"late {late_ms:.1f} ms p99, {latest_ms:.0f} max",
    ]
    if stops:
        reasons = ", ".join(f"{reason} ({times})" for reason, times in stops.items())
        lines.append(f"  stopped   {_times(sum(stops.values()))}: {reasons}")
    if waits:
        pictures = "1 picture" if left_out == 1 else f"{left_out} pictures"
        lines.append(f"  waited    {_times(waits)} while the car stood: {pictures} not recorded")
    if road:
        lines += _format_road(road)
    if report.erased:
        unit = "picture" if report.erased == 1 else "pictures"
        lines.append(f"  erased    {report.erased} {unit}, kept in erased/")
    lines += _format_quality(report)
    lines += format_chart("direction", report.directions, first="left", last="right")
    lines += format_chart("speed", report.speeds, first="slow", last="fast")
    for each in advice:
        lines += textwrap.wrap(
            each.text,
            _LINE_WIDTH,
            initial_indent="  advice    ",
            subsequent_indent=" " * 12,
            break_long_words=False,
            break_on_hyphens=False,
        )
    return lines


def _format_road(road: RoadKeeping) -> list[str]:
    """Return how far the car was from the centre line, as numbers and over time."""
    laps = "1 lap" if road.laps == 1 else f"{road.laps} laps"
    distances = [abs(offset_m) for offset_m in road.offsets_m]
    per_column = max(ceil(len(distances) / _CURVE_WIDTH), 1)
    farthest = [
        max(distances[start : start + per_column]) for start in range(0, len(distances), per_column)
    ]
    top = len(_LEVELS) - 1
    curve = "".join(_LEVELS[min(int(each / _HIGHEST_M * top), top)] for each in farthest)
    return [
        f"  road      {_format_share(road.on_road)} of the time on it, {laps}, "
        f"{road.rms_offset_m:.3f} m rms from the centre line",
        f"  offset    {curve}  █ {_HIGHEST_M:g} m, the edge",
    ]


def _format_share(share: float) -> str:
    """Return a share in percent, as 100% or 0% only if it is."""
    percent = round(100 * share)
    return f"{min(max(percent, share > 0), 100 - (share < 1))}%"


def _format_quality(report: Report) -> list[str]:
    """Return how the car was driven and how the pictures look, as far as that is known."""
    lines = []
    steering, quality = report.steering, report.picture_quality
    if steering.pictures:
        standing = report.standing / report.pictures
        lines.append(
            f"  driven    {steering.left:.0%} left, {steering.straight:.0%} straight, "
            f"{steering.right:.0%} right; {standing:.0%} of the pictures standing"
        )
    if quality.measured:
        lines.append(
            f"  look      brightness {quality.brightness:.0f} of 255; "
            f"{quality.out_of_focus:.0%} out of focus, {quality.smeared:.0%} smeared"
        )
    return lines


def _times(count: int) -> str:
    return f"{count} {'time' if count == 1 else 'times'}"


def format_chart(title: str, counts: list[int], *, first: str, last: str) -> list[str]:
    """Return a bar chart of pictures by class, a line each; the outer classes have names."""
    total, largest = sum(counts), max(counts, default=0)
    lines = []
    for number, count in enumerate(counts):
        name = {0: first, len(counts) - 1: last}.get(number, "")
        bar = "█" * round(count / largest * _BAR_WIDTH) if largest else ""
        share = count / total if total else 0.0
        heading = title if number == 0 else ""
        lines.append(f"  {heading:9} {number} {name:5} {bar:{_BAR_WIDTH}} {count:6} {share:4.0%}")
    return lines
