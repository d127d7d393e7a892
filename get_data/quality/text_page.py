"""A report as a page of text, 80 columns wide."""

import textwrap
from collections.abc import Iterator, Sequence

from get_data.quality.findings import Finding, State, Step, count, duration, plan_steps
from get_data.quality.report import SetReport

_WIDTH = 79
_INDENT = 7
_BAR_WIDTH = 30
_CLIPS = 5
_MARKS = {State.WRONG: "LOOK", State.UNKNOWN: "?", State.GOOD: "ok"}


def format_report(report: SetReport, findings: Sequence[Finding]) -> list[str]:
    """Return the lines of the page: findings, classes, the worst clips."""
    seconds = sum(drive.seconds for drive in report.drives)
    return [
        f"{report.folder}: {count(len(report.samples), 'picture')}, "
        f"{count(len(report.drives), 'drive')}, {duration(seconds)}",
        "",
        *(line for finding in findings for line in _format_finding(finding)),
        *(line for step in plan_steps(findings) for line in _format_step(step)),
        "",
        *_format_chart("direction", report.balance.directions, "left", "right"),
        *_format_chart("speed", report.balance.speeds, "slow", "fast"),
        *_format_clips(report),
    ]


def _format_finding(finding: Finding) -> Iterator[str]:
    """Yield the lines of a finding."""
    mark = f"{_MARKS[finding.state]:{_INDENT - 2}}"
    if finding.state is State.GOOD:
        text = f"{finding.title}: {finding.detail}" if finding.detail else finding.title
        yield from textwrap.wrap(
            text, _WIDTH, initial_indent=f"  {mark}", subsequent_indent=" " * _INDENT
        )
        return
    yield f"  {mark}{finding.title}"
    yield from _wrap(finding.detail)


def _format_step(step: Step) -> Iterator[str]:
    """Yield what to do, and the commands for it."""
    yield ""
    for finding in step.findings:
        text = f"{finding.title}. {finding.remedy}"
        yield from textwrap.wrap(text, _WIDTH, initial_indent="  > ", subsequent_indent="    ")
    for command in step.commands:
        yield f"      {command}"  # never wrapped: it is to be copied


def _wrap(text: str) -> list[str]:
    indent = " " * _INDENT
    return textwrap.wrap(text, _WIDTH, initial_indent=indent, subsequent_indent=indent)


def _format_chart(title: str, counts: Sequence[int], first: str, last: str) -> Iterator[str]:
    total, largest = sum(counts), max(counts, default=0)
    for number, each in enumerate(counts):
        name = {0: first, len(counts) - 1: last}.get(number, "")
        bar = "█" * round(each / largest * _BAR_WIDTH) if largest else ""
        share = each / total if total else 0.0
        heading = title if number == 0 else ""
        yield f"  {heading:9} {number:2} {name:5} {bar:{_BAR_WIDTH}} {each:7,} {share:4.0%}"


def _format_clips(report: SetReport) -> Iterator[str]:
    """Yield the worst clips: picture to look at, its steering and the model's."""
    clips = report.suspicion.clips[:_CLIPS]
    if not clips:
        return
    yield ""
    yield "  worst clips                       pictures   label   model"
    for clip in clips:
        row = report.worst_of(clip)
        length = clip[1] - clip[0] + 1
        yield (
            f"    {report.name(row)[:32]:32} {length:6} {report.samples.steering[row]:+7.2f} "
            f"{report.suspicion.predicted[row]:+7.2f}"
        )
