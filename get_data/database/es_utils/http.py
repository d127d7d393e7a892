"""The one connection to Elasticsearch: what may pass is tried again, what won't is told in a line.

No such host, or another protocol than the one that was told, is said at once (`patience` has the
rule for the rest).

    DatabaseError
    └── Refused     the server answered: no
"""

import warnings
from base64 import b64encode
from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec
from elastic_transport import Serializer, TransportError
from elasticsearch import ApiError, Elasticsearch, ElasticsearchWarning, UnsupportedProductError

from common import retry
from common.errors import DatabaseError
from get_data.database.es_utils import errors as es_errors
from get_data.database.es_utils.errors import BLOCKED, MAY_PASS, NO_INDEX, cause
from get_data.database.es_utils.proxied_node import node_class
from get_data.database.es_utils.settings import URL, Settings
from get_data.database.proxies import way_to

_CONNECTIONS = 16
_FOREIGN = frozenset({400, 403, 404, 405, 501})  # which Elasticsearch never gives without a reason
_HEADERS = {"accept": "application/json", "content-type": "application/json"}


class Refused(DatabaseError):
    """The server answered that it will not: `status` of HTTP, `kind` and `reason` of its error."""

    def __init__(self, message: str, status: int, kind: str, reason: str) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.reason = reason

    @property
    def short_reason(self) -> str:
        """The reason in one line, not endless."""
        return es_errors.short(self.reason)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server answered, undecoded.

    `is_repeated`: an earlier try got no answer, and may have been carried out all the same.
    """

    body: bytes
    is_repeated: bool


class _Undecoded(Serializer):
    """Bodies travel as the bytes that they are."""

    mimetype: ClassVar[str] = "*/*"

    def loads(self, data: bytes) -> bytes:
        return data

    def dumps(self, data: Any) -> bytes:
        return bytes(data)


class Http:
    """Requests to one server. Safe to use from threads."""

    def __init__(self, settings: Settings) -> None:
        undecoded = _Undecoded()
        types = ("application/json", "application/x-ndjson", "text/*", "application/*")
        self._settings = settings
        self._has_answered = False
        options: dict[str, Any] = {}
        if settings.user:  # encoded here: the client's own way knows no accents
            login = f"{settings.user}:{settings.password}"
            options["basic_auth"] = b64encode(login.encode()).decode()
        if settings.ca_certs and settings.url.startswith("https"):
            options["ca_certs"] = str(settings.ca_certs)
        self._way = way_to(settings.url)
        if self._way.proxy:
            options["node_class"] = node_class(self._way.proxy)
        self._client = Elasticsearch(
            settings.url,
            request_timeout=retry.REQUEST_TIMEOUT_S,
            max_retries=0,
            retry_on_status=(),
            retry_on_timeout=False,
            connections_per_node=_CONNECTIONS,
            serializers=dict.fromkeys(types, undecoded),
            **options,
        )

    @property
    def name(self) -> str:
        """The address of the index."""
        return self._settings.name

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        is_worth_waiting: bool = True,
        **parameters: Any,
    ) -> Answer:
        """The server's answer; of the first try where another is not worth it.

        Raises: DatabaseError, Refused.
        """
        backoff = retry.Backoff()
        is_repeated = False
        while True:
            try:
                response = self._client.perform_request(
                    method, path, params=parameters, headers=_HEADERS, body=body
                )
            except (TransportError, ApiError) as error:
                self._has_answered |= isinstance(error, ApiError)
                timeout_s = self._retry_timeout_s(error) if is_worth_waiting else 0.0
                if not backoff.wait(timeout_s):
                    raise self._told(error, backoff.elapsed_s) from error
                is_repeated = True
            else:
                self._has_answered = True
                return Answer(response.body, is_repeated=is_repeated)

    def talk(self, method: str, path: str, body: object = None, **parameters: Any) -> Any:
        """The decoded answer to a decoded body. Raises: DatabaseError, Refused."""
        encoded = None if body is None else msgspec.json.encode(body)
        return msgspec.json.decode(self.ask(method, path, encoded, **parameters).body)

    def put_mapping(self, index: str, addition: object) -> None:
        """Add to the mapping of an index. Raises: DatabaseError, Refused.

        Elasticsearch 8 and 9 allow it to whoever may write, and warn that a later one will not.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ElasticsearchWarning)
            self.talk("PUT", f"/{index}/_mapping", addition)

    def close(self) -> None:
        """No connection is open."""
        self._client.close()

    def _retry_timeout_s(self, error: TransportError | ApiError) -> float:
        """Return how long a request that failed so is retried, 0 for a permanent error."""
        if isinstance(error, ApiError):
            kind, _ = cause(error.body)
            is_transient = error.meta.status in MAY_PASS and kind != BLOCKED
            return retry.TIMEOUT_S if is_transient else 0.0
        if self._has_answered:
            return retry.TIMEOUT_S
        return 0.0 if es_errors.is_certain(error) else retry.FIRST_CONTACT_TIMEOUT_S

    def _told(self, error: TransportError | ApiError, waited_s: float) -> DatabaseError:
        if isinstance(error, TransportError):
            why = es_errors.unreachable(
                self._settings.url, error, has_answered=self._has_answered, waited_s=waited_s
            )
            return DatabaseError(f"{why}{self._way.note}")
        kind, reason = cause(error.body)
        is_foreign = error.meta.status in _FOREIGN and not kind and not reason
        if is_foreign or isinstance(error, UnsupportedProductError):
            return DatabaseError(
                f"{self._settings.url} is not Elasticsearch; check {URL}{self._way.note}"
            )
        return self.refused(error.meta.status, kind, reason)

    def refused(self, status: int, kind: str, reason: str) -> Refused:
        """The exception for such an answer, which says what to do."""
        message = es_errors.refusal(self._settings, status, kind, reason)
        return Refused(message, status, kind, reason)


def is_missing(error: Refused) -> bool:
    """Whether there is no such index."""
    return error.status == 404 and error.kind == NO_INDEX
