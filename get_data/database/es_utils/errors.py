"""Errors of Elasticsearch translated into ours: one line with the place and the remedy.

DatabaseError           the server could not be reached, or is not Elasticsearch
└── RequestRejected     the server answered with an error
"""

import re
import socket
from typing import Any

import msgspec
from elastic_transport import ConnectionTimeout, TlsError, TransportError
from urllib3.exceptions import NewConnectionError

from common.errors import DatabaseError
from get_data.database.es_utils.settings import CA_CERTS, INDEX, URL, USER_ID, USER_PWD, Settings
from get_data.database.proxies import Route

_TRANSIENT_STATUSES = frozenset({429, 502, 503, 504})

# Types of errors.
INDEX_BLOCKED = "cluster_block_exception"
INDEX_NOT_FOUND = "index_not_found_exception"
NO_SHARD = frozenset(
    {
        # none is started
        "no_shard_available_action_exception",
        "unavailable_shards_exception",
        # the one that was asked is being started, moved or closed
        "already_closed_exception",
        "illegal_index_shard_state_exception",
        "index_shard_closed_exception",
        "index_shard_not_started_exception",
        "index_shard_recovering_exception",
        "shard_not_found_exception",
        # its node is not reached
        "connect_transport_exception",
        "node_closed_exception",
        "node_disconnected_exception",
        "node_not_connected_exception",
        "receive_timeout_transport_exception",
        "send_request_transport_exception",
    }
)
"""No shard answers at the moment, as when a node starts or has left. Elasticsearch gives these
errors with 500, 502 or 503, or without a status in an answer of 200.

Source: Elasticsearch 8.19, isShardNotAvailableException in TransportActions.java and status() in
ConnectTransportException.java
"""

_NO_MASTER = 503  # of a block: the cluster is starting, or chooses a master; others are for good
_ALWAYS_EXPLAINED = frozenset({400, 403, 404, 405, 501})  # Elasticsearch gives a reason with these
_MAX_REASON_LENGTH = 300


class ErrorResponse(Exception):
    """A response that is an error, or that another server than Elasticsearch has given.

    Attributes:
        status: the HTTP status.
        body: the undecoded content.
    """

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(status)
        self.status = status
        self.body = body


class RequestRejected(DatabaseError):
    """The server answered with an error.

    Attributes:
        status: the HTTP status.
        kind: the type that Elasticsearch gives the error, "" without one.
        reason: the reason that Elasticsearch gives, "" without one.
    """

    def __init__(self, message: str, status: int, kind: str, reason: str) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.reason = reason

    @property
    def short_reason(self) -> str:
        """The reason in one line of limited length."""
        return _shorten(self.reason)

    @property
    def is_missing_index(self) -> bool:
        """Whether the index does not exist."""
        return self.status == 404 and self.kind == INDEX_NOT_FOUND


def is_transient(status: int, kind: str) -> bool:
    """Return whether what failed with this HTTP status and type may succeed a little later."""
    if kind == INDEX_BLOCKED:
        return status == _NO_MASTER
    return status in _TRANSIENT_STATUSES or kind in NO_SHARD


def is_wrong_address(error: TransportError) -> bool:
    """Return whether there is no such host, or none that speaks this protocol."""
    return isinstance(error, TlsError) or _is_caused_by(error, socket.gaierror)


def translate_error(
    error: TransportError | ErrorResponse,
    settings: Settings,
    route: Route,
    *,
    has_answered: bool,
    elapsed_s: float,
) -> DatabaseError:
    """Return our exception for a request that failed.

    Args:
        error: the failure of the last attempt.
        settings: where the request was sent.
        route: how the server is reached.
        has_answered: whether this server has ever answered.
        elapsed_s: seconds since the first attempt.
    """
    if isinstance(error, TransportError):
        message = _connection_failure(
            settings.url, error, has_answered=has_answered, elapsed_s=elapsed_s
        )
        return DatabaseError(f"{message}{route.note}")
    status = error.status
    kind, reason = parse_error(error.body)
    is_unexplained = status in _ALWAYS_EXPLAINED and not kind and not reason
    if is_unexplained or status < 300:
        return DatabaseError(f"{settings.url} is not Elasticsearch; check {URL}{route.note}")
    return rejection(settings, status, kind, reason)


