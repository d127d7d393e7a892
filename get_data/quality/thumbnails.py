"""Small grey copies of the pictures of a set, cached beside them.

A thumbnail is what a model of the labels learns from. Reading 100,000 pictures takes half a minute
of processor time, so thumbnails are kept in one file in the folder of the pictures, `CACHE_NAME`.
It saves time and nothing else: one that is damaged, of another version, or a link is ignored, and a
folder that cannot be written does without.

Layout of the file, little-endian: a header (`_HEADER`: magic, version, width, height, number of
thumbnails, CRC-32 of all that follows), a key of 16 bytes for each thumbnail, and the pixels of
each. The key is a hash of the picture's SHA-256 (its name, for a label without one), and of size
and modification time of its file, so that a replaced picture is read again.
"""

import hashlib
import mmap
import os
import stat
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from common import links
from common.atomic_files import atomic_write
from common.errors import InputError, WriteFailed
from common.progress import Progress, hidden
from get_data.labels import picture_file
from get_data.labels.picture_file import NotAPicture
from get_data.quality.samples import Samples

CACHE_NAME = ".thumbnails.cache"
WIDTH_PX, HEIGHT_PX = 40, 30

Grey = NDArray[np.uint8]

_MAGIC = b"PATATE-T"
_VERSION = 1
_HEADER = struct.Struct("<8sIHHQI4x")
_KEY_BYTES = 16
_PIXELS = WIDTH_PX * HEIGHT_PX
_MOST_OTHERS = 100_000  # thumbnails in a cache that are of other label files of the folder
_REDUCED_MODES = {
    8: cv2.IMREAD_REDUCED_GRAYSCALE_8,
    4: cv2.IMREAD_REDUCED_GRAYSCALE_4,
    2: cv2.IMREAD_REDUCED_GRAYSCALE_2,
}


@dataclass(frozen=True, slots=True)
class Thumbnails:
    """Thumbnails of a set, in the order of its samples.

    `grey` has the shape (pictures, HEIGHT_PX, WIDTH_PX), 0 where a picture is not `readable`.
    `notice`: why nothing could be cached, for a warning; "" if all is well.
    """

    grey: Grey
    readable: NDArray[np.bool_]
    notice: str = ""


@dataclass(frozen=True, slots=True)
class _Source:
    """A picture file, and the key of its thumbnail.

    `target` is the file that a link in the folder leads to; None for a file of the folder.
    """

    key: bytes
    target: Path | None = None


def read_thumbnails(folder: Path, samples: Samples, progress: Progress = hidden) -> Thumbnails:
    """Return a thumbnail of each picture, read from the cache of the folder as far as it has them.

    `progress` shows the pictures that have to be decoded. The cache is replaced if there were any.

    Raises:
        InputError: the folder cannot be read.
    """
    sources = _find_pictures(folder, samples)
    grey = np.zeros((len(samples), HEIGHT_PX, WIDTH_PX), np.uint8)
    readable = _read_cache(folder / CACHE_NAME, sources, grey)
    missing = [row for row, source in enumerate(sources) if source and not readable[row]]
    if not missing:
        return Thumbnails(grey, readable)
    shown = progress(missing, total=len(missing), description="reading pictures", unit="picture")
    for row in shown:
        source = sources[row]
        file = (source and source.target) or folder / samples.file_names[row]
        pixels = _read_picture(file)
        if pixels is not None:
            grey[row], readable[row] = pixels, True
    return Thumbnails(grey, readable, _write_cache(folder / CACHE_NAME, sources, grey, readable))


def _find_pictures(folder: Path, samples: Samples) -> list[_Source | None]:
    """Return the file of each picture; None where there is none in the folder."""
    try:
        with links.open_folder(folder) as descriptor:
            return [
                _find_picture(folder, descriptor, name, sha256)
                for name, sha256 in zip(samples.file_names, samples.sha256, strict=True)
            ]
    except OSError as error:
        raise InputError(f"{folder} cannot be read: {error.strerror}") from error


