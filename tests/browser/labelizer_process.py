"""What a forked labelizer runs. The process that forks has imported this, and so the script."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import path
from get_data import run_labelizer
from get_data.cli import process

SCRIPT = path.ROOT / "get_data" / "run_labelizer.py"

# What the script imports once its options are read, and the server only when it starts.
PRELOAD = (
    __name__,
    "get_data.commands.run_labelizer",
    "django.contrib.staticfiles.apps",
    "django.contrib.staticfiles.storage",
    "django.middleware.clickjacking",
    "django.middleware.common",
    "django.middleware.csrf",
    "django.middleware.security",
    "get_data.labelizer.middleware",
    "whitenoise.middleware",
)


def run(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    *,
    stdout: Path,
    stderr: Path,
    anew: bool,
) -> None:
    """Run the script with its output in files, and exit with its exit code.

    `anew`: start Python for it, as a user does.
    """
    for file, descriptor in ((stdout, 1), (stderr, 2)):
        with file.open("w") as opened:
            os.dup2(opened.fileno(), descriptor)
    if anew:
        os.execve(sys.executable, [sys.executable, str(SCRIPT), *arguments], dict(environment))
    os.environ.clear()
    os.environ.update(environment)
    sys.exit(process.run(lambda: run_labelizer.main(arguments)))
