"""What every script shares: exit codes, one-line errors, progress bars, prompts."""

import argparse
import getpass
import json
import math
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, TextIO, TypeVar

from tqdm import tqdm

import interrupts
import path
from errors import Declined, InputError, ToolkitError, WriteFailed
from get_data import links
from get_data.labels import label_file
from get_data.labels.label import Document
from get_data.recording import journal

DONE = 0
FAILED = 1
WRONG_USAGE = 2
SOME_ITEMS_FAILED = 3
INTERRUPTED = interrupts.EXIT_CODE

_LARGEST_NUMBER = 10**9
_LONGEST_LINE = 1000
_BEGINNING_BYTES = 1_000_000

Item = TypeVar("Item")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        super().error(_one_line(message))


def parser(docstring: str | None) -> argparse.ArgumentParser:
    """A parser whose help is the script's docstring."""
    return _Parser(description=docstring, formatter_class=argparse.RawDescriptionHelpFormatter)


def add_pictures_option(parser: argparse.ArgumentParser) -> None:
    """`-p`: where the pictures of the labels given are."""
    parser.add_argument(
        "-p",
        "--pictures",
        type=file_or_folder,
        metavar="DIR",
        help="default: beside the label file",
    )


def add_dry_run_option(parser: argparse.ArgumentParser) -> None:
    """`--dry-run`: count, change nothing."""
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, do nothing")


def whole_number(text: str) -> int:
    """An option that is a whole number above 0. Raises: argparse's error."""
    number = int(text) if text.isdecimal() and len(text) < 20 else 0
    if not 0 < number <= _LARGEST_NUMBER:
        raise argparse.ArgumentTypeError(f"expected a whole number above 0, got {text!r}")
    return number


def positive_number(text: str) -> float:
    """An option that is a number above 0. Raises: argparse's error."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text!r}")
    return number


def number_from(low: float, high: float, what: str) -> Callable[[str], float]:
    """The kind of an option that is a number in a range; `what` is what it counts."""

    def number(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"expected {low:g} to {high:g} {what}, got {text!r}")
        return value

    return number


def whole_number_from(low: int, high: int, what: str) -> Callable[[str], int]:
    """The kind of an option that is a whole number in a range; `what` is what it counts."""

    def number(text: str) -> int:
        value = int(text) if text.isdecimal() and len(text) < 20 else low - 1
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"expected {low} to {high} {what}, got {text!r}")
        return value

    return number


def picture_size(text: str) -> tuple[int, int]:
    """An option that is a width and a height in pixels. Raises: argparse's error."""
    width, x, height = text.partition("x")
    sides = [int(side) if side.isdecimal() and len(side) < 20 else 0 for side in (width, height)]
    if not x or not all(16 <= side <= 4096 for side in sides):
        raise argparse.ArgumentTypeError(f"expected WxH, 16 to 4096 pixels each, got {text!r}")
    return sides[0], sides[1]


PORT = whole_number_from(1, 65535, "as a port")


def file_or_folder(text: str) -> Path:
    """An option that is a path, whether or not something is there. Raises: argparse's error."""
    if not text:
        raise argparse.ArgumentTypeError(f"expected a file or a folder, got {text!r}")
    place = path.expanded(text)
    try:
        place.stat()
    except (FileNotFoundError, NotADirectoryError):
        return place
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", error)
        raise argparse.ArgumentTypeError(f"{text} cannot be read: {why}") from error
    return place


def sentence(text: str) -> str:
    """An option that is text to be kept. Raises: argparse's error."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise argparse.ArgumentTypeError(f"expected text in UTF-8, got {text!r}") from error
    return text


def run(main: Callable[[], int]) -> int:
    """The exit code of a script's `main`; a failure of ours is one line on stderr.

    A bug keeps its traceback, and `DEBUG=1` shows one for our failures too.
    """
    _open_what_is_closed()
    try:
        with _interruptible():
            return main()
    except ToolkitError as error:
        if os.environ.get("DEBUG"):
            for part in traceback.format_exception(error):
                for line in part.rstrip("\n").split("\n"):
                    say(line)
        say(f"error: {error}")
        return error.exit_code
    except KeyboardInterrupt:
        say("interrupted")
        return INTERRUPTED


def _open_what_is_closed() -> None:
    """A standard stream that whoever started us has closed reads and writes nothing.

    Otherwise the next file that is opened would take its number, and what we say would go there.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            mode = "r" if name == "stdin" else "w"
            descriptor = os.open(os.devnull, os.O_RDWR)
            os.dup2(descriptor, number)
            setattr(sys, name, os.fdopen(number, mode, closefd=False))


