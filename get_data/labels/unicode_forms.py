"""Unicode forms of texts and file names: macOS writes an é as two characters, others as one.

Texts are stored and searched in one form, NFC. File names that differ only in case or
form are one name: the disks of macOS and Windows, exFAT and many network drives keep one file.
"""

import unicodedata
from typing import Any

import msgspec


def to_nfc(value: Any) -> Any:
    """Return a value of JSON with all texts in NFC, keys included; one in NFC is not copied."""
    return value if _is_nfc(value) else _convert(value)


def _is_nfc(value: Any) -> bool:
    """Return whether all texts are known to be in NFC: any part of a text in NFC is."""
    try:
        text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    except (TypeError, ValueError, OverflowError, RecursionError):  # such as a huge number
        return False
    return text.isascii() or unicodedata.is_normalized("NFC", text)


def _convert(value: Any) -> Any:
    if isinstance(value, str):
        return unicodedata.normalize("NFC", value)
    if isinstance(value, list):
        return [_convert(item) for item in value]
    if isinstance(value, dict):
        keys = {key: _convert(key) for key in value}
        if len(set(keys.values())) != len(keys):  # two keys would become one
            keys = {key: key for key in value}
        return {keys[key]: _convert(item) for key, item in value.items()}
    return value


def to_nfd(text: str) -> str:
    """Return the text in NFD, as macOS may have written it."""
    return unicodedata.normalize("NFD", text)


def file_name_key(file_name: str) -> str:
    """Return a key that is equal for file names that a disk may take for one.

    Source: the Unicode Standard, section 3.13, D145 (canonical caseless matching).
    """
    if file_name.isascii():
        return file_name.lower()
    folded = unicodedata.normalize("NFD", file_name).casefold()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", folded))
