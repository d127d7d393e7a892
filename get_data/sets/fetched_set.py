"""The set in a folder, as a fetch has left it: label file and `set.json`."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from common import strict_json
from common.errors import InputError
from get_data.labels import label_file, label_lines
from get_data.labels.label_lines import Line, NotLines
from get_data.labels.schema import Document
from get_data.sets import set_file

_FETCH = "fetch it with search_and_download.py into another folder"


@dataclass(frozen=True, slots=True)
class FetchedSet:
    """A label file as it was fetched.

    Attributes:
        labels: the file.
        count: number of its labels.
        sha256: its hash.
        description: content of its `set.json`, without what is true of the folder only.
    """

    labels: Path
    count: int
    sha256: str
    description: bytes

    def lines(self) -> Iterator[Line]:
        """Yield the labels.

        Raises:
            InputError: the file cannot be read, or was changed meanwhile.
        """
        yield from read_lines(self.labels)


def open_fetched_set(labels: Path) -> FetchedSet:
    """Return the set of a label file.

    Raises:
        InputError: it was not fetched, was changed since, or has no labels.
    """
    raw = strict_json.read_bytes(labels, "a label file")
    description = set_file.beside(labels)
    if not description.exists():
        raise InputError(
            f"{description} does not exist, so {labels} was not fetched, or by an earlier version; "
            f"{_FETCH}"
        )
    content = set_file.read(description)
    sha256 = hashlib.sha256(raw).hexdigest()
    if sha256 != content.labels.sha256:
        raise InputError(
            f"{labels} was changed since it was fetched; apply corrections with upload_to_db.py, "
            f"and {_FETCH}"
        )
    if not content.labels.count:
        raise InputError(f"{labels} has no labels to freeze")
    reference = msgspec.structs.replace(content.labels, file=label_file.NAME)
    of_set = msgspec.structs.replace(content, left_over={}, labels=reference)
    return FetchedSet(labels, content.labels.count, sha256, msgspec.json.encode(of_set))


def to_lines(labels: Mapping[str, Document]) -> Iterator[Line]:
    """Yield labels as the entries of a label file."""
    for img_id, document in labels.items():
        yield Line(img_id, msgspec.json.encode(document))


def read_lines(labels: Path) -> Iterator[Line]:
    """Yield the entries of a label file, in its order; one an entry a line is read fast.

    Raises:
        InputError: it cannot be read, or is no label file.
    """
    count = 0
    try:
        with labels.open("rb") as file:
            for line in label_lines.read(file):
                count += 1
                yield line
            return
    except NotLines:
        pass
    except OSError as error:
        raise InputError(f"{labels} cannot be read: {error.strerror}") from error
    # formatted by somebody else: the strict reader says what is wrong, or reads it after all
    for number, (img_id, document) in enumerate(label_file.entries(labels)):
        if number >= count:
            yield Line(img_id, bytes(document))
