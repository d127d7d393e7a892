"""Open the database that the environment selects."""

import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import path
from common.errors import DatabaseError, InputError
from common.together import run_together
from get_data.database.interfaces import LabelIndex, PictureStore

# Each kind of database imports its libraries when it is opened: all together would double the
# start-up time.
# ruff: noqa: PLC0415

CHOICE = "PATATE_DATABASE"
HOME = "PATATE_HOME"
LOCAL = "local"
TEAM_NEEDS = ("PATATE_ES_URL", "PATATE_S3_BUCKET")
TEAM_PREFIXES = ("PATATE_ES_", "PATATE_S3_")


@dataclass(frozen=True, slots=True)
class Database:
    """A label index and the store of its pictures.

    `notice` is a line for the user; "" for none.
    """

    name: str
    index: LabelIndex
    store: PictureStore
    notice: str = ""


@dataclass(frozen=True, slots=True)
class IndexUpdate:
    """The changes that bring a label index from an earlier version up to date, done or planned."""

    name: str
    changes: list[str]


def update_index(
    environment: Mapping[str, str] = os.environ, *, dry_run: bool = False
) -> IndexUpdate:
    """Add to the label index that the environment selects what an earlier version lacks.

    Labels and pictures stay as they are.

    Raises:
        InputError: the environment selects no database, or sets a team's only in part.
        DatabaseError: the index cannot be used, or not be changed.
    """
    if not selects_team(environment):
        from get_data.database.local.label_index import SqliteIndex

        folder = path.database_folder()
        _check_folder(folder)
        with closing(SqliteIndex(folder)) as local:
            return IndexUpdate(f"local, {folder}", local.update(dry_run=dry_run))
    from get_data.database.es_utils import settings as es_settings
    from get_data.database.es_utils.label_index import ElasticsearchIndex

    labels = es_settings.from_environment(environment)
    with closing(ElasticsearchIndex(labels)) as team:
        return IndexUpdate(labels.name, team.update(dry_run=dry_run))


def open_database(
    environment: Mapping[str, str] = os.environ,
    *,
    writing: bool = False,
    for_search: bool = False,
    create_bucket: bool = False,
    new_index: bool = False,
) -> AbstractContextManager[Database]:
    """Open the database that the environment selects; it is closed when the block ends.

    Address, login and permissions are checked first. A missing index of a team is created for
    `writing`, and counts as empty for reading. `for_search` does without the tombstones. Pictures
    or frozen sets without an index mean that it was lost; that is an error unless `new_index` is
    given.

    Raises:
        InputError: the environment selects no database, or sets a team's only in part.
        DatabaseError: the team's cannot be used (the message names the variable), or its index
            was lost.
    """
    if selects_team(environment):
        return _team(
            environment,
            writing=writing,
            for_search=for_search,
            create_bucket=create_bucket,
            new_index=new_index,
        )
    if create_bucket:
        raise InputError("only a team's database has a bucket; omit --create-bucket")
    return _local(new_index=new_index)


def nothing_uploaded(reason: str) -> DatabaseError:
    """Return the error that a database has no content, so that it may be another one."""
    return DatabaseError(
        f"nothing has been uploaded yet: {reason}; check PATATE_HOME or the variables of a team's "
        "database"
    )


@contextmanager
def _local(*, new_index: bool) -> Iterator[Database]:
    from get_data.database.local.documents import SIDE_FILES
    from get_data.database.local.label_index import SqliteIndex
    from get_data.database.local.picture_store import LocalPictureStore

    folder = path.database_folder()
    _check_folder(folder)
    index, store = SqliteIndex(folder, reuse_connections=True), LocalPictureStore(folder)
    try:
        if not new_index:
            missing = index.missing_part(tombstones=True)
            copy = f"a copy, without the lost one's {' and '.join(SIDE_FILES)} beside it"
            _check_not_lost(missing, index, store, str(folder), copy, tombstones=True)
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
    """Open a team's database: store and index are checked at the same time.

    The index may be created, but only afterwards: nothing changes if the store cannot be used.
    """
    from get_data.database.es_utils import settings as es_settings
    from get_data.database.es_utils.label_index import ElasticsearchIndex
    from get_data.database.s3_utils import bucket
    from get_data.database.s3_utils import settings as s3_settings
    from get_data.database.s3_utils.picture_store import S3PictureStore

    labels = es_settings.from_environment(environment)
    pictures = s3_settings.from_environment(environment)
    store = S3PictureStore(pictures)
    index = ElasticsearchIndex(labels)

    def look_at_index() -> str:
        if writing:
            index.inspect()
        else:
            index.check(writing=False, allow_missing=True)
        return index.missing_part(tombstones=not for_search)

    try:
        if create_bucket:
            bucket.create_bucket(pictures)
        _, missing = run_together(lambda: store.check(writing=writing), look_at_index)
        if not new_index:
            _check_not_lost(
                missing,
                index,
                store,
                pictures.name,
                f"a snapshot, or check {es_settings.INDEX}",
                tombstones=not for_search,
            )
        if writing:
            index.check(writing=True)
        notices = [notice for notice in (store.notice, index.notice) if notice]
        yield Database(f"{labels.name} and {pictures.name}", index, store, "; ".join(notices))
    finally:
        index.close()


def _check_not_lost(
    missing: str, index: LabelIndex, store: PictureStore, place: str, copy: str, *, tombstones: bool
) -> None:
    """Check that there are neither pictures nor frozen sets without an index.

    `missing`: the `missing_part` of the index, from before.

    Raises:
        DatabaseError: there are.
    """
    if not missing:
        return
    if store.has_pictures():
        left = "pictures"
    elif store.list_sets():
        left = "frozen sets"
    else:
        return
    # D2: an upload creates the index before it stores the first picture
    if lost := index.missing_part(tombstones=tombstones):  # else a first upload has just created it
        raise DatabaseError(
            f"{lost} is lost: {place} has {left}, but not their index. Restore it from a backup "
            f"with back_up.py DIR --restore, or from {copy}. If there is none, upload_data.py "
            "--new-index starts an empty one: corrections and deletions are lost, and deleted "
            "labels come back with their recordings"
        )


def _check_folder(folder: Path) -> None:
    """Check that the folder of the database exists or can exist.

    Raises:
        InputError: a file is in its place, or a folder cannot be read.
    """
    for place in (folder, *folder.parents):
        try:
            if place.exists() and not place.is_dir():
                raise InputError(
                    f"{place} is not a folder; move the file away or set {HOME} to another place"
                )
        except OSError as error:
            raise InputError(f"{place} cannot be read: {error.strerror}") from error


def selects_team(environment: Mapping[str, str]) -> bool:
    """Return whether the environment selects a team's database.

    Raises:
        InputError: only some of its variables are set.
    """
    choice = environment.get(CHOICE, "")
    if choice not in ("", LOCAL):
        raise InputError(f"{CHOICE} is {choice!r}; set it to {LOCAL!r}, or unset it")
    given = [name for name in environment if name.startswith(TEAM_PREFIXES) and environment[name]]
    if choice == LOCAL or not given:
        return False
    missing = [name for name in TEAM_NEEDS if not environment.get(name)]
    if missing:
        raise InputError(
            f"{given[0]} is set, but not {' and '.join(missing)}: set all for the team's database, "
            f"or {CHOICE}={LOCAL} for the one on this machine"
        )
    return True
