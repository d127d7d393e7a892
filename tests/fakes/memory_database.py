"""A label index and a picture store in memory: the smallest that keep the contract.

For tests that go through thousands of databases. They pass the same contract tests as the real
ones, and return their whole state.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence

import msgspec

from common import times
from common.errors import PictureMissing, SetMissing
from get_data.database.frozen.set_references import SetReferences
from get_data.database.interfaces import (
    BACKUP_PREFIX,
    BackupCopy,
    CreateResult,
    LabelReference,
    PictureState,
    Replacement,
    ReplaceResult,
    StoredLabel,
    StoredPicture,
    StoredSet,
    Tombstone,
    backed_up_key,
    backup_path,
    checked_path,
    checked_set_path,
    encode_document,
    key_matches,
)
from get_data.database.search import matching, summaries
from get_data.database.search.search_query import SearchQuery
from get_data.labels import custom_fields, validation
from get_data.labels.ids import sha256
from get_data.labels.schema import Document


class MemoryIndex:
    """Labels and tombstones in two dicts."""

    name = "memory"

    def __init__(self) -> None:
        self.labels: dict[str, Document] = {}
        self.tombstones: dict[str, Tombstone] = {}

    def find(self, fingerprints: Collection[str]) -> dict[str, LabelReference]:
        return {
            name: LabelReference(name, self.labels[name]["img_id"], self.labels[name]["s3_key"])
            for name in fingerprints
            if name in self.labels
        }

    def read(self, fingerprints: Collection[str]) -> dict[str, StoredLabel]:
        return {
            name: StoredLabel(json.loads(encode_document(self.labels[name])), self._version(name))
            for name in fingerprints
            if name in self.labels
        }

    def _version(self, name: str) -> str:
        return sha256(encode_document(self.labels[name]))

    def find_tombstones(self, fingerprints: Collection[str]) -> dict[str, Tombstone]:
        return {name: self.tombstones[name] for name in fingerprints if name in self.tombstones}

    def all_tombstones(self) -> Iterator[Tombstone]:
        order = sorted(self.tombstones.values(), key=lambda one: (one.img_id, one.fingerprint))
        yield from order

    def refresh(self) -> None:
        pass

    def picture_hashes(
        self, img_ids: Collection[str], *, refresh: bool = True
    ) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for label in self.labels.values():
            if label["img_id"] in img_ids and label.get("picture_sha256"):
                found.setdefault(label["img_id"], set()).add(label["picture_sha256"])
        return found

    def missing_part(self, *, tombstones: bool) -> str:
        return ""

    def ensure_exists(self) -> None:
        pass

    def create(self, documents: Sequence[Document]) -> CreateResult:
        result = CreateResult()
        for document in documents:
            fingerprint = document.get("label_fingerprint")
            try:
                validation.parse(document)
                encoded = encode_document(document)
            except Exception as error:  # noqa: BLE001
                result.rejected[str(fingerprint)] = str(error)
                continue
            copy = json.loads(encoded)
            is_new = self.labels.setdefault(fingerprint, copy) is copy
            (result.created if is_new else result.existing).add(fingerprint)
        return result

    def add_tombstones(self, tombstones: Sequence[Tombstone]) -> None:
        for tombstone in tombstones:
            self.tombstones.setdefault(tombstone.fingerprint, tombstone)

    def remove_tombstones(self, fingerprints: Collection[str]) -> None:
        for fingerprint in fingerprints:
            self.tombstones.pop(fingerprint, None)

    def remove(self, fingerprints: Collection[str]) -> set[str]:
        return {name for name in set(fingerprints) if self.labels.pop(name, None)}

    def replace(self, replacements: Sequence[Replacement]) -> ReplaceResult:
        result = ReplaceResult()
        for replacement in replacements:
            name = str(replacement.document.get("label_fingerprint"))
            try:
                validation.parse(replacement.document)
                encoded = encode_document(replacement.document)
            except Exception as error:  # noqa: BLE001
                result.rejected[name] = str(error)
                continue
            if name in self.labels and self._version(name) == replacement.version:
                self.labels[name] = json.loads(encoded)
                result.replaced.add(name)
            else:
                result.changed.add(name)
        return result

    def remove_unchanged(self, versions: Mapping[str, str]) -> set[str]:
        present = versions.keys() & self.labels.keys()
        changed = {name for name in present if self._version(name) != versions[name]}
        for name in present - changed:
            del self.labels[name]
        return changed

    def find_references(self, keys: Collection[str]) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for fingerprint, label in self.labels.items():
            if label["s3_key"] in keys:
                found.setdefault(label["s3_key"], set()).add(fingerprint)
        return found

    def search(self, query: SearchQuery) -> Iterator[bytes]:
        matches = matching.compile_query(query)
        found = [label for label in list(self.labels.values()) if matches(label)]
        found.sort(key=lambda label: label["label_fingerprint"])
        found.sort(key=_creation_time, reverse=True)
        found.sort(key=lambda label: label["img_id"])
        return (document for document in [msgspec.json.encode(label) for label in found])

    def summarize(self, query: SearchQuery) -> summaries.Summary:
        return summaries.summarize(self.search(query))

    def count(self, query: SearchQuery) -> int:
        return sum(1 for _ in self.search(query))

    def has_matches(self, query: SearchQuery) -> bool:
        return self.count(query) > 0

    def custom_fields(self) -> set[str]:
        return {
            path
            for label in list(self.labels.values())
            for path in custom_fields.custom_values(label)
        }

    def close(self) -> None:
        pass

    def state(self) -> object:
        """Return the content, comparable and hashable, without the times of deletions."""
        return frozenset(map(self._version, self.labels)), frozenset(self.tombstones)


def _creation_time(document: Document) -> str:
    time = times.indexable_time(document["label"].get("created_on_date", ""))
    return times.format_time(time) if time else ""


class MemoryStore:
    """Pictures in a dict; a test sets the ages of pictures and copies, which are 0 otherwise."""

    name = "memory"
    transfers_at_once = 1

    def __init__(self) -> None:
        self.pictures: dict[str, bytes] = {}
        self.age_s: dict[str, float] = {}
        self.sets: dict[str, bytes] = {}
        self._set_references = SetReferences(self.list_sets, self.read_set)

    def put_new(self, key: str, picture: bytes) -> bool:
        if self.pictures.get(key) == picture:
            return False
        self.pictures[key] = picture
        return True

    def has_pictures(self) -> bool:
        return any(not path.startswith(BACKUP_PREFIX) for path in self.pictures)

    def list_pictures(self) -> Iterator[StoredPicture]:
        for path, picture in sorted(self.pictures.items()):
            if not path.startswith(BACKUP_PREFIX):
                yield StoredPicture(path, len(picture), self.age_s.get(path, 0.0))

    def put(self, key: str, picture: bytes) -> None:
        self.pictures[key] = picture

    def get(self, path: str) -> bytes:
        try:
            return self.pictures[path]
        except KeyError as error:
            raise PictureMissing(f"memory does not have {path}") from error

    def sizes(self, keys: Collection[str]) -> dict[str, int]:
        return {key: len(self.pictures[key]) for key in keys if key in self.pictures}

    def examine(self, pictures: Collection[str], *, read: bool = False) -> dict[str, PictureState]:
        return {
            key: PictureState(len(self.pictures[key]), key_matches(key, self.pictures[key]))
            for key in pictures
            if key in self.pictures
        }

    def make_durable(self) -> None:
        pass

    def backup_copies(self) -> dict[str, list[BackupCopy]]:
        found: dict[str, list[BackupCopy]] = {}
        for path in self.pictures:
            if path.startswith(BACKUP_PREFIX):
                key = backed_up_key(path)
                found.setdefault(key, []).append(BackupCopy(path, self.age_s.get(path, 0.0)))
        return found

    def back_up(self, key: str, run: str) -> bool:
        if key not in self.pictures:
            return False
        self.pictures[backup_path(key, run)] = self.pictures[key]
        return True

    def delete(self, path: str) -> None:
        self.pictures.pop(checked_path(path), None)

    def list_sets(self) -> list[StoredSet]:
        return [
            StoredSet(path, len(content), self.age_s.get(path, 0.0))
            for path, content in sorted(self.sets.items())
        ]

    def put_new_set(self, path: str, content: bytes) -> bool:
        return self.sets.setdefault(checked_set_path(path), content) is content

    def put_set(self, path: str, content: bytes) -> None:
        self.sets[checked_set_path(path)] = content

    def read_set(self, stored: StoredSet) -> Iterator[bytes]:
        try:
            yield self.sets[stored.path]
        except KeyError as error:
            raise SetMissing(f"memory does not have {stored.path}") from error

    def delete_set(self, path: str) -> None:
        self.sets.pop(checked_set_path(path), None)

    def find_set_references(self, keys: Collection[str]) -> set[str]:
        return self._set_references.find(keys)

    def stale_files(self) -> list[str]:
        return []

    def remove_stale_files(self) -> None:
        pass

    def state(self) -> object:
        """Return the content, comparable and hashable."""
        return frozenset(self.pictures.items()), frozenset(self.sets)
