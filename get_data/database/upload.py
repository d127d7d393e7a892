"""The upload: pictures first, then their labels, then a look whether every picture is still there.

A label must never be in the index without its picture in the store, whoever else uploads or deletes
at the same time and whenever one of them is killed. So a label goes in only after its picture, and
because a deletion may have taken that picture in between, the upload looks once more when the label
is in: a picture that is missing then is put back, its label created again, and looked at again. A
second run sends nothing and costs two questions a batch; what it finds damaged it puts right.
"""

import stat
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from typing import Literal
from uuid import uuid4

from common.batching import THREADS, batches, cancel_on_error
from common.errors import DatabaseError, InputError, PictureMissing
from get_data.database.delete import MAX_ROUNDS, delete, settle
from get_data.database.interfaces import (
    LabelIndex,
    LabelReference,
    PictureState,
    PictureStore,
    is_picture_key,
    key_matches,
    picture_key,
    read_picture,
)
from get_data.labels import edits, ids, label_file, picture_file, schema
from get_data.labels.picture_file import NotAPicture
from get_data.labels.schema import Document, PictureReference
from get_data.labels.unicode_forms import file_name_key

_AHEAD = 2  # batches that are asked about or sent while the labels of another are indexed


@dataclass(frozen=True)
class Entry:
    """A label to upload, and where its picture should be."""

    document: Document
    picture: Path
    restore: bool = False  # also when the label is gone for good
    namesake: str = ""  # the file name of another label that leads to the same picture

    @cached_property
    def says(self) -> PictureReference:
        """What the label says of its picture."""
        return schema.picture_reference(self.document)

    @property
    def img_id(self) -> str:
        """The picture's id."""
        return self.says.img_id

    @property
    def fingerprint(self) -> str:
        """The label's name."""
        return self.says.label_fingerprint

    @property
    def content(self) -> str | None:
        """The hash of its picture: as the label tells it, else as the file has it, if any."""
        if self.says.picture_sha256:
            return self.says.picture_sha256
        try:
            return ids.sha256(picture_file.read(self.picture))
        except (OSError, NotAPicture):
            return None

    def fits(self, size: int) -> bool:
        """Whether a picture of so many bytes, 0 for none, may be the one that the label means."""
        return size > 0 and self.says.picture_size in (None, size)

    def fits_whole(self, found: PictureState | None) -> bool:
        """Return whether the picture that the store has is there, and the one of its key."""
        return found is not None and found.is_intact and self.fits(found.size)


What = Literal["created", "there", "gone", "failed"]


@dataclass(frozen=True, slots=True)
class Uploaded:
    """What became of one label.

    `created`: it is in now; `there`: it was in already; `gone`: it was deleted or replaced before
    and stays out; `failed`: `reason` says why. `key` names its picture, if that is known.
    """

    img_id: str
    fingerprint: str
    what: What
    key: str = ""
    picture_sent: bool = False
    reason: str = ""


@dataclass(slots=True)
class _Sending:
    """One label on its way."""

    entry: Entry
    img_id: str
    fingerprint: str
    key: str = ""
    document: Document = field(default_factory=dict)
    was_there: bool = False
    is_damaged: bool = False  # the store's picture, which a create-only writing would leave
    picture_sent: bool = False


@dataclass(slots=True)
class _Batch:
    """Some labels on their way, and by fingerprint those whose way has ended.

    `known`: the hashes that the index has of the pictures of those that are new.
    """

    sending: list[_Sending] = field(default_factory=list)
    ended: dict[str, Uploaded] = field(default_factory=dict)
    known: dict[str, set[str]] = field(default_factory=dict)

    def end(self, one: _Sending, what: What, reason: str = "") -> None:
        """Nothing more is done for this label."""
        self.ended[one.fingerprint] = Uploaded(
            one.img_id, one.fingerprint, what, one.key, one.picture_sent, reason
        )

    def on_the_way(self) -> list[_Sending]:
        """The labels that something is still to be done for."""
        return [one for one in self.sending if one.fingerprint not in self.ended]

    def new(self) -> list[_Sending]:
        """Those of them that were not in the index when it was asked."""
        return [one for one in self.on_the_way() if not one.was_there]


