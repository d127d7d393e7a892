"""A client of one Elasticsearch server: retries, and errors translated into ours."""

import warnings
from base64 import b64encode
from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec
from elastic_transport import Serializer, TransportError
from elasticsearch import ApiError, Elasticsearch, ElasticsearchWarning

from common import retry
from common.errors import DatabaseError
from get_data.database.es_utils import errors
from get_data.database.es_utils.errors import RequestRejected
from get_data.database.es_utils.proxied_node import node_class
from get_data.database.es_utils.settings import Settings
from get_data.database.proxies import find_route

_CONNECTIONS = 16
_HEADERS = {"accept": "application/json", "content-type": "application/json"}
_MIME_TYPES = ("application/json", "application/x-ndjson", "text/*", "application/*")


@dataclass(frozen=True, slots=True)
class Response:
    """A successful response.

    Attributes:
        body: the undecoded JSON.
        was_retried: whether an earlier attempt failed. The server may have executed it anyway.
    """

    body: bytes
    was_retried: bool


class Client:
    """A thread-safe client of the server that the settings name; it connects when first used."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._has_answered = False
        self._route = find_route(settings.url)
        options: dict[str, Any] = {}
        if settings.user:  # encoded here: the library fails on accents
            login = f"{settings.user}:{settings.password}"
            options["basic_auth"] = b64encode(login.encode()).decode()
        if settings.ca_certs and settings.url.startswith("https"):
            options["ca_certs"] = str(settings.ca_certs)
        if self._route.proxy:
            options["node_class"] = node_class(self._route.proxy)
        self._elasticsearch = Elasticsearch(
            settings.url,
            request_timeout=retry.REQUEST_TIMEOUT_S,
            max_retries=0,
            retry_on_status=(),
            retry_on_timeout=False,
            connections_per_node=_CONNECTIONS,
            serializers=dict.fromkeys(_MIME_TYPES, _RawBytes()),
            **options,
        )

    @property
    def name(self) -> str:
        """The address of the index."""
        return self._settings.name

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        should_retry: bool = True,
        **parameters: Any,
    ) -> Response:
        """Send a request, retry transient failures, and return the response.

        Raises:
            RequestRejected: the server answered with an error.
            DatabaseError: the server could not be reached.
        """
        backoff = retry.Backoff()
        was_retried = False
        while True:
            try:
                response = self._elasticsearch.perform_request(
                    method, path, params=parameters, headers=_HEADERS, body=body
                )
            except (TransportError, ApiError) as error:
                # any answer proves the address right, so later outages are waited for
                self._has_answered |= isinstance(error, ApiError)
                timeout_s = self._retry_timeout_s(error) if should_retry else 0.0
                if not backoff.wait(timeout_s):
                    raise self._translate_error(error, backoff.elapsed_s) from error
                # the server may have executed the failed attempt; callers interpret 409 and 404 by
                # this
                was_retried = True
            else:
                self._has_answered = True
                return Response(response.body, was_retried)

    def request_json(self, method: str, path: str, body: object = None, **parameters: Any) -> Any:
        """Send `body` as JSON like `request()`, and return the decoded response."""
        encoded = None if body is None else msgspec.json.encode(body)
        return msgspec.json.decode(self.request(method, path, encoded, **parameters).body)

    def put_mapping(self, index: str, addition: object) -> None:
        """Add fields to the mapping of an index.

        Elasticsearch 8 and 9 allow this to every writer, with a warning that a later version will
        not.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ElasticsearchWarning)
            self.request_json("PUT", f"/{index}/_mapping", addition)

    def close(self) -> None:
        """Close all connections."""
        self._elasticsearch.close()

    def rejection(self, status: int, kind: str, reason: str) -> RequestRejected:
        """Return the exception for an error that came inside a successful response."""
        return errors.rejection(self._settings, status, kind, reason)

    def _retry_timeout_s(self, error: TransportError | ApiError) -> float:
        """Return how long to retry a request that failed with this error; 0 if it is permanent."""
        if isinstance(error, ApiError):
            return retry.TIMEOUT_S if errors.is_transient(error) else 0.0
        if self._has_answered:  # so host name and protocol were right
            return retry.TIMEOUT_S
        return 0.0 if errors.is_wrong_address(error) else retry.FIRST_CONTACT_TIMEOUT_S

    def _translate_error(self, error: TransportError | ApiError, elapsed_s: float) -> DatabaseError:
        return errors.translate_error(
            error,
            self._settings,
            self._route,
            has_answered=self._has_answered,
            elapsed_s=elapsed_s,
        )


class _RawBytes(Serializer):
    """A serializer that leaves bodies as bytes: they are encoded and decoded by msgspec."""

    mimetype: ClassVar[str] = "*/*"

    def loads(self, data: bytes) -> bytes:
        return data

    def dumps(self, data: Any) -> bytes:
        return bytes(data)
