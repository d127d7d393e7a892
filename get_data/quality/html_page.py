"""A report as one self-contained HTML page: nothing is loaded, no script runs."""

import base64
import math
from collections.abc import Sequence
from pathlib import Path
from xml.etree.ElementTree import Element

import path as paths
from common.progress import Progress, hidden
from get_data.quality import clip_pictures, html_curves
from get_data.quality.findings import (
    Finding,
    State,
    count,
    duration,
    find_findings,
    percent,
    plan_steps,
)
from get_data.quality.html_elements import DOCTYPE, add, serialize
from get_data.quality.report import MOST_CLIPS, Drive, SetReport

MOST_DRIVES = 12

_GENERATOR = "patate check_set"
_STYLE = Path(__file__).with_name("page.css")
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_MOST_ROWS = 8  # of a table
_FULL_LOCK = math.pi / 3  # how far a needle leans
_FOOT = 50, 70  # of the needles, in a picture of 100x75
_CLASSES = {State.WRONG: "look", State.UNKNOWN: "unknown", State.GOOD: "ok"}


def is_page(head: bytes) -> bool:
    """Return whether a file that begins like this is a page of this module."""
    beginning = head[:600].decode(errors="replace")
    return beginning.startswith(DOCTYPE) and f'content="{_GENERATOR}"' in beginning


def render(report: SetReport, progress: Progress = hidden) -> bytes:
    """Return the page; `progress` shows the pictures that are read."""
    folder = paths.absolute(report.folder)
    findings = find_findings(report, folder)
    page = Element("html", {"lang": "en"})
    _add_head(page, folder.name)
    main = add(add(page, "body"), "main")
    _add_header(main, report, folder, findings)
    _add_findings(main, findings)
    _add_steps(main, findings)
    _add_clips(main, report, progress)
    _add_drives(main, report)
    _add_classes_and_delay(main, report, findings)
    _add_stops_and_gaps(main, report)
    footer = "Made by check_set.py, which suggests and never changes. Times are in UTC."
    add(main, "footer", footer)
    return serialize(page)


def _add_head(page: Element, title: str) -> None:
    head = add(page, "head")
    add(head, "meta", charset="utf-8")
    add(head, "meta", name="generator", content=_GENERATOR)
    add(head, "meta", name="viewport", content="width=device-width, initial-scale=1")
    add(head, "meta", name="color-scheme", content="light dark")
    add(head, "meta", content=_POLICY).set("http-equiv", "Content-Security-Policy")
    add(head, "title", f"{title}: is it good to train on?")
    # The serializer writes the text of a style element as it is.
    add(head, "style").text = _STYLE.read_text(encoding="utf-8")


def _add_header(
    main: Element, report: SetReport, folder: Path, findings: Sequence[Finding]
) -> None:
    header = add(main, "header")
    add(header, "p", "Is this set good to train on?", classes="question")
    add(header, "h1", folder.name)
    seconds = sum(drive.seconds for drive in report.drives)
    wrong = sum(finding.state is State.WRONG for finding in findings)
    add(header, "p", f"{count(wrong, 'thing')} to look at" if wrong else "Nothing looks wrong")
    summary = (
        f"{count(len(report.samples), 'picture')} · {count(len(report.drives), 'drive')} · "
        f"{duration(seconds)} · from {report.capture_time(0)}"
    )
    add(header, "p", summary, classes="quiet")
    add(header, "p", str(folder), classes="quiet")


def _add_findings(main: Element, findings: Sequence[Finding]) -> None:
    cards = add(main, "ul", classes="findings")
    for finding in findings:
        card = add(cards, "li", classes=f"card {_CLASSES[finding.state]}", data_kind=finding.kind)
        add(card, "span", finding.state.value, classes="mark")
        add(card, "h3", finding.title)
        if finding.detail:
            add(card, "p", finding.detail)


