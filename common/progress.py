"""Progress of long work, shown by whoever calls it."""

from collections.abc import Iterable
from typing import Protocol, TypeVar

Item = TypeVar("Item")


class Progress(Protocol):
    """Function that shows the progress of an iteration and returns the items unchanged."""

    def __call__(
        self, items: Iterable[Item], *, total: int | None, description: str, unit: str
    ) -> Iterable[Item]:
        """Return the items; `total` is their number, `unit` what one of them is."""


def hidden(
    items: Iterable[Item], *, total: int | None = None, description: str = "", unit: str = ""
) -> Iterable[Item]:
    """Show nothing."""
    del total, description, unit
    return items