@contextmanager
def _interruptible() -> Iterator[None]:
    """While the block runs, the signals that stop a script raise KeyboardInterrupt.

    Afterwards they do what they did before: a second Ctrl-C meets no code of ours.
    """
    before = {number: signal.getsignal(number) for number in interrupts.SIGNALS}
    heard = {number for number, handler in before.items() if handler != signal.SIG_IGN}  # nohup
    for number in heard:
        signal.signal(number, _interrupt)
    try:
        yield
    finally:
        for number in heard:
            signal.signal(number, before[number])


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


@contextmanager
def ended_by_signal(stop: Callable[[], None]) -> Iterator[threading.Event]:
    """While the block runs, Ctrl-C, a lost terminal or a kill stop the drive and nothing else."""
    signalled = threading.Event()

    def handle(_number: int, _frame: object) -> None:
        signalled.set()
        stop()

    before = {number: signal.signal(number, handle) for number in interrupts.SIGNALS}
    try:
        yield signalled
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def say(line: str) -> None:
    """A line for people, on stderr; if that takes none, the work goes on all the same."""
    say_whole(_one_line(line))


def say_whole(line: str) -> None:
    """Print a line on stderr as it is, however long: a command to copy, whose signs are safe."""
    try:
        tqdm.write(line, file=sys.stderr)
    except OSError:
        _silence(sys.stderr)


def number_of(count: int, thing: str) -> str:
    """Return how many there are of a thing, for people: "1 label", "2,031 labels"."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def say_database(name: str, notice: str) -> None:
    """Which database is talked to: the first line of every script that does."""
    say(f"database: {name}")
    if notice:
        say(f"warning: {notice}")


def _one_line(text: str) -> str:
    """The text without what a terminal or a log would not show as it is, and not endless."""
    if len(text) > _LONGEST_LINE:
        text = f"{text[: _LONGEST_LINE // 2]} ... {text[-_LONGEST_LINE // 2 :]}"
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)


def _silence(stream: TextIO) -> None:
    """The stream takes everything from here on, also what it still holds, and drops it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def report(counts: object) -> None:
    """The result for programs, on stdout. Raises: WriteFailed."""
    write_out(json.dumps(counts) + "\n")


def write_out(text: str) -> None:
    """The text is on stdout, or whoever read there, `head` perhaps, has enough.

    Raises: WriteFailed.
    """
    try:
        sys.stdout.buffer.write(text.encode())  # JSON is UTF-8, whatever the terminal speaks
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        _silence(sys.stdout)
    except OSError as error:
        _silence(sys.stdout)
        raise WriteFailed(f"stdout cannot be written: {error.strerror}") from error


def shows_bars() -> bool:
    """Whether somebody is there to see a bar."""
    return sys.stderr.isatty()


def bar(items: Iterable[Item], *, total: int | None, what: str, unit: str) -> Iterable[Item]:
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
    try:
        answer = ask(f"{question} [y/N] ")
    except InputError:  # no yes
        answer = ""
    if answer.lower() not in ("y", "yes"):
        raise Declined("nothing was changed")


def ask(question: str) -> str:
    """Return what the user answers on the terminal.

    Raises: InputError for bytes that are no text, whatever the terminal speaks; Declined when
    nobody answers.
    """
    try:
        sys.stderr.write(question)
        sys.stderr.flush()
    except OSError:
        _silence(sys.stderr)
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
    kept = number_of(merged.labels, "label")
    say(f"{folder}: repaired an interrupted recording: {kept} kept{erased}")
    for name, reason in merged.damaged.items():
        say(f"  damaged: {name}: {reason}")
    if merged.damaged:
        say(f"  see {folder / journal.DAMAGED_LABELS} and {folder / journal.DAMAGED_PICTURES}/")


def login_name() -> str:
    """Who runs the script, as the system knows them; a number where that has no name."""
    try:
        return getpass.getuser().encode(errors="replace").decode()
    except (KeyError, OSError):  # in a container, for one
        return str(os.getuid())


