"""Parts of the report: what each found, or why it found nothing."""

import getpass
import re
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import path
from common.errors import ToolkitError

_MAC = re.compile(r"\b[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}\b")
_SHORTEST_NAME = 4  # shorter ones are parts of other words


class Missing(Exception):
    """Something that this machine does not have, with its remedy and what was found otherwise."""

    def __init__(self, reason: str, facts: Mapping[str, Any] | None = None) -> None:
        super().__init__(reason)
        self.facts = facts or {}


class Skipped(Exception):
    """A part that was not asked for; the message says how to."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Result of a part: `status` is ok, failed, missing or skipped."""

    part: str
    status: str
    reason: str = ""
    seconds: float = 0.0
    facts: Mapping[str, Any] = field(default_factory=dict)


class Failed(ToolkitError):
    """A part that works, but not as it should; with what it found."""

    def __init__(self, reason: str, facts: Mapping[str, Any]) -> None:
        super().__init__(reason)
        self.facts = facts


def run_part(name: str, part: Callable[[], Mapping[str, Any]]) -> Outcome:
    """Run a part; whatever goes wrong is its outcome, and the next part runs."""
    start_s = time.monotonic()
    status, reason, facts = "ok", "", {}
    try:
        facts = part()
    except Missing as error:
        status, reason, facts = "missing", str(error), error.facts
    except Skipped as error:
        status, reason = "skipped", str(error)
    except Failed as error:
        status, reason, facts = "failed", str(error), error.facts
    except ToolkitError as error:
        status, reason = "failed", str(error)
    except Exception as error:  # noqa: BLE001  a report of a part that broke is worth sending too
        status, reason = "failed", f"{type(error).__name__}: {error}"
    return Outcome(name, status, reason, round(time.monotonic() - start_s, 1), facts)


def anonymize(value: Any) -> Any:
    """Return the value without names of the user, the machine and its devices' addresses."""
    match value:
        case str():
            return _anonymize_text(value)
        case Mapping():
            return {key: anonymize(item) for key, item in value.items()}
        case list() | tuple():
            return [anonymize(item) for item in value]
    return value


def _anonymize_text(text: str) -> str:
    for folder, name in ((path.ROOT, "CHECKOUT"), (Path.home(), "HOME")):
        text = text.replace(str(folder), name)
    for word, name in ((socket.gethostname(), "MACHINE"), (getpass.getuser(), "USER")):
        if len(word) >= _SHORTEST_NAME and word != "root":
            text = re.sub(rf"\b{re.escape(word)}\b", name, text)
    return _MAC.sub("ADDRESS", text)


def summarize(values: list[float], digits: int = 1) -> dict[str, float]:
    """Return count, smallest, median, percentiles and largest of some values."""
    if not values:
        return {"count": 0}
    ordered = sorted(values)

    def at(share: float) -> float:
        return round(ordered[min(int(share * len(ordered)), len(ordered) - 1)], digits)

    return {
        "count": len(ordered),
        "min": at(0.0),
        "p1": at(0.01),
        "median": at(0.5),
        "p99": at(0.99),
        "max": round(ordered[-1], digits),
    }