def _add_steps(main: Element, findings: Sequence[Finding]) -> None:
    plan = plan_steps(findings)
    if not plan:
        return
    add(main, "h2", "What to do next")
    add(main, "p", "One click selects a command.", classes="quiet")
    steps = add(main, "ol", classes="steps")
    for each in plan:
        step = add(add(steps, "li", classes="card"), "div", classes="step")
        texts, commands = add(step, "div"), add(step, "div")
        for finding in each.findings:
            add(texts, "h3", finding.title)
            add(texts, "p", finding.remedy)
        for command in each.commands:
            add(commands, "code", command)


def _add_clips(main: Element, report: SetReport, progress: Progress) -> None:
    clips = report.suspicion.clips[:MOST_CLIPS]
    if not clips:
        return
    add(main, "h2", "Clips to look at, the worst first")
    legend = add(main, "div", classes="legend")
    add(legend, "span", "steering of the label", classes="key-label")
    add(legend, "span", "steering that a model expects", classes="key-model")
    gallery = add(main, "div", classes="clips")
    shown = progress(clips, total=len(clips), description="drawing clips", unit="clip")
    for clip in shown:
        _add_clip(gallery, report, clip)
    more = len(report.suspicion.clips) - len(clips)
    if more:
        add(main, "p", f"{more:,} more in the JSON, under clips.", classes="quiet")


def _add_clip(gallery: Element, report: SetReport, clip: tuple[int, int]) -> None:
    row = report.worst_of(clip)
    steering = float(report.samples.steering[row])
    predicted = float(report.suspicion.predicted[row])
    figure = add(gallery, "figure", classes="card clip")
    picture = add(figure, "div", classes="picture")
    jpeg = clip_pictures.read_small(report.folder, report.samples.file_names[row])
    if jpeg:
        source = f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"
        add(picture, "img", src=source, alt=f"Picture {report.name(row)}")
    needles = add(picture, "svg", viewBox="0 0 100 75", aria_hidden="true")
    _add_needle(needles, steering, 34, 2.6, "of-label")
    if math.isfinite(predicted):
        _add_needle(needles, predicted, 34, 1.4, "of-model")
    caption = add(figure, "figcaption")
    numbers = add(caption, "div", classes="numbers")
    add(numbers, "b", f"{steering:+.2f}").tail = " "
    expected = f"{predicted:+.2f}" if math.isfinite(predicted) else "unknown"
    add(numbers, "i", expected)
    add(caption, "div", count(clip[1] - clip[0] + 1, "picture"), classes="quiet")
    add(caption, "div", report.name(row), classes="quiet name")


def _add_needle(svg: Element, steering: float, length: float, width: float, classes: str) -> None:
    angle = min(max(steering, -1.0), 1.0) * _FULL_LOCK
    x, y = _FOOT
    tip_x, tip_y = x + length * math.sin(angle), y - length * math.cos(angle)
    path = f"M{x} {y}L{tip_x:.1f} {tip_y:.1f}"
    add(svg, "path", classes="needle edge", stroke_width=width + 1.8, d=path)
    add(svg, "path", classes=f"needle {classes}", stroke_width=width, d=path)


def _add_drives(main: Element, report: SetReport) -> None:
    add(main, "h2", "Steering over time")
    legend = add(main, "div", classes="legend")
    add(legend, "span", "labels, right above and left below", classes="key-label")
    add(legend, "span", "the model", classes="key-model")
    add(legend, "span", "clips to look at", classes="area key-mark")
    add(legend, "span", "standing", classes="area key-still")
    add(legend, "span", "missed pictures", classes="key-gap")
    chosen = sorted(report.drives, key=lambda drive: -drive.pictures)[:MOST_DRIVES]
    for number, drive in enumerate(report.drives):
        if drive in chosen:
            _add_drive(main, report, number, drive)
    more = len(report.drives) - len(chosen)
    if more:
        add(main, "p", f"{count(more, 'shorter drive')} not drawn.", classes="quiet")


