"""Looking for what is wrong with a set."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # small matrices: threads would only wait

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from common.atomic_files import atomic_write
from common.errors import InputError
from get_data.cli import files, output
from get_data.labels.schema import Document
from get_data.quality import html_page
from get_data.quality.delay import SHIFTS
from get_data.quality.findings import State, find_findings
from get_data.quality.reduction import reduce_labels
from get_data.quality.report import SetReport, inspect_set
from get_data.quality.text_page import format_report
from get_data.sets import set_file

SUFFIXES = ".html", ".htm"


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A picture that could not be read."""

    img_id: str
    reason: str


def run(args: argparse.Namespace) -> int:
    """Do what the options ask for, and return the exit code."""
    if args.html:
        check_page(args.html)
    file, documents = files.iter_labels(args.pictures, repair=False)
    labels = reduce_labels(documents)
    if not labels:
        raise InputError(f"{file} has no labels to look at; make some with run_labelizer.py")
    report = inspect_set(
        file.parent, labels, output.progress_bar, seed=args.seed, is_chosen=is_chosen(file)
    )
    if len(report.unreadable) == len(labels):
        raise InputError(
            f"{file.parent} has none of the pictures that {file.name} names; fetch them with "
            "search_and_download.py"
        )
    if args.html:
        page = html_page.render(report, output.progress_bar)
        with atomic_write(args.html) as written:
            written.write(page)
    if report.notice:
        output.print_message(f"warning: {report.notice}")
    for line in format_report(report, find_findings(report, file.parent)):
        output.print_message(line)
    if args.html:
        output.print_message(f"Wrote {args.html}; open it in a browser")
    if args.json or not sys.stdout.isatty():
        output.write_json(as_json(report))
    return output.report_failures(find_failures(report, labels))


def is_chosen(labels: Path) -> bool:
    """Return whether a search has chosen some pictures of each drive, as its `set.json` says."""
    try:
        options = set_file.read(set_file.beside(labels)).options
    except InputError:  # there is none, or it is damaged, which is no fault of the labels
        return False
    return bool(options.keys() & {"sample", "per_class"})


def check_page(file: Path) -> None:
    """Check that the page may be written.

    Raises:
        InputError: its name is not that of a page, it would replace something else, or its folder
            does not exist.
    """
    files.check_output(file)
    if file.suffix.lower() not in SUFFIXES:  # a picture or a journal of this folder, say
        raise InputError(f"{file}: the page is HTML; give a file that ends in {SUFFIXES[0]}")
    files.check_overwrites(file, "a page of check_set.py", html_page.is_page)
    if not file.parent.is_dir():
        raise InputError(f"{file.parent} is no folder; create it first")


def find_failures(report: SetReport, labels: Mapping[str, Document]) -> list[Unreadable]:
    """Return the pictures that could not be read, each with its remedy."""
    failures = []
    for row in report.unreadable.tolist():
        img_id = report.name(row)
        name = labels[img_id]["file_name"]
        is_there = files.exists(report.folder / name)
        fault = "is no whole JPEG picture" if is_there else "is not in the folder"
        remedy = "fetch it with search_and_download.py, or mark the label to be deleted"
        failures.append(Unreadable(img_id, f"{name} {fault}; {remedy}"))
    return failures


def as_json(report: SetReport) -> dict[str, Any]:
    """Return the report for programs; pictures are named by img_id."""
    balance, gaps, mixture, leak = report.balance, report.gaps, report.mixture, report.leak
    delay, flattery = report.delay.whole, report.flattery

    def names(rows: Iterable[int]) -> list[str]:
        return [report.name(row) for row in rows]

    return {
        "labels": len(report.samples),
        "unreadable": names(report.unreadable.tolist()),
        "unlabelled": len(report.unlabelled),
        "findings": list(
            dict.fromkeys(
                finding.kind
                for finding in find_findings(report, report.folder)
                if finding.state is State.WRONG
            )
        ),
        "suspects": names(report.suspects()),
        "clips": [names(clip) for clip in report.suspicion.clips],
        "delay_pictures": delay.pictures,
        "delay": {
            "reason": delay.reason,
            "offset": number_or_none(delay.offset),
            "fit": {
                str(shift): number_or_none(fit)
                for shift, fit in zip(SHIFTS.tolist(), delay.fit.tolist(), strict=True)
            },
        },
        "drives": [
            {
                "session_id": drive.session_id,
                "first": report.name(drive.rows.start),
                "pictures": drive.pictures,
                "rate_hz": round(rate_hz, 2),
                "delay_pictures": late.pictures,
            }
            for drive, rate_hz, late in zip(
                report.drives, gaps.rates_hz, report.delay.drives, strict=True
            )
        ],
        "classes": {
            "direction": number_classes(balance.directions),
            "speed": number_classes(balance.speeds),
        },
        "balance": {
            "middle_share": round(balance.middle_share, 4),
            "straight_share": round(balance.straight_share, 4),
            "straight_heavy": balance.is_straight_heavy,
            "per_class": balance.per_class,
            "pictures": len(balance.balanced),
            "img_ids": names(balance.balanced.tolist()),
        },
        "standing": len(report.standing.rows),
        "standing_runs": [names(run) for run in report.standing.runs],
        "missed": gaps.missed,
        "gaps": [names(gap) for gap in gaps.gaps],
        "pauses": [names(pause) for pause in gaps.pauses],
        "mixed": {
            "nb_dir": {str(value): count for value, count in mixture.nb_dir.items()},
            "nb_speed": {str(value): count for value, count in mixture.nb_speed.items()},
            "cars": mixture.cars,
            "sizes": {f"{width}x{height}": n for (width, height), n in mixture.sizes.items()},
        },
        "contradictions": list(mixture.contradictions),
        "duplicates": [list(same) for same in mixture.duplicates],
        "split": {
            "parts": leak.sizes,
            "leaks": leak.is_notable,
            "drives": [report.name(report.drives[number].rows.start) for number in leak.drives],
            "neighbours": names(leak.neighbours.tolist()),
            "near_equal": names(leak.near_equal.tolist()),
            "r2_random": number_or_none(flattery.random),
            "r2_blocks": number_or_none(flattery.blocks),
        },
    }


def number_classes(counts: Sequence[int]) -> dict[str, int]:
    """Return the counts by class."""
    return {str(number): count for number, count in enumerate(counts)}


def number_or_none(value: float) -> float | None:
    """Return a number as JSON has it; None where it is not known."""
    return round(value, 4) if isfinite(value) else None
