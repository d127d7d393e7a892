"""What is looked at before a drive: a line for each check, which is ok, FAILED or unknown."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from common.errors import NotReady, ToolkitError


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What a check found. `note` is what had better be done, though one can drive without."""

    message: str
    note: str = ""


class CheckUnknown(Exception):
    """A check that tells nothing on this machine, or not without a part whose check failed."""


Check = Callable[[], CheckResult]
"""Looks at one thing.

Raises: ToolkitError when one cannot drive like that, with what to do; Unknown.
"""


def run(checks: Iterable[tuple[str, Check]], say: Callable[[str], None]) -> None:
    """Make every check and say what came of it. Raises: NotReady when one failed."""
    failed = []
    for name, check in checks:
        try:
            found = check()
        except CheckUnknown as reason:
            say(f"  {name:8} unknown {reason}")
        except ToolkitError as error:
            failed.append(name)
            say(f"  {name:8} FAILED  {error}")
        else:
            say(f"  {name:8} {'ok':6}  {found.message}")
            if found.note:
                say(f"  {'':8} {'note':6}  {found.note}")
    if failed:
        raise NotReady(f"not ready to drive: {', '.join(failed)}; nothing has moved")
