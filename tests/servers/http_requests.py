"""HTTP/1.1 requests split from a stream of bytes."""

from collections.abc import Iterator
from dataclasses import dataclass

_END_OF_HEAD = b"\r\n\r\n"
_END_OF_CHUNKS = b"0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Request:
    """The head of a request."""

    method: str
    target: str
    expects_to_be_asked: bool  # `Expect: 100-continue`: the body comes after a first answer

    @property
    def kind(self) -> str:
        """The operation: `list`, `delete` (of many), `object`, `bucket or index` for S3, else
        the first part of the path with an underscore: `_bulk`, `_mget`, `_search`, `_pit` ..."""
        path, _, query = self.target.partition("?")
        parts = [part for part in path.split("/") if part]
        for part in parts:
            if part.startswith("_"):
                return part
        if "list-type" in query:
            return "list"
        if query.partition("=")[0] == "delete":
            return "delete"
        return "object" if len(parts) > 1 else "bucket or index"


class RequestSplitter:
    """A splitter of the bytes of one connection into requests."""

    def __init__(self) -> None:
        self._head = b""
        self._body_bytes = 0
        self._is_chunked = False

    @property
    def is_between(self) -> bool:
        """Whether the last request is complete."""
        return not (self._head or self._body_bytes or self._is_chunked)

    def feed(self, data: bytes) -> Iterator[tuple[Request | None, bytes]]:
        """Yield each head whole with its Request, and body data as it arrives with None."""
        while data:
            if self._is_chunked:
                self._is_chunked = not data.endswith(_END_OF_CHUNKS)  # nobody sends two at once
                yield None, data
                return
            if self._body_bytes:
                piece, data = data[: self._body_bytes], data[self._body_bytes :]
                self._body_bytes -= len(piece)
                yield None, piece
                continue
            head, end, data = (self._head + data).partition(_END_OF_HEAD)
            if not end:
                self._head = head
                return
            self._head = b""
            yield self._begin(head), head + end

    def _begin(self, head: bytes) -> Request:
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip().lower()
        self._body_bytes = int(headers.get("content-length", 0))
        self._is_chunked = headers.get("transfer-encoding") == "chunked"
        method, target, _ = first.split(" ")
        return Request(method, target, headers.get("expect") == "100-continue")
