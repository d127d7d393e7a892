"""All labels that match a search, to be edited or deleted together.

Unlike a download, a selection has every label of a picture, not only the newest.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import msgspec

from common.batching import batches
from get_data.database import amend
from get_data.database.amend import Amendment, AmendOutcome
from get_data.database.interfaces import LabelIndex, LabelReference
from get_data.database.search.search_query import SearchQuery
from get_data.labels import validation
from get_data.labels.differences import find_difference
from get_data.labels.schema import SESSION_KEYS, Document


@dataclass(slots=True)
class Selection:
    """Labels that match a search, and how many of each class and each drive.

    `unchanged`: those that have the values to set already; they are not among `labels`.
    """

    labels: list[LabelReference] = field(default_factory=list)
    unchanged: int = 0
    directions: Counter[int] = field(default_factory=Counter)
    speeds: Counter[int] = field(default_factory=Counter)
    drives: Counter[str] = field(default_factory=Counter)

    @property
    def found(self) -> int:
        """Number of labels that match."""
        return len(self.labels) + self.unchanged


def select(query: SearchQuery, index: LabelIndex, values: Mapping[str, Any]) -> Selection:
    """Return the labels that match, for `values` to be set in them.

    Raises:
        InputError: a label would not be valid with these values.
    """
    selection = Selection()
    with closing(index.search(query)) as found:
        for line in found:
            document: Document = msgspec.json.decode(line)
            if values and find_difference({**document, **values}, document) is None:
                selection.unchanged += 1
                continue
            if values and not selection.labels:
                validation.parse({**document, **values})
            selection.labels.append(
                LabelReference(
                    document["label_fingerprint"], document["img_id"], document.get("s3_key", "")
                )
            )
            annotation = document["label"]
            selection.directions[annotation["label_direction"]] += 1
            selection.speeds[annotation["label_speed"]] += 1
            selection.drives[_describe_drive(document)] += 1
    return selection


def set_values(
    labels: Iterable[LabelReference],
    index: LabelIndex,
    values: Mapping[str, Any],
    *,
    amended_by: str,
) -> Iterator[AmendOutcome]:
    """Set fields of labels that are still there, and yield the outcome of each.

    What somebody else has changed of them since the search stays.

    Raises:
        DatabaseError: the index cannot be reached; a second run completes the amendments.
    """
    for batch in batches(labels):
        changes = _find_amendments(batch, index, values)
        yield from amend.amend(changes, index, amended_by=amended_by)


def _find_amendments(
    labels: Iterable[LabelReference], index: LabelIndex, values: Mapping[str, Any]
) -> Iterator[Amendment]:
    stored = index.read([label.fingerprint for label in labels])
    # D17: somebody has decided against these labels
    tombstones = index.find_tombstones(stored)
    for fingerprint, label in stored.items():
        document = {**label.document, **values}
        difference = find_difference(document, label.document)
        if difference and fingerprint not in tombstones:
            yield Amendment(document, label, difference)


def _describe_drive(document: Document) -> str:
    """Return the drive of a label for people: its id, or else the day and the session."""
    session = [str(document.get(key, "")) for key in SESSION_KEYS]
    name = document.get("session_id") or str(document.get("timestamp", ""))[:10]
    return " ".join(filter(None, (name, *session)))
