"""Checks before a drive, each reported in a line: ok, FAILED or unknown."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from common.errors import NotReady, ToolkitError


@dataclass(frozen=True, slots=True)
class CheckResult:
    """Result of a check. `note` is advice that does not prevent a drive."""

    message: str
    note: str = ""


class CheckUnknown(Exception):
    """A check that has no result: this machine cannot report it, or its part is not ready."""


Check = Callable[[], CheckResult]
"""Check of one thing.

Raises:
    ToolkitError: the car cannot be driven like this; the message has a remedy.
    CheckUnknown: there is no result.
"""


T = TypeVar("T")


class Opened(Generic[T]):
    """Part of a car, usable once it was opened and its check has passed."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._part: T | None = None

    @property
    def is_ready(self) -> bool:
        """Whether the part can be used."""
        return self._part is not None

    @property
    def part(self) -> T:
        """The part.

        Raises:
            NotReady: it could not be opened, or its check failed.
        """
        if self._part is None:
            raise NotReady(f"not ready to drive: {self._name}")
        return self._part

    def set_part(self, part: T) -> None:
        """Make the part usable."""
        self._part = part


class Preflight:
    """Run of the checks before a drive, which reports each of them in a line."""

    def __init__(self, print_line: Callable[[str], None]) -> None:
        self._print_line = print_line
        self._failed: list[str] = []

    def open(
        self, name: str, open_part: Callable[[], T], check_part: Callable[[T], CheckResult | None]
    ) -> Opened[T]:
        """Open a part and check it; a part whose check fails is not used."""
        opened = Opened[T](name)

        def check() -> CheckResult | None:
            part = open_part()
            result = check_part(part)
            opened.set_part(part)
            return result

        self.check(name, check)
        return opened

    def check(self, name: str, check: Callable[[], CheckResult | None]) -> None:
        """Run a check and report its result; None is not reported."""
        try:
            result = check()
        except CheckUnknown as reason:
            self._print_line(f"  {name:8} unknown {reason}")
        except ToolkitError as error:
            self._failed.append(name)
            self._print_line(f"  {name:8} FAILED  {error}")
        else:
            if result:
                self._print_line(f"  {name:8} {'ok':6}  {result.message}")
            if result and result.note:
                self._print_line(f"  {'':8} {'note':6}  {result.note}")

    def require_all(self) -> None:
        """Require that no check has failed.

        Raises:
            NotReady: names the checks that failed.
        """
        if self._failed:
            raise NotReady(f"not ready to drive: {', '.join(self._failed)}; nothing has moved")
