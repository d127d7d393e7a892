"""Remove labels that corrections replace, unless somebody has amended them meanwhile.

The rules that the comments cite are in `docs/architecture.md`.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, replace

from common.batching import batches
from get_data.database.delete import DeletionOutcome, delete
from get_data.database.entries import Entry
from get_data.database.interfaces import (
    Failed,
    LabelIndex,
    LabelReference,
    PictureStore,
    StoredLabel,
)
from get_data.labels import edits
from get_data.labels.differences import amended_by, is_base


@dataclass(frozen=True, slots=True)
class Predecessor:
    """The label that a correction replaces, as it was before anything changed.

    Attributes:
        entry: the correction.
        label: its predecessor.
        is_going: whether the predecessor has a tombstone.
        version: its version, "" if it does not exist.
        overtaken_by: who amended it since the file was made, "" for nobody.
    """

    entry: Entry
    label: LabelReference
    is_going: bool
    version: str
    overtaken_by: str

    def may_go(self, stored: StoredLabel) -> bool:
        """Return whether the label is one that the correction, or its author, knows."""
        is_agreed = stored.version == self.version
        return is_agreed or is_base(self.entry.document, stored.document)


def find_predecessors(entries: Iterable[Entry], index: LabelIndex) -> Iterator[Predecessor]:
    """Yield the labels that corrections replace."""
    corrections = (entry for entry in entries if edits.replaced_fingerprint(entry.document))
    for batch in batches(corrections):
        names = [edits.replaced_fingerprint(entry.document) or "" for entry in batch]
        stored = index.read(set(names))
        tombstones = index.find_tombstones(set(names))
        for entry, name in zip(batch, names, strict=True):
            label, is_going = stored.get(name), name in tombstones
            key = (label.document.get("s3_key") if label else "") or entry.label.s3_key
            # D18: a tombstone decides, be it that of an earlier run
            is_overtaken = label and not is_going and not is_base(entry.document, label.document)
            yield Predecessor(
                entry,
                LabelReference(name, entry.img_id, key),
                is_going,
                label.version if label else "",
                amended_by(label.document) if label and is_overtaken else "",
            )


def remove_replaced(
    predecessors: Iterable[Predecessor],
    index: LabelIndex,
    store: PictureStore,
    *,
    removed_by: str,
    threads: Callable[[int], Executor] = ThreadPoolExecutor,
) -> Iterator[DeletionOutcome | Failed]:
    """Remove labels whose corrections are in the index, and yield the outcome of each.

    One that was amended meanwhile stays.

    Raises:
        DatabaseError: index or store cannot be reached; a second run completes the removal.
    """
    for batch in batches(predecessors):
        # D18: an amendment until here is seen, and one from here on fails
        stored = index.read({each.label.fingerprint for each in batch if not each.is_going})
        refused = {
            each.label.fingerprint
            for each in batch
            if (label := stored.get(each.label.fingerprint)) and not each.may_go(label)
        }
        versions = {name: label.version for name, label in stored.items() if name not in refused}
        refused |= index.remove_unchanged(versions) if versions else set()
        for each in batch:
            if each.label.fingerprint in refused:
                by = amended_by(stored[each.label.fingerprint].document) or "somebody"
                yield Failed(
                    each.entry.img_id,
                    f"the label to replace was amended by {by} meanwhile, and both stay; fetch and "
                    "correct it again",
                )
        # D18: only a label that may go gets a tombstone
        going = [each.label for each in batch if each.label.fingerprint not in refused]
        removal = delete(
            going, index, store, reason="replaced", removed_by=removed_by, threads=threads
        )
        for outcome in removal:
            was_removed = outcome.fingerprint in versions
            yield replace(outcome, status="deleted") if was_removed else outcome
