"""The labels to upload, from label files of any size.

Nothing is sent before every label of a file is known to be valid, and a file may be larger than
memory. So it is read twice: to check it, and to upload it. In between, the position and the hash of
each block of labels are kept, which tell whether the file has changed, and the id of each label.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import msgspec
from msgspec import UNSET, Raw

from common.batching import batches
from common.errors import InputError, ToolkitError
from get_data.database.interfaces import LabelReference, PictureState, is_picture_key, picture_key
from get_data.labels import ids, label_file, picture_file, schema
from get_data.labels.id_set import IdSet, is_time
from get_data.labels.picture_file import NotAPicture
from get_data.labels.schema import Document, Label, PictureReference
from get_data.labels.unicode_forms import file_name_key

_decode_block = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_document = msgspec.json.Decoder(Document).decode


@dataclass(frozen=True)
class Entry:
    """A label to upload, and the file of its picture.

    `restore`: create the label even if it has a tombstone. `namesake`: the file name of another
    label that leads to the same file, "" for none. `is_stored`: the label was in an index, and is
    stored as it was.
    """

    document: Document
    picture: Path
    restore: bool = False
    namesake: str = ""
    is_stored: bool = False

    @cached_property
    def reference(self) -> PictureReference:
        """The label's picture reference."""
        return schema.picture_reference(self.document)

    @cached_property
    def label(self) -> LabelReference:
        """The label with its picture's key: as given, else from the hash, else ""."""
        picture = self.reference
        key = picture.s3_key if is_picture_key(picture.s3_key, picture.img_id) else ""
        if not key and picture.picture_sha256:
            key = picture_key(picture.img_id, picture.picture_sha256)
        return LabelReference(picture.label_fingerprint, picture.img_id, key)

    @property
    def img_id(self) -> str:
        """Id of the picture."""
        return self.reference.img_id

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the label."""
        return self.reference.label_fingerprint

    @property
    def picture_sha256(self) -> str | None:
        """Hash of the picture: from the label, else from the file, None without either."""
        if self.reference.picture_sha256:
            return self.reference.picture_sha256
        try:
            return ids.sha256(picture_file.read(self.picture))
        except (OSError, NotAPicture):
            return None

    def has_size(self, size: int) -> bool:
        """Return whether the label's picture may have this many bytes; 0 means no picture."""
        return size > 0 and self.reference.picture_size in (None, size)

    def is_intact(self, stored: PictureState | None) -> bool:
        """Return whether the store has the picture, undamaged."""
        return stored is not None and stored.is_intact and self.has_size(stored.size)


class FileChanged(ToolkitError):
    """A label file that was changed while its labels were uploaded."""


@dataclass(frozen=True, slots=True)
class _Block:
    """Successive labels of a file: the positions of their bytes, and their hash."""

    start: int
    end: int
    digest: bytes


