"""Bulk requests: many changes to an index at once, each with its own outcome."""

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import msgspec

from common import retry
from get_data.database.es_utils.client import Client
from get_data.database.es_utils.errors import INDEX_BLOCKED, is_transient, root_cause

MAX_OPERATIONS = 2000  # in one request
MAX_BYTES = 4 * 2**20

_TOO_MANY_REQUESTS = 429
_CONNECTIONS = 2  # a third one makes nothing faster
_FILTER_PATH = ",".join(
    f"items.*.{name}" for name in ("status", "error.type", "error.reason", "error.caused_by.reason")
)
_REQUEST_ERRORS = frozenset({INDEX_BLOCKED, "security_exception"})  # which every item gets


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one operation.

    Attributes:
        status: the HTTP status.
        reason: why the operation was rejected, "" if it was not.
        was_retried: whether an earlier attempt failed. The server may have executed it anyway.
        is_transient: whether it may succeed a little later.
    """

    status: int
    reason: str = ""
    was_retried: bool = False
    is_transient: bool = False

    @property
    def may_be_executed(self) -> bool:
        """Whether the server may have executed the operation, although it has failed."""
        return self.was_retried or self.status != _TOO_MANY_REQUESTS


def send(client: Client, index: str, operations: Mapping[str, bytes]) -> dict[str, Outcome]:
    """Send operations and return the outcome of each.

    Operations that a busy server rejects are retried without the others, in addition to the
    retries of each request.

    Args:
        client: the connection to the server.
        index: the name of the index.
        operations: NDJSON by a name that the caller chooses, in the order to send.

    Raises:
        DatabaseError: a request failed as a whole.
    """
    chunks = list(_chunks(operations.items()))
    outcomes: dict[str, Outcome] = {}
    with ThreadPoolExecutor(_CONNECTIONS) as connections:
        for sent in connections.map(lambda chunk: _send_chunk(client, index, chunk), chunks):
            outcomes |= sent
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


def _send_chunk(client: Client, index: str, operations: dict[str, bytes]) -> dict[str, Outcome]:
    outcomes: dict[str, Outcome] = {}
    pending = operations
    backoff = retry.Backoff()
    while True:
        response = client.request(
            "POST", f"/{index}/_bulk", b"".join(pending.values()), filter_path=_FILTER_PATH
        )
        items = _decode(response.body).items
        for name, item in zip(pending, items, strict=True):
            [result] = item.values()
            # a server that turned it away for having too much to do has not executed it
            was_tried = name in outcomes and outcomes[name].may_be_executed
            outcomes[name] = _outcome(client, result, was_retried=response.was_retried or was_tried)
        # only what a busy server turned away is sent again; the rest has its outcome
        pending = {
            name: operation for name, operation in pending.items() if outcomes[name].is_transient
        }
        if not pending or not backoff.wait(retry.TIMEOUT_S):
            return outcomes


class _Error(msgspec.Struct):
    type: str = ""
    reason: str = ""
    caused_by: dict[str, str | None] = {}


class _Item(msgspec.Struct):
    status: int
    error: _Error | None = None


class _BulkResponse(msgspec.Struct):
    items: list[dict[str, _Item]]


_decode = msgspec.json.Decoder(_BulkResponse).decode


def _outcome(client: Client, item: _Item, *, was_retried: bool) -> Outcome:
    if item.error is None:
        return Outcome(item.status, was_retried=was_retried)
    kind, reason = root_cause(msgspec.to_builtins(item.error))
    is_temporary = is_transient(item.status, kind)
    # an error that every item gets concerns the request, not this label
    if kind in _REQUEST_ERRORS and not is_temporary:
        raise client.rejection(item.status, kind, reason)
    return Outcome(item.status, reason or kind, was_retried, is_temporary)