def entries_of(
    labels: Path,
    pictures: Path | None = None,
    documents: Mapping[str, Document] | None = None,
) -> list[Entry]:
    """The labels of a file, checked, with their pictures beside it or in the folder `pictures`.

    `documents`: what was read from it, where that was done already. Raises: InputError.
    """
    folder = pictures or labels.parent
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder of pictures")
    entries: list[Entry] = []
    if documents is None:
        documents = label_file.read(labels)
    for img_id, document in documents.items():
        says = schema.picture_reference(document)
        if says.s3_key and not is_picture_key(says.s3_key, img_id):
            raise InputError(
                f"{labels}, entry {img_id!r}: s3_key: {says.s3_key!r} is no key of that picture; "
                'make it "", and it is found by the hash'
            )
        entries.append(Entry(document, folder / says.file_name))
    return _without_namesakes(entries)


def _without_namesakes(entries: Sequence[Entry]) -> list[Entry]:
    """The entries; those whose picture is another's under a name that the disk takes for the same.

    Such a label has no picture of its own here, whatever the file says.
    """
    first: dict[str, Entry] = {}
    checked: list[Entry] = []
    for entry in entries:
        namesake = first.setdefault(file_name_key(entry.says.file_name), entry)
        is_other = namesake.says.file_name != entry.says.file_name
        if is_other and _is_same_file(namesake.picture, entry.picture):
            entry = replace(entry, namesake=namesake.says.file_name)
        checked.append(entry)
    return checked


