"""Unicode forms of texts and file names: macOS writes an é as two characters, others as one.

Texts are stored and searched in one form, NFC. File names that differ only in case or
form are one name: the disks of macOS and Windows, exFAT and many network drives keep one file.
"""

import unicodedata
from typing import Any

_UNCHANGED = frozenset((bool, int, float, type(None)))


def to_nfc(value: Any) -> Any:
    """Return the value with all texts in NFC, keys included; values in NFC are not copied."""
    if isinstance(value, str):
        return value if value.isascii() else unicodedata.normalize("NFC", value)
    if isinstance(value, list):
        return [to_nfc(item) for item in value]
    if isinstance(value, dict):
        if all(map(str.isascii, value)):  # the usual keys and values, in a fraction of the time
            return {
                key: item
                if (kind := type(item)) in _UNCHANGED or (kind is str and item.isascii())
                else to_nfc(item)
                for key, item in value.items()
            }
        keys = {key: to_nfc(key) for key in value}
        if len(set(keys.values())) != len(keys):  # two keys would become one
            keys = {key: key for key in value}
        return {keys[key]: to_nfc(item) for key, item in value.items()}
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
