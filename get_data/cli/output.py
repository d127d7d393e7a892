"""The result as JSON on stdout; messages, progress bars and questions on stderr."""

import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any, TextIO, TypeVar

from tqdm import tqdm

from common.errors import Declined, InputError, WriteFailed
from get_data.cli.exit_codes import DONE, SOME_ITEMS_FAILED

_LONGEST_LINE = 1000
Item = TypeVar("Item")


def print_message(line: str) -> None:
    """A line for people, on stderr; if that takes none, the work goes on all the same."""
    print_verbatim(sanitize(line))


def print_verbatim(line: str) -> None:
    """Print a line on stderr as it is, however long: a command to copy, whose signs are safe."""
    try:
        tqdm.write(line, file=sys.stderr)
    except OSError:
        discard_output(sys.stderr)


def pluralize(count: int, thing: str) -> str:
    """Return how many there are of a thing, for people: "1 label", "2,031 labels"."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def print_database(name: str, notice: str) -> None:
    """Which database is talked to: the first line of every script that does."""
    print_message(f"database: {name}")
    if notice:
        print_message(f"warning: {notice}")


def sanitize(text: str) -> str:
    """The text without what a terminal or a log would not show as it is, and not endless."""
    if len(text) > _LONGEST_LINE:
        text = f"{text[: _LONGEST_LINE // 2]} ... {text[-_LONGEST_LINE // 2 :]}"
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)


def discard_output(stream: TextIO) -> None:
    """The stream takes everything from here on, also what it still holds, and drops it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def write_json(counts: object) -> None:
    """The result for programs, on stdout. Raises: WriteFailed."""
    write_stdout(json.dumps(counts) + "\n")


def write_stdout(text: str) -> None:
    """The text is on stdout, or whoever read there, `head` perhaps, has enough.

    Raises: WriteFailed.
    """
    try:
        sys.stdout.buffer.write(text.encode())  # JSON is UTF-8, whatever the terminal speaks
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        discard_output(sys.stdout)
    except OSError as error:
        discard_output(sys.stdout)
        raise WriteFailed(f"stdout cannot be written: {error.strerror}") from error


def shows_progress() -> bool:
    """Whether somebody is there to see a bar."""
    return sys.stderr.isatty()


def progress_bar(
    items: Iterable[Item], *, total: int | None, description: str, unit: str
) -> Iterable[Item]:
    """The items, with a progress bar on stderr when that is a terminal.

    `total` is how many units come, None when only the end tells.

    They may come in bursts, so a thousandth of them is worth a look however soon it comes, and the
    rate is that of the whole time: else the bar would stop at the first of a burst and foretell
    hours.
    """
    return tqdm(
        items,
        total=total,
        miniters=max(1, (total or 0) // 1000),
        mininterval=0,
        smoothing=0,
        desc=description,
        unit=unit,
        file=sys.stderr,
        disable=not shows_progress(),
        dynamic_ncols=True,
        leave=False,
    )


def confirm(question: str, *, otherwise: str) -> None:
    """Returns when the answer is yes; `otherwise` tells what to do without a terminal.

    Raises: Declined when it is no, or when there is nobody to ask.
    """
    if not sys.stdin.isatty():
        raise Declined(f"{question} There is no terminal to ask on: {otherwise}")
    try:
        answer = prompt(f"{question} [y/N] ")
    except InputError:  # no yes
        answer = ""
    if answer.lower() not in ("y", "yes"):
        raise Declined("nothing was changed")


def prompt(question: str) -> str:
    """Return what the user answers on the terminal.

    Raises: InputError for bytes that are no text, whatever the terminal speaks; Declined when
    nobody answers.
    """
    try:
        sys.stderr.write(question)
        sys.stderr.flush()
    except OSError:
        discard_output(sys.stderr)
    try:
        answer = sys.stdin.readline()
        answer.encode()  # what is no text may come as half characters
    except UnicodeError as error:
        raise InputError(f"{question}the answer is not text in UTF-8; type it again") from error
    except OSError as error:
        raise Declined(f"{question}the terminal is gone; nothing was changed") from error
    if not answer:
        raise Declined(f"{question}there was no answer; nothing was changed")
    return answer.strip()


def print_failures(failures: Sequence[Any]) -> int:
    """Each failed item is named on stderr; returns the exit code that goes with them."""
    for failed in failures:
        print_message(f"failed: {failed.img_id}: {failed.reason}")
    return SOME_ITEMS_FAILED if failures else DONE
