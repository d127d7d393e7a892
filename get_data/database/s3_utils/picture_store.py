"""The picture store of a team: a bucket on S3, through obstore.

Its sync calls only: the async ones may abort the interpreter when it ends. Requests that fail of
what may pass are repeated here and not by obstore, which repeats neither a create-only PUT that was
cut off nor an answer that broke off in the middle.
"""

import hashlib
import math
import os
import re
import time
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Literal, TypeVar
from uuid import uuid4

from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import S3Store

from common import retry
from common.batching import THREADS
from common.errors import DatabaseError, PictureMissing
from get_data.database.interfaces import (
    BACKUP_PREFIX,
    PICTURE_PREFIX,
    BackupCopy,
    CopyReader,
    PictureState,
    backed_up_key,
    backup_path,
    checked_path,
    is_store_path,
    key_matches,
)
from get_data.database.proxies import find_route
from get_data.database.s3_utils.refusals import NOT_IMPLEMENTED, Refusal
from get_data.database.s3_utils.settings import VIRTUAL, Login, Settings

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import ClientConfig

_LOSS_S = 1.0  # after one request was given up, those that were waiting for their turn are too
_CONNECT_S = 5

_FEW = 16  # keys that are asked for one by one, which takes no longer than a LIST
_PAGE = 1000  # what S3 lists at once
_PROBES = f"{BACKUP_PREFIX}probe"  # one that a killed check leaves goes with the old copies
_PROBE = b"probe"
_MD5 = re.compile('"?([0-9a-f]{32})"?', re.IGNORECASE)  # not that of an upload in parts

Result = TypeVar("Result")


class Refused(DatabaseError):
    """A request failed, and will not go through soon."""

    def __init__(self, message: str, refusal: Refusal) -> None:
        super().__init__(message)
        self.refusal = refusal


