"""What every script shares: exit codes, one-line errors, progress bars, prompts."""

import argparse
import json
import math
import os
import signal
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, TypeVar

from tqdm import tqdm

from errors import Declined, InputError, ToolkitError
from get_data.labels import label_file
from get_data.recording import journal

DONE = 0
FAILED = 1
WRONG_USAGE = 2
SOME_ITEMS_FAILED = 3
INTERRUPTED = 130

Item = TypeVar("Item")


def parser(docstring: str | None) -> argparse.ArgumentParser:
    """A parser whose help is the script's docstring."""
    return argparse.ArgumentParser(
        description=docstring, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def add_pictures_option(parser: argparse.ArgumentParser) -> None:
    """`-p`: where the pictures of the labels given are."""
    parser.add_argument(
        "-p", "--pictures", type=Path, metavar="DIR", help="default: beside the label file"
    )


def add_dry_run_option(parser: argparse.ArgumentParser) -> None:
    """`--dry-run`: count, change nothing."""
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, do nothing")


def whole_number(text: str) -> int:
    """An option that is a whole number above 0. Raises: argparse's error."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"expected a whole number above 0, got {text!r}")
    return int(text)


def positive_number(text: str) -> float:
    """An option that is a number above 0. Raises: argparse's error."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text!r}")
    return number


def run(main: Callable[[], int]) -> int:
    """The exit code of a script's `main`; a failure of ours is one line on stderr.

    A bug keeps its traceback, and `DEBUG=1` shows one for our failures too.
    """
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, _interrupt)
    try:
        code = main()
        sys.stdout.flush()
    except ToolkitError as error:
        if os.environ.get("DEBUG"):
            raise
        say(f"error: {error}")
        return error.exit_code
    except KeyboardInterrupt:
        say("interrupted")
        return INTERRUPTED
    except BrokenPipeError:  # whoever read stdout, `head` perhaps, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    return code


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def say(line: str) -> None:
    """A line for people, on stderr."""
    tqdm.write(line, file=sys.stderr)


def report(counts: object) -> None:
    """The result for programs, on stdout."""
    sys.stdout.write(json.dumps(counts, ensure_ascii=False) + "\n")


def shows_bars() -> bool:
    """Whether somebody is there to see a bar."""
    return sys.stderr.isatty()


def bar(items: Iterable[Item], *, total: int, what: str, unit: str) -> Iterable[Item]:
    """The items, with a progress bar on stderr when that is a terminal."""
    return tqdm(
        items,
        total=total,
        desc=what,
        unit=unit,
        file=sys.stderr,
        disable=not shows_bars(),
        dynamic_ncols=True,
        leave=False,
    )


def confirm(question: str, *, otherwise: str) -> None:
    """Returns when the answer is yes; `otherwise` tells what to do without a terminal.

    Raises: Declined when it is no, or when there is nobody to ask.
    """
    if not sys.stdin.isatty():
        raise Declined(f"{question} There is no terminal to ask on: {otherwise}")
    if ask(f"{question} [y/N] ").lower() not in ("y", "yes"):
        raise Declined("nothing was changed")


def ask(question: str) -> str:
    """What the user answers on the terminal."""
    sys.stderr.write(question)
    sys.stderr.flush()
    return sys.stdin.readline().strip()


def list_failures(failures: Sequence[Any]) -> int:
    """Each failed item is named on stderr; returns the exit code that goes with them."""
    for failed in failures:
        say(f"failed: {failed.img_id}: {failed.reason}")
    return SOME_ITEMS_FAILED if failures else DONE


def say_repaired(folder: Path, merged: journal.Merged | None) -> None:
    """What a killed recording left, and that it is repaired, is said aloud."""
    if merged is None:
        return
    erased = f", {merged.erased} erased" if merged.erased else ""
    say(f"{folder}: repaired an interrupted recording: {merged.labels} labels kept{erased}")
    for name, reason in merged.damaged.items():
        say(f"  damaged: {name}: {reason}")
    if merged.damaged:
        say(f"  see {folder / journal.DAMAGED_LABELS} and {folder / journal.DAMAGED_PICTURES}/")


def make_folder(folder: Path) -> None:
    """The folder is there. Raises: InputError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder} cannot be made a folder: {error.strerror}") from error


def label_file_of(argument: Path) -> Path:
    """The label file that an argument means: itself, or a folder's `labels.json`.

    What a killed recording left beside it is repaired first, and said. Raises: InputError.
    """
    folder = argument if argument.is_dir() else argument.parent
    say_repaired(folder, journal.repair(folder))
    found = argument / label_file.NAME if argument.is_dir() else argument
    if argument.is_dir() and not found.exists():
        raise InputError(f"{argument} has no {label_file.NAME}: not a folder of labels")
    return found
