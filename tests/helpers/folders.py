"""The contents of a folder, compared before and after."""

from pathlib import Path

_TEMPORARY = "/incoming"  # half-written pictures of the store; the next run removes them


def snapshot(folder: Path, *, without: str = "") -> dict[str, object]:
    """Return every name below the folder with its content, target or mode; skip a subfolder."""
    entries: dict[str, object] = {}
    for file in sorted(folder.rglob("*")):
        name = str(file.relative_to(folder))
        if (without and name.split("/")[0] == without) or _TEMPORARY in name:
            continue
        if file.is_symlink():
            entries[name] = file.readlink()
        elif file.is_file():
            entries[name] = file.read_bytes()
        else:
            entries[name] = file.stat().st_mode
    return entries
