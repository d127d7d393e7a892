"""The download: what a search matches, each picture once, and only what is missing or damaged."""

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Literal

import msgspec

from common.atomic_files import remove_stale_files, sync_file_system, temporary_file
from common.batching import THREADS, batches, cancel_on_error
from common.errors import DatabaseError, PictureMissing, PictureUnreadable
from common.times import to_microseconds
from get_data.database.interfaces import PictureStore, read_picture
from get_data.labels import ids, label_file, validation
from get_data.labels.schema import PictureReference
from get_data.labels.unicode_forms import file_name_key

_REMEDY = "upload_data.py --verify, given the folder of its recording, puts it right"


@dataclass(frozen=True, slots=True)
class Hit:
    """One picture that a search found: its label, and how many other labels it has."""

    document: bytes
    says: PictureReference
    others: int


@dataclass(frozen=True, slots=True)
class Downloaded:
    """What became of one picture.

    `fetched`; `there`: it was here whole already; `listed`: pictures were not asked for; `failed`:
    `reason` says why, and its label is left out.
    """

    img_id: str
    what: Literal["fetched", "there", "listed", "failed"]
    others: int = 0
    reason: str = ""


def settled(documents: Iterable[bytes]) -> Iterator[Hit]:
    """One label a picture, of documents sorted as `LabelIndex.search` gives them.

    The first one is kept: the newest, and of those the one with the smallest fingerprint.

    Raises: DatabaseError.
    """
    decode = msgspec.json.Decoder(PictureReference).decode
    kept: Hit | None = None
    for document in documents:
        try:
            says = decode(document)
        except (ValueError, TypeError, RecursionError) as error:
            raise DatabaseError(
                f"the label index is damaged ({error}); put back a copy of it, or name another in "
                "PATATE_ES_INDEX; without one see docs/troubleshooting.md"
            ) from error
        if kept and kept.says.img_id == says.img_id:
            kept = replace(kept, others=kept.others + 1)
            continue
        if kept:
            yield kept
        kept = Hit(document, says, others=0)
    if kept:
        yield kept


def download(
    documents: Iterable[bytes],
    store: PictureStore,
    *,
    pictures: Path,
    labels: Path,
    fetch: bool = True,
    verify: bool = False,
    limit: int | None = None,
    keep_labels: bool = False,
    threads: Callable[[int], Executor] = ThreadPoolExecutor,
) -> Iterator[Downloaded]:
    """The pictures are in the folder and their labels in the file; yields what became of each.

    A picture that is here is left alone when it has the size that its label tells, with `verify`
    also the hash. The label file changes when all is done, at once; it lists what matched, without
    those that failed. With `keep_labels` it stays as it was when that is nothing.

    Raises: DatabaseError, WriteFailed; the label file is as it was then.
    """
    names = _Names()
    if fetch:
        remove_stale_files(pictures)
    with (
        cancel_on_error(threads(THREADS)) as pool,
        suppress(_NothingToList),
        label_file.open_writer(labels) as file,
    ):
        for batch in batches(islice(settled(documents), limit)):
            work = _work(pictures, store, fetch=fetch, verify=verify)
            checked = [(hit, _name_fault(hit.says, names)) for hit in batch]
            results = pool.map(work, checked) if fetch else map(work, checked)
            for hit, done in zip(batch, results, strict=True):
                if done.what != "failed":
                    file.add(hit.says.img_id, hit.document)
                yield done
        if fetch:
            sync_file_system(pictures)
        if keep_labels and not file.count:
            raise _NothingToList


class _NothingToList(Exception):
    """No label goes into the file, and what it holds is not to be replaced by nothing."""


class _Names:
    """The file names that are taken; what one disk may take for one name is one.

    Most are the id of their picture, and a search may find millions: of these only the moment is
    kept. Ids come in order, hence so do the moments.
    """

    def __init__(self) -> None:
        self._moments_us = array("q")
        self._others: set[str] = set()

    def take(self, says: PictureReference) -> bool:
        """The name is taken now; False when another picture has it."""
        name = file_name_key(says.file_name)
        if name in self._others:
            return False
        id_of_name = name.removesuffix(".jpg").upper()
        moment = ids.parse_img_id(id_of_name)
        if moment is None:
            self._others.add(name)
            return True
        moment_us = to_microseconds(moment)
        if id_of_name == says.img_id:
            self._moments_us.append(moment_us)
            return True
        at = bisect_left(self._moments_us, moment_us)
        if at < len(self._moments_us) and self._moments_us[at] == moment_us:
            return False
        self._others.add(name)
        return True


def _name_fault(says: PictureReference, names: _Names) -> str:
    """What keeps a picture from being written under its file name, if anything."""
    if not validation.is_file_name(says.file_name):
        return f"{says.file_name!r} is not a plain file name"
    if not names.take(says):
        return (
            f"another picture found is called {says.file_name} too, as far as a disk can tell "
            "that knows no case; search for it alone, into another folder"
        )
    return ""


def _work(
    pictures: Path, store: PictureStore, *, fetch: bool, verify: bool
) -> Callable[[tuple[Hit, str]], Downloaded]:
    """What is to be done for each hit, whose name may have a fault."""

    def work(item: tuple[Hit, str]) -> Downloaded:
        hit, fault = item
        img_id = hit.says.img_id
        if fault:
            return Downloaded(img_id, "failed", hit.others, fault)
        if not fetch:
            return Downloaded(img_id, "listed", hit.others)
        target = pictures / hit.says.file_name
        if _is_whole(target, hit.says, verify=verify):
            return Downloaded(img_id, "there", hit.others)
        try:
            _fetch(hit.says, store, target)
        except (PictureMissing, PictureUnreadable, _Damaged) as error:
            reason = f"{error}; {_REMEDY}"
            return Downloaded(img_id, "failed", hit.others, reason)
        except OSError as error:
            reason = f"{target} cannot be written: {error.strerror}"
            return Downloaded(img_id, "failed", hit.others, reason)
        return Downloaded(img_id, "fetched", hit.others)

    return work


def _is_whole(target: Path, says: PictureReference, *, verify: bool) -> bool:
    """Whether the picture that is here is the one that the label speaks of."""
    try:
        size = target.stat().st_size
        if size == 0 or says.picture_size not in (None, size):
            return False
        if verify and says.picture_sha256:
            return ids.sha256(target.read_bytes()) == says.picture_sha256
    except OSError:
        return False
    return True


def _fetch(says: PictureReference, store: PictureStore, target: Path) -> None:
    """The picture is at `target`, whole.

    Raises: PictureMissing, PictureUnreadable, _Damaged, OSError; what was there before stays.
    """
    picture = read_picture(store, says.s3_key)
    if says.picture_sha256 not in (None, ids.sha256(picture)) or not picture:
        raise _Damaged(f"the store's {says.s3_key} is not the picture that its label tells")
    with temporary_file(target.parent) as file:
        file.write(picture)
        file.flush()
        Path(file.name).replace(target)


class _Damaged(Exception):
    """The store's picture is not the one that the label speaks of."""
