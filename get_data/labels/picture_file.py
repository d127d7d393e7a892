"""Checks of picture files: whole JPEGs of sane size, judged by their structure alone.

Every picture is checked here before it enters a database or a recording, and before a decoder gets
it: no other format reaches one, and none that would take more memory or time than a picture is
worth. Nothing is decoded, so that 100,000 pictures are checked in seconds, on a machine without
OpenCV; no known library distinguishes a whole JPEG from a truncated one without decoding it.

Whatever follows the end of the picture is ignored: cameras append previews, videos and padding,
and every decoder stops at the end. Whether the picture shows anything is not checked.

Source: ITU-T T.81, Annex B.
"""

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from common.errors import InputError

SUFFIXES = (".jpg", ".jpeg")
MIN_SIDE_PX = 8  # a block of JPEG
MAX_PIXELS = 20_000_000  # 60 MB when decoded; the largest that is recorded has 4096x4096
MAX_BYTES = 64_000_000  # more than the largest that is recorded takes at full quality

_MAX_SEGMENTS = 2000  # a colour profile may take 255; a progressive picture has some for each scan
_MAX_SCANS = 100  # encoders write about 10; a decoder goes over all pixels for each of them
_MAX_SCANNED_PIXELS = 400_000_000  # pixels times scans

_TOO_MANY_BYTES = f"has more than {MAX_BYTES // 1_000_000} MB"
_START = b"\xff\xd8"
_FRAMES = range(0xC0, 0xC3)  # baseline, extended and progressive, Huffman coded
_OTHER_FRAMES = frozenset(range(0xC3, 0xD0)) - {0xC4, 0xC8, 0xCC}  # lossless, arithmetic, ...
_TABLE = 0xDB  # of quantization
_SCAN = 0xDA
_END = 0xD9
_ALONE = frozenset((0x01, *range(0xD0, 0xD9)))  # markers without a length; none belongs here
_MARKER = re.compile(rb"\xff+[^\xff\x00]", re.DOTALL)  # after fill bytes
_NEXT_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]", re.DOTALL)  # end of a scan's data
_BLOCK_PX = 8


class NotAPicture(InputError):
    """Bytes that are no whole JPEG of sane size; the message continues a file's name."""


@dataclass(frozen=True, slots=True)
class Size:
    """Size of a picture according to its header."""

    width_px: int
    height_px: int


@dataclass(frozen=True, slots=True)
class Header:
    """What the header of a picture says; `colours` is 1 (grey) or 3."""

    size: Size
    colours: int


