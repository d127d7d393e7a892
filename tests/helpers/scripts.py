"""The scripts of the toolkit."""

import re
import shlex

import path

SCRIPTS = sorted(
    file for file in (path.ROOT / "get_data").glob("*.py") if "parse_args" in file.read_text()
)


def readme_commands(name: str) -> list[str]:
    """Return the commands of a script's paragraph in the README."""
    readme = (path.ROOT / "README.md").read_text()
    return re.findall(rf"^    python get_data/{name} .*$", readme, re.MULTILINE)


def readme_arguments(name: str) -> list[str]:
    """Return the arguments of a script's first command in the README."""
    return shlex.split(readme_commands(name)[0])[2:]
