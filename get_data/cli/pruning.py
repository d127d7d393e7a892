"""Pictures that a fetched set has no more, removed from its folder after asking."""

from dataclasses import dataclass
from pathlib import Path

import msgspec

from get_data.cli import output
from get_data.cli.output import format_size, pluralize
from get_data.recording import journal
from get_data.sets import left_over, set_file


@dataclass(frozen=True, slots=True)
class Pruned:
    """Number and bytes of the removed pictures; reasons of those that stay, by file name."""

    pictures: int
    bytes: int
    failed: dict[str, str]


def prune(labels: Path, *, is_confirmed: bool) -> Pruned:
    """Remove pictures that are no longer in the set, after asking unless it `is_confirmed`.

    Raises:
        Declined: the answer was no, or there is no terminal.
        StillRecording, InputError: the folder is in use, or cannot be locked.
    """
    folder = labels.parent
    description = set_file.beside(labels)
    # D25: nobody else uses the pictures meanwhile, or fetches another set
    with journal.removal_lock(folder):
        content = set_file.read(description)
        pictures = left_over.removable(labels, content.left_over)
        size = sum(picture.size for picture in pictures)
        what = f"{pluralize(len(pictures), 'picture')} ({format_size(size)})"
        if pictures and not is_confirmed:
            output.confirm(
                f"Remove {what} of earlier fetches from {folder}, which are no longer in the set. "
                "Continue?",
                without_terminal=f"confirmation needed: run with -y (would remove {what} from "
                f"{folder})",
            )
        outcomes = dict(left_over.remove(pictures))
        failed = {picture.file.name: reason for picture, reason in outcomes.items() if reason}
        removed = {picture.file.name: picture.size for picture in outcomes if not outcomes[picture]}
        remaining = {
            name: digest for name, digest in content.left_over.items() if name not in removed
        }
        if removed:
            set_file.write(description, msgspec.structs.replace(content, left_over=remaining))
    output.print_message(f"Removed {pluralize(len(removed), 'picture')} of earlier fetches")
    if remaining:
        output.print_message(
            f"kept: {pluralize(len(remaining), 'picture')} of earlier fetches, which were changed "
            "since, or which another label file here names"
        )
    return Pruned(len(removed), sum(removed.values()), failed)
