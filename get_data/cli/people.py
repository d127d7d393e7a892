"""Names of people, as authors of labels."""

import argparse
import getpass
import os

from get_data.cli import arguments
from get_data.labels.constants import NOT_PEOPLE

MAX_NAME_LENGTH = 100


def person_name(text: str) -> str:
    """Parse a name, for an option or from elsewhere.

    Raises:
        argparse.ArgumentTypeError: it cannot be used as the name of a person.
    """
    name = arguments.nfc_text(text).strip()
    if not 0 < len(name) <= MAX_NAME_LENGTH or not name.isprintable():
        raise argparse.ArgumentTypeError(
            f"expected a name of 1 to {MAX_NAME_LENGTH} printable characters, got {text!r}"
        )
    if name.casefold() in NOT_PEOPLE:
        raise argparse.ArgumentTypeError(
            f"{text!r} is reserved for labels that no person made; give the name of a person"
        )
    return name


def login_name() -> str:
    """Return the login name of the user, or the user id if there is no name."""
    try:
        return getpass.getuser().encode(errors="replace").decode()
    except (KeyError, OSError):  # in a container, for one
        return str(os.getuid())
