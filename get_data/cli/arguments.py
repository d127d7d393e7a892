"""Command-line arguments that several scripts share, checked while they are parsed."""

import argparse
import math
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import path
from get_data.cli.output import sanitize

_LARGEST_NUMBER = 10**9


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        super().error(sanitize(message))


def create_parser(docstring: str | None) -> argparse.ArgumentParser:
    """A parser whose help is the script's docstring."""
    return _Parser(description=docstring, formatter_class=argparse.RawDescriptionHelpFormatter)


def add_pictures_option(parser: argparse.ArgumentParser) -> None:
    """`-p`: where the pictures of the labels given are."""
    parser.add_argument(
        "-p",
        "--pictures",
        type=path_argument,
        metavar="DIR",
        help="default: beside the label file",
    )


def add_dry_run_option(parser: argparse.ArgumentParser) -> None:
    """`--dry-run`: count, change nothing."""
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, do nothing")


def positive_integer(text: str) -> int:
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


def number_between(low: float, high: float, what: str) -> Callable[[str], float]:
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


def integer_between(low: int, high: int, what: str) -> Callable[[str], int]:
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


PORT = integer_between(1, 65535, "as a port")


def path_argument(text: str) -> Path:
    """An option that is a path, whether or not something is there. Raises: argparse's error."""
    if not text:
        raise argparse.ArgumentTypeError(f"expected a file or a folder, got {text!r}")
    place = path.expand_user(text)
    try:
        place.stat()
    except (FileNotFoundError, NotADirectoryError):
        return place
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", error)
        raise argparse.ArgumentTypeError(f"{text} cannot be read: {why}") from error
    return place


def utf8_text(text: str) -> str:
    """An option that is text to be kept. Raises: argparse's error."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise argparse.ArgumentTypeError(f"expected text in UTF-8, got {text!r}") from error
    return text
