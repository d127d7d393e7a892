"""The picture store of a team: a bucket on S3, through obstore.

Its sync calls only: the async ones may abort the interpreter when it ends. Requests that fail of
what may pass are repeated here and not by obstore, which repeats neither a create-only PUT that was
cut off nor an answer that broke off in the middle.
"""

import math
import time
from bisect import bisect_right
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Literal, TypeVar
from uuid import uuid4

from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import S3Store

from errors import DatabaseError, PictureMissing
from get_data.database.batches import THREADS
from get_data.database.interfaces import (
    ASIDE,
    PICTURES,
    Copy,
    checked_path,
    copy_path,
    is_path,
)
from get_data.database.patience import FIRST_PATIENCE_S, PATIENCE_S, REQUEST_S, delays
from get_data.database.s3.refusals import NOT_IMPLEMENTED, Refusal
from get_data.database.s3.settings import Login, Settings

if TYPE_CHECKING:
    from obstore import ObjectMeta

_LOSS_S = 1.0  # after one request was given up, those that were waiting for their turn are too
_CONNECT_S = 5

_FEW = 16  # keys that are asked for one by one, which takes no longer than a LIST
_PAGE = 1000  # what S3 lists at once
_PROBES = f"{ASIDE}probe"  # one that a killed check leaves goes with the old copies

Result = TypeVar("Result")


class Refused(DatabaseError):
    """A request failed, and will not go through soon."""

    def __init__(self, message: str, refusal: Refusal) -> None:
        super().__init__(message)
        self.refusal = refusal


