"""Command-line arguments that several scripts share, checked while they are parsed.

The functions used as an argument's `type` raise argparse.ArgumentTypeError.
"""

import argparse
import math
import textwrap
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import path
from common.errors import InputError
from get_data.cli import exit_codes
from get_data.cli.output import sanitize, write_stdout

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

_MAX_INTEGER = 10**9
_MAX_DIGITS = 19
_MIN_SIDE_PX, _MAX_SIDE_PX = 16, 4096


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Exit with one line, not with the whole usage."""
        line = sanitize(f"error: {message}; see {self.prog} --help")
        self.exit(exit_codes.WRONG_USAGE, f"{line}\n")

    def print_help(self, file: "SupportsWrite[str] | None" = None) -> None:
        """Print the help; unlike argparse, tell when stdout cannot be written."""
        if file is None:
            write_stdout(self.format_help())
        else:
            super().print_help(file)


class _HelpFormatter(argparse.HelpFormatter):
    """Fits a docstring's paragraphs to the terminal, and leaves its commands as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        # an option keeps its name: no break at its hyphens
        lines = textwrap.TextWrapper(width, indent, indent, break_on_hyphens=False)
        return "\n\n".join(
            paragraph if paragraph.startswith(" ") else lines.fill(paragraph)
            for paragraph in text.strip().split("\n\n")
        )


class _PrintVersion(argparse.Action):
    """`--version`, which unlike argparse's own action reads the version only when it is used."""

    def __call__(self, parser: argparse.ArgumentParser, *_arguments: Any) -> NoReturn:
        write_stdout(f"patate {version()}\n")
        parser.exit()


def create_parser(docstring: str | None) -> argparse.ArgumentParser:
    """Return a parser with the script's docstring as its help, and `--version`."""
    parser = _Parser(description=docstring, formatter_class=_HelpFormatter)
    parser.add_argument(
        "--version", action=_PrintVersion, nargs=0, help="print the version and exit"
    )
    return parser


def version() -> str:
    """Return the version of the toolkit, as in `pyproject.toml`."""
    import tomllib  # noqa: PLC0415  few ask for it

    project = tomllib.loads((path.ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return str(project["project"]["version"])


def add_pictures_option(parser: argparse.ArgumentParser) -> None:
    """Add `-p`, the folder of the pictures."""
    parser.add_argument(
        "-p",
        "--pictures",
        type=path_argument,
        metavar="DIR",
        help="folder of the pictures (default: the label file's folder)",
    )


def add_dry_run_option(parser: argparse.ArgumentParser) -> None:
    """Add `--dry-run`."""
    parser.add_argument(
        "--dry-run", action="store_true", help="print what would be done, change nothing"
    )


def positive_integer(text: str) -> int:
    """Parse an integer above 0."""
    number = _integer(text)
    if number is None or not 0 < number <= _MAX_INTEGER:
        raise argparse.ArgumentTypeError(f"expected a whole number above 0, got {text!r}")
    return number


def positive_number(text: str) -> float:
    """Parse a finite number above 0."""
    number = _number(text)
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text!r}")
    return number


def number_between(low: float, high: float, unit: str) -> Callable[[str], float]:
    """Return a type for numbers in a range; `unit` follows the range in messages."""

    def parse(text: str) -> float:
        number = _number(text)
        if not low <= number <= high:
            raise argparse.ArgumentTypeError(f"expected {low:g} to {high:g} {unit}, got {text!r}")
        return number

    return parse


def percentage(text: str) -> float:
    """Parse a share such as `20%`, above 0 and up to all; return it as 0.2."""
    number = _number(text.removesuffix("%"))
    if not (text.endswith("%") and 0 < number <= 100):
        raise argparse.ArgumentTypeError(
            f"expected a share such as 20%, more than 0% and up to 100%, got {text!r}"
        )
    return number / 100


def integer_between(low: int, high: int, unit: str) -> Callable[[str], int]:
    """Return a type for integers in a range; `unit` follows the range in messages."""

    def parse(text: str) -> int:
        number = _integer(text)
        if number is None or not low <= number <= high:
            raise argparse.ArgumentTypeError(f"expected {low} to {high} {unit}, got {text!r}")
        return number

    return parse


def _number(text: str) -> float:
    """Parse a number in ASCII; NaN for anything else."""
    try:
        return float(text) if text.isascii() else math.nan
    except ValueError:
        return math.nan


def _integer(text: str) -> int | None:
    """Parse ASCII digits; None for a sign, a blank or more than `_MAX_DIGITS` digits."""
    is_number = text.isascii() and text.isdecimal() and len(text) <= _MAX_DIGITS
    return int(text) if is_number else None


def picture_size(text: str) -> tuple[int, int]:
    """Parse "WxH", width and height in pixels."""
    width, separator, height = text.partition("x")
    sides = [_integer(side) or 0 for side in (width, height)]
    if not separator or not all(_MIN_SIDE_PX <= side <= _MAX_SIDE_PX for side in sides):
        raise argparse.ArgumentTypeError(
            f"expected WxH, {_MIN_SIDE_PX} to {_MAX_SIDE_PX} pixels each, got {text!r}"
        )
    return sides[0], sides[1]


PORT = integer_between(1, 65535, "as a port")


def path_argument(text: str) -> Path:
    """Parse the path of a file or a folder, which need not exist."""
    if not text:
        raise argparse.ArgumentTypeError(f"expected a file or a folder, got {text!r}")
    try:
        expanded = path.expand_user(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    try:
        expanded.stat()
    except (FileNotFoundError, NotADirectoryError):
        return expanded
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", error)
        raise argparse.ArgumentTypeError(f"{text} cannot be read: {reason}") from error
    return expanded


def utf8_text(text: str) -> str:
    """Check that the text can be stored as UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise argparse.ArgumentTypeError(f"expected text in UTF-8, got {text!r}") from error
    return text


def nfc_text(text: str) -> str:
    """Parse a text that is compared with those of labels, which are stored in NFC."""
    return unicodedata.normalize("NFC", utf8_text(text))


def name_argument(text: str) -> str:
    """Check that the text is a name: a variable that is not set gives an empty one."""
    if not text:
        raise argparse.ArgumentTypeError("expected a name, got ''")
    return utf8_text(text)
