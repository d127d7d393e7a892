"""A client of one Elasticsearch server: retries, and errors translated into ours."""

import gzip
import math
import time
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import msgspec
from elastic_transport import ApiResponseMeta, HttpHeaders, TransportError, Urllib3HttpNode
from elastic_transport.client_utils import url_to_node_config

from common import retry
from common.errors import DatabaseError
from get_data.database.es_utils import errors
from get_data.database.es_utils.errors import ErrorResponse, RequestRejected
from get_data.database.es_utils.proxied_node import node_class
from get_data.database.es_utils.settings import Settings
from get_data.database.proxies import find_route

_CONNECTIONS = 16
# A connection begins with some packets a round trip and doubles them: a megabyte takes seven round
# trips, compressed three or four. Near, compressing takes more time than it saves.
_FAR_ROUND_TRIP_S = 0.01
_GZIP_LEVEL = 1
_REFUSALS = frozenset({400, 403, 415})
_JSON = "application/vnd.elasticsearch+json; compatible-with=8"  # servers 8 and 9 both accept it


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
        self._pace = retry.Pace()
        self._compresses = True
        self._is_elasticsearch = False  # one answer had the header of the product
        headers = {"accept": _JSON, "content-type": _JSON}
        if settings.user:
            login = b64encode(f"{settings.user}:{settings.password}".encode()).decode()
            headers["authorization"] = f"Basic {login}"
        self._route = find_route(settings.url)
        node = url_to_node_config(settings.url, use_default_ports_for_scheme=True).replace(
            headers=HttpHeaders(headers),
            connections_per_node=_CONNECTIONS,
            request_timeout=retry.REQUEST_TIMEOUT_S,
        )
        if settings.ca_certs and node.scheme == "https":
            node = node.replace(ca_certs=str(settings.ca_certs))
        create_node = node_class(self._route.proxy) if self._route.proxy else Urllib3HttpNode
        self._node = create_node(node)

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
                content = self._perform(method, path, body, parameters)
            except (TransportError, ErrorResponse) as error:
                # any answer proves the address right, so later outages are waited for
                self._has_answered |= isinstance(error, ErrorResponse)
                timeout_s = self._retry_timeout_s(error) if should_retry else 0.0
                if not backoff.wait(timeout_s):
                    raise self._translate_error(error, backoff.elapsed_s) from error
                # the server may have executed the failed attempt; callers interpret 409 and 404 by
                # this
                was_retried = True
            else:
                self._has_answered = True
                return Response(content, was_retried)

    def _perform(
        self, method: str, path: str, body: bytes | None, parameters: Mapping[str, Any]
    ) -> bytes:
        """Send a request once, and return the body of the response.

        Raises:
            ErrorResponse: it is an error, or not one of Elasticsearch.
            TransportError: there is none.
        """
        target = f"{path}?{urlencode(parameters)}" if parameters else path
        sent = time.monotonic()
        meta, content = self._send(method, target, body)
        if not 200 <= meta.status < 300:
            raise ErrorResponse(meta.status, content)
        # once is enough: a proxy in between may answer later requests itself
        self._is_elasticsearch |= meta.headers.get("x-elastic-product") == "Elasticsearch"
        if not self._is_elasticsearch:
            raise ErrorResponse(meta.status, content)
        self._pace.succeeded(time.monotonic() - sent)
        return content

    def _send(self, method: str, target: str, body: bytes | None) -> tuple[ApiResponseMeta, bytes]:
        """Send a request once, compressed if that is sooner."""
        is_far = _FAR_ROUND_TRIP_S < self._pace.fastest_s < math.inf
        if is_far and self._compresses:
            headers = HttpHeaders({"accept-encoding": "gzip"})
            compressed = None
            if body:
                headers["content-encoding"] = "gzip"
                compressed = gzip.compress(body, _GZIP_LEVEL)
            answer = self._node.perform_request(method, target, compressed, headers)
            # a gateway in between may refuse it; Elasticsearch names the type of its errors
            if answer.meta.status not in _REFUSALS or errors.parse_error(answer.body)[0]:
                return answer
            self._compresses = False
        return self._node.perform_request(method, target, body)

    def request_json(self, method: str, path: str, body: object = None, **parameters: Any) -> Any:
        """Send `body` as JSON like `request()`, and return the decoded response."""
        encoded = None if body is None else msgspec.json.encode(body)
        return msgspec.json.decode(self.request(method, path, encoded, **parameters).body)

    def close(self) -> None:
        """Close all connections."""
        self._node.close()

    def rejection(self, status: int, kind: str, reason: str) -> RequestRejected:
        """Return the exception for an error that came inside a successful response."""
        return errors.rejection(self._settings, status, kind, reason)

    def _retry_timeout_s(self, error: TransportError | ErrorResponse) -> float:
        """Return how long to retry a request that failed with this error; 0 if it is permanent."""
        if isinstance(error, ErrorResponse):
            kind, _ = errors.parse_error(error.body)
            return retry.TIMEOUT_S if errors.is_transient(error.status, kind) else 0.0
        if self._has_answered:  # so host name and protocol were right
            return retry.TIMEOUT_S
        return 0.0 if errors.is_wrong_address(error) else retry.FIRST_CONTACT_TIMEOUT_S

    def _translate_error(
        self, error: TransportError | ErrorResponse, elapsed_s: float
    ) -> DatabaseError:
        return errors.translate_error(
            error,
            self._settings,
            self._route,
            has_answered=self._has_answered,
            elapsed_s=elapsed_s,
        )
