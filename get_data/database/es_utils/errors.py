"""What goes wrong with Elasticsearch, in one line that says where and what to do."""

import re
import socket
from typing import Any

import msgspec
from elastic_transport import ConnectionTimeout, TlsError, TransportError
from urllib3.exceptions import NewConnectionError

from get_data.database.es_utils.settings import CA_CERTS, INDEX, URL, USER_ID, USER_PWD, Settings

MAY_PASS = frozenset({429, 502, 503, 504})
BLOCKED = "cluster_block_exception"
NOT_READY = frozenset({"no_shard_available_action_exception", "unavailable_shards_exception"})
NO_INDEX = "index_not_found_exception"

_LONGEST_REASON = 300  # characters


def is_certain(error: TransportError) -> bool:
    """Whether there is no such host, or none that speaks so."""
    return isinstance(error, TlsError) or _has(error, socket.gaierror)


def unreachable(url: str, error: TransportError, *, has_answered: bool, waited_s: float) -> str:
    """The line for a server that gave no answer, or none any more."""
    if isinstance(error, TlsError):
        return _no_tls(url, str(error.__cause__))
    if _has(error, socket.gaierror):
        return f"{url}: nobody knows a host of that name; check {URL}"
    if _has(error, NewConnectionError):
        return f"{url}: nothing answers there; check {URL}, and that Elasticsearch runs"
    if isinstance(error, ConnectionTimeout):
        return f"{url} has not answered for {waited_s:.0f} s; run again when it does"
    if not has_answered and url.startswith("http:"):
        return f"{url} ends the connection; if it speaks https, say so in {URL}"
    return f"{url} has ended the connection again and again; run again when it is well"


def _no_tls(url: str, what: str) -> str:
    why = re.search("certificate verify failed: (.+?) \\(_ssl|(hostname .* doesn't match .*)", what)
    if not why:
        return f"{url} does not speak https; if it is meant to be http, say so in {URL}"
    reason = why[1] or why[2]
    return f"{url} shows a certificate that is not trusted ({reason}); check {CA_CERTS} and {URL}"


def refusal(settings: Settings, status: int, kind: str, reason: str) -> str:
    """The line for an answer of that status of HTTP, with the type and reason of its error."""
    name = settings.name
    if kind == BLOCKED:
        return (
            f"{name} is read-only ({short(reason)}); whoever runs it has to free some disk or take "
            "the block away"
        )
    match status:
        case 401 if settings.user:
            return f"{name} does not accept the login; check {USER_ID} and {USER_PWD}"
        case 401:
            return f"{name} asks for a login; set {USER_ID} and {USER_PWD}"
        case 403:
            return f"{name}: {_forbidden(settings.user, reason)}; ask whoever runs it"
        case 404 if kind == NO_INDEX:
            return f"{name} does not exist; check {INDEX}"
        case 413:
            return f"{name} takes no request of that size; whoever runs it has to allow 8 MB"
        case _ if status in MAY_PASS:
            return f"{name} is overloaded or not ready ({status}: {short(reason)}); try later"
    return f"{name} answers {status}: {short(reason) or 'nothing more'}"


def _forbidden(user: str, reason: str) -> str:
    who = f"the login of {USER_ID}" if user else "who has no login"
    needed = re.search(r"granted by the (index|cluster) privileges \[(\w+)", reason)
    return f"{who} lacks the {needed[1]} privilege {needed[2]}" if needed else f"{who} may not"


def cause(body: Any) -> tuple[str, str]:
    """The type and the reason of an error that Elasticsearch tells; both "" where it tells none."""
    try:
        return cause_of(msgspec.json.decode(body)["error"])
    except (msgspec.DecodeError, TypeError, KeyError):
        return "", ""


def cause_of(error: Any) -> tuple[str, str]:
    """The same of a decoded error. The reason is the one nearest to what was asked."""
    if not isinstance(error, dict):
        return "", str(error)
    failed = error.get("failed_shards") or [{}]
    nearest = failed[0].get("reason") or error
    reason = str(nearest.get("reason") or "")
    deeper = str((nearest.get("caused_by") or {}).get("reason") or "")
    return str(nearest.get("type") or ""), reason if deeper in reason else f"{reason}: {deeper}"


def short(reason: str) -> str:
    """The reason in one line, not endless."""
    line = " ".join(reason.split())
    return line if len(line) <= _LONGEST_REASON else f"{line[:_LONGEST_REASON]}..."


def _has(error: BaseException, kind: type[Exception]) -> bool:
    """Whether an exception of that kind is behind the error."""
    seen: BaseException | None = error
    while seen is not None and not isinstance(seen, kind):
        seen = seen.__cause__ or seen.__context__
    return seen is not None
