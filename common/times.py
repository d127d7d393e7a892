"""Times as text: ISO 8601, UTC."""

from datetime import UTC, datetime

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
END = datetime(2262, 4, 11, 23, 47, 16, 854775, tzinfo=UTC)  # of 63 bits of nanoseconds


def format_time(moment: datetime) -> str:
    """`moment` (aware) as ISO 8601 in UTC with microseconds and a Z."""
    text = moment.astimezone(UTC).isoformat(timespec="microseconds")
    return text.removesuffix("+00:00") + "Z"


def parse_time(text: str) -> datetime | None:
    """The time that an ISO 8601 text tells, UTC where it names no zone; None for other texts."""
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):  # such as New Year of the year 1, east of Greenwich
        return None


def indexable_time(text: str) -> datetime | None:
    """The same, where a search can find it; it counts from 1970 in nanoseconds."""
    moment = parse_time(text)
    return moment if moment and EPOCH <= moment <= END else None
