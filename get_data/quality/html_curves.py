"""Curves of a report as SVG: steering over time, and how well moved labels fit."""

from collections.abc import Iterable
from math import isfinite
from xml.etree.ElementTree import Element

import numpy as np
from numpy.typing import NDArray

from get_data.quality.delay import SHIFTS
from get_data.quality.html_elements import add
from get_data.quality.report import MOST_CLIPS, Drive, SetReport

MOST_POINTS = 700
"""Points of a curve: a screen has few more, and the page stays small."""

_WIDTH, _HEIGHT = 1000, 100  # of the steering, in units of its view box
_MARK_WIDTH = 4  # of a clip at least, to be seen in a long drive

_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 468, 14, 196  # of the delay curve, in pixels
_SIZE = 480, 236


def add_steering(parent: Element, report: SetReport, drive: Drive) -> None:
    """Append the steering of a drive over its pictures, clips and stops marked behind it."""
    description = f"Steering over time, {drive.pictures:,} pictures"
    svg = add(
        parent,
        "svg",
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        preserveAspectRatio="none",
        role="img",
        aria_label=description,
    )
    gaps: set[int] = set()
    for run in report.standing.runs:
        _add_band(svg, drive, run, "still")
    for clip in report.suspicion.clips[:MOST_CLIPS]:
        _add_band(svg, drive, clip, "suspicious")
    for before, _ in report.gaps.gaps:
        if drive.rows.start <= before < drive.rows.stop:
            gaps.add(round((before - drive.rows.start) * _WIDTH / drive.pictures / 2) * 2)
    for x in sorted(gaps):  # one for each place that can be told apart
        add(svg, "rect", classes="gap", x=x, y=_HEIGHT - 4, width=2, height=4)
    middle = _HEIGHT / 2
    add(svg, "line", classes="axis", x1=0, x2=_WIDTH, y1=middle, y2=middle)
    steering, predicted = (
        report.samples.steering[drive.rows],
        report.suspicion.predicted[drive.rows],
    )
    _add_curve(svg, predicted, "curve model")
    _add_curve(svg, steering, "curve")


def _add_band(svg: Element, drive: Drive, run: tuple[int, int], classes: str) -> None:
    first, last = run
    if not drive.rows.start <= first < drive.rows.stop:
        return
    scale = _WIDTH / drive.pictures
    width = max((last - first + 1) * scale, _MARK_WIDTH)
    left = min((first - drive.rows.start) * scale, _WIDTH - width)
    add(svg, "rect", classes=classes, x=_round(left), y=0, width=_round(width), height=_HEIGHT)


def _add_curve(svg: Element, values: NDArray[np.float32], classes: str) -> None:
    """Append a curve of -1 (left, below) to 1, with the extremes of what one point stands for."""
    rows, chosen = thin_out(values)
    x = (rows + 0.5) * _WIDTH / max(len(values), 1)
    y = _HEIGHT / 2 * (1 - 0.94 * chosen)
    add(svg, "path", classes=classes, d=_path(x, y))


def thin_out(values: NDArray[np.float32]) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Return rows and values of at most `MOST_POINTS`, the least and the most of each stretch."""
    rows = np.flatnonzero(np.isfinite(values))
    if len(rows) > MOST_POINTS:
        stretches = np.array_split(rows, MOST_POINTS // 2)
        extremes = [
            sorted({int(each[values[each].argmin()]), int(each[values[each].argmax()])})
            for each in stretches
        ]
        rows = np.array([row for pair in extremes for row in pair])
    return rows, values[rows]


def add_delay(parent: Element, report: SetReport) -> None:
    """Append R2 over labels moved by k pictures, with the delay that is told."""
    whole = report.delay.whole
    svg = add(
        parent,
        "svg",
        viewBox=f"0 0 {_SIZE[0]} {_SIZE[1]}",
        role="img",
        aria_label="How well labels fit when they are moved",
    )
    fits = [drive.fit for drive in report.delay.drives if np.isfinite(drive.fit).all()]
    known = [whole.fit] if np.isfinite(whole.fit).all() else []
    top = max([0.1, *(float(fit.max()) for fit in (*fits, *known))])
    for share in (0.0, top / 2, top):
        y = _fit_y(share, top)
        add(svg, "line", classes="axis", x1=_LEFT, x2=_RIGHT, y1=y, y2=y)
        add(svg, "text", f"{share:.2f}", x=_LEFT - 8, y=_round(y + 4), text_anchor="end")
    for shift in range(int(SHIFTS[0]), int(SHIFTS[-1]) + 1, 2):
        x, y = _shift_x(shift), _BOTTOM + 18
        add(svg, "text", f"{shift:+d}" if shift else "0", x=x, y=y, text_anchor="middle")
    middle = (_LEFT + _RIGHT) / 2
    legend = "pictures by which labels are moved"
    add(svg, "text", legend, x=middle, y=_SIZE[1] - 4, text_anchor="middle")
    for fit in fits if len(fits) > 1 else []:
        _add_fit(svg, fit, top, "curve part")
    for fit in known:
        _add_fit(svg, fit, top, "curve")
    if isfinite(whole.offset):
        x = _shift_x(max(whole.offset, float(SHIFTS[0])))
        add(svg, "line", classes="verdict", x1=x, x2=x, y1=_TOP, y2=_BOTTOM)
        text = f"{whole.pictures} late" if whole.pictures else "on time"
        add(svg, "text", text, classes="strong", x=_round(x + 6), y=_TOP + 10)


def _add_fit(svg: Element, fit: NDArray[np.float64], top: float, classes: str) -> None:
    x = [_shift_x(float(shift)) for shift in SHIFTS]
    add(svg, "path", classes=classes, d=_path(x, [_fit_y(float(value), top) for value in fit]))


def _shift_x(shift: float) -> float:
    share = (shift - float(SHIFTS[0])) / float(SHIFTS[-1] - SHIFTS[0])
    return _round(_LEFT + (_RIGHT - _LEFT) * share)


def _fit_y(value: float, top: float) -> float:
    """Return the place of an R2; below 0 is nothing."""
    return _round(_BOTTOM - (_BOTTOM - _TOP) * max(value, 0.0) / top)


def _path(x: Iterable[float], y: Iterable[float]) -> str:
    points = (f"{left:.1f} {top:.1f}" for left, top in zip(x, y, strict=True))
    joined = "L".join(points)
    return f"M{joined}" if joined else ""


def _round(value: float) -> float:
    return round(value, 1)