def _find_picture(folder: Path, descriptor: int, name: str, sha256: str) -> _Source | None:
    target = None
    try:
        status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
        if stat.S_ISLNK(status.st_mode):
            target = links.resolve_picture(folder, name)
            if target is None:
                return None
            status = target.lstat()
    except (OSError, ValueError):  # absent, or a name that no file can have
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    identity = f"{sha256 or name}\0{status.st_size}\0{status.st_mtime_ns}"
    content = identity.encode(errors="surrogatepass")
    return _Source(hashlib.blake2b(content, digest_size=_KEY_BYTES).digest(), target)


def _read_picture(file: Path) -> Grey | None:
    """Return the thumbnail of a picture file; None if it is not a whole JPEG of sane size."""
    try:
        content = picture_file.read(file)
        size = picture_file.read_size(content)
        mode = cv2.IMREAD_GRAYSCALE
        for divisor, reduced in _REDUCED_MODES.items():
            if size.width_px >= WIDTH_PX * divisor and size.height_px >= HEIGHT_PX * divisor:
                mode = reduced
                break
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), mode)
    except (OSError, NotAPicture, cv2.error):
        return None
    if pixels is None:
        return None
    if pixels.shape != (HEIGHT_PX, WIDTH_PX):
        pixels = cv2.resize(pixels, (WIDTH_PX, HEIGHT_PX), interpolation=cv2.INTER_AREA)
    return pixels.astype(np.uint8, copy=False)


def _read_cache(file: Path, sources: Sequence[_Source | None], grey: Grey) -> NDArray[np.bool_]:
    """Copy the cached thumbnails into `grey` and return which ones there were."""
    found = np.zeros(len(sources), np.bool_)
    try:
        descriptor = links.open_file(file)
        try:
            content = mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)
        finally:
            os.close(descriptor)
    except (OSError, InputError, ValueError):  # none, a link, or empty
        return found
    count = _count_cached(content, most=_MOST_OTHERS + 4 * len(sources))
    if not count:
        return found
    start = _HEADER.size + count * _KEY_BYTES
    keys = content[_HEADER.size : start]
    rows = {keys[at : at + _KEY_BYTES]: at // _KEY_BYTES for at in range(0, len(keys), _KEY_BYTES)}
    pixels = np.frombuffer(content, np.uint8, count * _PIXELS, start).reshape(
        count, HEIGHT_PX, WIDTH_PX
    )
    for index, source in enumerate(sources):
        row = rows.get(source.key) if source else None
        if row is not None:
            grey[index], found[index] = pixels[row], True
    return found


def _count_cached(content: mmap.mmap, most: int) -> int:
    """Return the number of thumbnails in a cache; 0 if it is of no use.

    That is, damaged, of another version, or with more than `most`.
    """
    if len(content) < _HEADER.size:
        return 0
    magic, version, width, height, count, checksum = _HEADER.unpack_from(content)
    if (magic, version, width, height) != (_MAGIC, _VERSION, WIDTH_PX, HEIGHT_PX):
        return 0
    if count > most:  # a sparse file of terabytes is easily made, and takes hours to check
        return 0
    if len(content) != _HEADER.size + count * (_KEY_BYTES + _PIXELS):
        return 0
    with memoryview(content) as whole, whole[_HEADER.size :] as payload:
        return count if zlib.crc32(payload) == checksum else 0


def _write_cache(
    file: Path, sources: Sequence[_Source | None], grey: Grey, readable: NDArray[np.bool_]
) -> str:
    """Write the readable thumbnails; return why that is impossible, "" if it is not."""
    rows = np.flatnonzero(readable)
    keys = b"".join(
        source.key for source, ok in zip(sources, readable, strict=True) if source and ok
    )
    checksum = zlib.crc32(keys)
    for row in rows:
        checksum = zlib.crc32(grey[row], checksum)
    header = _HEADER.pack(_MAGIC, _VERSION, WIDTH_PX, HEIGHT_PX, len(rows), checksum)
    try:
        with atomic_write(file) as cache:
            cache.write(header)
            cache.write(keys)
            for row in rows:
                cache.write(grey[row])
    except (InputError, WriteFailed) as error:
        return f"{error}; thumbnails are not kept, so the pictures are read again each time"
    return ""
