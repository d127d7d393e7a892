"""The folder of a backup.

    backup.json                       names the next two files, with their hashes and counts
    labels-<hash>.jsonl.gz            the labels, one a line, sorted by img_id
    tombstones-<hash>.jsonl.gz        the tombstones, likewise
    pictures/, sets/                  as in the database of one machine

`backup.json` is replaced last, so there is one whole backup whenever a program is killed.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from common import links, locks, strict_json
from common.atomic_files import atomic_write
from common.errors import InputError, WriteFailed
from get_data.database.backup import lines
from get_data.database.frozen import frozen_sets
from get_data.database.interfaces import (
    PICTURE_PREFIX,
    SET_PREFIX,
    StoredSet,
    Tombstone,
    is_set_path,
    key_img_id,
)
from get_data.database.local import documents
from get_data.database.local.picture_store import INCOMING, LocalPictureStore
from get_data.labels import label_file, session
from get_data.labels.schema import PictureReference

NAME = "backup.json"
FORMAT = 1

_OTHER_COPY = "take another copy of the backup"
_OTHERS = {
    documents.FILE_NAME: "a database",
    label_file.NAME: "a recording or a fetched set",
    session.NAME: "a recording",
}


class Part(Struct, frozen=True, kw_only=True):
    """The file of the labels, or of the tombstones; `count` is that of its lines."""

    file: Annotated[str, Meta(pattern=r"^(labels|tombstones)-[0-9a-f]{12}\.jsonl\.gz$")]
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    count: Annotated[int, Meta(ge=0)]


class SavedSet(Struct, frozen=True, kw_only=True):
    """A frozen set of the backup: its path, and the hash of that file."""

    path: str
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]

    def __post_init__(self) -> None:
        if not is_set_path(self.path):
            raise ValueError(f"{self.path!r} is not the path of a frozen set")


class Manifest(Struct, frozen=True, kw_only=True):
    """The content of `backup.json`; `made_at` is a time in UTC, `database` a name for people.

    A backup of an earlier version has no `sets`.
    """

    format: int
    database: str
    made_at: str
    labels: Part
    tombstones: Part
    sets: tuple[SavedSet, ...] = ()


class SavedReference(PictureReference, frozen=True, kw_only=True):
    """A label's picture, and who amended the label."""

    amended_by: str = ""


