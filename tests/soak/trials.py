"""Properties and their trials: seeded, and saved so that a killed soak can continue."""

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


class Unsupported(Exception):
    """The trial is not possible on this machine; the message names what is missing."""


@dataclass(frozen=True)
class Outcome:
    """Kind of a successful trial, and a figure, larger for worse."""

    kind: str
    figure: float = 0.0


@dataclass(frozen=True)
class Property:
    """A guarantee, and a trial of it, which raises if it does not hold.

    A trial gets an empty folder and a random generator of its own. `figure` is the unit of the
    figure of an outcome.
    """

    name: str
    holds: str
    trials: int
    figure: str
    trial: Callable[[Path, Random], Outcome]


@dataclass(frozen=True)
class Result:
    """Result of one trial; `fault` is empty if the property held."""

    kind: str
    figure: float
    fault: str
    seconds: float
    possible: bool = True


class State:
    """Results so far, saved to a file after every trial."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / STATE
        self._results: dict[str, dict[str, Result]] = {}
        if self._path.exists():
            self._results = msgspec.json.decode(
                self._path.read_bytes(), type=dict[str, dict[str, Result]]
            )

    def of(self, name: str) -> dict[int, Result]:
        """Return the results of a property by seed."""
        return {int(seed): result for seed, result in self._results.get(name, {}).items()}

    def add(self, name: str, seed: int, result: Result) -> None:
        """Add a result and save all."""
        self._results.setdefault(name, {})[str(seed)] = result
        content = {
            known: {number: asdict(each) for number, each in results.items()}
            for known, results in self._results.items()
        }
        with atomic_write(self._path) as file:
            file.write(msgspec.json.encode(content))


def run_trial(subject: Property, seed: int, work: Path) -> Result:
    """Run one trial; keep its folder if the property did not hold."""
    folder = work / subject.name / str(seed)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    start_s = time.monotonic()
    try:
        outcome = subject.trial(folder, Random(f"{subject.name} {seed}"))
    except Unsupported as error:
        return Result("", 0.0, str(error), time.monotonic() - start_s, possible=False)
    except Exception as error:  # noqa: BLE001  any failure: the other trials still run
        (folder / FAULT).write_text(traceback.format_exc())
        line = traceback.extract_tb(error.__traceback__)[-1].line
        message = " ".join(str(error).split())[:300] or line
        fault = f"{type(error).__name__}: {message}"
        return Result("", 0.0, fault, time.monotonic() - start_s)
    shutil.rmtree(folder)
    return Result(outcome.kind, outcome.figure, "", time.monotonic() - start_s)


def pending_seeds(subject: Property, state: State, scale: float) -> list[int]:
    """Return the seeds that have no result yet; `scale` is a factor on their number."""
    wanted = max(1, round(subject.trials * scale))
    return [seed for seed in range(wanted) if seed not in state.of(subject.name)]


def table(results: Mapping[Property, Mapping[int, Result]]) -> Iterator[str]:
    """Yield the lines of a table with one property per line."""
    rows = [("property", "trials", "minutes", "result", "worst", "outcomes")]
    rows += [_row(subject, list(found.values())) for subject, found in results.items()]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()


def _row(subject: Property, results: Sequence[Result]) -> tuple[str, ...]:
    kinds = Counter(result.kind for result in results if result.kind)
    outcomes = ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items()))
    worst = max((result.figure for result in results), default=0.0)
    failed = sum(bool(result.fault) and result.possible for result in results)
    status = f"FAILED {failed}" if failed else "pass"
    if any(not result.possible for result in results):
        status = "not possible here"
    minutes = sum(result.seconds for result in results) / 60
    return (
        subject.name,
        str(len(results)),
        f"{minutes:.1f}",
        status,
        f"{worst:.4g} {subject.figure}",
        outcomes,
    )


def failures(results: Mapping[Property, Mapping[int, Result]], work: Path) -> Iterator[str]:
    """Yield the lines for each failed trial: the reason, its folder, and how to run it again."""
    for subject, found in results.items():
        for seed, result in sorted(found.items()):
            if result.fault and result.possible:
                yield f"{subject.name}, seed {seed}: {result.fault}"
                yield f"  left in {work / subject.name / str(seed)}"
                yield (
                    f"  again: {sys.executable} -m tests.soak --work {work} "
                    f"--only {subject.name} --seed {seed}"
                )
        if reason := next((result.fault for result in found.values() if not result.possible), ""):
            yield f"{subject.name}: not possible here: {reason}"
