"""An option for each field of a session: event, track, driver and so on."""

import argparse

from get_data.cli import arguments
from get_data.labels.constants import SESSION_KEYS


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    for key in SESSION_KEYS:
        parser.add_argument(
            f"--{key.replace('_', '-')}",
            type=arguments.utf8_text,
            metavar="TEXT",
            help=f"{key.replace('_', ' ')} of the session, in every label",
        )
