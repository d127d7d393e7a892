"""Times as ISO 8601 text in UTC, and as whole microseconds since 1970."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
INDEXABLE_END = datetime(2262, 4, 11, 23, 47, 16, 854775, tzinfo=UTC)
"""The last time that fits into 63 bits of nanoseconds since 1970."""


def format_time(time: datetime) -> str:
    """Return an aware time as ISO 8601 in UTC, with microseconds and a Z."""
    text = time.astimezone(UTC).isoformat(timespec="microseconds")
    return text.removesuffix("+00:00") + "Z"


def parse_time(text: str) -> datetime | None:
    """Return the UTC time of an ISO 8601 text, or None for any other text.

    A text without a zone is taken as UTC.
    """
    try:
        time = datetime.fromisoformat(text)
        if time.tzinfo is UTC:
            return time
        return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    except (ValueError, OverflowError):  # such as New Year of the year 1, east of Greenwich
        return None


def indexable_time(text: str) -> datetime | None:
    """Like parse_time(), but None outside the range of `date_nanos` (1970 to 2262)."""
    time = parse_time(text)
    return time if time and EPOCH <= time <= INDEXABLE_END else None


def to_microseconds(time: datetime) -> int:
    """Return an aware time as microseconds since 1970, exactly."""
    return (time - EPOCH) // MICROSECOND


def parse_microseconds(text: str) -> int | None:
    """Return parse_time() of a text as microseconds since 1970, at best in half the time."""
    fraction = text[20:26]
    if len(text) == 27 and text[10:20:3] == "T::." and text[26] == "Z":
        second_us = _second_us(text[:19])  # many labels have the same
        if second_us is not None and fraction.isascii() and fraction.isdigit():
            return second_us + int(fraction)
    time = parse_time(text)
    return None if time is None else to_microseconds(time)


@lru_cache(maxsize=1024)
def _second_us(text: str) -> int | None:
    time = parse_time(f"{text}Z")
    return None if time is None else to_microseconds(time)


def from_microseconds(microseconds: int) -> datetime:
    """Return the UTC time of microseconds since 1970."""
    return EPOCH + microseconds * MICROSECOND
