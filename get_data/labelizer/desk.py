"""What the page works on: a catalogue, the work on it, who works, what was found in pictures."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np

from common import strict_json
from common.errors import ToolkitError
from get_data.labelizer import catalogue as catalogue_of
from get_data.labelizer import export, pictures, work_file
from get_data.labelizer.catalogue import KINDS, Catalogue, shown
from get_data.labelizer.examination import Examination
from get_data.labelizer.export import Exported
from get_data.labelizer.operations import ATTRIBUTES, Batch
from get_data.labelizer.work_file import Decision, LeaseLost, WorkFile

HELD_S = 15.0  # for so long after its last word a browser counts as working
MOST_PROBLEMS = 500  # of a kind, that are listed one by one

Reopening = Literal["carry", "anew"]


class OtherWork(ToolkitError):
    """A page of another folder, or of work that was put aside since, wants to write."""


@dataclass(frozen=True, slots=True)
class _Holder:
    """The browser that took the lease last, and when it was last heard of."""

    browser: str
    heard: float


class Desk:
    """One label file being corrected by one person."""

    def __init__(
        self,
        catalogue: Catalogue,
        user: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.catalogue = catalogue
        self.user = user
        self._clock = clock
        self._now = now
        self._changing = threading.Lock()
        self._leasing = threading.Lock()  # never held for long, as an export holds the other
        self._holder: _Holder | None = None
        self._opened = clock()
        self._signature = _signature(catalogue.labels)
        self.last_export: Path | None = None
        self.entries = msgspec.json.encode(_entries(self.catalogue, user))
        self.work = WorkFile(work_file.path_for(catalogue.labels))
        if self.work.is_new:
            self.work.begin(catalogue)
        self.examination = Examination(catalogue)

    @property
    def is_outdated(self) -> bool:
        """Whether the work is on another content of the label file than the one that is there."""
        return self.work.sha256 != self.catalogue.sha256

    def state(self) -> dict[str, Any]:
        """What was done so far, for a page that opens."""
        work = self.work
        state: dict[str, Any] = {"outdated": None}
        if self.is_outdated:
            decided = len(work.decisions())
            carried = len(work_file.carried_over(work, self.catalogue))
            return state | {"outdated": {"decided": decided, "carried": carried}}
        decisions = work.decisions()
        columns: dict[str, Any] = {
            name: [int(getattr(one, name)) for one in decisions] for name in ATTRIBUTES
        }
        positions = [one.position for one in decisions]
        return state | columns | {"positions": positions, "history": work.history()}

    def check(self, work: str) -> None:
        """Raises: OtherWork unless a page was opened with this work."""
        if work != self.work.name:
            raise OtherWork(f"this address now serves {self.catalogue.labels}, opened anew")

    def take_lease(self, browser: str, *, take_over: bool) -> int | None:
        """The epoch with which this browser may write; None while another one is at work.

        Raises: WriteFailed.
        """
        with self._changing, self._leasing:
            holder = self._holder
            is_other = holder is not None and holder.browser != browser
            if is_other and not self._is_silent() and not take_over:
                return None
            epoch = self.work.take_lease()
            self._holder = _Holder(browser, self._clock())
            return epoch

    def _is_silent(self) -> bool:
        """Return whether whoever may write has not been heard of for so long that he is gone.

        After a start, a page that was open before has as long to be heard of.
        """
        last = self._holder.heard if self._holder else self._opened
        return self._clock() - last >= HELD_S

    def hear(self, browser: str, epoch: int) -> dict[str, Any]:
        """Refresh the lease of the page that has it; return lease and source status.

        `free`: whoever had the lease is gone, so that a page that only shows may take it.
        """
        with self._leasing:
            current = 0 < epoch == self.work.epoch
            if current:
                self._holder = _Holder(browser, self._clock())
            free = not current and self._is_silent()
        return {"holds": current, "free": free, "source_changed": self.source_has_changed()}

    def save(self, batch: Batch) -> dict[str, Any]:
        """Save the operations. Raises: LeaseLost, InputError, WriteFailed."""
        self.work.apply(batch.operations, epoch=batch.epoch, by=self.user, on=self._now())
        with self._leasing:
            if self._holder and batch.epoch == self.work.epoch:
                self._holder = replace(self._holder, heard=self._clock())
        return {"source_changed": self.source_has_changed()}

    def source_has_changed(self) -> bool:
        """Whether the label file was written to since it was read."""
        return _signature(self.catalogue.labels) != self._signature

    def export(self) -> Exported:
        """A new label file. Raises: SourceChanged, WriteFailed."""
        with self._changing:
            if self.is_outdated:
                raise export.SourceChanged(export.changed(self.catalogue.labels))
            exported = export.export(self.catalogue, self.work, now=self._now())
        self.last_export = exported.file
        return exported

    def reopen(self, how: Reopening, epoch: int) -> Path:
        """Work on the label file as it is now, with what can be carried over or without.

        `epoch`: with which the browser may write that asks for it; it has to take the lease anew.
        Returns where the old work file lies now. Raises: LeaseLost, WriteFailed, and all is as it
        was.
        """
        with self._changing:
            self.work.check_lease(epoch)
            if not self.is_outdated:
                raise LeaseLost(f"{self.catalogue.labels} has been opened anew already")
            carried = work_file.carried_over(self.work, self.catalogue) if how == "carry" else []
            path = self.work.path
            aside = self.work.put_aside(self._now())
            try:
                self.work = self._begun(path, epoch + 1, carried)
            except BaseException:
                work_file.take_back(aside, path)
                self.work = WorkFile(path)
                raise
            return aside

    def _begun(self, path: Path, epoch: int, carried: Sequence[tuple[int, Decision]]) -> WorkFile:
        work = WorkFile(path)
        try:
            work.begin(self.catalogue, epoch=epoch)
            work.carry(carried, by=self.user, on=self._now())
        except BaseException:
            work.close()
            raise
        return work

    def document(self, position: int) -> bytes:
        """The label of an entry as the file has it, whole. Raises: InputError when it changed."""
        raw = self.catalogue.raw(position)
        strict_json.parse(raw, f"{self.catalogue.labels}, entry {self.catalogue.ids[position]!r}")
        return raw

    def sheet(self, number: int) -> bytes:
        """A contact sheet of the pictures from `number` hundred on."""
        first = number * pictures.SHEET
        last = min(first + pictures.SHEET, len(self.catalogue))
        return pictures.sheet([self.catalogue.picture(at) for at in range(first, last)])

    def counts(self) -> dict[str, int]:
        """What has been done, in numbers."""
        decisions = [] if self.is_outdated else self.work.decisions()
        return {
            "labels": len(self.catalogue),
            "reviewed": sum(one.reviewed or one.deleted for one in decisions),
            "corrected": sum(one.changes_classes and not one.deleted for one in decisions),
            "to_delete": sum(one.deleted for one in decisions),
        }

    def close(self) -> None:
        """Nothing runs any more and all is on the disk."""
        self.examination.close()
        self.work.close()


def open_desk(labels: Path, folder: Path, user: str, progress: catalogue_of.Progress) -> Desk:
    """The desk for a label file whose pictures lie in the folder.

    Raises: InputError before anything is written; BeingLabelled, WriteFailed.
    """
    return Desk(catalogue_of.read(labels, folder, progress), user)


def _signature(file: Path) -> tuple[int, int, int] | None:
    """What changes when a file is written to or replaced; None while there is none."""
    try:
        told = file.stat()
    except OSError:
        return None
    return told.st_ino, told.st_size, told.st_mtime_ns


def _entries(catalogue: Catalogue, user: str) -> dict[str, Any]:
    """The columns, and what there is to know before work begins."""
    return {
        "labels": shown(catalogue.labels.absolute()),
        "folder": shown(catalogue.folder.absolute()),
        "user": user,
        "version": catalogue.version,
        "sheet": {
            "pictures": pictures.SHEET,
            "row": pictures.ROW,
            "width": pictures.TILE_WIDTH_PX,
            "height": pictures.TILE_HEIGHT_PX,
        },
        "ids": catalogue.ids,
        "direction": catalogue.direction.tolist(),
        "speed": catalogue.speed.tolist(),
        "steering": np.round(catalogue.steering.astype(float), 4).tolist(),
        "throttle": np.round(catalogue.throttle.astype(float), 4).tolist(),
        "group": catalogue.group.tolist(),
        "groups": catalogue.groups,
        "flags": catalogue.flags.tolist(),
        "problems": {
            kind: {
                "one": KINDS[kind].one,
                "many": KINDS[kind].many,
                "remedy": KINDS[kind].remedy,
                "count": len(found),
                "first": found[:MOST_PROBLEMS],
            }
            for kind, found in catalogue.problems.items()
        },
        "fixes": catalogue.fixes,
    }