class S3PictureStore:
    """Pictures as objects in a bucket; transient failures are retried for `retry_timeout_s`."""

    def __init__(self, settings: Settings, *, retry_timeout_s: float = retry.TIMEOUT_S) -> None:
        login = Login.of(settings)
        self._settings = settings
        self._url = login.url
        self._retry_timeout_s = retry_timeout_s
        self._lost = (-math.inf, Refusal("", ""))  # when a request was given up last, and why
        self._knows_create_only = True
        self._tells_md5 = True  # an ETag may be something else, as with SSE-KMS
        self._clock: tuple[datetime, float] | None = None
        self._route = find_route(login.url)
        client_options: ClientConfig = {
            "allow_http": login.url.startswith("http:"),
            "connect_timeout": timedelta(seconds=_CONNECT_S),
            "timeout": timedelta(seconds=retry.REQUEST_TIMEOUT_S),
        }
        if self._route.proxy:
            client_options["proxy_url"] = self._route.proxy
        with _foreign_variables_hidden():
            self._store = S3Store(
                settings.bucket,
                endpoint=login.url_of(settings),
                region=login.region,
                virtual_hosted_style_request=settings.addressing == VIRTUAL,
                disable_bulk_delete=True,  # not every server knows it, and we delete one by one
                credential_provider=login.credentials,
                client_options=client_options,
                retry_config={"max_retries": 0},
            )

    @property
    def name(self) -> str:
        """The bucket."""
        return self._settings.bucket

    @property
    def notice(self) -> str:
        """What people should know of the way that pictures go there, if `check` found anything."""
        if self._knows_create_only:
            return ""
        return (
            f"the server of {self._settings.name} does not know create-only writing "
            "(If-None-Match); each picture is asked for before it is sent"
        )

    def check(self, *, writing: bool) -> None:
        """The bucket is there and the login has its rights; to be called first.

        Raises: DatabaseError that names the variable to look at; nothing stays changed.
        """
        timeout_s = min(self._retry_timeout_s, retry.FIRST_CONTACT_TIMEOUT_S)
        self._try(lambda: self._page(_PROBES), "", timeout_s=timeout_s)
        with suppress(PictureMissing):
            self.get("pictures/probe")
        if not writing:
            return
        probe = f"{_PROBES}/{uuid4().hex}"
        self._knows_create_only = self._learn_create_only(probe)
        asked = time.monotonic()
        seen = self._try(lambda: self._store.head(probe), probe)
        self._clock = (seen["last_modified"], asked)
        self._tells_md5 = self._md5(seen) in ("", _md5(_PROBE))
        self.delete(probe)

    def put_new(self, key: str, picture: bytes) -> bool:
        """Put the picture; return False when it was there already and stays.

        Also False when it was this very call that put it, and the server's word was lost.
        """
        if not self._knows_create_only and self._has(key, picture):
            return False
        try:
            self._put(key, picture, "create" if self._knows_create_only else "overwrite")
        except AlreadyExistsError:
            # That may be a picture deleted in a bucket with versions, another writer's that
            # failed, or one cut short elsewhere. Whoever puts it meanwhile puts the same: the key
            # tells the content.
            if self._has(key, picture):
                return False
            self._put(key, picture, "overwrite")
        return True

    def has_pictures(self) -> bool:
        """Return whether any picture is there, labelled or not."""
        return bool(self._try(partial(self._page, PICTURE_PREFIX), PICTURE_PREFIX))

    def put(self, key: str, picture: bytes) -> None:
        """Put the picture, over whatever has its key."""
        self._put(key, picture, "overwrite")

    def get(self, path: str) -> bytes:
        """The picture under a key, or a copy. Raises: PictureMissing."""
        checked_path(path)
        try:
            return self._try(lambda: bytes(self._store.get(path).bytes()), path, FileNotFoundError)
        except FileNotFoundError as error:
            raise PictureMissing(f"bucket {self.name!r} holds no {path}") from error

    def sizes(self, keys: Collection[str]) -> dict[str, int]:
        """Those of the keys that are there, each with its size in bytes."""
        return {key: item["size"] for key, item in self._find(keys).items()}

    def examine(
        self, pictures: Mapping[str, CopyReader], *, read: bool = False
    ) -> dict[str, PictureState]:
        """Return those of the pictures that are there, and whether each is whole.

        Costs what `look` costs, and one GET for each picture whose listed hash is not the one of
        the caller's copy; with `read` one GET for each picture.
        """
        there = self._find(pictures)
        with ThreadPoolExecutor(THREADS) as threads:
            whole = threads.map(
                lambda key: self._is_whole(there[key], pictures[key], read=read), there
            )
            return {
                key: PictureState(item["size"], is_whole)
                for (key, item), is_whole in zip(there.items(), whole, strict=True)
            }

    def _find(self, keys: Collection[str]) -> dict[str, "ObjectMeta"]:
        """Return what the store tells of those of the keys that are there.

        Neighbours cost one LIST per 1,000 of them. A few keys, and those that lie too sparse for a
        LIST, are asked for one by one.
        """
        asked = sorted({key for key in keys if is_store_path(key)})
        found: dict[str, ObjectMeta] = {}
        alone: list[str] = []
        for folder, neighbours in groupby(asked, lambda key: key.rpartition("/")[0]):
            alone += self._look_by_pages(folder, list(neighbours), found)
        with ThreadPoolExecutor(THREADS) as threads:
            for key, item in zip(alone, threads.map(self._head, alone), strict=True):
                if item is not None:
                    found[key] = item
        return {key: found[key] for key in asked if key in found}

    def _has(self, key: str, picture: bytes) -> bool:
        """Return whether that picture is there, as far as the store tells without being read."""
        item = self._head(key)
        if item is None or item["size"] != len(picture):
            return False
        return self._is_whole(item, lambda: picture, read=False)

    def _is_whole(self, item: "ObjectMeta", own_copy: CopyReader, *, read: bool) -> bool:
        """Return whether an object is the picture that its key tells.

        A hash that differs is only a suspicion: an object put while the bucket was encrypted
        otherwise has an ETag that is none. So the object is read, and one that is whole after all
        ends the comparing.
        """
        if not read:
            told = self._md5(item) if self._tells_md5 else ""
            picture = own_copy() if told else None
            if picture is None or _md5(picture) == told:
                return True
        try:
            is_whole = key_matches(item["path"], self.get(item["path"]))
        except PictureMissing:
            return False
        if is_whole and not read:
            self._tells_md5 = False
        return is_whole

    @staticmethod
    def _md5(item: "ObjectMeta") -> str:
        """Return the hash that the ETag of an object is, "" where it is none."""
        found = _MD5.fullmatch(item["e_tag"] or "")
        return found[1].lower() if found else ""

    def make_durable(self) -> None:
        """Nothing to do: S3 says that a picture is in only when it outlives a power cut."""

    def backup_copies(self) -> dict[str, list[BackupCopy]]:
        """The copies that deletions have put aside, by key; ages by the store's own clock.

        Until `check(writing=True)` has learnt that clock, this machine's stands in for it; S3
        refuses a login whose clock is off by a quarter of an hour.
        """
        found: dict[str, list[BackupCopy]] = {}
        for item in self._try(lambda: self._store.list(BACKUP_PREFIX).collect(), BACKUP_PREFIX):
            key = backed_up_key(item["path"])
            age_s = max(0.0, (self._now() - item["last_modified"]).total_seconds())
            found.setdefault(key, []).append(BackupCopy(item["path"], age_s))
        return found

    def back_up(self, key: str, run: str) -> bool:
        """A copy lies under `backup_path(key, run)`; False when there was no picture to copy."""
        checked_path(key)
        try:
            self._try(lambda: self._store.copy(key, backup_path(key, run)), key, FileNotFoundError)
        except FileNotFoundError:
            return False
        return True

    def delete(self, path: str) -> None:
        """Nothing is under that key, or copy's path."""
        checked_path(path)
        with suppress(FileNotFoundError):
            self._try(lambda: self._store.delete(path), path, FileNotFoundError)

    def _put(self, key: str, picture: bytes, mode: Literal["create", "overwrite"]) -> None:
        """The picture is there. Raises: AlreadyExistsError."""
        checked_path(key)
        self._try(
            lambda: self._store.put(key, picture, mode=mode, use_multipart=False),
            key,
            AlreadyExistsError,
        )

    def _learn_create_only(self, probe: str) -> bool:
        """Whether the server refuses to write over an object; one is under the probe's path."""
        try:
            for _ in range(2):
                self._put(probe, _PROBE, "create")
        except AlreadyExistsError:
            return True
        except Refused as error:
            if error.refusal.status != NOT_IMPLEMENTED:
                raise
            self._put(probe, _PROBE, "overwrite")
        return False

    def _now(self) -> datetime:
        """What the store's clock says."""
        if self._clock is None:
            return datetime.now(UTC)
        then, sent = self._clock
        return then + timedelta(seconds=time.monotonic() - sent)

    def _head(self, key: str) -> "ObjectMeta | None":
        """Return what the store tells of a picture; None when it is not there."""
        try:
            return self._try(lambda: self._store.head(key), key, FileNotFoundError)
        except FileNotFoundError:
            return None

    def _look_by_pages(
        self, folder: str, asked: Sequence[str], found: "dict[str, ObjectMeta]"
    ) -> Sequence[str]:
        """Add to `found` what lies in the folder; return the keys still to ask for.

        Each page begins at the first key that is open, so that gaps are not read.
        """
        while len(asked) > _FEW:
            page = self._try(partial(self._page, folder, asked[0]), folder)
            found |= {item["path"]: item for item in page}
            if len(page) < _PAGE:
                return []
            settled = bisect_right(asked, page[-1]["path"])
            asked = asked[settled:]
            if settled <= _FEW:
                break
        return asked

    def _page(self, folder: str, first: str = "") -> Sequence["ObjectMeta"]:
        """Up to a page of what lies in the folder, from the key `first` on. One request."""
        offset = first[:-1] or None  # it begins behind the offset
        return next(self._store.list(folder, offset=offset, chunk_size=_PAGE), [])

    def _try(
        self,
        request: Callable[[], Result],
        about: str,
        through: type[Exception] | tuple[()] = (),
        *,
        timeout_s: float | None = None,
    ) -> Result:
        """What the request returns, sent again while it fails of what may pass.

        When one thread has just lost its patience, the others have no more of it either: otherwise
        a server that is lost would cost each picture the whole time.

        Raises: Refused, and what is to go `through`.
        """
        timeout_s = self._retry_timeout_s if timeout_s is None else timeout_s
        lost_at, why = self._lost
        if time.monotonic() < lost_at + _LOSS_S:
            raise self._refused(why, about, 0.0)
        backoff = retry.Backoff()
        while True:
            try:
                return request()
            except (BaseError, OSError) as error:
                refusal = Refusal.of(error, self._settings)
                if isinstance(error, through) and refusal.code != "NoSuchBucket":
                    raise
                if refusal.may_pass and backoff.wait(timeout_s):
                    continue
                if refusal.may_pass:
                    self._lost = (time.monotonic(), refusal)
                error.args = (self._settings.without_secrets(str(error)),)
                raise self._refused(refusal, about, backoff.elapsed_s) from error

    def _refused(self, refusal: Refusal, about: str, tried_s: float) -> Refused:
        place = f"bucket {self.name!r} at {self._url}" + (f", {about}" if about else "")
        long = f", for {tried_s:.0f} s now" if tried_s > 1 else ""
        note = self._route.note if refusal.is_about_the_way else ""
        return Refused(
            f"picture store: {place}: {refusal.reason}{long}; check {refusal.look_at}{note}",
            refusal,
        )


@contextmanager
def _foreign_variables_hidden() -> Iterator[None]:
    """Hide what obstore would read while the block runs: all that counts is told to it.

    AWS_* variables of other tools would change where, how and with which login requests go, some
    without an option to take that back; proxies are chosen by `proxies`.
    """
    hidden = {
        name: value
        for name, value in os.environ.items()
        if name.startswith("AWS_") or name.lower().endswith("_proxy")
    }
    for name in hidden:
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(hidden)


def _md5(picture: bytes) -> str:
    """Return the hash by which S3 tells contents apart; it protects from accidents only."""
    return hashlib.md5(picture, usedforsecurity=False).hexdigest()
