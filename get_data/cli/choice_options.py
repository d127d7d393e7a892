"""Options that decide which pictures of a search are in a set, and in which part of it."""

import argparse

from get_data.cli import arguments
from get_data.labels.constants import PARTS


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options that decide which of the matching pictures are in the set."""
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument(
        "--limit",
        type=arguments.positive_integer,
        metavar="N",
        help="fetch at most N pictures, the oldest first",
    )
    choice.add_argument(
        "--sample",
        type=arguments.positive_integer,
        metavar="N",
        help="choose N pictures, evenly over all drives",
    )
    choice.add_argument(
        "--per-class",
        type=per_class_argument,
        metavar="FIELD=N",
        help="choose N pictures of each value of a field, such as label.label_direction=500",
    )
    parser.add_argument(
        "--split",
        type=split_argument,
        metavar="train=80,val=10,test=10",
        help="write into each label which part of the set it is in; no drive is in two parts",
    )
    parser.add_argument(
        "--seed",
        type=arguments.integer_between(0, 10**9, "as a seed"),
        metavar="S",
        help="another number makes another choice and another split (default: 0)",
    )


def per_class_argument(text: str) -> tuple[str, int]:
    """Parse FIELD=N."""
    field, separator, number = arguments.nfc_text(text).rpartition("=")
    if not separator or not field:
        raise argparse.ArgumentTypeError(f"expected FIELD=N, got {text!r}")
    return field, arguments.positive_integer(number)


def split_argument(text: str) -> dict[str, int]:
    """Parse shares in percent, by part."""
    shares: dict[str, int] = {}
    for item in text.split(","):
        name, separator, number = item.partition("=")
        if name not in PARTS or name in shares or not separator:
            raise argparse.ArgumentTypeError(
                f"expected shares of {', '.join(PARTS)}, each once, got {text!r}"
            )
        shares[name] = arguments.positive_integer(number)
    if len(shares) < 2 or sum(shares.values()) != 100:
        raise argparse.ArgumentTypeError(
            f"expected two or three parts of 100 percent together, got {text!r}"
        )
    return shares


def are_given(args: argparse.Namespace) -> bool:
    """Return whether any of the options was given."""
    values = (args.limit, args.sample, args.per_class, args.split, args.seed)
    return any(value is not None for value in values)
