"""The picture store of a team: a bucket on S3, accessed with obstore.

Only obstore's sync calls are used: its async calls may abort the interpreter when it exits.
Requests are retried here and not by obstore, which retries neither a create-only PUT that was cut
off nor a response that broke off in the middle.
"""

import hashlib
import math
import os
import re
import time
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Literal, TypeVar
from uuid import uuid4

from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import S3Store

from common import retry
from common.batching import THREADS
from common.errors import PictureMissing, SetMissing
from common.together import run_together
from get_data.database.frozen.set_references import SetReferences
from get_data.database.interfaces import (
    BACKUP_PREFIX,
    PICTURE_PREFIX,
    SET_PREFIX,
    BackupCopy,
    CopyReader,
    PictureState,
    StoredPicture,
    StoredSet,
    backed_up_key,
    backup_path,
    checked_path,
    checked_set_path,
    is_set_path,
    is_store_path,
    key_matches,
)
from get_data.database.proxies import find_route
from get_data.database.s3_utils.endpoint import find_endpoint, without_client_variables
from get_data.database.s3_utils.errors import NOT_IMPLEMENTED, Diagnosis, RequestFailed, diagnose
from get_data.database.s3_utils.settings import VIRTUAL, Settings

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import ClientConfig

_FAIL_FAST_S = 1.0  # how long requests fail at once after one was retried in vain
_CONNECT_TIMEOUT_S = 5

# Transfers at once: a picture takes a server a few milliseconds, and the way there a round trip.
_TRANSFERS_NEAR, _TRANSFERS_FAR = 16, 256
_TRANSFERS_PER_S = 3000  # of round trip

_FEW = 16  # so many HEADs, in parallel, are no slower than one LIST
_BLOCK_BYTES = 2**20  # of a frozen set by one GET
_PAGE_SIZE = 1000  # keys in one LIST, the most that S3 allows
_PROBE_PREFIX = f"{BACKUP_PREFIX}probe"  # one left by a killed check expires as a backup copy
_PROBE = b"probe"
_MD5 = re.compile('"?([0-9a-f]{32})"?', re.IGNORECASE)  # the ETag of a multipart upload is longer

Result = TypeVar("Result")


