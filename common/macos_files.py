"""Files that macOS keeps beside others, on exFAT and network drives."""


def is_macos_file(name: str) -> bool:
    """Return whether a file is one of macOS's own: `._NAME` beside NAME, or `.DS_Store`."""
    return name.startswith("._") or name == ".DS_Store"