def rejection(settings: Settings, status: int, kind: str, reason: str) -> RequestRejected:
    """Return the exception for an error with this HTTP status, type and reason."""
    message = f"{settings.name}{_rejection(settings, status, kind, reason)}"
    return RequestRejected(message, status, kind, reason)


def _connection_failure(
    url: str, error: TransportError, *, has_answered: bool, elapsed_s: float
) -> str:
    if isinstance(error, TlsError):
        return _tls_failure(url, str(error.__cause__))
    if _is_caused_by(error, socket.gaierror):
        return f"{url}: no such host; check {URL}"
    if _is_caused_by(error, NewConnectionError):
        return f"{url}: cannot connect; check {URL}, and that Elasticsearch is running"
    if isinstance(error, ConnectionTimeout):
        return f"{url}: no response for {elapsed_s:.0f} s; run again when the server responds"
    if not has_answered and url.startswith("http:"):
        return f"{url} closed the connection; if the server uses https, change {URL}"
    return f"{url} keeps closing the connection; run again when the server is healthy"


def _tls_failure(url: str, details: str) -> str:
    untrusted = re.search(
        "certificate verify failed: (.+?) \\(_ssl|(hostname .* doesn't match .*)", details
    )
    if not untrusted:
        return f"{url} does not speak https; if the server uses http, change {URL}"
    reason = untrusted[1] or untrusted[2]
    return f"{url}: certificate not trusted ({reason}); check {CA_CERTS} and {URL}"


def _rejection(settings: Settings, status: int, kind: str, reason: str) -> str:
    """Return the message that follows the address of the index."""
    if kind == INDEX_BLOCKED and status != _NO_MASTER:
        return (
            f" is read-only ({_shorten(reason)}); ask its administrator to free disk space or to "
            "remove the block"
        )
    match status:
        case 401 if settings.user:
            return f": login rejected; check {USER_ID} and {USER_PWD}"
        case 401:
            return f": login required; set {USER_ID} and {USER_PWD}"
        case 403:
            return f": {_missing_privilege(settings, reason)}; ask its administrator"
        case 404 if kind == INDEX_NOT_FOUND:
            return f" does not exist; check {INDEX}"
        case 413:
            return " rejects requests of this size; ask its administrator to allow 8 MB"
        case _ if is_transient(status, kind):
            return f" is overloaded or not ready ({status}: {_shorten(reason)}); try again later"
    return f" answered {status}: {_shorten(reason) or 'no reason given'}"


def _missing_privilege(settings: Settings, reason: str) -> str:
    who = f"the login of {USER_ID}" if settings.user else "anonymous access"
    needed = re.search(r"granted by the (index|cluster) privileges \[(\w+)", reason)
    if not needed:
        return f"{who} is not authorized"
    return f"{who} lacks the {needed[1]} privilege {needed[2]}"


def parse_error(body: Any) -> tuple[str, str]:
    """Return the type and the reason of the error in a response; "" for a missing one."""
    try:
        return root_cause(msgspec.json.decode(body)["error"])
    except (msgspec.DecodeError, TypeError, KeyError):
        return "", ""


def root_cause(error: Any) -> tuple[str, str]:
    """Return the type and the reason of a decoded error: those nearest to what was requested."""
    if not isinstance(error, dict):
        return "", str(error)
    failed_shards = error.get("failed_shards") or [{}]
    nearest = failed_shards[0].get("reason") or error
    reason = str(nearest.get("reason") or "")
    deeper = str((nearest.get("caused_by") or {}).get("reason") or "")
    return str(nearest.get("type") or ""), reason if deeper in reason else f"{reason}: {deeper}"


def _shorten(reason: str) -> str:
    line = " ".join(reason.split())
    return line if len(line) <= _MAX_REASON_LENGTH else f"{line[:_MAX_REASON_LENGTH]}..."


def _is_caused_by(error: BaseException, kind: type[Exception]) -> bool:
    """Return whether an exception of that type is in the chain of causes."""
    link: BaseException | None = error
    while link is not None and not isinstance(link, kind):
        link = link.__cause__ or link.__context__
    return link is not None