class EntryFile:
    """The entries of one label file, to be iterated as often as needed.

    Attributes:
        folder: that of the pictures.
        ids: the ids of all its pictures; each has one label.
        left_out: the entries that `select` did not choose.
    """

    def __init__(
        self,
        labels: Path,
        pictures: Path | None = None,
        documents: Mapping[str, Document] | None = None,
        *,
        restore: bool = False,
        select: Callable[[Entry], bool] = lambda _: True,
    ) -> None:
        """Read and check a file, with pictures in `pictures` or beside it.

        `documents` are the labels if the file has been read already. `select` is asked about
        labels that are marked for deletion or replace others; all else is chosen.

        Raises:
            InputError: the file or folder cannot be read, or a label is invalid.
        """
        self.folder = pictures or labels.parent
        check_folder(self.folder)
        self.ids = IdSet()
        self.left_out: list[Entry] = []
        self._labels = labels
        self._restore = restore
        self._select = select
        self._documents = documents
        self._blocks: list[_Block] = []
        self._names: list[str] = []  # file names that do not come from a time
        self._skipped: set[str] = set()
        self._namesakes: dict[str, str] = {}
        if documents is None:
            self._read_file()
        else:
            for document in documents.values():
                self._survey(msgspec.convert(document, PictureReference), document)
        self._find_namesakes()

    def __len__(self) -> int:
        return len(self.ids) - len(self._skipped)

    def __iter__(self) -> Iterator[Entry]:
        """Yield the entries.

        Raises:
            FileChanged: the file was changed since it was checked.
        """
        documents = self._read_again() if self._documents is None else self._documents.values()
        for document in documents:
            if document["img_id"] not in self._skipped:
                yield self._entry(document)

    def _entry(self, document: Document) -> Entry:
        name = document["file_name"]
        namesake = self._namesakes.get(name, "")
        return Entry(document, self.folder / name, self._restore, namesake)

    def _read_file(self) -> None:
        """Check all labels, and note the positions of their blocks."""
        for batch in batches(label_file.iter_checked(self._labels)):
            for entry in batch:
                label = entry.check().label
                has_mark = label.replaces is not UNSET or label.to_delete is True
                self._survey(label, entry.content if has_mark else None)
            digest = _digest(entry.raw for entry in batch)
            self._blocks.append(_Block(batch[0].start, batch[-1].end, digest))

    def _survey(self, label: Label | PictureReference, document: Document | None) -> None:
        """Note what later steps need of a label.

        `document` is given for a label about which `select` is asked.

        Raises:
            InputError: its `s3_key` belongs to another picture.
        """
        if label.s3_key and not is_picture_key(label.s3_key, label.img_id):
            raise InputError(
                f"{self._labels}, entry {label.img_id!r}: s3_key {label.s3_key!r} is not a key of "
                'this picture; set it to "" to have the picture found by its hash'
            )
        self.ids.add(label.img_id)
        if document is not None and not self._select(entry := self._entry(document)):
            self.left_out.append(entry)
            self._skipped.add(label.img_id)
        if label.file_name != f"{label.img_id}.jpg" or not is_time(label.img_id):
            self._names.append(label.file_name)

    def _find_namesakes(self) -> None:
        """Find labels whose file name leads to the file of another label.

        That happens where a disk ignores case or Unicode forms; the label then has no picture of
        its own, whatever the file holds.
        """
        first_by_key: dict[str, str] = {}
        for name in self._names:
            key = file_name_key(name)
            time = key.removesuffix(".jpg").upper()
            usual = f"{time}.jpg" if is_time(time) and time in self.ids else name
            first = usual if usual != name else first_by_key.setdefault(key, name)
            if first != name and _is_same_file(self.folder / first, self.folder / name):
                self._namesakes[name] = first

    def _read_again(self) -> Iterator[Document]:
        try:
            with self._labels.open("rb") as file:
                for block in self._blocks:
                    file.seek(block.start)
                    yield from self._decode(file.read(block.end - block.start), block)
        except OSError as error:
            raise self._changed() from error

    def _decode(self, raw: bytes, block: _Block) -> Iterator[Document]:
        try:
            entries = _decode_block(b'{"":' + raw + b"}")
        except ValueError as error:
            raise self._changed() from error
        if _digest(map(bytes, entries.values())) != block.digest:
            raise self._changed()
        return map(_decode_document, entries.values())

    def _changed(self) -> FileChanged:
        return FileChanged(f"{self._labels} was changed while its labels were uploaded; run again")


def check_folder(pictures: Path) -> None:
    """Check that pictures may be in this folder.

    Raises:
        InputError: it is no folder.
    """
    if not pictures.is_dir():
        raise InputError(f"{pictures} is not a folder of pictures")


def _digest(entries: Iterable[bytes]) -> bytes:
    return hashlib.blake2b(b"".join(entries), digest_size=16).digest()


def _is_same_file(first: Path, second: Path) -> bool:
    try:
        return first.samefile(second)
    except OSError:
        return False


def read_entries(
    labels: Path, pictures: Path | None = None, documents: Mapping[str, Document] | None = None
) -> list[Entry]:
    """Return all entries of a file at once; arguments and errors are those of `EntryFile`."""
    return list(EntryFile(labels, pictures, documents))
