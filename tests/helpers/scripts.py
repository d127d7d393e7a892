"""The scripts of the toolkit."""

import path

SCRIPTS = sorted(
    file for file in (path.ROOT / "get_data").glob("*.py") if "parse_args" in file.read_text()
)