def _is_same_file(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


def upload(
    entries: Iterable[Entry],
    index: LabelIndex,
    store: PictureStore,
    *,
    dry_run: bool = False,
    verify: bool = False,
    threads: Callable[[int], Executor] = ThreadPoolExecutor,
) -> Iterator[Uploaded]:
    """The labels are in the index and their pictures in the store; yields what became of each.

    Labels that are gone for good stay out unless their entry says `restore`. A dry run asks and
    changes nothing. With `verify`, pictures that are there are read, and not only compared by what
    the store tells of them.
    While one batch is indexed, the pictures of the next one travel, in `threads`, and the index is
    asked about the one after that.

    Raises: DatabaseError when index or store cannot be reached; what was yielded before is done.
    """
    given = list(entries)
    distinct: dict[str, Entry] = {}
    for entry in given:
        first = distinct.setdefault(entry.fingerprint, entry)
        if first is not entry and not first.picture.exists():
            distinct[entry.fingerprint] = entry
    run = _Run(index, store, dry_run, verify, _contents_by_id(given), threads)
    with (
        cancel_on_error(threads(1)) as asking,
        cancel_on_error(threads(1)) as sending,
        cancel_on_error(threads(THREADS)) as run.threads,
    ):
        under_way: deque[Future[_Batch]] = deque()
        for batch in batches(distinct.values()):
            asked = asking.submit(run.ask, batch)
            under_way.append(sending.submit(run.send_pictures, asked))
            if len(under_way) > _AHEAD:
                yield from run.create_labels(under_way.popleft().result())
        for sent in under_way:
            yield from run.create_labels(sent.result())


@dataclass(slots=True)
class _Run:
    """One upload."""

    index: LabelIndex
    store: PictureStore
    dry_run: bool
    verify: bool
    contents: Mapping[str, set[str]]
    new_threads: Callable[[int], Executor]
    threads: Executor = field(init=False)

    def ask(self, entries: Sequence[Entry]) -> _Batch:
        """Which labels are new, and which of them may be sent."""
        batch = _Batch([_Sending(one, one.img_id, one.fingerprint) for one in entries])
        there = self.index.find([one.fingerprint for one in batch.sending])
        gone = self.index.find_tombstones([one.fingerprint for one in batch.sending])
        for one in batch.sending:
            one.was_there = one.fingerprint in there
            if one.fingerprint in gone and not one.entry.restore:
                one.key = gone[one.fingerprint].s3_key
                batch.end(one, "gone")
            elif self._conflicts_in_input(one.img_id):
                batch.end(one, "failed", "conflict: the labels given speak of different pictures")
            elif one.was_there:
                one.key = there[one.fingerprint].s3_key
                contents = self.contents.get(one.img_id, ())
                if any(picture_key(one.img_id, content) != one.key for content in contents):
                    batch.end(
                        one, "failed", "conflict: the database has another picture of this id"
                    )
        restored = [
            one.fingerprint
            for one in batch.on_the_way()
            if one.entry.restore and one.fingerprint in gone
        ]
        if restored and not self.dry_run:
            self.index.remove_tombstones(restored)
        batch.known = self.index.picture_hashes([one.img_id for one in batch.new()])
        return batch

    def send_pictures(self, asked: Future[_Batch]) -> _Batch:
        """Puts the pictures of the labels that are new."""
        batch = asked.result()
        new = batch.new()
        if new and not self.dry_run:
            self.index.ensure_exists()  # before any picture: pictures without an index have lost it
        reasons = self.threads.map(lambda one: self._send(one, batch.known), new)
        for one, reason in zip(new, reasons, strict=True):
            if reason:
                batch.end(one, "failed", reason)
        return batch

    def _conflicts_in_input(self, img_id: str) -> bool:
        return len(self.contents.get(img_id, ())) > 1

    def _send(self, one: _Sending, known: Mapping[str, set[str]]) -> str:
        """The label's picture is in the store; returns why it is not, if it is not."""
        try:
            picture, content = self._picture(one)
        except _Unusable as error:
            return str(error)
        if known.get(one.img_id, {content}) != {content}:
            return "conflict: the database has another picture of this id"
        if one.img_id not in known:  # what the database has already is not judged again
            try:
                picture_file.read_size(picture)
            except NotAPicture as error:
                return (
                    f"{one.entry.picture} {error}: copy it again from where it was taken, "
                    "or take its label out of the label file"
                )
        one.key = picture_key(one.img_id, content)
        one.document = self._sent(one, picture)
        if self.dry_run:
            there = self._examined([one]).get(one.key)
            one.picture_sent = there is None or not there.is_intact
        else:
            one.picture_sent = self.store.put_new(one.key, picture)
        return ""

    def _examined(self, sending: Sequence[_Sending]) -> dict[str, PictureState]:
        """Return those of the pictures that the store has, and whether each is whole."""
        return self.store.examine(
            {one.key: partial(_own_copy, one) for one in sending}, read=self.verify
        )

    def _sent(self, one: _Sending, picture: bytes) -> Document:
        return edits.uploaded(
            one.entry.document,
            picture=picture,
            bucket=self.store.name,
            key=one.key,
            upload_time=datetime.now(UTC),
        )

    def _picture(self, one: _Sending) -> tuple[bytes, str]:
        """The picture that the label speaks of, and its hash: the file, else what the store has.

        Raises: _Unusable with the reason.
        """
        says, path = one.entry.says, one.entry.picture
        if one.entry.namesake:
            raise _Unusable(
                f"{path} is {one.entry.namesake} too: its disk takes both names for one; bring the "
                "pictures from a disk that does not, or rename one in file and label"
            )
        try:
            picture = _read(path)
        except FileNotFoundError:
            picture = self._stored(one)
        if not picture:
            raise _Unusable(f"{path} is empty")
        if says.picture_size not in (None, len(picture)):
            raise _Unusable(
                f"{path} is damaged: {len(picture)} bytes instead of {says.picture_size}"
            )
        content = ids.sha256(picture)
        if says.picture_sha256 not in (None, content):
            raise _Unusable(f"{path} is damaged: not the content that its label tells")
        return picture, content

    def _stored(self, one: _Sending) -> bytes:
        """The picture as the store has it, or as a deletion put it aside, whole.

        Raises: _Unusable.
        """
        says = one.entry.says
        key = one.key or says.s3_key
        if not key and says.picture_sha256:
            key = picture_key(one.img_id, says.picture_sha256)
        if key:
            with suppress(PictureMissing):
                picture = read_picture(self.store, key)
                if key_matches(key, picture):
                    return picture
        raise _Unusable(f"{one.entry.picture} does not exist, and the store has no such picture")

    def create_labels(self, batch: _Batch) -> Iterator[Uploaded]:
        """Creates the labels of pictures that are in, and looks until every picture stays."""
        new = batch.new()
        if new and not self.dry_run:
            there = self._create(new, batch)
            for one in new:
                one.was_there = one.fingerprint in there
        missing = self._missing_or_damaged(batch)
        for _ in range(MAX_ROUNDS):
            if not missing:
                break
            self._put_back(missing, batch)
            if self.dry_run:
                break
            missing = self._missing(batch.on_the_way())
        else:
            raise DatabaseError(
                f"picture store {self.store.name!r}: another program deletes pictures as fast as "
                "they are uploaded; end that one and run again"
            )
        for one in batch.on_the_way():
            batch.end(one, "there" if one.was_there else "created")
        if not self.dry_run:
            self._tidy(batch)
        yield from (batch.ended[one.fingerprint] for one in batch.sending)

    def _tidy(self, batch: _Batch) -> None:
        """The pictures of labels that are gone are as a deletion leaves them.

        A run that was killed may have put one before its label was gone, may have created the label
        after that, or may have been killed while it completed the deletion.
        """
        gone = [one for one in batch.sending if batch.ended[one.fingerprint].what == "gone"]
        self._complete_deletion([one for one in gone if one.was_there])
        if keys := {one.key for one in gone if one.key}:
            settle(keys, self.index, self.store, run=uuid4().hex, threads=self.new_threads)

    def _complete_deletion(self, gone: Sequence[_Sending]) -> None:
        """The labels are out, as somebody asked for, with the pictures that nobody names."""
        going = [LabelReference(one.fingerprint, one.img_id, one.key) for one in gone]
        for _ in delete(
            going, self.index, self.store, reason="deleted", removed_by="", threads=self.new_threads
        ):
            pass

    def _create(self, sending: Sequence[_Sending], batch: _Batch) -> set[str]:
        """The labels are in; returns those that were in already.

        A deletion may have been asked for in between, and may have passed by before its label came:
        then it is completed here. Whoever deletes says so before, whoever creates asks after.
        """
        self.store.make_durable()
        outcome = self.index.create([one.document for one in sending])
        gone = self.index.find_tombstones([one.fingerprint for one in sending])
        self._complete_deletion([one for one in sending if one.fingerprint in gone])
        for one in sending:
            if reason := outcome.rejected.get(one.fingerprint):
                batch.end(one, "failed", f"the index refuses the label: {reason}")
            elif one.fingerprint in gone:
                batch.end(one, "gone")
        return outcome.existing

    def _missing_or_damaged(self, batch: _Batch) -> list[_Sending]:
        """Return the labels that are in and whose picture is not, or is another content.

        What this run has just put is only looked for, and so is a picture whose key, made by
        another tool, does not tell the content. In a dry run nothing new is there yet.
        """
        waiting = batch.on_the_way()
        known: list[_Sending] = []
        others: list[_Sending] = []
        for one in waiting:
            tells_content = is_picture_key(one.key, one.img_id)
            (known if one.was_there and tells_content else others).append(one)
        found = self._examined(known) if known else {}
        faulty = [one for one in known if not one.entry.fits_whole(found.get(one.key))]
        for one in faulty:
            one.is_damaged = one.key in found
        if self.dry_run:
            others = [one for one in others if one.was_there]
        return [*faulty, *self._missing(others)]

    def _missing(self, waiting: Sequence[_Sending]) -> list[_Sending]:
        """Return those of the labels whose picture is not there, or has another size."""
        if not waiting:
            return []
        sizes = self.store.sizes({one.key for one in waiting})
        return [one for one in waiting if not one.entry.fits(sizes.get(one.key, 0))]

    def _put_back(self, missing: Sequence[_Sending], batch: _Batch) -> None:
        """Put pictures that somebody deleted in between, or that are damaged, then their labels."""
        again: list[_Sending] = []
        for one in missing:
            try:
                picture, content = self._picture(one)
            except _Unusable as error:
                batch.end(one, "failed", f"the label is in the index, its picture is lost: {error}")
                continue
            if picture_key(one.img_id, content) != one.key:
                batch.end(one, "failed", "the label is in the index with another picture, now lost")
                continue
            one.picture_sent = True
            if not self.dry_run:
                one.document = self._sent(one, picture)
                put = self.store.put if one.is_damaged else self.store.put_new
                put(one.key, picture)
                again.append(one)
        if again:
            self._create(again, batch)


class _Unusable(Exception):
    """Why a picture cannot be sent."""


def _read(path: Path) -> bytes:
    """Return the picture that a file is. Raises: FileNotFoundError; _Unusable with the reason."""
    try:
        kind = path.lstat().st_mode
        if stat.S_ISLNK(kind) and not path.resolve().is_relative_to(path.parent.resolve()):
            raise _Unusable(f"{path} is a link out of its folder")
        return picture_file.read(path)
    except NotAPicture as error:
        raise _Unusable(f"{path} {error}") from error
    except FileNotFoundError:
        raise
    except (OSError, RuntimeError) as error:  # the latter for a link to itself
        why = getattr(error, "strerror", error)
        raise _Unusable(f"{path} cannot be read: {why}") from error


def _own_copy(one: _Sending) -> bytes | None:
    """Return the label's picture as this machine has it; None when it has none, or no whole one."""
    try:
        picture = _read(one.entry.picture)
    except (FileNotFoundError, _Unusable):
        return None
    return picture if key_matches(one.key, picture) else None


def _contents_by_id(entries: Iterable[Entry]) -> dict[str, set[str]]:
    """Which contents the labels given tell of each picture; more than one is a conflict."""
    contents: dict[str, set[str]] = {}
    for entry in entries:
        if content := entry.content:
            contents.setdefault(entry.img_id, set()).add(content)
    return contents
