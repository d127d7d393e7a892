"""Where files are, told from this file's own place and never from the current directory.

Importing this module creates nothing.
"""

import os
from pathlib import Path

from common.errors import InputError

ROOT = Path(__file__).resolve().parent
HARDWARE_CONF = ROOT / "hardware_conf.json"
QUERIES = ROOT / "get_data" / "queries"


def home() -> Path:
    """The folder that holds the local database: `PATATE_HOME`, else the checkout."""
    told = os.environ.get("PATATE_HOME")
    return absolute(expand_user(told)) if told else ROOT


def expand_user(text: str) -> Path:
    """The path that a text means: `~` is the home folder, which not every shell puts in its place.

    A `~name` that nobody is called stays as it is.
    """
    return Path(os.path.expanduser(text))  # noqa: PTH111  never raises


def absolute(path: Path) -> Path:
    """The path from the root on. Raises: InputError when the current directory is gone."""
    try:
        return path.absolute()
    except FileNotFoundError as error:
        raise InputError(f"{path}: the folder that you are in is gone; cd to another") from error


def database_folder() -> Path:
    """The folder of the local database: `index.sqlite`, `pictures/`, `last_img_id`."""
    return home() / "database"
