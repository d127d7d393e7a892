"""Which database, told by the environment, and the way into it."""

import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import path
from common.errors import DatabaseError, InputError
from get_data.database.interfaces import LabelIndex, PictureStore

CHOICE = "PATATE_DATABASE"
HOME = "PATATE_HOME"
LOCAL = "local"
TEAM_NEEDS = ("PATATE_ES_URL", "PATATE_S3_BUCKET")
TEAM_PREFIXES = ("PATATE_ES_", "PATATE_S3_")


@dataclass(frozen=True, slots=True)
class Database:
    """A label index and the store of the pictures that its labels name.

    `notice` is what its users should know, in one line; "" when there is nothing.
    """

    name: str
    index: LabelIndex
    store: PictureStore
    notice: str = ""


def database(
    environment: Mapping[str, str] = os.environ,
    *,
    writing: bool = False,
    for_search: bool = False,
    create_bucket: bool = False,
    new_index: bool = False,
) -> AbstractContextManager[Database]:
    """The database that the environment names, closed when the block ends.

    Address, login and rights are checked first. For `writing` the index of a team is created when
    it is missing; for reading it then counts as empty. A search does not need the list of
    tombstones. The bucket of a team is created when that is asked for. A store that holds pictures
    without their index has lost it, and is refused unless a `new_index` is asked for.

    Raises: InputError when the environment names no database, or a half one; DatabaseError that
    names the variable to look at when the team's cannot be used, or what is lost.
    """
    if means_team(environment):
        return _team(
            environment,
            writing=writing,
            for_search=for_search,
            create_bucket=create_bucket,
            new_index=new_index,
        )
    if create_bucket:
        raise InputError("only a team's database has a bucket; leave --create-bucket out")
    return _local(new_index=new_index)


# What only one kind of database needs is imported with it: a start would take twice as long.
# ruff: noqa: PLC0415


@contextmanager
def _local(*, new_index: bool) -> Iterator[Database]:
    from get_data.database.local.label_index import SIDE_FILES, SqliteIndex
    from get_data.database.local.picture_store import LocalPictureStore

    folder = path.database_folder()
    _check_folder(folder)
    index, store = SqliteIndex(folder), LocalPictureStore(folder)
    try:
        if not new_index:
            copy = f"a copy, without the {' and '.join(SIDE_FILES)} of the lost one beside it"
            _check_not_lost(index, store, f"the pictures in {folder}", copy, tombstones=True)
        yield Database(f"local, {folder}", index, store)
    finally:
        index.close()


@contextmanager
def _team(
    environment: Mapping[str, str],
    *,
    writing: bool,
    for_search: bool,
    create_bucket: bool,
    new_index: bool,
) -> Iterator[Database]:
    """The store is checked first, which leaves nothing; then the index, which may be created."""
    from get_data.database.es_utils import settings as es_settings
    from get_data.database.es_utils.label_index import ElasticsearchIndex
    from get_data.database.s3_utils import settings as s3_settings
    from get_data.database.s3_utils.picture_store import S3PictureStore

    labels = es_settings.from_environment(environment)
    pictures = s3_settings.from_environment(environment)
    store = S3PictureStore(pictures)
    index = ElasticsearchIndex(labels)
    try:
        if create_bucket:
            s3_settings.create_bucket(pictures)
        store.check(writing=writing)
        if not new_index:
            _check_not_lost(
                index,
                store,
                f"the pictures in {pictures.name}",
                f"a snapshot, or check {es_settings.INDEX}",
                tombstones=not for_search,
            )
        index.check(writing=writing, allow_missing=True)
        yield Database(f"{labels.name} and {pictures.name}", index, store, store.notice)
    finally:
        index.close()


def _check_not_lost(
    index: LabelIndex, store: PictureStore, pictures: str, copy: str, *, tombstones: bool
) -> None:
    """Whoever puts pictures makes the index before: pictures without one have lost it.

    Raises: DatabaseError.
    """
    if not index.missing_part(tombstones=tombstones) or not store.has_pictures():
        return
    if lost := index.missing_part(tombstones=tombstones):  # else a first upload has just made it
        raise DatabaseError(
            f"{lost} is lost: {pictures} are there, the index that belongs to them is not. Put it "
            f"back from {copy}. If there is none, upload_data.py --new-index starts an empty one: "
            "corrections and deletions are lost, deleted labels come back with their recordings"
        )


def _check_folder(folder: Path) -> None:
    """The database is in a folder, or is not there yet. Raises: InputError."""
    for one in (folder, *folder.parents):
        try:
            if one.exists() and not one.is_dir():
                raise InputError(
                    f"{one} is not a folder; move the file away or set {HOME} to another place"
                )
        except OSError as error:
            raise InputError(f"{one} cannot be read: {error.strerror}") from error


def means_team(environment: Mapping[str, str]) -> bool:
    """Whether the environment names a team's database. Raises: InputError when it is half one."""
    choice = environment.get(CHOICE, "")
    if choice not in ("", LOCAL):
        raise InputError(f"{CHOICE} is {choice!r}; it may be {LOCAL!r}, or not set")
    given = [name for name in environment if name.startswith(TEAM_PREFIXES) and environment[name]]
    if choice == LOCAL or not given:
        return False
    missing = [name for name in TEAM_NEEDS if not environment.get(name)]
    if missing:
        raise InputError(
            f"{given[0]} is set but {' and '.join(missing)} not: set all for the team's database, "
            f"or {CHOICE}={LOCAL} for the one on this machine"
        )
    return True
