"""State of the server: one catalogue, the work on it, the lease, and the inspection of pictures."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np

from common import strict_json
from common.errors import ToolkitError
from get_data.labelizer import export, pictures, work_file
from get_data.labelizer.captures import Names
from get_data.labelizer.catalogue import Catalogue, Progress, read_catalogue
from get_data.labelizer.comparison import Comparison, read_comparison
from get_data.labelizer.decisions import NextRound, compare_decisions
from get_data.labelizer.export import ExportResult, SourceChanged, source_changed_message
from get_data.labelizer.inspection import Inspection
from get_data.labelizer.model import Model
from get_data.labelizer.operations import ATTRIBUTES, Batch, Floats, to_runs
from get_data.labelizer.picture_folder import printable_name
from get_data.labelizer.problems import PROBLEM_KINDS
from get_data.labelizer.value_rules import ValueRules
from get_data.labelizer.work_file import LeaseLost, WorkFile

LEASE_TIMEOUT_S = 15.0  # without a heartbeat, after which another browser may take the lease
MAX_LISTED_PROBLEMS = 500  # of each kind

ReopenMode = Literal["carry", "anew"]


class OtherWork(ToolkitError):
    """A request from a page of another folder, or of work that was archived since."""


@dataclass(frozen=True, slots=True)
class _Lease:
    """Browser that took the lease last, and the time of its last heartbeat."""

    browser: str
    heartbeat: float


class Workspace:
    """Work of one person on one label file."""

    def __init__(
        self,
        catalogue: Catalogue,
        user: str,
        *,
        comparison: Comparison | None = None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.catalogue = catalogue
        self._rules = ValueRules(catalogue)
        self.user = user
        self.comparison = comparison
        self._clock = clock
        self._now = now
        self._work_lock = threading.Lock()
        self._lease_lock = threading.Lock()  # held briefly only; an export holds the other one
        self._lease: _Lease | None = None
        self._opened = clock()
        self._signature = _file_signature(catalogue.labels)
        self.last_export: Path | None = None
        self.entries = msgspec.json.encode(_entries_for_page(self.catalogue, user))
        self.work = WorkFile(work_file.path_for(catalogue.labels))
        if self.work.is_new:
            self.work.initialize(catalogue)
        elif not self.is_outdated:
            self.work.follow(catalogue)
        self.inspection = Inspection(catalogue)
        self.model = Model(catalogue)

    def start(self) -> None:
        """Start what runs in the background."""
        self.inspection.start()
        self.model.start()

    def close(self) -> None:
        """Stop what runs in the background, and close the work file."""
        self.inspection.close()
        self.model.close()
        self.work.close()

    @property
    def is_outdated(self) -> bool:
        """Whether the work belongs to an earlier version of the label file."""
        return self.work.sha256 != self.catalogue.sha256

    def state(self) -> dict[str, Any]:
        """Return the edits so far, for a page that opens."""
        work = self.work
        state: dict[str, Any] = {"outdated": None}
        # positions are those of an earlier file: all that can be done is to start the next round
        if self.is_outdated:
            return state | {"outdated": self._next_round().summary()}
        decisions = work.decisions()
        columns: dict[str, Any] = {
            name: [getattr(decision, name) for decision in decisions] for name in ATTRIBUTES
        }
        positions = [decision.position for decision in decisions]
        return {
            **state,
            **columns,
            "positions": positions,
            "settled": work.settled(),
            "round": work.previous_round(),
            "history": work.history(),
        }

    def _next_round(self) -> NextRound:
        return compare_decisions(self.work.decisions(with_settled=True), self.catalogue)

    def check_work(self, name: str) -> None:
        """Check that a page belongs to the current work.

        Raises:
            OtherWork: it was opened with another work file.
        """
        if name != self.work.name:
            raise OtherWork(
                f"this address now serves {self.catalogue.labels}, opened after this page"
            )

    def take_lease(self, browser: str, *, take_over: bool) -> int | None:
        """Return the epoch of a new lease; None while another browser holds it.

        Raises:
            WriteFailed: the work file cannot be written.
        """
        with self._work_lock, self._lease_lock:
            is_held = self._lease is not None and self._lease.browser != browser
            if is_held and not self._is_lease_expired() and not take_over:
                return None
            # durable before it is granted, so that older leases are void after a restart too
            epoch = self.work.take_lease()
            self._lease = _Lease(browser, self._clock())
            return epoch

    def _is_lease_expired(self) -> bool:
        """Return whether the last heartbeat is too old.

        After a restart, a page that was open before has the same time for its first heartbeat.
        """
        last = self._lease.heartbeat if self._lease else self._opened
        return self._clock() - last >= LEASE_TIMEOUT_S

    def heartbeat(self, browser: str, epoch: int) -> dict[str, Any]:
        """Refresh the page's lease; return lease and source status.

        `free`: the lease has expired, so a read-only page can take it.
        """
        with self._lease_lock:
            holds = 0 < epoch == self.work.epoch
            if holds:
                self._lease = _Lease(browser, self._clock())
            free = not holds and self._is_lease_expired()
        return {"holds": holds, "free": free, "source_changed": self.is_source_changed()}

    def save(self, batch: Batch) -> dict[str, Any]:
        """Save the operations; return the source status, and the operations planned here.

        Raises:
            LeaseLost: the sender no longer holds the lease.
            InputError: an operation is invalid.
            WriteFailed: the work file cannot be written.
        """
        planned = self.work.apply(
            batch.operations, self._rules, epoch=batch.epoch, by=self.user, on=self._now()
        )
        # saving counts as a heartbeat: a page may be too busy to send one
        with self._lease_lock:
            if self._lease and batch.epoch == self.work.epoch:
                self._lease = replace(self._lease, heartbeat=self._clock())
        return {"source_changed": self.is_source_changed(), "planned": planned}

    def is_source_changed(self) -> bool:
        """Return whether the label file was modified since it was read."""
        return _file_signature(self.catalogue.labels) != self._signature

    def export(self) -> ExportResult:
        """Write a new label file.

        Raises:
            SourceChanged: the label file was modified.
            WriteFailed: the new file cannot be written.
        """
        with self._work_lock:
            if self.is_outdated:
                raise SourceChanged(source_changed_message(self.catalogue.labels))
            result = export.export(self.catalogue, self.work, now=self._now())
        self.last_export = result.file
        return result

    def reopen(self, mode: ReopenMode, epoch: int) -> Path:
        """Archive the outdated work file, begin a new one, and return the archive's path.

        With "carry" the new one repeats the decisions whose old label is unchanged, and keeps the
        reviews that the label file has. `epoch` is the lease of the page that asks; the page has to
        take it again afterwards.

        Raises:
            LeaseLost: the page does not hold the lease, or the work was reopened already.
            WriteFailed: the new file cannot be written; the old one is back in its place.
        """
        with self._work_lock:
            # of two pages that ask at once, the second finds its lease void
            self.work.check_lease(epoch)
            if not self.is_outdated:
                raise LeaseLost(f"{self.catalogue.labels} has been opened again already")
            next_round = self._next_round() if mode == "carry" else None
            path = self.work.path
            # the decisions are in memory by now; a failure from here on is rolled back
            archived = self.work.archive(self._now())
            try:
                self.work = self._create_work(path, epoch + 1, next_round, archived.name)
            except BaseException:
                work_file.restore_archived(archived, path)
                self.work = WorkFile(path)
                raise
            return archived

    def _create_work(
        self, path: Path, epoch: int, next_round: NextRound | None, archive: str
    ) -> WorkFile:
        work = WorkFile(path)
        try:
            work.initialize(self.catalogue, epoch=epoch)
            if next_round is not None:
                work.carry(next_round.carried, self._rules, by=self.user, on=self._now())
                summary = msgspec.structs.replace(next_round.summary(), archive=archive)
                work.settle(next_round.settled, summary)
        except BaseException:
            work.close()
            raise
        return work

    def document(self, position: int) -> bytes:
        """Return the label of an entry, byte for byte as in the file.

        Raises:
            InputError: it is not JSON, because the file was modified.
        """
        raw = self.catalogue.raw(position)
        strict_json.parse(raw, f"{self.catalogue.labels}, entry {self.catalogue.ids[position]!r}")
        return raw

    def sheet(self, number: int) -> bytes:
        """Return a contact sheet, a JPEG; sheet `number` begins at that many hundred pictures."""
        first = number * pictures.SHEET_PICTURES
        last = min(first + pictures.SHEET_PICTURES, len(self.catalogue))
        files = [self.catalogue.picture(position) for position in range(first, last)]
        return pictures.draw_sheet(files)

    def counts(self) -> dict[str, int]:
        """Return the totals for the end report."""
        decisions = [] if self.is_outdated else self.work.decisions(with_settled=True)
        changed = [each for each in decisions if each.changes_classes and not each.deleted]
        unlabelled = self.catalogue.unlabelled
        created = sum(
            each.position in unlabelled and each.direction >= 0 and each.speed >= 0
            for each in changed
        )
        return {
            "labels": len(self.catalogue) - len(unlabelled),
            "reviewed": sum(
                bool(each.reviewed or each.deleted or each.settled) for each in decisions
            ),
            "corrected": sum(each.position not in unlabelled for each in changed),
            "created": created,
            "unlabelled": len(unlabelled) - created,
            "to_delete": sum(decision.deleted for decision in decisions),
        }


def open_workspace(
    labels: Path, folder: Path, user: str, progress: Progress, *, compare: Path | None = None
) -> Workspace:
    """Open the work on a label file and the folder of its pictures.

    `compare`: a label file of another person for the same pictures.

    Raises:
        InputError: a label file or the work file is invalid, or the label files cannot be
            compared; nothing is written.
        WorkFileInUse: another process has the work file open.
        WriteFailed: the work file cannot be written.
    """
    catalogue = read_catalogue(labels, folder, progress)
    comparison = read_comparison(compare, catalogue, user, progress) if compare else None
    return Workspace(catalogue, user, comparison=comparison)


def _file_signature(file: Path) -> tuple[int, int, int] | None:
    """Return a value that changes with the file; None if there is no file."""
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def _entries_for_page(catalogue: Catalogue, user: str) -> dict[str, Any]:
    """Return the columns and everything else that the page needs before it starts."""
    return {
        "labels": printable_name(catalogue.labels.absolute()),
        "folder": printable_name(catalogue.folder.absolute()),
        "user": user,
        "version": catalogue.version,
        "sheet": {
            "pictures": pictures.SHEET_PICTURES,
            "row": pictures.SHEET_COLUMNS,
            "width": pictures.TILE_WIDTH_PX,
            "height": pictures.TILE_HEIGHT_PX,
        },
        "ids": catalogue.ids,
        "direction": catalogue.direction.tolist(),
        "speed": catalogue.speed.tolist(),
        "raw_direction": catalogue.raw_direction.tolist(),
        "raw_speed": catalogue.raw_speed.tolist(),
        "steering": _unlike(catalogue.steering, catalogue.raw_direction),
        "throttle": _unlike(catalogue.throttle, catalogue.raw_speed),
        "spans": to_runs(catalogue.span),
        "tells_span": to_runs(catalogue.tells_span.astype(np.int64)),
        "drive": _names_for_page(catalogue.captures.drive),
        "driver": _names_for_page(catalogue.captures.driver),
        "day": _names_for_page(catalogue.captures.day),
        "group": catalogue.group.tolist(),
        "groups": catalogue.groups,
        "flags": catalogue.flags.tolist(),
        "problems": _problems_for_page(catalogue),
        "fixes": catalogue.fixes,
    }


def _names_for_page(names: Names) -> dict[str, Any]:
    return {"names": names.names, "runs": to_runs(names.index.astype(np.int64))}


def _unlike(values: Floats, raws: Floats) -> list[float | None]:
    """Return values as the page gets them: null where they are what the driver did."""
    unlike: list[float | None] = np.where(values == raws, np.nan, values).tolist()
    return unlike


def _problems_for_page(catalogue: Catalogue) -> dict[str, Any]:
    """Return the problems by kind, with their count and the first of them."""
    return {
        kind: {
            "one": PROBLEM_KINDS[kind].singular,
            "many": PROBLEM_KINDS[kind].plural,
            "remedy": PROBLEM_KINDS[kind].remedy,
            "count": len(problems),
            "first": problems[:MAX_LISTED_PROBLEMS],
        }
        for kind, problems in catalogue.problems.items()
    }
