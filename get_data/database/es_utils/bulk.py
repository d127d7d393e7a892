"""Many changes to an index of Elasticsearch at once, each of which has an outcome of its own."""

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import msgspec

from common import retry
from get_data.database.es_utils.errors import BLOCKED, MAY_PASS, cause_of
from get_data.database.es_utils.http import Http

MAX_OPERATIONS = 2000  # in one request
MAX_BYTES = 4 * 2**20

_CONNECTIONS = 2  # a third one makes nothing faster
_WANTED = ",".join(
    f"items.*.{name}" for name in ("status", "error.type", "error.reason", "error.caused_by.reason")
)
_NOT_OF_ONE = frozenset({BLOCKED, "security_exception"})


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one change: the status of HTTP, and why it was refused, if it was.

    `is_repeated`: an earlier try got no answer, and may have been carried out all the same.
    """

    status: int
    reason: str = ""
    is_repeated: bool = False


class _Error(msgspec.Struct):
    type: str = ""
    reason: str = ""
    caused_by: dict[str, str | None] = {}


class _Item(msgspec.Struct):
    status: int
    error: _Error | None = None


class _Items(msgspec.Struct):
    items: list[dict[str, _Item]]


_decode = msgspec.json.Decoder(_Items).decode


def send(http: Http, index: str, operations: Mapping[str, bytes]) -> dict[str, Outcome]:
    """The outcome of each operation, by the name it is given under; each is NDJSON.

    What is rejected because the server is busy is sent again, for a minute, without the others;
    each of these requests has the patience of any other.
    Raises: DatabaseError, Refused.
    """
    chunks = list(_chunks(operations.items()))
    outcomes: dict[str, Outcome] = {}
    with ThreadPoolExecutor(_CONNECTIONS) as connections:
        for some in connections.map(lambda chunk: _send(http, index, chunk), chunks):
            outcomes |= some
    return outcomes


def _chunks(operations: Iterable[tuple[str, bytes]]) -> Iterator[dict[str, bytes]]:
    chunk: dict[str, bytes] = {}
    size = 0
    for name, operation in operations:
        if chunk and (len(chunk) == MAX_OPERATIONS or size + len(operation) > MAX_BYTES):
            yield chunk
            chunk, size = {}, 0
        chunk[name] = operation
        size += len(operation)
    if chunk:
        yield chunk


def _send(http: Http, index: str, operations: dict[str, bytes]) -> dict[str, Outcome]:
    outcomes: dict[str, Outcome] = {}
    waiting = operations
    backoff = retry.Backoff()
    while True:
        answer = http.ask(
            "POST", f"/{index}/_bulk", b"".join(waiting.values()), filter_path=_WANTED
        )
        for name, item in zip(waiting, _decode(answer.body).items, strict=True):
            [done] = item.values()
            outcomes[name] = _outcome(http, done, is_repeated=answer.is_repeated)
        waiting = {name: waiting[name] for name in waiting if outcomes[name].status in MAY_PASS}
        if not waiting or not backoff.wait(retry.TIMEOUT_S):
            return outcomes


def _outcome(http: Http, item: _Item, *, is_repeated: bool) -> Outcome:
    """Raises: Refused for what is not the fault of this one."""
    if item.error is None:
        return Outcome(item.status, is_repeated=is_repeated)
    kind, reason = cause_of(msgspec.to_builtins(item.error))
    if kind in _NOT_OF_ONE:
        raise http.refused(item.status, kind, reason)
    return Outcome(item.status, reason or kind, is_repeated)