class S3PictureStore:
    """A `PictureStore` in a bucket; transient failures are retried for `retry_timeout_s`."""

    def __init__(self, settings: Settings, *, retry_timeout_s: float = retry.TIMEOUT_S) -> None:
        endpoint = find_endpoint(settings)
        self._settings = settings
        self._url = endpoint.url
        self._retry_timeout_s = retry_timeout_s
        self._pace = retry.Pace()
        self._has_answered = False
        self._last_timeout = (-math.inf, Diagnosis("", ""))  # when a request was given up, and why
        self._has_create_only = True
        self._etag_is_md5 = True
        self._clock: tuple[datetime, float] | None = None  # the server's, and ours at that moment
        self._route = find_route(endpoint.url)
        self._set_references = SetReferences(self.list_sets, self.read_set)
        client_options: ClientConfig = {
            "allow_http": endpoint.url.startswith("http:"),
            "connect_timeout": timedelta(seconds=_CONNECT_TIMEOUT_S),
            "timeout": timedelta(seconds=retry.REQUEST_TIMEOUT_S),
        }
        if self._route.proxy:
            client_options["proxy_url"] = self._route.proxy
        # Read once, when obstore starts its runtime. Our own threads send the requests: more of
        # its workers only add switches between threads. A value of the user's own wins.
        os.environ.setdefault("TOKIO_WORKER_THREADS", "1")
        with without_client_variables():
            self._bucket = S3Store(
                settings.bucket,
                endpoint=endpoint.bucket_url(settings),
                region=endpoint.region,
                virtual_hosted_style_request=settings.addressing == VIRTUAL,
                disable_bulk_delete=True,  # some servers lack it, and we delete one by one
                credential_provider=endpoint.credentials,
                client_options=client_options,
                retry_config={"max_retries": 0},
            )

    @property
    def name(self) -> str:
        """The bucket."""
        return self._settings.bucket

    @property
    def transfers_at_once(self) -> int:
        """How many transfers at once are fastest: more, the longer the round trip."""
        more = _TRANSFERS_PER_S * self._pace.fastest_s  # as `check` has measured it
        return round(min(_TRANSFERS_NEAR + more, _TRANSFERS_FAR))

    @property
    def notice(self) -> str:
        """Remark by `check` for the user, in one line; "" if there is none."""
        if self._has_create_only:
            return ""
        return (
            f"the server of {self._settings.name} does not support create-only writes "
            "(If-None-Match); each picture is looked up before it is sent"
        )

    def check(self, *, writing: bool) -> None:
        """Check address, bucket and permissions, and leave nothing behind; call this first.

        Raises:
            DatabaseError: the bucket cannot be used; the message names the variable to check.
        """
        run_together(
            lambda: self._request(lambda: self._list_page(_PROBE_PREFIX), ""), self._probe_reading
        )
        if not writing:
            return
        # one written object tells: rights, create-only support, the server's clock, kind of ETag
        probe = f"{_PROBE_PREFIX}/{uuid4().hex}"
        accepts_create_only = self._put_probe(probe)
        sent = time.monotonic()
        meta, is_refused = run_together(
            lambda: self._request(lambda: self._bucket.head(probe), probe),
            lambda: accepts_create_only and self._refuses_to_create(probe),
        )
        self._has_create_only = is_refused
        self._clock = (meta["last_modified"], sent)
        # Under some encryptions, such as SSE-KMS, an ETag looks like an MD5 but is not.
        self._etag_is_md5 = _etag_md5(meta) in ("", _md5(_PROBE))
        self.delete(probe)

    def put_new(self, key: str, picture: bytes) -> bool:
        """Put the picture unless it exists, and return whether it was put.

        The answer is also False when this call put it, but the response was lost and the retry
        found it.
        """
        # D1 without create-only writes: a writer that races with this one puts the same content
        if not self._has_create_only and self._holds(key, picture):
            return False
        try:
            self._put(key, picture, "create" if self._has_create_only else "overwrite")
        except AlreadyExistsError:
            # The object may be a delete marker in a versioned bucket, another writer's failed
            # upload, or truncated. Overwriting is safe: keys are content-addressed, so a
            # concurrent writer puts the same picture.
            if self._holds(key, picture):
                return False
            self._put(key, picture, "overwrite")
        return True

    def has_pictures(self) -> bool:
        """Return whether the bucket holds any picture, labelled or not."""
        return bool(self._request(partial(self._list_page, PICTURE_PREFIX), PICTURE_PREFIX))

    def list_pictures(self) -> Iterator[StoredPicture]:
        """Yield all pictures, labelled or not, by one LIST per thousand.

        Ages are as those of `backup_copies`.
        """
        after, count = "", _PAGE_SIZE
        while count == _PAGE_SIZE:
            page = self._request(partial(self._list_page, PICTURE_PREFIX, after), PICTURE_PREFIX)
            for meta in page:
                after = meta["path"]
                yield StoredPicture(after, meta["size"], self._age_s(meta))
            count = len(page)

    def put(self, key: str, picture: bytes) -> None:
        """Put the picture, and overwrite what has its key."""
        self._put(key, picture, "overwrite")

    def get(self, path: str) -> bytes:
        """Return the picture under a key, or a backup copy.

        Raises:
            PictureMissing: there is no such object.
        """
        checked_path(path)
        try:
            return self._request(
                lambda: bytes(self._bucket.get(path).bytes()), path, FileNotFoundError
            )
        except FileNotFoundError as error:
            raise PictureMissing(f"bucket {self.name!r} holds no {path}") from error

    def sizes(self, keys: Collection[str]) -> dict[str, int]:
        """Return the size in bytes of each picture that exists."""
        return {key: meta["size"] for key, meta in self._find(keys).items()}

    def examine(
        self, pictures: Mapping[str, CopyReader], *, read: bool = False
    ) -> dict[str, PictureState]:
        """Return the state of each picture that exists.

        Costs what `sizes` costs, and one GET per picture whose listed hash differs from that of the
        caller's copy; with `read`, one GET per picture.
        """
        found = self._find(pictures)
        states: dict[str, PictureState | None] = dict.fromkeys(found)
        if not read:
            states = {key: self._compare_listed(found[key], pictures[key]) for key in found}
        # what the listing does not settle takes a request each
        unsettled = [key for key, state in states.items() if state is None]
        with ThreadPoolExecutor(THREADS) as threads:
            compared = threads.map(
                lambda key: self._compare(found[key], pictures[key], read=read), unsettled
            )
            settled = dict(zip(unsettled, compared, strict=True))
        return {key: state or settled[key] for key, state in states.items()}

    def make_durable(self) -> None:
        """Do nothing: S3 acknowledges a picture once it is durable."""

    def backup_copies(self) -> dict[str, list[BackupCopy]]:
        """Return the backup copies that deletions made, by key; their ages by the server's clock.

        Before `check(writing=True)` has read that clock, this machine's is used. They differ by
        less than 15 minutes: S3 rejects requests whose time is further off.
        """
        copies: dict[str, list[BackupCopy]] = {}
        for meta in self._request(
            lambda: self._bucket.list(BACKUP_PREFIX).collect(), BACKUP_PREFIX
        ):
            key = backed_up_key(meta["path"])
            copies.setdefault(key, []).append(BackupCopy(meta["path"], self._age_s(meta)))
        return copies

    def back_up(self, key: str, run: str) -> bool:
        """Copy a picture to `backup_path(key, run)`, and return whether there was one."""
        checked_path(key)
        try:
            self._request(
                lambda: self._bucket.copy(key, backup_path(key, run)), key, FileNotFoundError
            )
        except FileNotFoundError:
            return False
        return True

    def delete(self, path: str) -> None:
        """Delete the picture under a key, or a backup copy, if it exists."""
        checked_path(path)
        with suppress(FileNotFoundError):
            self._request(lambda: self._bucket.delete(path), path, FileNotFoundError)

    def list_sets(self) -> list[StoredSet]:
        """Return all frozen sets by path; their ages are as those of `backup_copies`."""
        listed = self._request(lambda: self._bucket.list(SET_PREFIX).collect(), SET_PREFIX)
        found = [StoredSet(each["path"], each["size"], self._age_s(each)) for each in listed]
        return sorted((each for each in found if is_set_path(each.path)), key=lambda x: x.path)

    def put_new_set(self, path: str, content: bytes) -> bool:
        """Put a frozen set unless there is one at this path; return whether it was put.

        The answer is also False when this call put it, but the response was lost.
        """
        checked_set_path(path)
        if not self._has_create_only and self._head(path) is not None:
            return False
        try:
            self._put_object(path, content, "create" if self._has_create_only else "overwrite")
        except AlreadyExistsError:
            if self._head(path) is not None:
                return False
            # a delete marker in a versioned bucket
            self._put_object(path, content, "overwrite")
        return True

    def put_set(self, path: str, content: bytes) -> None:
        """Put a frozen set, overwriting a damaged one at this path."""
        self._put_object(checked_set_path(path), content, "overwrite")

    def read_set(self, stored: StoredSet) -> Iterator[bytes]:
        """Yield a frozen set, a megabyte by one GET.

        Raises:
            SetMissing: it does not exist any more.
        """
        path = checked_set_path(stored.path)
        for start in range(0, stored.size, _BLOCK_BYTES):
            end = min(start + _BLOCK_BYTES, stored.size)
            get = partial(self._bucket.get_range, path, start=start, end=end)
            try:
                yield bytes(self._request(get, path, FileNotFoundError))
            except FileNotFoundError as error:
                raise SetMissing(f"bucket {self.name!r} holds no {path}") from error

    def delete_set(self, path: str) -> None:
        """Delete the frozen set at this path, if it exists."""
        checked_set_path(path)
        with suppress(FileNotFoundError):
            self._request(lambda: self._bucket.delete(path), path, FileNotFoundError)

    def find_set_references(self, keys: Collection[str]) -> set[str]:
        """Return those of the picture keys that frozen sets name."""
        return self._set_references.find(keys)

    def stale_files(self) -> list[str]:
        """Return nothing: S3 has no half-written objects."""
        return []

    def remove_stale_files(self) -> None:
        """Do nothing: S3 has no half-written objects."""

    def _put(self, key: str, picture: bytes, mode: Literal["create", "overwrite"]) -> None:
        self._put_object(checked_path(key), picture, mode)

    def _put_object(self, path: str, content: bytes, mode: Literal["create", "overwrite"]) -> None:
        self._request(
            lambda: self._bucket.put(path, content, mode=mode, use_multipart=False),
            path,
            AlreadyExistsError,
        )

    def _probe_reading(self) -> None:
        """Read an absent picture, which shows whether the login may read at all."""
        with suppress(PictureMissing):
            self.get(f"{PICTURE_PREFIX}probe")

    def _put_probe(self, probe: str) -> bool:
        """Put an object, and return whether the server accepts a create-only write."""
        try:
            self._put(probe, _PROBE, "create")
        except AlreadyExistsError:  # the response to it was lost, and it was sent again
            return True
        except RequestFailed as error:
            if error.diagnosis.status != NOT_IMPLEMENTED:
                raise
            self._put(probe, _PROBE, "overwrite")
            return False
        return True

    def _refuses_to_create(self, probe: str) -> bool:
        """Return whether the server refuses to create an object that exists."""
        try:
            self._put(probe, _PROBE, "create")
        except AlreadyExistsError:
            return True
        except RequestFailed as error:
            if error.diagnosis.status != NOT_IMPLEMENTED:
                raise
        return False

    def _age_s(self, meta: "ObjectMeta") -> float:
        """Return the age of an object by the server's clock."""
        return max(0.0, (self._now() - meta["last_modified"]).total_seconds())

    def _now(self) -> datetime:
        """Return the time by the server's clock."""
        if self._clock is None:
            return datetime.now(UTC)
        server_time, read_at = self._clock
        return server_time + timedelta(seconds=time.monotonic() - read_at)

    def _holds(self, key: str, picture: bytes) -> bool:
        """Return whether the bucket holds this picture, judged by its metadata."""
        meta = self._head(key)
        if meta is None or meta["size"] != len(picture):
            return False
        return self._compare(meta, lambda: picture, read=False).is_intact

    def _compare(self, meta: "ObjectMeta", read_copy: CopyReader, *, read: bool) -> PictureState:
        """Return the state of an object.

        A differing hash proves nothing: an object put while the bucket had another encryption has
        an ETag that is not an MD5. So the object is read, and if it is intact after all, ETags are
        no longer trusted.
        """
        if not read and (state := self._compare_listed(meta, read_copy)):
            return state
        try:
            is_intact = key_matches(meta["path"], self.get(meta["path"]))
        except PictureMissing:
            is_intact = False
        if is_intact and not read:
            self._etag_is_md5 = False
        return PictureState(meta["size"], is_intact)

    def _compare_listed(self, meta: "ObjectMeta", read_copy: CopyReader) -> PictureState | None:
        """Return the state of an object that is intact by its listed hash, or has none."""
        expected = _etag_md5(meta) if self._etag_is_md5 else ""
        picture = read_copy() if expected else None
        if picture is None or _md5(picture) == expected:
            return PictureState(meta["size"], is_intact=True, is_verified=picture is not None)
        return None

    def _find(self, keys: Collection[str]) -> dict[str, "ObjectMeta"]:
        """Return the metadata of the pictures that exist.

        Neighbouring keys cost one LIST per 1,000. A few keys, or sparse ones, cost a HEAD each.
        """
        wanted = sorted({key for key in keys if is_store_path(key)})
        found: dict[str, ObjectMeta] = {}
        sparse: list[str] = []
        # pictures of a day are neighbours: one LIST answers for a thousand of them
        for folder, neighbours in groupby(wanted, lambda key: key.rpartition("/")[0]):
            sparse += self._find_by_pages(folder, list(neighbours), found)
        with ThreadPoolExecutor(THREADS) as threads:
            for key, meta in zip(sparse, threads.map(self._head, sparse), strict=True):
                if meta is not None:
                    found[key] = meta
        return {key: found[key] for key in wanted if key in found}

    def _find_by_pages(
        self, folder: str, keys: Sequence[str], found: "dict[str, ObjectMeta]"
    ) -> Sequence[str]:
        """Add what the folder lists to `found`; return the keys that are too sparse for a LIST.

        Each page starts at the first key that is still unknown, so gaps are not listed.
        """
        while len(keys) > _FEW:
            before_first = keys[0][:-1]
            page = self._request(partial(self._list_page, folder, before_first), folder)
            found |= {meta["path"]: meta for meta in page}
            if len(page) < _PAGE_SIZE:
                return []
            # every key up to the page's last one is answered by this page, found or not
            covered = bisect_right(keys, page[-1]["path"])
            keys = keys[covered:]
            # the page answered hardly any key: they lie far apart, and a HEAD each is cheaper
            if covered <= _FEW:
                break
        return keys

    def _list_page(self, folder: str, after: str = "") -> Sequence["ObjectMeta"]:
        """Return up to one page of a folder's objects, those after a key, by one request."""
        return next(self._bucket.list(folder, offset=after or None, chunk_size=_PAGE_SIZE), [])

    def _head(self, key: str) -> "ObjectMeta | None":
        """Return the metadata of a picture, None if it does not exist."""
        try:
            return self._request(lambda: self._bucket.head(key), key, FileNotFoundError)
        except FileNotFoundError:
            return None

    def _request(
        self,
        send: Callable[[], Result],
        subject: str,
        expected: type[Exception] | tuple[()] = (),
    ) -> Result:
        """Send a request, retry transient failures, and return the result.

        After one thread's retries have timed out, the requests of the others fail at once for a
        second: otherwise a lost server would cost the whole timeout per picture.

        Args:
            send: sends the request.
            subject: path or prefix that the request concerns, for the message; "" for none.
            expected: the error of obstore that the caller handles.

        Raises:
            RequestFailed: the request failed for good, or was retried in vain.
        """
        # another thread has just retried in vain: do not wait for the same server again
        timed_out_at, diagnosis = self._last_timeout
        if time.monotonic() < timed_out_at + _FAIL_FAST_S:
            raise self._request_failed(diagnosis, subject, 0.0)
        backoff = retry.Backoff(self._pace)
        while True:
            self._pace.wait()
            sent = time.monotonic()
            try:
                result = send()
            except (BaseError, OSError) as error:
                diagnosis = diagnose(error, self._settings)
                self._has_answered |= diagnosis.status != 0
                # A missing bucket is not a missing picture, though obstore reports both alike.
                if isinstance(error, expected) and diagnosis.code != "NoSuchBucket":
                    self._succeeded(sent)
                    raise
                if diagnosis.is_refusal:
                    self._pace.refused()
                # a refusal for good is final; only what may pass is retried
                if diagnosis.is_transient:
                    if backoff.wait(self._timeout_s):
                        continue
                    self._last_timeout = (time.monotonic(), diagnosis)
                # a traceback shows the library's message too, and it may contain the login
                error.args = (self._settings.without_secrets(str(error)),)
                raise self._request_failed(diagnosis, subject, backoff.elapsed_s) from error
            self._succeeded(sent)
            return result

    def _succeeded(self, sent: float) -> None:
        self._has_answered = True
        self._pace.succeeded(time.monotonic() - sent)

    @property
    def _timeout_s(self) -> float:
        """How long to retry: any answer proves the address right, so outages are waited for."""
        first_contact_s = math.inf if self._has_answered else retry.FIRST_CONTACT_TIMEOUT_S
        return min(self._retry_timeout_s, first_contact_s)

    def _request_failed(
        self, diagnosis: Diagnosis, subject: str, elapsed_s: float
    ) -> RequestFailed:
        place = f"bucket {self.name!r} at {self._url}" + (f", {subject}" if subject else "")
        duration = f" for {elapsed_s:.0f} s" if elapsed_s > 1 else ""
        note = self._route.note if diagnosis.is_about_route else ""
        return RequestFailed(
            f"picture store: {place}: {diagnosis.reason}{duration}; check {diagnosis.remedy}{note}",
            diagnosis,
        )


def _etag_md5(meta: "ObjectMeta") -> str:
    """Return the MD5 in the ETag of an object, "" if it is not one."""
    match = _MD5.fullmatch(meta["e_tag"] or "")
    return match[1].lower() if match else ""


def _md5(picture: bytes) -> str:
    """Return the hash that S3 uses; it protects against accidents only."""
    return hashlib.md5(picture, usedforsecurity=False).hexdigest()
