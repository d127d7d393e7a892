"""The folder of a backup in memory, for tests that go through thousands of them."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace

from get_data.database.backup.folder import SavedLabel, SavedPicture
from get_data.database.interfaces import StoredSet, Tombstone
from tests.fakes.memory_database import MemoryStore


class MemoryBackup:
    """A `BackupFolder`; `path` has the picture files that a restore reads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.pictures = MemoryStore()
        self.saved: SimpleNamespace | None = None

    def read_manifest(self) -> SimpleNamespace | None:
        return self.saved

    def labels(self, manifest: SimpleNamespace) -> Iterator[SavedLabel]:
        return iter(manifest.labels.lines)

    def tombstones(self, manifest: SimpleNamespace) -> Iterator[Tombstone]:
        return iter(manifest.tombstones.lines)

    def sets(self, manifest: SimpleNamespace) -> list[StoredSet]:
        saved = {each.path for each in manifest.sets}
        return [each for each in self.pictures.list_sets() if each.path in saved]

    def write(
        self,
        pictures: Iterable[SavedPicture],
        *,
        database: str,
        made_at: str,
        sets: Iterable[str] = (),
    ) -> None:
        saved = list(pictures)
        labels = [label for picture in saved for label in picture.labels]
        tombstones = [tombstone for picture in saved for tombstone in picture.tombstones]
        self.saved = SimpleNamespace(
            labels=SimpleNamespace(lines=labels, count=len(labels)),
            tombstones=SimpleNamespace(lines=tombstones, count=len(tombstones)),
            sets=[SimpleNamespace(path=path) for path in sorted(sets)],
        )

    def state(self) -> object:
        """Return the content, comparable and hashable, without the times of deletions."""
        if self.saved is None:
            return self.pictures.state(), None
        labels = frozenset(label.line for label in self.saved.labels.lines)
        tombstones = frozenset((one.fingerprint, one.reason) for one in self.saved.tombstones.lines)
        sets = frozenset(each.path for each in self.saved.sets)
        return self.pictures.state(), labels, tombstones, sets
