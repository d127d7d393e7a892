"""Output of the scripts: the result as JSON on stdout, all else for people on stderr."""

import json
import os
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TextIO, TypeVar

from common.errors import Declined, InputError, WriteFailed
from get_data.cli.exit_codes import DONE, SOME_ITEMS_FAILED

_MAX_LINE = 1000

_terminal_lock = threading.RLock()

Item = TypeVar("Item")


def print_message(line: str) -> None:
    """Print a line for people on stderr, with unprintable characters escaped.

    A stderr that cannot be written to does not stop the work.
    """
    print_verbatim(sanitize(line))


def print_verbatim(line: str) -> None:
    """Print a line on stderr unchanged: a command to copy, with no unsafe characters in it."""
    try:
        with _terminal_lock:  # tqdm itself would release it even if interrupted before
            if tqdm := sys.modules.get("tqdm"):  # a bar may be on the terminal
                tqdm.tqdm.write(line, file=sys.stderr, nolock=True)
            else:
                sys.stderr.write(line + "\n")
                sys.stderr.flush()
    except OSError:
        discard_output(sys.stderr)


def pluralize(count: int, noun: str) -> str:
    """Return a count with its noun: "1 label", "2,031 labels"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def format_size(size_bytes: int) -> str:
    """Return a size for people: "4.9 MB", "13 kB"; what is not nothing is not shown as 0."""
    if size_bytes >= 1_000_000:
        return f"{size_bytes / 1e6:,.1f} MB"
    return f"{-(-size_bytes // 1000)} kB"


def print_database(name: str, notice: str, missing: str = "") -> None:
    """Print the database in use: the first line of every script that opens one.

    `missing` names the part of the index that a search would need, if that does not exist.
    """
    print_message(f"database: {name}")
    if notice:
        print_message(f"warning: {notice}")
    if missing:
        print_message(f"warning: nothing has been uploaded yet: there is no {missing}")


def sanitize(text: str) -> str:
    """Escape unprintable characters, and cut out the middle of a very long text."""
    if len(text) > _MAX_LINE:
        text = f"{text[: _MAX_LINE // 2]} ... {text[-_MAX_LINE // 2 :]}"
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def discard_output(stream: TextIO) -> None:
    """Redirect a stream to /dev/null, together with what it has buffered."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def write_json(counts: object) -> None:
    """Write the result for programs to stdout.

    Raises:
        WriteFailed: stdout cannot be written to.
    """
    write_stdout(json.dumps(counts) + "\n")


def write_stdout(text: str) -> None:
    """Write text to stdout; a reader that has stopped reading, such as `head`, is no error.

    Raises:
        WriteFailed: stdout cannot be written to.
    """
    try:
        sys.stdout.buffer.write(text.encode())  # JSON is UTF-8, whatever the locale
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        discard_output(sys.stdout)
    except OSError as error:
        discard_output(sys.stdout)
        raise WriteFailed(f"stdout cannot be written: {error.strerror}") from error


def shows_progress() -> bool:
    """Return whether stderr is a terminal, where progress bars are shown."""
    return sys.stderr.isatty()


def progress_bar(
    items: Iterable[Item], *, total: int | None, description: str, unit: str
) -> Iterable[Item]:
    """Return the items wrapped in a progress bar, shown if stderr is a terminal.

    `total` is the number of items, or None if it is unknown.

    Items may come in bursts. The bar is therefore updated for every thousandth of them, not by
    time, and shows the mean rate: otherwise it would freeze after a burst and predict hours. Of an
    unknown number, it is updated for every thousandth of those that have come.
    """
    if not shows_progress():
        return items
    from tqdm import tqdm  # noqa: PLC0415  takes as long to import as all else in most scripts

    # tqdm's default lock works across processes: creating it, with the first message, imports
    # modules, and a Ctrl-C during that became a failure of tqdm.
    tqdm.set_lock(_terminal_lock)
    bar = tqdm(
        items,
        total=total,
        miniters=max(1, (total or 0) // 1000),
        mininterval=0,
        smoothing=0,
        desc=description,
        unit=f" {unit}s",  # 12/40 [00:03<00:07, 4.00 pictures/s]
        file=sys.stderr,
        dynamic_ncols=True,
        leave=False,
    )
    return bar if total else _draw_seldom(items, bar)


def _draw_seldom(items: Iterable[Item], bar: Any) -> Iterator[Item]:
    """Yield the items, and draw the bar for every thousandth of those that have come."""
    count = drawn = 0
    with bar:
        for count, item in enumerate(items, start=1):
            yield item
            if count - drawn > drawn // 1000:
                bar.update(count - drawn)
                drawn = count


def confirm(question: str, *, without_terminal: str) -> None:
    """Ask for confirmation on the terminal.

    Raises:
        Declined: the answer was not yes, or there is no terminal; `without_terminal` is then the
            message.
    """
    if not sys.stdin.isatty():
        raise Declined(without_terminal)
    try:
        answer = prompt(f"{question} [y/N] ")
    except InputError:  # not a yes
        answer = ""
    if answer.lower() not in ("y", "yes"):
        raise Declined("nothing was changed")


def prompt(question: str) -> str:
    """Ask on the terminal and return the answer.

    Raises:
        InputError: the answer is not text in the encoding of the terminal.
        Declined: the input has ended.
    """
    try:
        sys.stderr.write(question)
        sys.stderr.flush()
    except OSError:
        discard_output(sys.stderr)
    try:
        answer = sys.stdin.readline()
        answer.encode()  # invalid bytes may have been read as lone surrogates
    except UnicodeError as error:
        raise InputError(f"{question}the answer is not text in UTF-8; type it again") from error
    except OSError as error:
        raise Declined(f"{question}the terminal was closed; nothing was changed") from error
    if not answer:
        raise Declined(f"{question}no answer; nothing was changed")
    return answer.strip()


def report_failures(failures: Sequence[Any]) -> int:
    """Print a line for each failed item, and return the exit code."""
    for failed in failures:
        print_message(f"failed: {failed.img_id}: {failed.reason}")
    return SOME_ITEMS_FAILED if failures else DONE
