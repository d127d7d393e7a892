"""Give pictures the keys that their ids and contents make, and amend their labels.

To the new key this is an upload, to the old one a deletion: the picture is stored, then the label
names it, and the old picture goes last. The rules that the comments cite are in
`docs/architecture.md`.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from uuid import uuid4

from common.batching import batches
from common.errors import DatabaseError, PictureMissing, PictureUnreadable
from get_data.database.delete import MAX_ROUNDS, reconcile
from get_data.database.interfaces import (
    LabelIndex,
    PictureStore,
    Replacement,
    StoredLabel,
    is_store_path,
    picture_key,
)
from get_data.labels import ids
from get_data.labels.schema import Document

_BATCH_SIZE = 100  # pictures in memory
_MAX_PATH_BYTES = 1024  # of S3
_PICTURE_NAME = re.compile(r"(.+)-[0-9a-f]{12}\.jpg")


@dataclass(frozen=True, slots=True)
class RekeyFailed:
    """A label that keeps its picture's key, and the reason."""

    fingerprint: str
    reason: str


def rekey(
    fingerprints: Iterable[str],
    index: LabelIndex,
    store: PictureStore,
    find_copies: Callable[[Collection[str]], Mapping[str, bytes]],
    *,
    threads: Callable[[int], Executor] = ThreadPoolExecutor,
) -> Iterator[RekeyFailed]:
    """Store the pictures of labels under their own keys, and yield the labels that failed.

    `find_copies` returns intact pictures from elsewhere by key.

    Raises:
        DatabaseError: index or store cannot be reached; a second run completes the work.
    """
    for batch in batches(fingerprints, _BATCH_SIZE):
        stored = index.read(batch)
        # D17: somebody has decided against these labels
        tombstones = index.find_tombstones(stored)
        labels = {name: label for name, label in stored.items() if name not in tombstones}
        pictures = _read_pictures(labels, store, find_copies)
        hashes = index.picture_hashes({label.document["img_id"] for label in labels.values()})
        replacements: list[Replacement] = []
        contents: dict[str, bytes] = {}
        for name, label in labels.items():
            document = label.document
            picture = pictures.get(name)
            if picture is None:
                yield RekeyFailed(name, "no intact copy of its picture was found")
                continue
            sha256 = ids.sha256(picture)
            # D1: another hash under the same id is another picture
            if hashes.get(document["img_id"], {sha256}) != {sha256}:
                yield RekeyFailed(name, "other labels have another picture of this id")
                continue
            key = picture_key(document["img_id"], sha256)
            contents[key] = picture
            replacements.append(
                Replacement(_moved(document, picture, store.name, key), label.version)
            )
        old = {label.document.get("s3_key", "") for label in labels.values()}
        yield from _move(replacements, contents, index, store)
        # D26, D9: the old picture goes as by a deletion, so does a new one whose label has gone
        paths = {key for key in {*old, *contents} if may_be_stored(key)}
        reconcile(paths, index, store, run=uuid4().hex, threads=threads)


def may_be_stored(path: str) -> bool:
    """Return whether every store takes this path; labels may name anything."""
    return is_store_path(path) and path.isprintable() and len(path.encode()) <= _MAX_PATH_BYTES


def _move(
    replacements: Collection[Replacement],
    contents: Mapping[str, bytes],
    index: LabelIndex,
    store: PictureStore,
) -> Iterator[RekeyFailed]:
    """Store the pictures, let the labels name them, and yield the labels that failed."""
    for key, picture in contents.items():
        store.put_new(key, picture)
    # D3, D26: a label names its new key only once the picture is stored durably
    store.make_durable()
    result = index.replace(list(replacements))
    # D6: a deletion may have taken a picture before its label named it
    for _ in range(MAX_ROUNDS):
        missing = contents.keys() - store.sizes(contents).keys()
        if not missing:
            break
        for key in missing:
            store.put_new(key, contents[key])
        store.make_durable()
    else:
        raise DatabaseError(
            f"picture store {store.name!r}: another program deletes pictures as fast as they are "
            "stored; stop it and run again"
        )
    for replacement in replacements:
        name = replacement.document["label_fingerprint"]
        if name not in result.replaced:
            reason = result.rejected.get(name, "somebody has changed it meanwhile")
            yield RekeyFailed(name, reason)


def _moved(document: Document, picture: bytes, bucket: str, key: str) -> Document:
    return {
        **document,
        "s3_bucket": bucket,
        "s3_key": key,
        "picture_size": len(picture),
        "picture_sha256": ids.sha256(picture),
    }


def _read_pictures(
    labels: Mapping[str, StoredLabel],
    store: PictureStore,
    find_copies: Callable[[Collection[str]], Mapping[str, bytes]],
) -> dict[str, bytes]:
    """Return the pictures that the labels state, from wherever they are found, by fingerprint."""
    own_keys = {
        name: picture_key(label.document["img_id"], label.document["picture_sha256"])
        for name, label in labels.items()
        if label.document.get("picture_sha256")
    }
    found: dict[str, bytes] = {}
    for name, label in labels.items():
        for path in (label.document.get("s3_key", ""), own_keys.get(name, "")):
            with suppress(PictureMissing, PictureUnreadable):
                if _may_be_of(path, label) and _is_picture_of(label, picture := store.get(path)):
                    found[name] = picture
                    break
    lost = {name: key for name, key in own_keys.items() if name not in found}
    copies = find_copies(sorted(set(lost.values()))) if lost else {}
    for name, key in lost.items():
        if key in copies and _is_picture_of(labels[name], copies[key]):
            found[name] = copies[key]
    return found


def _may_be_of(path: str, label: StoredLabel) -> bool:
    """Return whether the label's picture may be there.

    Without a hash nothing tells that a picture under another id's key is this one.
    """
    if not may_be_stored(path):
        return False
    if label.document.get("picture_sha256"):
        return True
    named = _PICTURE_NAME.fullmatch(path.rpartition("/")[2])
    return named is None or named[1] == label.document["img_id"]


def _is_picture_of(label: StoredLabel, picture: bytes) -> bool:
    """Return whether a picture is what the label states; one without a hash states its size."""
    sha256 = label.document.get("picture_sha256")
    if sha256:
        return bool(sha256 == ids.sha256(picture))
    return bool(picture) and label.document.get("picture_size") in (None, len(picture))
