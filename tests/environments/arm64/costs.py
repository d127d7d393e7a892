"""The instructions that a control tick and a recorded picture cost a Pi, counted by QEMU.

They do not depend on how busy or how fast the machine is that counts. The figures are in
tests/benchmarks/README.md, "What a picture costs a Pi"; a count that is more than 5 % away from its
figure fails, in either direction: then profile the change, or write the new figure down.
"""

import json
import os
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import path

FIGURES = path.ROOT / "tests" / "benchmarks" / "README.md"
HEADING = "## What a picture costs a Pi"
COUNTER = Path("/opt/counted/python")
TOLERANCE = 0.05

_RUNS = {"ticks": (50, 250), "pictures": (50, 250)}
"""The two lengths of a run; their difference is free of what a start and an end cost."""

# Sets in one order; and no threads of OpenBLAS, which OpenCV starts and which spin for some time.
_STEADY = {"PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1"}


@dataclass(frozen=True, slots=True)
class Cost:
    """Instructions for one tick or picture, in one of the processes."""

    kind: str
    part: str
    instructions: float

    @property
    def name(self) -> str:
        """Name in the table of figures."""
        return {"ticks": "control tick", "pictures": "picture"}[self.kind] + f", {self.part}"


def count(python: Path) -> list[Cost]:
    """Count what each part costs, run by this Python for ARM."""
    costs = []
    for kind, (few, many) in _RUNS.items():
        _count_run(python, kind, few)  # the first run compiles the modules
        before, after = (_count_run(python, kind, number) for number in (few, many))
        costs += [Cost(kind, part, (after[part] - before[part]) / (many - few)) for part in before]
    return costs


def read_figures(text: str, system: str) -> dict[str, float]:
    """Return the figures of a system by name; empty where the table has none.

    The table's first column has the names, and each further column the thousands of instructions on
    the system that its heading begins with.
    """
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.partition(HEADING)[2].partition("\n## ")[0].splitlines()
        if line.startswith("|")
    ]
    columns = [number for number, name in enumerate(rows[0]) if name.startswith(system)]
    if not columns:
        return {}
    numbers = {row[0]: row[columns[0]].replace(",", "") for row in rows[2:]}
    return {name: 1000 * float(text) for name, text in numbers.items() if _is_number(text)}


def _is_number(text: str) -> bool:
    return re.fullmatch(r"\d+(\.\d+)?", text) is not None


def compare(costs: list[Cost], figures: dict[str, float]) -> list[str]:
    """Return what is wrong: a count that is not near its figure, or has none."""
    wrong = []
    for cost in costs:
        figure = figures.get(cost.name)
        if figure is None:
            wrong.append(f"{cost.name}: no figure in {FIGURES.name}")
        elif abs(cost.instructions - figure) > TOLERANCE * figure:
            wrong.append(
                f"{cost.name}: {cost.instructions / 1000:,.0f} thousand instructions, "
                f"{cost.instructions / figure - 1:+.1%} of its figure {figure / 1000:,.0f}"
            )
    return wrong


def _count_run(python: Path, kind: str, number: int) -> dict[str, int]:
    """Return the instructions of each part of a run."""
    with tempfile.TemporaryDirectory() as folder:
        counts = Path(folder, "counts")
        # What the guard and the writer are started with; PATH has no `python` that is counted.
        child = Path(folder, "python")
        child.write_text(f'#!/bin/sh\nexec {COUNTER} {counts} {python} "$@"\n')
        child.chmod(0o755)
        ran = subprocess.run(
            [child, "-m", "tests.environments.arm64.counted", kind, str(number)],
            cwd=path.ROOT,
            env=os.environ | _STEADY | {"PATATE_COUNTED_PYTHON": str(child), "PATATE_HOME": folder},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        lines = [line.split() for line in counts.read_text().splitlines()]
    by_process = {int(process): int(instructions) for process, instructions in lines}
    return {part: by_process[pid] for part, pid in json.loads(ran.stdout).items()}
