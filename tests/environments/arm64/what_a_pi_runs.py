"""The tests of what a Raspberry Pi runs: of driving and recording, not of what needs a desk."""

import ast
from collections.abc import Iterator
from pathlib import Path

import path

PI = ("car", "get_data.run_manual", "get_data.recording", "get_data.live")
DESK = (
    *("get_data.database", "get_data.labelizer", "get_data.quality", "get_data.sets"),
    *("docs.examples", "tests.benchmarks", "tests.browser", "tests.model"),
    *(
        f"get_data.{script.stem}"
        for script in sorted((path.ROOT / "get_data").glob("*.py"))
        if script.stem not in ("__init__", "run_manual")
    ),
)

TESTS = path.ROOT / "tests"


def test_files() -> list[Path]:
    """Return the test files that import, by their conftest.py too, some of `PI` and no `DESK`."""
    return [file for file in sorted(TESTS.rglob("test_*.py")) if _is_of_a_pi(file)]


def _is_of_a_pi(file: Path) -> bool:
    imported = set(_imported(file))
    shared = file.with_name("conftest.py")
    if file.parent != TESTS and shared.exists():
        imported |= set(_imported(shared))
    return _has_any(imported, PI) and not _has_any(imported, DESK)


def _has_any(names: set[str], modules: tuple[str, ...]) -> bool:
    return any(f"{name}.".startswith(f"{module}.") for name in names for module in modules)


def _imported(file: Path) -> Iterator[str]:
    """Yield the dotted names that a file imports; of `from a import b` both `a` and `a.b`."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