class S3PictureStore:
    """Pictures as objects in a bucket; `patience_s` as `patience` has it, or less."""

    def __init__(self, settings: Settings, *, patience_s: float = PATIENCE_S) -> None:
        login = Login.of(settings)
        self._settings = settings
        self._url = login.url
        self._patience_s = patience_s
        self._lost = (-math.inf, Refusal("", ""))  # when a request was given up last, and why
        self._knows_create_only = True
        self._clock: tuple[datetime, float] | None = None
        self._store = S3Store(  # all that AWS_* variables would decide otherwise is named
            settings.bucket,
            aws_endpoint_url_s3=login.url,
            region=login.region,
            virtual_hosted_style_request=False,
            skip_signature=False,
            disable_bulk_delete=True,  # not every server knows it, and we delete one by one
            credential_provider=login.credentials,
            client_options={
                "allow_http": login.url.startswith("http:"),
                "connect_timeout": timedelta(seconds=_CONNECT_S),
                "timeout": timedelta(seconds=REQUEST_S),
            },
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
        patience_s = min(self._patience_s, FIRST_PATIENCE_S)
        self._try(lambda: self._page(_PROBES), "", patience_s=patience_s)
        with suppress(PictureMissing):
            self.get("pictures/probe")
        if not writing:
            return
        probe = f"{_PROBES}/{uuid4().hex}"
        self._knows_create_only = self._learn_create_only(probe)
        asked = time.monotonic()
        self._clock = (self._try(lambda: self._store.head(probe), probe)["last_modified"], asked)
        self.delete(probe)

    def put_new(self, key: str, picture: bytes) -> bool:
        """The picture is there, whole; False when one of its key and size was there and stays.

        Also False when it was this very call that put it, and the server's word was lost.
        """
        if not self._knows_create_only and self._size(key) == len(picture):
            return False
        try:
            self._put(key, picture, "create" if self._knows_create_only else "overwrite")
        except AlreadyExistsError:
            # That may be a picture deleted in a bucket with versions, another writer's that
            # failed, or one cut short elsewhere. Whoever puts it meanwhile puts the same: the key
            # tells the content.
            if self._size(key) == len(picture):
                return False
            self._put(key, picture, "overwrite")
        return True

    def has_pictures(self) -> bool:
        """Return whether any picture is there, labelled or not."""
        return bool(self._try(partial(self._page, PICTURES), PICTURES))

    def get(self, path: str) -> bytes:
        """The picture under a key, or a copy. Raises: PictureMissing."""
        checked_path(path)
        try:
            return self._try(lambda: bytes(self._store.get(path).bytes()), path, FileNotFoundError)
        except FileNotFoundError as error:
            raise PictureMissing(f"bucket {self.name!r} holds no {path}") from error

    def look(self, keys: Collection[str]) -> dict[str, int]:
        """Those of the keys that are there, each with its size in bytes.

        Neighbours cost one LIST per 1,000 of them. A few keys, and those that lie too sparse for a
        LIST, are asked for one by one.
        """
        asked = sorted({key for key in keys if is_path(key)})
        sizes: dict[str, int] = {}
        alone: list[str] = []
        for folder, neighbours in groupby(asked, lambda key: key.rpartition("/")[0]):
            alone += self._look_by_pages(folder, list(neighbours), sizes)
        with ThreadPoolExecutor(THREADS) as threads:
            for key, size in zip(alone, threads.map(self._size, alone), strict=True):
                if size is not None:
                    sizes[key] = size
        return {key: sizes[key] for key in asked if key in sizes}

    def make_durable(self) -> None:
        """Nothing to do: S3 says that a picture is in only when it outlives a power cut."""

    def copies(self) -> dict[str, list[Copy]]:
        """The copies that deletions have put aside, by key; ages by the store's own clock.

        Until `check(writing=True)` has learnt that clock, this machine's stands in for it; S3
        refuses a login whose clock is off by a quarter of an hour.
        """
        found: dict[str, list[Copy]] = {}
        for item in self._try(lambda: self._store.list(ASIDE).collect(), ASIDE):
            key = item["path"].removeprefix(ASIDE).rpartition("/")[0]
            age_s = max(0.0, (self._now() - item["last_modified"]).total_seconds())
            found.setdefault(key, []).append(Copy(item["path"], age_s))
        return found

    def put_aside(self, key: str, run: str) -> bool:
        """A copy lies under `copy_path(key, run)`; False when there was no picture to copy."""
        checked_path(key)
        try:
            self._try(lambda: self._store.copy(key, copy_path(key, run)), key, FileNotFoundError)
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
                self._put(probe, b"probe", "create")
        except AlreadyExistsError:
            return True
        except Refused as error:
            if error.refusal.status != NOT_IMPLEMENTED:
                raise
            self._put(probe, b"probe", "overwrite")
        return False

    def _now(self) -> datetime:
        """What the store's clock says."""
        if self._clock is None:
            return datetime.now(UTC)
        then, sent = self._clock
        return then + timedelta(seconds=time.monotonic() - sent)

    def _size(self, key: str) -> int | None:
        """The size of a picture in bytes; None when it is not there."""
        try:
            return self._try(lambda: self._store.head(key), key, FileNotFoundError)["size"]
        except FileNotFoundError:
            return None

    def _look_by_pages(
        self, folder: str, asked: Sequence[str], sizes: dict[str, int]
    ) -> Sequence[str]:
        """What lies in the folder among the keys is in `sizes`; returns the keys still to ask for.

        Each page begins at the first key that is open, so that gaps are not read.
        """
        while len(asked) > _FEW:
            page = self._try(partial(self._page, folder, asked[0]), folder)
            sizes |= {item["path"]: item["size"] for item in page}
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
        patience_s: float | None = None,
    ) -> Result:
        """What the request returns, sent again while it fails of what may pass.

        When one thread has just lost its patience, the others have no more of it either: otherwise
        a server that is lost would cost each picture the whole time.

        Raises: Refused, and what is to go `through`.
        """
        patience_s = self._patience_s if patience_s is None else patience_s
        began = time.monotonic()
        lost_at, why = self._lost
        if began < lost_at + _LOSS_S:
            raise self._refused(why, about, 0.0)
        for delay_s in delays():
            try:
                return request()
            except (BaseError, OSError) as error:
                refusal = Refusal.of(error, self._settings)
                if isinstance(error, through) and refusal.code != "NoSuchBucket":
                    raise
                now = time.monotonic()
                over = now + delay_s > began + patience_s
                if over or not refusal.may_pass:
                    if refusal.may_pass:
                        self._lost = (now, refusal)
                    error.args = (self._settings.without_secrets(str(error)),)
                    raise self._refused(refusal, about, now - began) from error
            time.sleep(delay_s)
        raise AssertionError("delays never end")

    def _refused(self, refusal: Refusal, about: str, tried_s: float) -> Refused:
        place = f"bucket {self.name!r} at {self._url}" + (f", {about}" if about else "")
        long = f", for {tried_s:.0f} s now" if tried_s > 1 else ""
        return Refused(
            f"picture store: {place}: {refusal.reason}{long}; check {refusal.look_at}", refusal
        )
