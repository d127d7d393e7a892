"""Compressed files of lines."""

import gzip
import hashlib
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from common import links
from common.atomic_files import remove_stale_files, sync, temporary_file
from common.errors import InputError

_PREFIX = "lines."
_FAST = 1  # gzip level for a file that is soon removed
_SMALL = 6  # level 9 takes three times as long, for 2 %
_BLOCK_BYTES = 2**20
_MAX_LINE_BYTES = 2**24  # a label has about a thousand


class LineWriter:
    """A file that is being written; equal lines make equal files."""

    def __init__(self, file: BinaryIO, level: int) -> None:
        self._file = file
        self._compressor = gzip.GzipFile(  # without name and time, so that equal files are equal
            filename="", fileobj=file, mode="wb", compresslevel=level, mtime=0
        )
        self.count = 0

    def add(self, line: bytes) -> None:
        """Write a line, given without its line break."""
        self._compressor.write(line + b"\n")
        self.count += 1

    def lines(self) -> Iterator[bytes]:
        """Complete the file and yield its lines."""
        self._complete()
        return read_lines(Path(self._file.name))

    def hash(self) -> str:
        """Complete the file, make it durable, and return its SHA-256."""
        self._complete()
        sync(self._file.fileno())
        return hash_file(Path(self._file.name))

    def rename(self, target: Path) -> None:
        """Give the file its final name."""
        Path(self._file.name).replace(target)

    def abandon(self) -> None:
        """Close the compressor of a file that may be incomplete, or on a full disk."""
        with suppress(OSError):
            self._compressor.close()

    def _complete(self) -> None:
        self._compressor.close()
        self._file.flush()


@contextmanager
def open_writer(folder: Path, *, is_temporary: bool = False) -> Iterator[LineWriter]:
    """Open a new file in the folder, which is removed afterwards unless it was renamed.

    A temporary one is compressed less.

    Raises:
        OSError: it cannot be written.
    """
    with temporary_file(folder, _PREFIX) as file:
        writer = LineWriter(file, _FAST if is_temporary else _SMALL)
        try:
            yield writer
        finally:
            writer.abandon()


def remove_stale(folder: Path) -> None:
    """Remove what killed programs were writing."""
    remove_stale_files(folder, _PREFIX)


def read_lines(file: Path) -> Iterator[bytes]:
    """Yield the lines of a file without their line breaks.

    Raises:
        InputError: it cannot be read, or is damaged.
    """
    with _opened(file) as raw, gzip.GzipFile(fileobj=raw, mode="rb") as content:
        while line := content.readline(_MAX_LINE_BYTES):
            if not line.endswith(b"\n"):
                raise InputError(
                    f"{file} is damaged (a line is cut off, or has more than {_MAX_LINE_BYTES:,} "
                    "bytes); take another copy of the backup"
                )
            yield line[:-1]


def hash_file(file: Path) -> str:
    """Return the SHA-256 of a file.

    Raises:
        InputError: it cannot be read.
    """
    digest = hashlib.sha256()
    with _opened(file) as raw:
        while block := raw.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


@contextmanager
def _opened(file: Path) -> Iterator[BinaryIO]:
    """Open a file for reading.

    Raises:
        InputError: it, or what is in it, cannot be read.
    """
    try:
        with os.fdopen(links.open_file(file), "rb") as raw:
            yield raw
    except FileNotFoundError as error:
        raise InputError(f"{file} does not exist; take another copy of the backup") from error
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(f"{file} is damaged ({error}); take another copy of the backup") from error
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}") from error
