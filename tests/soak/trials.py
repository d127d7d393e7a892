"""Properties and their trials: seeded, counted, and remembered, so that a killed soak goes on."""

import shutil
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

import msgspec

from common.atomic_files import atomic_write

STATE = "state.json"
FAULT = "fault.txt"


class NotPossible(Exception):
    """This machine cannot do the trial; the message says what it lacks."""


@dataclass(frozen=True)
class Seen:
    """What one trial came across: a word for its kind, and how bad it was."""

    kind: str
    figure: float = 0.0


@dataclass(frozen=True)
class Property:
    """What must hold, and the trial that finds out: it raises when it does not hold.

    A trial gets an empty folder and a random generator of its own. `figure` names what `Seen`
    counts, the more the worse.
    """

    name: str
    holds: str
    trials: int
    figure: str
    trial: Callable[[Path, Random], Seen]


@dataclass(frozen=True)
class Result:
    """What became of one trial; `fault` is empty when the property held."""

    kind: str
    figure: float
    fault: str
    seconds: float
    possible: bool = True


class State:
    """The results so far, kept in a file after every trial."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / STATE
        self._results: dict[str, dict[str, Result]] = {}
        if self._path.exists():
            self._results = msgspec.json.decode(
                self._path.read_bytes(), type=dict[str, dict[str, Result]]
            )

    def of(self, name: str) -> dict[int, Result]:
        """The results of a property, by seed."""
        return {int(seed): result for seed, result in self._results.get(name, {}).items()}

    def add(self, name: str, seed: int, result: Result) -> None:
        """The result is remembered."""
        self._results.setdefault(name, {})[str(seed)] = result
        content = {
            known: {number: asdict(one) for number, one in results.items()}
            for known, results in self._results.items()
        }
        with atomic_write(self._path) as file:
            file.write(msgspec.json.encode(content))


def attempt(subject: Property, seed: int, work: Path) -> Result:
    """One trial; what it leaves is kept when the property did not hold."""
    folder = work / subject.name / str(seed)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    start_s = time.monotonic()
    try:
        seen = subject.trial(folder, Random(f"{subject.name} {seed}"))
    except NotPossible as lacking:
        return Result("", 0.0, str(lacking), time.monotonic() - start_s, possible=False)
    except Exception as error:  # noqa: BLE001  whatever it is, the other trials are of interest
        (folder / FAULT).write_text(traceback.format_exc())
        where = traceback.extract_tb(error.__traceback__)[-1].line
        words = " ".join(str(error).split())[:300] or where
        fault = f"{type(error).__name__}: {words}"
        return Result("", 0.0, fault, time.monotonic() - start_s)
    shutil.rmtree(folder)
    return Result(seen.kind, seen.figure, "", time.monotonic() - start_s)


def open_seeds(subject: Property, state: State, scale: float) -> list[int]:
    """The seeds of a property that were not tried yet, of as many as the scale asks for."""
    wanted = max(1, round(subject.trials * scale))
    return [seed for seed in range(wanted) if seed not in state.of(subject.name)]


def table(results: Mapping[Property, Mapping[int, Result]]) -> Iterator[str]:
    """The summary, a line a property."""
    rows = [("property", "trials", "minutes", "result", "worst", "seen")]
    rows += [_row(subject, list(found.values())) for subject, found in results.items()]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()


def _row(subject: Property, results: Sequence[Result]) -> tuple[str, ...]:
    kinds = Counter(one.kind for one in results if one.kind)
    seen = ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items()))
    worst = max((one.figure for one in results), default=0.0)
    failed = sum(bool(one.fault) and one.possible for one in results)
    outcome = f"FAILED {failed}" if failed else "pass"
    if any(not one.possible for one in results):
        outcome = "not possible here"
    minutes = sum(one.seconds for one in results) / 60
    return (
        subject.name,
        str(len(results)),
        f"{minutes:.1f}",
        outcome,
        f"{worst:.4g} {subject.figure}",
        seen,
    )


def failures(results: Mapping[Property, Mapping[int, Result]], work: Path) -> Iterator[str]:
    """Each trial that failed: why, where its folder is, and how to run it again."""
    for subject, found in results.items():
        for seed, one in sorted(found.items()):
            if one.fault and one.possible:
                yield f"{subject.name}, seed {seed}: {one.fault}"
                yield f"  left in {work / subject.name / str(seed)}"
                yield (
                    f"  again: {sys.executable} -m tests.soak --work {work} "
                    f"--only {subject.name} --seed {seed}"
                )
        if lacking := next((one.fault for one in found.values() if not one.possible), ""):
            yield f"{subject.name}: not possible here: {lacking}"
