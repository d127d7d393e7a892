"""What a report means: for each question one finding, with what to do next."""

import json
import shlex
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from math import isnan
from pathlib import Path

from get_data.quality.delay import Delay
from get_data.quality.report import SetReport
from get_data.quality.split import Flattery

MIN_FLATTERY = 0.01  # of R2
MOST_LISTED = 12  # values that differ, in a sentence; all are in the JSON
_SPLIT = "For training, split it by drive, as search_and_download.py --split does."


class State(Enum):
    """Outcome of a question."""

    WRONG = "look"
    GOOD = "ok"
    UNKNOWN = "cannot tell"


@dataclass(frozen=True, slots=True)
class Finding:
    """Answer to one question about a set.

    `kind` names the question, for programs. `title` says what is so in a few words, `detail` in a
    sentence, `remedy` what to do, with `commands` to copy; the last two are empty if all is well.
    """

    kind: str
    state: State
    title: str
    detail: str = ""
    remedy: str = ""
    commands: tuple[str, ...] = ()


def find_findings(report: SetReport, folder: Path) -> list[Finding]:
    """Return the findings about a set, wrong ones first; commands name the pictures' `folder`."""
    commands = _Commands(folder, is_uploaded=report.is_uploaded)
    has_labels = len(report.unlabelled) < len(report.samples)
    findings = [
        *_find_unreadable(report, commands),
        *_find_unlabelled(report, commands),
        *(find(report, commands) for find in _QUESTIONS_OF_LABELS if has_labels),
        _find_standing(report, commands),
        *_find_missed(report),
        *_find_mixed(report, commands),
        *_find_contradictions(report, commands),
        *_find_duplicates(report, commands),
        _find_split(report),
    ]
    order = [State.WRONG, State.UNKNOWN, State.GOOD]
    return sorted(findings, key=lambda finding: order.index(finding.state))


@dataclass(frozen=True, slots=True)
class Step:
    """What to do about some findings, with the commands that they share."""

    findings: tuple[Finding, ...]
    commands: tuple[str, ...]


def plan_steps(findings: Iterable[Finding]) -> list[Step]:
    """Return what to do, findings with the same commands in one step."""
    by_commands: defaultdict[tuple[str, ...], list[Finding]] = defaultdict(list)
    for finding in findings:
        if finding.remedy:
            by_commands[finding.commands].append(finding)
    return [Step(tuple(group), commands) for commands, group in by_commands.items()]


def count(number: int, noun: str) -> str:
    """Return a number with its noun: "1 picture", "2,031 pictures"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """Return a duration for people: "41 s", "12 min 5 s"."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes:,} min {rest} s" if minutes else f"{rest} s"


def percent(share: float) -> str:
    """Return a share for people; what is not nothing is not shown as 0%."""
    return "under 1%" if 0 < share < 0.005 else f"{100 * share:.0f}%"


def listed(texts: Sequence[str]) -> str:
    """Return texts as a list, the first few of very many."""
    more = len(texts) - MOST_LISTED
    return ", ".join([*texts[:MOST_LISTED], *([f"{more:,} more"] if more > 0 else [])])


class _Commands:
    """Commands for a folder, as a shell takes them."""

    def __init__(self, folder: Path, *, is_uploaded: bool) -> None:
        self._folder = shlex.quote(str(folder))
        self._is_uploaded = is_uploaded

    @property
    def correct(self) -> tuple[str, ...]:
        """Open the labelizer, and apply what it exported last.

        Corrections of a recording are refused until the database has it.
        """
        newest = f'"$(ls -t {self._folder}/labels_*.json | head -n 1)"'
        record = (f"python get_data/upload_data.py {self._folder}",)
        return (
            *(() if self._is_uploaded else record),
            f"python get_data/run_labelizer.py {self._folder}",
            f"python get_data/upload_to_db.py {newest}",
        )

    @property
    def balanced(self) -> str:
        """Print the ids of the balanced sample."""
        return f"python get_data/check_set.py {self._folder} | jq -r '.balance.img_ids[]'"

    def fetch(self, field: str, value: object) -> str:
        """Fetch only what has this value."""
        query = shlex.quote(json.dumps({field: {"type": "term", "value": value}}))
        return f"python get_data/search_and_download.py -q {query} -p training/one"


def _find_unreadable(report: SetReport, commands: _Commands) -> Iterator[Finding]:
    del commands
    missing = len(report.unreadable)
    if missing:
        yield Finding(
            "unreadable",
            State.WRONG,
            f"{count(missing, 'picture')} cannot be read",
            "They are missing or damaged; nothing below knows of them.",
            "Fetch them from the database into another folder, or upload a recording again.",
        )