@dataclass(frozen=True, slots=True)
class _Frame:
    """Header of a frame. `sampling`: horizontal and vertical factors by component."""

    size: Size
    sampling: dict[int, tuple[int, int]]

    def blocks(self) -> int:
        """Return the number of blocks of 8x8 samples of all components."""
        most_across = max(across for across, _ in self.sampling.values())
        most_down = max(down for _, down in self.sampling.values())
        return sum(
            -(-self.size.width_px * across // (most_across * _BLOCK_PX))
            * -(-self.size.height_px * down // (most_down * _BLOCK_PX))
            for across, down in self.sampling.values()
        )


@dataclass(slots=True)
class _Scans:
    """Pixel data seen so far. `started`: the components that have some.

    `data_start` is the position of the last one's data, `needed_bytes` the least of all of it.
    """

    count: int = 0
    data_start: int = 0
    needed_bytes: int = 0
    data_bytes: int = 0
    started: set[int] = field(default_factory=set)


def read(file: Path) -> bytes:
    """Return the bytes of a picture file, unchecked.

    Raises:
        NotAPicture: it is no regular file, or larger than MAX_BYTES.
        OSError: it cannot be read.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC  # a pipe would block
    try:
        descriptor = os.open(file, flags)
    except OSError:
        _check_regular(file.stat())  # a socket cannot be opened
        raise
    try:
        status = os.fstat(descriptor)
        _check_regular(status)
        if status.st_size > MAX_BYTES:
            raise NotAPicture(_TOO_MANY_BYTES)
        content = os.read(descriptor, status.st_size)
        while len(content) < status.st_size and (more := os.read(descriptor, status.st_size)):
            content += more
        return content
    finally:
        os.close(descriptor)


def _check_regular(status: os.stat_result) -> None:
    """Check that a file is a regular one.

    Raises:
        NotAPicture: it is not.
    """
    if not stat.S_ISREG(status.st_mode):
        raise NotAPicture("is not a regular file")


def read_size(content: bytes) -> Size:
    """Return the size of the picture.

    Raises:
        NotAPicture: it is no whole JPEG of sane size.
    """
    return read_header(content).size


def read_header(content: bytes) -> Header:
    """Return size and number of colours of the picture.

    Raises:
        NotAPicture: it is no whole JPEG of sane size.
    """
    global _latest
    if not content:
        raise NotAPicture("is empty")
    if len(content) > MAX_BYTES:
        raise NotAPicture(_TOO_MANY_BYTES)
    if _latest.is_followed_by_whole_scan(content):
        return _latest.header
    header, scans = _parse(content)
    if scans.count == 1:
        _latest = _Beginning(content[: scans.data_start], header, scans.needed_bytes)
    return header


@dataclass(frozen=True, slots=True)
class _Beginning:
    """All of a picture that is before the data of its only scan.

    The pictures of a camera have it in common, and it is nearly all that takes time to check.
    """

    content: bytes
    header: Header
    needed_bytes: int

    def is_followed_by_whole_scan(self, content: bytes) -> bool:
        """Return whether a picture begins like this one, and has enough data and then its end."""
        start = len(self.content)
        if not (start and content.startswith(self.content)):
            return False
        found = _NEXT_MARKER.search(content, start)
        return (
            found is not None
            and content[found.end() - 1] == _END
            and found.start() - start >= self.needed_bytes
        )


_latest = _Beginning(b"", Header(Size(0, 0), 0), 0)


def _parse(content: bytes) -> tuple[Header, _Scans]:
    """Return the header of a picture, and what is known of its scans.

    Raises:
        NotAPicture: it is no whole JPEG of sane size.
    """
    if not content.startswith(_START):
        raise NotAPicture("is not a JPEG")
    frame, scans, has_table = None, _Scans(), False
    for marker, start, end in _segments(content, scans):
        if marker in _FRAMES:
            if frame:
                raise NotAPicture("is damaged: two pictures in one")
            frame = _frame(content[start:end])
        elif marker == _SCAN:
            if not (frame and has_table):
                raise NotAPicture("is damaged: its header is not whole")
            _check_scan(content[start:end], frame, scans)
        elif marker == _TABLE:
            has_table = True
        elif marker in _OTHER_FRAMES:
            raise NotAPicture("is a JPEG of a kind that few programs read; save it as baseline")
    if frame is None:
        raise NotAPicture("is not a JPEG")
    # The shortest code has one bit, so that every block takes one at least.
    scans.needed_bytes = -(-frame.blocks() // 8)
    if scans.started != frame.sampling.keys() or scans.data_bytes < scans.needed_bytes:
        raise NotAPicture("is cut off")
    return Header(frame.size, len(frame.sampling)), scans


def _segments(content: bytes, scans: _Scans) -> Iterator[tuple[int, int, int]]:
    """Yield marker, start and end of the payload of each segment up to the end of the picture.

    Counts the data after the header of each scan in `scans`.

    Raises:
        NotAPicture: the segments are damaged or cut off.
    """
    offset = len(_START)
    for _ in range(_MAX_SEGMENTS):
        found = _MARKER.match(content, offset)
        if not found:
            raise NotAPicture(
                "is cut off" if offset >= len(content) else f"is damaged at byte {offset}"
            )
        marker = content[found.end() - 1]
        if marker == _END:
            return
        if marker in _ALONE:
            raise NotAPicture(f"is damaged at byte {offset}")
        start = found.end() + 2
        offset = found.end() + int.from_bytes(content[found.end() : start])
        if offset < start or offset > len(content):
            raise NotAPicture("is cut off")
        yield marker, start, offset
        if marker == _SCAN:
            scans.data_start = offset
            found = _NEXT_MARKER.search(content, offset)
            if not found:
                raise NotAPicture("is cut off")
            scans.data_bytes += found.start() - offset
            offset = found.start()
    raise NotAPicture(f"is damaged: more than {_MAX_SEGMENTS} segments")


def _frame(header: bytes) -> _Frame:
    """Return the parsed header of a frame.

    Raises:
        NotAPicture: it is damaged, or its size or colours are not supported.
    """
    if len(header) < 6 or len(header) != 6 + 3 * header[5]:
        raise NotAPicture("is damaged: its header is not whole")
    if header[0] != 8 or header[5] not in (1, 3):
        raise NotAPicture(
            f"has {header[5]} colours of {header[0]} bits; save it with 1 or 3 of 8 bits"
        )
    sampling = {
        header[at]: (header[at + 1] >> 4, header[at + 1] & 15)
        for at in range(6, 6 + 3 * header[5], 3)
    }
    factors = [factor for both in sampling.values() for factor in both]
    if len(sampling) != header[5] or not all(1 <= factor <= 4 for factor in factors):
        raise NotAPicture("is damaged: its header is not whole")
    size = Size(int.from_bytes(header[3:5]), int.from_bytes(header[1:3]))
    if min(size.width_px, size.height_px) < MIN_SIDE_PX:
        raise NotAPicture(f"is too small, {size.width_px}x{size.height_px} pixels")
    if size.width_px * size.height_px > MAX_PIXELS:
        raise NotAPicture(f"is too large, {size.width_px}x{size.height_px} pixels")
    return _Frame(size, sampling)


def _check_scan(header: bytes, frame: _Frame, scans: _Scans) -> None:
    """Check a scan and count it in `scans`.

    Raises:
        NotAPicture: it is damaged, or there are too many.
    """
    components = set(header[1:-3:2])
    if not (header and header[0] == len(components) and len(header) == 4 + 2 * header[0]):
        raise NotAPicture("is damaged: its header is not whole")
    if not components <= frame.sampling.keys():
        raise NotAPicture("is damaged: its header is not whole")
    if header[-3] == 0:  # the scan that begins a component
        scans.started |= components
    scans.count += 1
    pixels = frame.size.width_px * frame.size.height_px
    if scans.count > _MAX_SCANS or scans.count * pixels > _MAX_SCANNED_PIXELS:
        raise NotAPicture("has too many scans to be decoded; save it as baseline")
