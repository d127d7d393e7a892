"""Inspection of the pictures in the background: broken or dull ones, and a car standing still."""

import os
import threading
from contextlib import suppress
from dataclasses import dataclass, field

from get_data.labelizer import pictures
from get_data.labelizer.catalogue import Catalogue, Flag
from get_data.labelizer.pictures import PictureInspection

MIN_STILL_PICTURES = 10  # similar pictures in a row that count as standing still

_MAX_DIFFERENT_BITS = 2  # of 64, between similar pictures
_NICENESS = 10  # below the threads that answer requests


@dataclass(slots=True)
class Findings:
    """Findings so far, as the page gets them; `still`: first and last position of each run."""

    looked_at: int = 0
    broken: list[tuple[int, str]] = field(default_factory=list)
    dull: list[int] = field(default_factory=list)
    still: list[tuple[int, int]] = field(default_factory=list)


class Inspection:
    """A thread that inspects the pictures in order until it is closed."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._closing = threading.Event()
        self.findings = Findings()
        self._thread = threading.Thread(target=self._run, name="inspection", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """Stop the thread and wait for its end."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        with suppress(OSError, AttributeError):  # a lower priority is optional
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
        self.inspect_all()

    def inspect_all(self) -> None:
        """Inspect every picture, unless `close` is called meanwhile."""
        start, previous = 0, None
        for position in range(len(self._catalogue)):
            if self._closing.is_set():
                return
            self.findings.looked_at = position
            inspection = self._inspect(position)
            # similar pictures on both sides of a pause do not mean that the car stood still
            is_new_run = bool(self._catalogue.flags[position] & Flag.RUN_START)
            if is_new_run or not _are_similar(previous, inspection):
                self._add_still_run(start, position - 1)
                start = position
            previous = inspection
        self._add_still_run(start, len(self._catalogue) - 1)
        self.findings.looked_at = len(self._catalogue)

    def _inspect(self, position: int) -> PictureInspection | None:
        """Inspect the picture of an entry and add its findings; None if there is no picture."""
        file = self._catalogue.picture(position)
        if file is None:
            return None
        inspection = pictures.inspect_picture(pictures.read_picture(file))
        if inspection.fault:
            self.findings.broken.append((position, inspection.fault))
        elif inspection.dull:
            self.findings.dull.append(position)
        return inspection

    def _add_still_run(self, first: int, last: int) -> None:
        if last - first + 1 >= MIN_STILL_PICTURES:
            self.findings.still.append((first, last))


def _are_similar(first: PictureInspection | None, second: PictureInspection | None) -> bool:
    """Return whether both pictures are whole and look the same."""
    if first is None or second is None or first.fault or second.fault:
        return False
    return (first.pattern ^ second.pattern).bit_count() <= _MAX_DIFFERENT_BITS