def _find_unlabelled(report: SetReport, commands: _Commands) -> Iterator[Finding]:
    unlabelled, pictures = len(report.unlabelled), len(report.samples)
    if unlabelled:
        are = "is" if unlabelled == 1 else "are"
        whole = f"All {unlabelled:,} pictures" if unlabelled == pictures > 1 else ""
        yield Finding(
            "unlabelled",
            State.WRONG,
            f"{whole or count(unlabelled, 'picture')} {are} not labelled yet",
            "Their labels are by nobody: the middle class, without a value. The classes below do "
            "not count them, and nothing should be trained on them.",
            "Label them in the labelizer, and apply what it exports.",
            commands.correct,
        )


def _find_suspects(report: SetReport, commands: _Commands) -> Finding:
    jumps, clips = len(report.jumps), len(report.suspicion.clips)
    doubtful = f"{count(clips, 'clip')} where a model of the rest of the set steers otherwise"
    if not jumps:
        return Finding(
            "suspects",
            State.GOOD,
            "No label stands out",
            f"{doubtful}." if clips else "A model of the rest of the set steers alike.",
        )
    return Finding(
        "suspects",
        State.WRONG,
        f"{count(jumps, 'label')} stand{'s' if jumps == 1 else ''} out",
        "The steering jumps there and back, and the picture suggests otherwise. There are "
        f"{doubtful}; some of them are right, so look at the worst first.",
        "Order by suspicion in the labelizer: Shift+N goes to the next, M takes the model's "
        "steering, Enter keeps the label.",
        commands.correct,
    )


def _find_delay(report: SetReport, commands: _Commands) -> Finding:
    whole, drives = report.delay.whole, report.delay.drives
    late = [drive for drive in drives if drive.pictures]
    if whole.pictures == 0 and not late:
        sure = f"within {max(0.5, whole.disagreement):.1f} pictures"
        detail = f"The picture turns when the label steers, {sure}."
        return Finding("delay", State.GOOD, "Labels are on time", detail)
    if not late:
        return Finding(
            "delay",
            State.UNKNOWN,
            "Whether labels are late cannot be told",
            f"{whole.reason[:1].upper()}{whole.reason[1:]}.",
            "Watch a sharp bend: does the needle turn after the road does?",
        )
    title = (
        f"Labels are {count(whole.pictures, 'picture')} late"
        if whole.pictures
        else (f"Labels of {count(len(late), 'drive')} are late")
    )
    return Finding(
        "delay",
        State.WRONG,
        title,
        f"{_describe_late(drives)} A model learns to steer late from them; three pictures at "
        "20 Hz are enough to leave the road.",
        "The labelizer offers to move them, one step for each drive; then apply what it exports.",
        commands.correct,
    )


def _describe_late(drives: Collection[Delay]) -> str:
    late = [drive.pictures for drive in drives if drive.pictures]
    unknown = sum(drive.pictures is None for drive in drives)
    amount = f"{min(late)}" if min(late) == max(late) else f"{min(late)} to {max(late)}"
    pictures = "picture" if amount == "1" else "pictures"
    told = f"{len(late)} of {count(len(drives), 'drive')} by {amount} {pictures}"
    return f"{told}; {unknown} cannot be told." if unknown else f"{told}."


def _find_balance(report: SetReport, commands: _Commands) -> Finding:
    balance = report.balance
    straight = f"{percent(balance.straight_share)} of the steering is straight on"
    if not balance.is_straight_heavy:
        return Finding("balance", State.GOOD, "Not too much straight driving", f"{straight}.")
    kept, labelled = len(balance.balanced), len(report.samples) - len(report.unlabelled)
    return Finding(
        "balance",
        State.WRONG,
        f"{percent(balance.middle_share)} of the labels go straight on",
        f"A model learns to go straight on. A balanced sample has at most "
        f"{count(balance.per_class, 'picture')} of a class: {kept:,} of "
        f"{count(labelled, 'picture')}, {percent(kept / labelled)}.",
        "Fetch with --per-class label.label_direction=N, or record more bends, or train on the "
        "balanced sample. This lists its pictures:",
        (commands.balanced,),
    )


_QUESTIONS_OF_LABELS = (_find_suspects, _find_delay, _find_balance)


def _find_standing(report: SetReport, commands: _Commands) -> Finding:
    standing = report.standing
    if not standing.is_notable:
        few = count(len(standing.rows), "picture")
        detail = f"{few} without movement." if len(standing.rows) else ""
        return Finding("standing", State.GOOD, "The car hardly stands", detail)
    return Finding(
        "standing",
        State.WRONG,
        f"The car stands in {percent(standing.share)} of the pictures",
        f"{count(len(standing.rows), 'picture')} in {count(len(standing.runs), 'stop')}. They "
        "teach what the thumb did while nothing moved.",
        "Select each stop ([ and ]), press X, and apply what the labelizer exports.",
        commands.correct,
    )


