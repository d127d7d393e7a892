"""Download what a search matches: each picture once, and only missing or damaged ones."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Literal, Protocol

import msgspec
from msgspec import Struct

from common.atomic_files import remove_stale_files, sync_file_system, write_whole
from common.batching import Workers, batches, cancel_on_error, open_workers
from common.errors import DatabaseError, PictureMissing, PictureUnreadable
from get_data.database.interfaces import PictureStore, read_picture
from get_data.labels import ids, label_file, validation
from get_data.labels.id_set import IdSet, is_time
from get_data.labels.outline import Outline, OutlineReader
from get_data.labels.schema import Document
from get_data.labels.unicode_forms import file_name_key

_BATCHES_AHEAD = 2  # the next one begins while the last pictures of one are on their way
_decode_label = msgspec.json.Decoder(Document).decode
_REMEDY = "run upload_data.py --verify on the folder of its recording"


class Hit(Struct, gc=False):
    """A picture that a search found: its newest label, and the number of its other labels.

    `document` is the label as the database has it, one line of JSON.
    """

    document: bytes
    outline: Outline
    other_labels: int = 0

    @property
    def label(self) -> Document:
        """The whole label, decoded whenever it is asked for."""
        return _decode_label(self.document)


DownloadStatus = Literal["fetched", "existing", "listed", "failed"]


class DownloadOutcome(Struct, frozen=True, gc=False):
    """Outcome for one picture.

    `existing`: already here and intact. `listed`: pictures were not requested. `failed`: for the
    given `reason`; its label is left out of the label file.
    """

    img_id: str
    status: DownloadStatus
    other_labels: int = 0
    reason: str = ""


_NO_OUTCOME = DownloadOutcome("", "failed")


class LabelWriter(Protocol):
    """Whatever takes the labels of a download, by id, in ascending order."""

    @property
    def count(self) -> int:
        """Number of labels so far."""

    def add(self, hit: Hit) -> None:
        """Write the label of a picture."""


class _LabelsAlone:
    """A label file with nothing beside it."""

    def __init__(self, file: label_file.LabelFileWriter) -> None:
        self._file = file

    @property
    def count(self) -> int:
        return self._file.count

    def add(self, hit: Hit) -> None:
        self._file.add(hit.outline.img_id, hit.document)


@contextmanager
def _open_label_file(path: Path) -> Iterator[LabelWriter]:
    with label_file.open_writer(path) as file:
        yield _LabelsAlone(file)


def newest_labels(documents: Iterable[bytes]) -> Iterator[Hit]:
    """Yield one label per picture, from documents in the order of `LabelIndex.search`.

    The first one is kept: the newest, and among equals the one with the smallest fingerprint.

    Raises:
        DatabaseError: a document is not a label.
    """
    read = OutlineReader().read
    kept: Hit | None = None
    for document in documents:
        try:
            outline = read(document)
        except (ValueError, TypeError, RecursionError) as error:
            raise DatabaseError(
                f"the label index is damaged ({error}); restore it from a copy, or name another "
                'in PATATE_ES_INDEX; without a copy see docs/troubleshooting.md, "Uploading"'
            ) from error
        # in this order the labels of a picture are neighbours, the newest first
        if kept is not None:
            if kept.outline.img_id == outline.img_id:
                kept.other_labels += 1
                continue
            yield kept
        kept = Hit(document, outline)
    if kept is not None:
        yield kept


def oldest_hits(
    documents: Iterable[bytes], limit: int | None, when_cut: Callable[[], None] | None = None
) -> Iterator[Hit]:
    """Yield the newest label of each of the `limit` oldest pictures; of all without a limit.

    `when_cut` is called at the end if there are more.

    Raises:
        DatabaseError: a document is not a label.
    """
    hits = newest_labels(documents)
    yield from islice(hits, limit)
    if when_cut and next(hits, None):
        when_cut()


def download(
    hits: Iterable[Hit],
    store: PictureStore,
    *,
    pictures: Path,
    labels: Path,
    fetch: bool = True,
    verify: bool = False,
    keep_labels: bool = False,
    is_whole: bool = False,
    open_output: Callable[[Path], AbstractContextManager[LabelWriter]] = _open_label_file,
    threads: Callable[[int], Executor] = ThreadPoolExecutor,
) -> Iterator[DownloadOutcome]:
    """Download the pictures to a folder and their labels to a file; yield each picture's outcome.

    A picture that is here is kept if it has the size that its label states, with `verify` also the
    hash. The label file is replaced atomically at the end; it lists all matches but the failed
    ones. With `keep_labels` it is not replaced by an empty one, with `is_whole` only if no picture
    has failed. `open_output` opens it, with whatever is written beside it.

    Raises:
        DatabaseError: the store cannot be reached; the label file is unchanged.
        WriteFailed: the label file cannot be written; it is unchanged.
    """
    names = IdSet()
    # a killed download may have left temporary files
    if fetch:
        remove_stale_files(pictures)
    with (
        open_workers(threads, store.transfers_at_once) as workers,
        suppress(_NothingToList),
        open_output(labels) as file,
    ):
        has_failed = False
        # a list of pictures alone needs no threads
        done: Iterator[tuple[Hit, DownloadOutcome]]
        done = ((hit, _listed(hit, names)) for hit in hits)
        if fetch:
            tasks = (_Task(hit, _file_name_fault(hit.outline, names)) for hit in hits)
            process = _create_task(pictures, store, verify=verify)
            done = _process_all(tasks, process, workers, threads)
        for hit, outcome in done:
            # a label is listed only with its picture: training must not meet a gap
            if outcome.status == "failed":
                has_failed = True
            else:
                file.add(hit)
            yield outcome
        # D14: the pictures are on the disk before the label file names them
        if fetch:
            sync_file_system(pictures)
        # an exception, because the label file is replaced when the block ends without one
        if (keep_labels and not file.count) or (is_whole and has_failed):
            raise _NothingToList


class _Task(Struct, gc=False):
    """A picture to download, unless its file name has a fault; its outcome, once it has one."""

    hit: Hit
    fault: str
    outcome: DownloadOutcome = _NO_OUTCOME


def _process_all(
    tasks: Iterable[_Task],
    process: Callable[[_Task], None],
    workers: Workers,
    threads: Callable[[int], Executor],
) -> Iterator[tuple[Hit, DownloadOutcome]]:
    """Give each task its outcome, and yield hits and outcomes in their order.

    Memory does not grow with their number: they are processed batch by batch.
    """

    def process_batch(batch: list[_Task]) -> list[_Task]:
        workers.for_each(process, batch)
        return batch

    with cancel_on_error(threads(_BATCHES_AHEAD)) as processing:
        under_way: deque[Future[list[_Task]]] = deque()
        for batch in batches(tasks):
            under_way.append(processing.submit(process_batch, batch))
            if len(under_way) > _BATCHES_AHEAD:
                yield from _finished(under_way.popleft())
        for processed in under_way:
            yield from _finished(processed)


def _finished(processed: Future[list[_Task]]) -> list[tuple[Hit, DownloadOutcome]]:
    return [(task.hit, task.outcome) for task in processed.result()]


class _NothingToList(Exception):
    """The new label file would be empty, and must not replace the old one."""


def _file_name_fault(picture: Outline, names: IdSet) -> str:
    """Return the reason why a picture cannot be written under its file name, "" if it can.

    `names`: those in use. Nearly all are the id of their picture, and of these it keeps the times.
    """
    if picture.file_name == f"{picture.img_id}.jpg" and names.append(picture.img_id):
        return ""
    if not validation.is_file_name(picture.file_name):
        return f"{picture.file_name!r} is not a plain file name"
    if not names.add(_name_key(picture.file_name)):
        return (
            f"another match is also named {picture.file_name} on disks that ignore case; "
            "search for it alone, into another folder"
        )
    return ""


def _name_key(file_name: str) -> str:
    """Return a key that is equal for names that a disk may take for one: an id, if it is a time."""
    key = file_name_key(file_name)
    img_id = key.removesuffix(".jpg").upper()
    return img_id if is_time(img_id) else key


def _listed(hit: Hit, names: IdSet) -> DownloadOutcome:
    """Return the outcome of a picture that is not requested."""
    fault = _file_name_fault(hit.outline, names)
    status: DownloadStatus = "failed" if fault else "listed"
    return DownloadOutcome(hit.outline.img_id, status, hit.other_labels, fault)


def _create_task(pictures: Path, store: PictureStore, *, verify: bool) -> Callable[[_Task], None]:
    """Return the function that downloads a picture, and gives the task its outcome."""

    def process(task: _Task) -> None:
        hit, reason = task.hit, task.fault
        status: DownloadStatus = "failed"
        if not reason:
            status, reason = download_picture(hit.outline)
        task.outcome = DownloadOutcome(hit.outline.img_id, status, hit.other_labels, reason)

    def download_picture(picture: Outline) -> tuple[DownloadStatus, str]:
        target = pictures / picture.file_name
        if _is_intact(target, picture, verify=verify):
            return "existing", ""
        try:
            # D14: a file under its final name is whole
            write_whole(target, _fetch(picture, store))
        except (PictureMissing, PictureUnreadable, _Damaged) as error:
            return "failed", f"{error}; {_REMEDY}"
        except OSError as error:
            return "failed", f"{target} cannot be written: {error.strerror}"
        return "fetched", ""

    return process


def _is_intact(target: Path, picture: Outline, *, verify: bool) -> bool:
    """Return whether the file is the picture that the label describes."""
    try:
        size = target.stat().st_size
        if size == 0 or picture.picture_size not in (None, size):
            return False
        if verify and picture.picture_sha256:
            return ids.sha256(target.read_bytes()) == picture.picture_sha256
    except OSError:
        return False
    return True


def _fetch(picture: Outline, store: PictureStore) -> bytes:
    """Return the picture that the label describes.

    Raises:
        PictureMissing: the store does not have it.
        PictureUnreadable: the store cannot read it.
        _Damaged: the store has another content.
    """
    content = read_picture(store, picture.s3_key)
    if picture.picture_sha256 not in (None, ids.sha256(content)) or not content:
        raise _Damaged(f"the store's {picture.s3_key} is not the picture that its label describes")
    return content


class _Damaged(Exception):
    """A picture in the store is not the one that its label describes."""