@dataclass(frozen=True, slots=True)
class SavedLabel:
    """A label as one line of JSON, and what is decoded of it."""

    line: bytes
    reference: SavedReference

    @property
    def img_id(self) -> str:
        """Id of the picture."""
        return self.reference.img_id

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the label."""
        return self.reference.label_fingerprint


@dataclass(frozen=True, slots=True)
class SavedPicture:
    """All labels and tombstones of one picture."""

    img_id: str
    labels: Sequence[SavedLabel]
    tombstones: Sequence[Tombstone]


_decode_label = msgspec.json.Decoder(SavedReference).decode
_decode_tombstone = msgspec.json.Decoder(Tombstone).decode


def decode_label(line: bytes) -> SavedLabel:
    """Return a label from one line of JSON.

    Raises:
        ValueError: it is none.
    """
    return SavedLabel(line, _decode_label(line))


def picture_of_set(key: str) -> PictureReference:
    """Return the reference to a picture of a frozen set, which has its key only."""
    img_id = key_img_id(key)
    return PictureReference(img_id=img_id, file_name="", s3_key=key, label_fingerprint="")


class BackupFolder:
    """A folder that has a backup, or will have one; `pictures` are those of its labels."""

    def __init__(self, folder: Path) -> None:
        self.path = folder
        self.pictures = LocalPictureStore(folder)
        self._may_remove = False

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other backups out of the folder.

        Raises:
            InputError: it cannot be opened, or is no folder for a backup.
            WriteFailed: another program uses it.
        """
        self._check()
        with ExitStack() as stack:
            try:
                descriptor = stack.enter_context(links.open_folder(self.path))
            except OSError as error:
                raise InputError(f"{self.path} cannot be opened: {error.strerror}") from error
            with suppress(locks.LocksUnsupported):
                self._may_remove = locks.acquire(descriptor)
                if not self._may_remove:
                    raise WriteFailed(
                        f"{self.path} is in use by another back_up.py; wait until it has ended"
                    )
            yield

    def _check(self) -> None:
        """Check that the folder is not one of something else, and leads nowhere else."""
        is_backup = links.lexists(self.path / NAME)
        for name, description in _OTHERS.items():
            if not is_backup and links.lexists(self.path / name):
                raise InputError(f"{self.path} is {description}; name another folder")
        pictures = self.path / PICTURE_PREFIX
        try:
            days = list(pictures.iterdir()) if links.lexists(pictures) else []
        except OSError as error:
            raise InputError(f"{pictures} cannot be read: {error.strerror}") from error
        own = (PICTURE_PREFIX.rstrip("/"), SET_PREFIX.rstrip("/"), INCOMING)
        for place in (*(self.path / name for name in own), *days):
            links.check_not_link(place)

    def read_manifest(self) -> Manifest | None:
        """Return the manifest of the backup, None if there is none.

        Raises:
            InputError: it cannot be read, or a part of the backup is not as it was written.
        """
        file = self.path / NAME
        links.check_not_link(file)
        if not links.lexists(file):
            return None
        content = strict_json.read(file)
        try:
            manifest = msgspec.convert(content, Manifest)
        except msgspec.ValidationError as error:
            raise InputError(f"{file}: {error}; {_OTHER_COPY}") from error
        if manifest.format != FORMAT:
            raise InputError(
                f"{file} has format {manifest.format}, this toolkit knows {FORMAT}: update this "
                "checkout"
            )
        parts = {part.file: part.sha256 for part in (manifest.labels, manifest.tombstones)}
        for name, sha256 in (parts | {each.path: each.sha256 for each in manifest.sets}).items():
            # D36: a run that was killed may have replaced a damaged set
            if lines.hash_file(self.path / name) != sha256 and not self._has_whole_set(name):
                raise InputError(
                    f"{self.path / name} is damaged: its SHA-256 differs from that in {NAME}; "
                    f"{_OTHER_COPY}"
                )
        return manifest

    def _has_whole_set(self, path: str) -> bool:
        """Return whether this is the path of a frozen set that is there and undamaged."""
        found = [each for each in self.pictures.list_sets() if each.path == path]
        return any(frozen_sets.is_whole(each, self.pictures) for each in found)

    def labels(self, manifest: Manifest) -> Iterator[SavedLabel]:
        """Yield the labels, sorted by `img_id`.

        Raises:
            InputError: one of them cannot be read.
        """
        file = self.path / manifest.labels.file
        for line in lines.read_lines(file):
            with _translate_errors(file):
                label = decode_label(line)
            yield label

    def tombstones(self, manifest: Manifest) -> Iterator[Tombstone]:
        """Yield the tombstones, sorted by `img_id`.

        Raises:
            InputError: one of them cannot be read.
        """
        file = self.path / manifest.tombstones.file
        for line in lines.read_lines(file):
            with _translate_errors(file):
                tombstone = _decode_tombstone(line)
            yield tombstone

    def sets(self, manifest: Manifest) -> list[StoredSet]:
        """Return the frozen sets of the backup."""
        saved = {each.path for each in manifest.sets}
        return [each for each in self.pictures.list_sets() if each.path in saved]

    def write(
        self,
        pictures: Iterable[SavedPicture],
        *,
        database: str,
        made_at: str,
        sets: Iterable[str] = (),
    ) -> Manifest:
        """Replace labels and tombstones by those of these pictures, in order of `img_id`.

        `sets` are the paths of the frozen sets that the folder has for it.

        Raises:
            WriteFailed: the folder cannot be written to; an earlier backup is as it was.
        """
        try:
            with (
                lines.open_writer(self.path) as labels,
                lines.open_writer(self.path) as tombstones,
            ):
                for picture in pictures:
                    for label in picture.labels:
                        labels.add(label.line)
                    for tombstone in picture.tombstones:
                        tombstones.add(msgspec.json.encode(tombstone))
                manifest = Manifest(
                    format=FORMAT,
                    database=database,
                    made_at=made_at,
                    labels=self._finish("labels", labels),
                    tombstones=self._finish("tombstones", tombstones),
                    sets=tuple(
                        SavedSet(path=path, sha256=lines.hash_file(self.path / path))
                        for path in sorted(sets)
                    ),
                )
        except OSError as error:
            raise WriteFailed(
                f"{self.path} cannot be written to: {error.strerror}; an earlier backup in it is "
                "as it was"
            ) from error
        # D20: the pictures and both files are durable before the manifest names them
        self.pictures.make_durable()
        with atomic_write(self.path / NAME) as file:
            file.write(msgspec.json.format(msgspec.json.encode(manifest)) + b"\n")
        self._remove_earlier(manifest)
        return manifest

    def _finish(self, kind: str, writer: lines.LineWriter) -> Part:
        """Name a file after its content."""
        sha256 = writer.hash()
        name = f"{kind}-{sha256[:12]}.jsonl.gz"
        writer.rename(self.path / name)
        return Part(file=name, sha256=sha256, count=writer.count)

    def _remove_earlier(self, manifest: Manifest) -> None:
        """Remove the files of earlier backups, unless another program may be writing them."""
        if not self._may_remove:
            return
        for part in (manifest.labels, manifest.tombstones):
            kind = part.file.partition("-")[0]
            for file in self.path.glob(f"{kind}-{'[0-9a-f]' * 12}.jsonl.gz"):
                if file.name != part.file:
                    with suppress(OSError):
                        file.unlink()
        kept = {each.path for each in manifest.sets}
        for stored in self.pictures.list_sets():
            if stored.path not in kept:
                self.pictures.delete_set(stored.path)


@contextmanager
def _translate_errors(file: Path) -> Iterator[None]:
    """Raise errors of the decoder as InputError."""
    try:
        yield
    except (ValueError, RecursionError) as error:
        raise InputError(f"{file} is damaged ({error}); {_OTHER_COPY}") from error
