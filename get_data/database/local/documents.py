"""Labels as an SQLite index stores them, and what to do when one is damaged."""

import unicodedata
from collections.abc import Callable
from typing import TypeVar

import msgspec

from common.errors import DatabaseError
from get_data.labels.schema import Document
from get_data.labels.unicode_forms import to_nfc

Result = TypeVar("Result")

FILE_NAME = "index.sqlite"
SIDE_FILES = (f"{FILE_NAME}-wal", f"{FILE_NAME}-shm")  # its latest changes, and its readers
RESTORE = (
    f"move it away together with {' and '.join(SIDE_FILES)} and restore a backup with back_up.py "
    'DIR --restore, or a copy of it; without one see docs/troubleshooting.md, "Uploading"'
)

_decode = msgspec.json.Decoder(Document).decode


def decode(document: bytes) -> Document:
    """Return a stored label, with all texts in NFC.

    Raises:
        ValueError, TypeError, RecursionError: it is damaged.
    """
    text = str(document, "utf-8")  # a damaged index may hold anything
    is_nfc = text.isascii() or unicodedata.is_normalized("NFC", text)
    return _decode(document) if is_nfc else to_nfc(_decode(document))


def decode_and_apply(document: bytes, function: Callable[[Document], Result]) -> Result:
    """Apply a function to a stored label.

    Raises:
        DatabaseError: the index is damaged.
    """
    try:
        return function(decode(document))
    except (ValueError, TypeError, RecursionError) as error:
        raise DatabaseError(f"the label index is damaged ({error}); {RESTORE}") from error
