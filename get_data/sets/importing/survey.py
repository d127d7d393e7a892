"""What a source holds, found before anything is written: ids, drives, classes, most throttle."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from common.times import from_microseconds
from get_data.labels.ids import format_img_id
from get_data.sets.importing.capture_times import UniqueTimes
from get_data.sets.importing.records import Source, SourceRecord, Unusable


@dataclass(slots=True)
class Survey:
    """Numbers of a source. `records` counts all items, `usable` those without a fault of their own.

    `session_ids` maps the source's names of its drives to ours. `max_throttle` is the most throttle
    of any record, 0 if there is none. `unnamed` are pictures that no record names.
    """

    records: int = 0
    usable: int = 0
    times: UniqueTimes = field(default_factory=lambda: UniqueTimes(0))
    img_ids: set[str] = field(default_factory=set)
    session_ids: dict[str, str] = field(default_factory=dict)
    max_throttle: float = 0.0
    nb_dir: int = 0
    nb_speed: int = 0
    newest: datetime | None = None
    bytes: int = 0
    largest_bytes: int = 0
    unnamed: Sequence[str] = ()
    first_fault: Unusable | None = None

    @property
    def total(self) -> int:
        """Number of outcomes of an import."""
        return self.records + len(self.unnamed)


def survey(source: Source) -> Survey:
    """Read all records of a source, without their pictures."""
    found = Survey(times=UniqueTimes(source.started_us))
    named: set[str] = set()
    for item in source.items():
        found.records += 1
        if isinstance(item, Unusable):
            found.first_fault = found.first_fault or item
        else:
            named.add(item.picture)
            _add(item, source, found)
    sizes = source.pictures.sizes
    found.unnamed = sorted((sizes.keys() | source.pictures.others.keys()) - named)
    return found


def _add(record: SourceRecord, source: Source, found: Survey) -> None:
    captured = from_microseconds(found.times.assign(record.time_us))
    img_id = format_img_id(captured)
    found.img_ids.add(img_id)
    found.newest = max(found.newest or captured, captured)
    if record.session not in found.session_ids:
        found.session_ids[record.session] = _session_id(img_id, source, record.session)
    if record.fault:
        found.first_fault = found.first_fault or Unusable(record.name, record.fault)
        return
    found.usable += 1
    found.max_throttle = max(found.max_throttle, record.throttle or 0.0)
    found.nb_dir = max(found.nb_dir, record.nb_dir or 0)
    found.nb_speed = max(found.nb_speed, record.nb_speed or 0)
    size = source.pictures.sizes.get(record.picture, 0)
    found.bytes += size
    found.largest_bytes = max(found.largest_bytes, size)


def _session_id(first_img_id: str, source: Source, session: str) -> str:
    """Return an id for a drive of a source, the same one each time."""
    digest = hashlib.sha256(f"{source.description}\n{session}".encode(errors="surrogatepass"))
    return f"{first_img_id}-{digest.hexdigest()[:4]}"
