"""A look at every picture while people work: which are broken, dull, or of a car standing still."""

import os
import threading
from contextlib import suppress
from dataclasses import dataclass, field

from get_data.labelizer import pictures
from get_data.labelizer.catalogue import Catalogue, Flag

LEAST_STILL = 10  # pictures alike in a row, before they count as standing still

_ALIKE_BITS = 2  # of 64, that may differ
_POLITE = 10  # to the threads that answer


@dataclass(slots=True)
class Findings:
    """What was found so far. `still`: runs of first and last position."""

    looked_at: int = 0
    broken: list[tuple[int, str]] = field(default_factory=list)
    dull: list[int] = field(default_factory=list)
    still: list[tuple[int, int]] = field(default_factory=list)


class Examination:
    """Looks at the pictures one after the other, in a thread of its own, until closed."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._ended = threading.Event()
        self.findings = Findings()
        self._thread = threading.Thread(target=self._run, name="examination", daemon=True)

    def start(self) -> None:
        """The thread runs."""
        self._thread.start()

    def close(self) -> None:
        """The thread has ended."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        with suppress(OSError, AttributeError):  # a matter of manners, where the system knows them
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _POLITE)
        self.look_at_all()

    def look_at_all(self) -> None:
        """Every picture has been looked at, or `close` was called."""
        start, before = 0, None
        for position in range(len(self._catalogue)):
            if self._ended.is_set():
                return
            self.findings.looked_at = position
            look = self._look_at(position)
            new_run = bool(self._catalogue.flags[position] & Flag.RUN_START)
            if new_run or not _alike(before, look):
                self._note_still(start, position - 1)
                start = position
            before = look
        self._note_still(start, len(self._catalogue) - 1)
        self.findings.looked_at = len(self._catalogue)

    def _look_at(self, position: int) -> pictures.Look | None:
        """The picture of an entry at a glance; None where there is none."""
        file = self._catalogue.picture(position)
        if file is None:
            return None
        look = pictures.look_at(pictures.read(file))
        if look.fault:
            self.findings.broken.append((position, look.fault))
        elif look.dull:
            self.findings.dull.append(position)
        return look

    def _note_still(self, first: int, last: int) -> None:
        if last - first + 1 >= LEAST_STILL:
            self.findings.still.append((first, last))


def _alike(one: pictures.Look | None, other: pictures.Look | None) -> bool:
    """Whether two pictures are there and show the same."""
    if one is None or other is None or one.fault or other.fault:
        return False
    return (one.pattern ^ other.pattern).bit_count() <= _ALIKE_BITS
