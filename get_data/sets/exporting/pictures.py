"""The pictures of a set, checked against their labels while they are exported.

A picture that is missing, damaged, or not the one that its label describes, ends the export; those
after it are still checked, so that all of them are told at once.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from common import links
from common.errors import InputError
from get_data.labels import ids, picture_file
from get_data.labels.picture_file import Header, NotAPicture
from get_data.sets.exporting.samples import Frame, Sample

_NO_LINK = frozenset(
    (
        *(errno.EXDEV, errno.EPERM, errno.EACCES, errno.EMLINK),
        *(errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL),
    )
)
"""Reasons why a file can only be copied: another disk, one without links, too many links."""

REMEDY = "fetch it with search_and_download.py --verify, or mark its label to be deleted"


@dataclass(frozen=True, slots=True)
class Picture:
    """The file of a frame; `header` is what it says of itself."""

    frame: Frame
    content: bytes
    header: Header


@dataclass(frozen=True, slots=True)
class Unusable:
    """A picture that cannot be exported."""

    img_id: str
    reason: str


class UnusablePictures(Exception):
    """Pictures that cannot be exported, all of them."""

    def __init__(self, pictures: list[Unusable]) -> None:
        super().__init__(f"{len(pictures)} pictures")
        self.pictures = pictures


class _Fault(Exception):
    """What is wrong with a picture; continues its file name."""


def read_pictures(folder: Path, frames: Iterable[Frame]) -> Iterator[Picture]:
    """Yield the picture of each frame.

    Raises:
        UnusablePictures: some cannot be exported.
        InputError: the folder cannot be read.
    """
    unusable: list[Unusable] = []
    for frame in frames:
        try:
            content, header = _read(frame.sample, _source(folder, frame.sample.file_name))
        except _Fault as fault:
            unusable.append(_unusable(frame.sample, fault))
            continue
        if not unusable:
            yield Picture(frame, content, header)
    if unusable:
        raise UnusablePictures(unusable)


def place_pictures(
    folder: Path, frames: Iterable[Frame], target_of: Callable[[Frame], Path]
) -> Iterator[Frame]:
    """Give each picture a second name, or a copy where that is impossible; yield its frame.

    `target_of` is asked for the new name when the frames before have been yielded. A label that is
    marked for deletion and whose picture cannot be exported is left out.

    Raises:
        UnusablePictures: some cannot be exported.
        InputError: the folder cannot be read.
        OSError: a picture cannot be written.
    """
    unusable: list[Unusable] = []
    for frame in frames:
        sample = frame.sample
        try:
            source = _source(folder, sample.file_name)
            if unusable:
                _read(sample, source)
                continue
            _place(sample, source, target_of(frame))
        except _Fault as fault:
            if not sample.is_deleted:
                unusable.append(_unusable(sample, fault))
            continue
        yield frame
    if unusable:
        raise UnusablePictures(unusable)


def _place(sample: Sample, source: Path, target: Path) -> None:
    """Link the picture, or copy it, checked under its new name.

    Raises:
        _Fault: it cannot be exported; the new name does not exist.
        OSError: it cannot be written.
    """
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in _NO_LINK and source.exists():
            raise
        content, _ = _read(sample, source)
        target.write_bytes(content)
        return
    try:
        # checked under the new name: whatever replaces the source meanwhile changes nothing
        _read(sample, target)
    except _Fault:
        target.unlink()
        raise


def _source(folder: Path, name: str) -> Path:
    """Return the file of a picture; links lead to other pictures of the folder only.

    Raises:
        _Fault: there is none.
        InputError: the folder cannot be read.
    """
    file = folder / name
    try:
        status = file.lstat()
    except FileNotFoundError:
        raise _Fault(f"is not in {folder}") from None
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}") from error
    if not stat.S_ISLNK(status.st_mode):
        return file
    target = links.resolve_picture(folder, name)
    if target is None:
        raise _Fault("is a link that leads to no picture of the folder")
    return target


def _read(sample: Sample, file: Path) -> tuple[bytes, Header]:
    """Return the content of a sample's picture, and its header.

    Raises:
        _Fault: the file cannot be read, is no whole JPEG, or not the one that the label describes.
    """
    try:
        content = picture_file.read(file)
        header = picture_file.read_header(content)
    except NotAPicture as fault:
        raise _Fault(str(fault)) from fault
    except OSError as error:
        raise _Fault(f"cannot be read: {error.strerror}") from error
    is_other_size = sample.size is not None and sample.size != len(content)
    if is_other_size or (sample.sha256 and sample.sha256 != ids.sha256(content)):
        raise _Fault("is not the picture that its label describes")
    return content, header


def _unusable(sample: Sample, fault: _Fault) -> Unusable:
    return Unusable(sample.img_id, f"{sample.file_name} {fault}; {REMEDY}")