def _find_missed(report: SetReport) -> Iterator[Finding]:
    if report.is_chosen:
        return
    gaps = report.gaps
    pauses = f" {count(len(gaps.pauses), 'pause')}." if gaps.pauses else ""
    if not gaps.is_notable:
        missed = f"{gaps.missed:,} missed." if gaps.missed else "None is missed."
        yield Finding("missed", State.GOOD, "Pictures follow each other", f"{missed}{pauses}")
        return
    yield Finding(
        "missed",
        State.WRONG,
        f"Missed {count(gaps.missed, 'picture')}",
        f"In {count(len(gaps.gaps), 'place')}: the car was too slow for its rate, or a search left "
        f"them out.{pauses}",
        "Nothing is wrong if a search left them out, as one for a class does. Else record at a "
        "lower --rate or --resolution; the report at the end of a drive counts missed and "
        "dropped pictures.",
    )


def _find_mixed(report: SetReport, commands: _Commands) -> Iterator[Finding]:
    mixture = report.mixture
    for field, noun, values in (
        ("label.nb_dir", "numbers of direction classes", mixture.nb_dir),
        ("label.nb_speed", "numbers of speed classes", mixture.nb_speed),
        ("car_setting.car", "cars", mixture.cars),
    ):
        if len(values) > 1:
            shares = listed([f"{name or 'unnamed'}: {each:,}" for name, each in values.items()])
            yield Finding(
                "mixed",
                State.WRONG,
                f"{len(values)} {noun}",
                f"{shares}. Their classes do not mean the same."
                if field != "car_setting.car"
                else f"{shares}. Each steers and sees in its own way.",
                "Fetch one of them:",
                (commands.fetch(field, next(iter(values))),),
            )
    if len(mixture.sizes) > 1:
        shares = listed(
            [f"{width}x{height}: {each:,}" for (width, height), each in mixture.sizes.items()]
        )
        width = next(iter(mixture.sizes))[0]
        yield Finding(
            "mixed",
            State.WRONG,
            f"{len(mixture.sizes)} picture sizes",
            f"{shares}. Different cameras, or cropped pictures.",
            "Fetch one of them:",
            (commands.fetch("resolution.horizontal", width),),
        )


def _find_contradictions(report: SetReport, commands: _Commands) -> Iterator[Finding]:
    contradictions = len(report.mixture.contradictions)
    if contradictions:
        yield Finding(
            "contradictions",
            State.WRONG,
            f"{count(contradictions, 'label')} contradict themselves",
            "Their class is not that of what the driver steered, and nobody has corrected them.",
            "Select them all and press R: it sets the class to the steering.",
            commands.correct,
        )


def _find_duplicates(report: SetReport, commands: _Commands) -> Iterator[Finding]:
    duplicates = report.mixture.duplicates
    if duplicates:
        extra = sum(len(names) - 1 for names in duplicates)
        yield Finding(
            "duplicates",
            State.WRONG,
            f"{count(extra, 'picture')} are there twice",
            f"The same file under several ids, such as {' and '.join(duplicates[0][:2])}.",
            "Keep one of each: mark the others with X in the labelizer.",
            commands.correct,
        )


def _find_split(report: SetReport) -> Finding:
    leak = report.leak
    flattery = _describe_flattery(report.flattery)
    if not leak.sizes:
        return Finding("split", State.GOOD, "Not split yet", f"{_SPLIT} {flattery}".strip())
    sizes = listed([f"{name} {each:,}" for name, each in leak.sizes.items()])
    if not leak.is_notable:
        return Finding("split", State.GOOD, "The split is clean", f"{sizes}. {flattery}".strip())
    return Finding(
        "split",
        State.WRONG,
        "The split leaks",
        f"{sizes}. {count(len(leak.neighbours), 'picture')} within a second of one in another "
        f"part, {len(leak.near_equal):,} more nearly equal; {count(len(leak.drives), 'drive')} in "
        f"several parts. {flattery}".strip(),
        f"{_SPLIT} Where there are too few drives, it takes blocks of ten seconds, and leaves one "
        "second out between them.",
    )


def _describe_flattery(flattery: Flattery) -> str:
    if isnan(flattery.random) or flattery.random - flattery.blocks < MIN_FLATTERY:
        return ""
    return f"A split at random flatters: R2 {flattery.random:.2f} instead of {flattery.blocks:.2f}."