def _add_drive(main: Element, report: SetReport, number: int, drive: Drive) -> None:
    card = add(main, "div", classes="card drive")
    start = report.capture_time(drive.rows.start)
    add(card, "h3", f"{start} · {drive.description}" if drive.description else start)
    rate_hz, late = report.gaps.rates_hz[number], report.delay.drives[number].pictures
    facts = [
        count(drive.pictures, "picture"),
        duration(drive.seconds),
        f"{rate_hz:.1f} Hz",
        "delay unknown" if late is None else f"{late} late" if late else "on time",
    ]
    add(card, "p", " · ".join(facts))
    html_curves.add_steering(card, report, drive)


def _add_classes_and_delay(main: Element, report: SetReport, findings: Sequence[Finding]) -> None:
    add(main, "h2", "Classes and delay")
    columns = add(main, "div", classes="columns")
    classes = add(columns, "div", classes="card")
    _add_bars(classes, "Direction", report.balance.directions, "left", "right")
    _add_bars(classes, "Speed", report.balance.speeds, "slow", "fast")
    delay = add(columns, "div", classes="card delay")
    add(delay, "h3", "How well pictures explain moved labels (R2)")
    for finding in findings:
        if finding.kind == "delay":
            reason = f". {finding.detail}" if finding.state is State.UNKNOWN else ""
            add(delay, "p", f"{finding.title}{reason}", classes="told")
    html_curves.add_delay(delay, report)
    add(
        delay,
        "p",
        "The peak stands a reaction time of the driver after the delay; how the picture turns "
        "after the steering tells the delay itself.",
    )


def _add_bars(card: Element, title: str, counts: Sequence[int], first: str, last: str) -> None:
    heading = add(card, "h3", title)
    if len(card) > 1:
        heading.set("style", "margin-top:1.25rem")
    bars = add(card, "dl", classes="bars")
    total, largest = max(sum(counts), 1), max((1, *counts))
    for number, each in enumerate(counts):
        name = {0: first, len(counts) - 1: last}.get(number, "")
        add(bars, "dt", f"{number} {name}".strip())
        bar = add(bars, "dd")
        add(bar, "span", classes="bar", style=f"width:{100 * each / largest:.1f}%")
        add(bars, "dd", f"{each:,}", classes="count")
        add(bars, "dd", percent(each / total), classes="share")


def _add_stops_and_gaps(main: Element, report: SetReport) -> None:
    stops = [(first, last - first + 1) for first, last in report.standing.runs]
    gaps = [(before, report.seconds_between(before, after)) for before, after in report.gaps.gaps]
    if not stops and not gaps:
        return
    add(main, "h2", "Standing and missed pictures")
    columns = add(main, "div", classes="columns")
    if stops:
        rows = [(row, f"{length:,}") for row, length in sorted(stops, key=lambda each: -each[1])]
        _add_table(columns, report, "Stops, the longest first", "pictures", rows)
    if gaps:
        rows = [(row, f"{1000 * gap:,.0f}") for row, gap in sorted(gaps, key=lambda each: -each[1])]
        _add_table(columns, report, f"{report.gaps.missed:,} missed, after", "gap in ms", rows)


def _add_table(
    columns: Element, report: SetReport, title: str, unit: str, rows: Sequence[tuple[int, str]]
) -> None:
    card = add(columns, "div", classes="card")
    add(card, "h3", title)
    table = add(card, "table")
    heading = add(table, "tr")
    add(heading, "th", "picture")
    add(heading, "th", unit, classes="number")
    for row, value in rows[:_MOST_ROWS]:
        line = add(table, "tr")
        add(line, "td", report.name(row))
        add(line, "td", value, classes="number")
    if len(rows) > _MOST_ROWS:
        add(card, "p", f"and {len(rows) - _MOST_ROWS:,} more")