def make_folders(*folders: Path) -> None:
    """The folders are there, or, on InputError, none that was not there before."""
    made: list[Path] = []
    for folder in folders:
        try:
            for one in reversed((folder, *folder.parents)):
                if not one.is_dir():
                    one.mkdir()
                    made.append(one)
        except OSError as error:
            for one in reversed(made):
                one.rmdir()
            raise InputError(f"{folder} cannot be made a folder: {error.strerror}") from error


def is_there(file: Path) -> bool:
    """Whether there is such a file or folder. Raises: InputError when that cannot be known."""
    try:
        return file.exists()
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}") from error


def check_output(file: Path) -> None:
    """A file may be written there. Raises: InputError for what a file must not take the place of.

    Of a link neither is replaced, the link nor what it leads to.

    Nor may it stand in the local database, whose files are nobody else's.
    Renaming a file to /dev/null, as root, would take the device away from everybody.
    """
    if file.is_dir():
        raise InputError(f"{file} is a folder; name a file")
    if file.exists() and not file.is_file():
        raise InputError(f"{file} is not a regular file; name another")
    links.refuse_link(file)
    check_outside_database(file.parent)


def check_outside_database(folder: Path) -> None:
    """The folder is not one of the local database's. Raises: InputError."""
    if Path(os.path.realpath(path.absolute(folder))).is_relative_to(
        os.path.realpath(path.database())
    ):
        raise InputError(f"{folder} is inside the local database; name a place of your own")


def check_replaces(file: Path, what: str, is_one: Callable[[bytes], bool]) -> None:
    """Nothing is there but `what`, as the beginning of the file tells, or an empty file.

    Raises: InputError.
    """
    if not is_there(file):
        return
    try:
        with file.open("rb") as content:
            beginning = content.read(_BEGINNING_BYTES)
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}; move it away") from error
    if beginning and not is_one(beginning):
        raise InputError(f"{file} is not {what}; move it away, or name another file with -o")


def label_file_of(argument: Path) -> Path:
    """The label file that an argument means: itself, or a folder's `labels.json`.

    What a killed recording left beside it is repaired first, and said. Raises: InputError.
    """
    folder, file = _folder_and_file(argument)
    if _has_journal(folder):
        say_repaired(folder, journal.repair(folder))
    return _existing(file, argument)


def labels_of(argument: Path, *, repair: bool = True) -> tuple[Path, dict[str, Document]]:
    """The label file that an argument means, and its labels, all of them checked.

    Without `repair`, and in a folder that cannot be written, the journal of a killed recording is
    read as it stands, and that is said. Raises: InputError, StillRecording.
    """
    folder, file = _folder_and_file(argument)
    if not _has_journal(folder) or (repair and _may_write(folder)):
        file = label_file_of(argument)
        return file, label_file.read(file)
    if file.name != label_file.NAME:
        return file, label_file.read(_existing(file, argument))
    try:
        with journal.locked(folder) if repair else nullcontext():
            labels = journal.as_it_stands(folder)
    except OSError as error:
        raise InputError(f"{folder / journal.NAME} cannot be read: {error.strerror}") from error
    count = number_of(len(labels), "label")
    say(f"{folder}: an interrupted recording, read without repairing it: {count}")
    return file, labels


def _folder_and_file(argument: Path) -> tuple[Path, Path]:
    """The folder of labels, and the label file in it, that an argument means."""
    if argument.is_dir():
        return argument, argument / label_file.NAME
    return argument.parent, argument


def _existing(file: Path, argument: Path) -> Path:
    """Return the label file. Raises: InputError when there is none, or it is a picture."""
    if not is_there(file):
        if argument.is_dir():
            raise InputError(f"{argument} has no {label_file.NAME}: not a folder of labels")
        raise InputError(f"{argument} does not exist")
    if file.suffix.lower() in (".jpg", ".jpeg", ".png"):  # as a shell makes of DIR/*
        raise InputError(f"{argument} is a picture; give its folder")
    return file


def _has_journal(folder: Path) -> bool:
    """Whether a recording was interrupted there, or still runs. Raises: InputError."""
    try:
        return links.is_taken(folder / journal.NAME)
    except OSError as error:
        raise InputError(f"{folder / journal.NAME} cannot be read: {error.strerror}") from error


def _may_write(folder: Path) -> bool:
    return os.access(folder, os.W_OK | os.X_OK, effective_ids=True)
