"""Paths of the checkout and of the local database.

They do not depend on the current directory, and importing this module creates nothing.
"""

import os
from pathlib import Path

from common.errors import InputError

ROOT = Path(__file__).resolve().parent
HARDWARE_CONF = ROOT / "hardware_conf.json"
QUERIES = ROOT / "get_data" / "queries"


def home() -> Path:
    """Return the folder that holds the local database: `PATATE_HOME`, or else the checkout.

    Raises:
        InputError: it begins with the `~name` of no user, or the current directory is gone.
    """
    variable = os.environ.get("PATATE_HOME")
    return absolute(expand_user(variable, "PATATE_HOME")) if variable else ROOT


def expand_user(text: str, variable: str = "") -> Path:
    """Return the path with `~` and `~name` expanded, which not every shell does.

    `variable` is the environment variable that has it, for messages.

    Raises:
        InputError: there is no such user, or `~` has no home folder.
    """
    expanded = os.path.expanduser(text)  # noqa: PTH111  never raises
    if expanded.startswith("~"):
        user = expanded.partition("/")[0]
        raise InputError(
            f"{variable and f'{variable} is '}{text}: {user} has no home folder here; write "
            f"./{text} for a name that begins with ~"
        )
    return Path(expanded)


def absolute(path: Path) -> Path:
    """Return the absolute path.

    Raises:
        InputError: the current directory no longer exists.
    """
    try:
        return path.absolute()
    except FileNotFoundError as error:
        raise InputError(f"{path}: the current folder no longer exists; cd to another") from error


def database_folder() -> Path:
    """Return the folder of the local database: `index.sqlite`, `pictures/`, `last_img_id`."""
    return home() / "database"
