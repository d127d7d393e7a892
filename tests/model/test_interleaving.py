"""Whoever meets whom at the database, and whoever is killed when: nothing is lost.

The scenarios are those of the model that the orders of `upload.py` and `delete.py` were found with;
here the real code goes through them. All labels speak of one picture.
"""

from dataclasses import dataclass
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import pytest

from get_data.database import delete as deletion
from get_data.database import upload as uploading_module
from get_data.database.delete import delete, settle, target
from get_data.database.download import download
from get_data.database.interfaces import BACKUP_PREFIX, picture_key
from get_data.database.search.search_query import SearchQuery
from get_data.database.upload import Entry, upload
from get_data.labels import edits, ids
from tests.conftest import START, document, picture
from tests.model.interleaving import (
    OLD_S,
    Database,
    Meeting,
    SerialExecutor,
    current_run,
    every_moment,
    some_moments,
)

pytestmark = pytest.mark.slow

CONTENT = picture(0)
KEY = picture_key(document(0)["img_id"], ids.sha256(CONTENT))
PEOPLE = {"L0": "auto", "L1": "Ada", "L2": "Bob", "L3": "Eve"}
LABELS = {name: document(0, created_by=person) for name, person in PEOPLE.items()}
PRINTS = {name: one["label_fingerprint"] for name, one in LABELS.items()}
NAMES = {fingerprint: name for name, fingerprint in PRINTS.items()}


@pytest.fixture
def every_order(request):
    """Whether `--every-order` was given, as `make soak` does."""
    return request.config.getoption("every_order")


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """The picture on the disk of whoever has it."""
    path = tmp_path_factory.mktemp("drive") / LABELS["L1"]["file_name"]
    path.write_bytes(CONTENT)
    return path


NOWHERE = Path("/nonexistent/picture.jpg")


def holding(*labels):
    """A database that holds the picture and these labels of it."""

    def prepare():
        database = Database()
        if labels:
            database.store.put_new(KEY, CONTENT)
        for name in labels:
            sent = edits.uploaded(
                LABELS[name], picture=CONTENT, bucket="memory", key=KEY, upload_time=START
            )
            database.index.create([sent])
        return database

    return prepare


@dataclass(frozen=True)
class Reported:
    """What a program said at its end: labels that it called safe, and what it could not do."""

    safe: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()


def uploading(file, *names):
    """U: somebody uploads labels, with the picture at hand."""

    def program(index, store):
        entries = [Entry(LABELS[name], file) for name in names]
        return reported(upload(entries, index, store, threads=SerialExecutor))

    return program


def deleting(*names, reason="deleted"):
    """D: somebody deletes labels."""

    def program(index, store):
        going = [target(LABELS[n]) for n in names]
        list(delete(going, index, store, reason=reason, removed_by="test", threads=SerialExecutor))
        return Reported(deleted=names)

    return program


def relabelling(file, new, old):
    """R: somebody replaces a label; the picture is on the disk or only in the store."""

    def program(index, store):
        added = reported(upload([Entry(LABELS[new], file)], index, store, threads=SerialExecutor))
        if not added.safe:
            return added
        deleting(old, reason="replaced")(index, store)
        return Reported(added.safe, added.failed, deleted=(old,))

    return program


def reading(tmp_path, name):
    """S: somebody fetches what a label names."""
    numbers = count()

    def program(index, store):
        folder = tmp_path / str(next(numbers))
        folder.mkdir()
        found = [one for one in index.search(SearchQuery()) if PRINTS[name].encode() in one]
        results = list(
            download(
                iter(found),
                store,
                pictures=folder,
                labels=folder / "labels.json",
                threads=SerialExecutor,
            )
        )
        return Reported(failed=tuple(one.reason for one in results if one.what == "failed"))

    return program


def reported(results):
    results = list(results)
    safe = tuple(NAMES[one.fingerprint] for one in results if one.what in ("created", "there"))
    return Reported(safe, tuple(one.reason for one in results if one.what == "failed"))


@pytest.fixture(autouse=True)
def _runs_have_their_own_names(monkeypatch):
    """A deletion calls its copies after its run, so that a state can be known again."""
    for module in (deletion, uploading_module):
        monkeypatch.setattr(module, "uuid4", lambda: SimpleNamespace(hex=current_run()))


def check(moment, *, going, hole=False):
    """What must hold in this state. `going` are the labels that somebody deletes or replaces."""
    database = moment.database
    labels = {NAMES[one] for one in database.index.labels}
    there = database.store.pictures.get(KEY) == CONTENT
    aside = [path for path in database.store.pictures if path.startswith(BACKUP_PREFIX)]
    anywhere = there or aside
    for run in moment.runs.values():
        if isinstance(run.result, Reported):
            for name in set(run.result.safe) - going:
                assert name in labels, f"{run.id} called {name} safe, and it is gone"
                assert anywhere, f"{run.id} called {name} safe, and its picture is gone"
    if moment.all_ended:
        for run in moment.runs.values():
            back = labels.intersection(run.result.deleted)
            assert not back, f"{run.id} deleted {back}, and somebody undid that"
        failed = any(run.result.failed for run in moment.runs.values())
        if labels and not (hole and failed):
            assert there, "all have ended, and a label's picture is not there"
        if not labels:
            assert not there, "all have ended, and a picture without a label is there"
        for path in aside:
            # An upload that was killed while it completed a deletion may have left one.
            assert not path.rpartition("/")[2].startswith(("D", "E")), "a copy is left aside"
            database.store.age_s[path] = OLD_S
        if aside:
            settle([], database.index, database.store, run="next", threads=SerialExecutor)
            assert not any(path.startswith(BACKUP_PREFIX) for path in database.store.pictures)
            assert (KEY in database.store.pictures) == bool(labels)


def go_through(moments, *, going, hole=False):
    """Checks every state; returns how many there were."""
    number = 0
    for choices, moment in moments:
        number += 1
        try:
            check(moment, going=set(going), hole=hole)
        except AssertionError as error:
            way = " ".join(map(str, choices))
            raise AssertionError(f"{error}\nafter: {way}") from error
    return number


def two(file, tmp_path):
    """Scenarios of one and two programs, by name: what is there, who comes, which labels go."""
    u, d = (lambda *names: uploading(file, *names)), deleting
    r = lambda new, old: relabelling(file, new, old)  # noqa: E731
    return {
        "upload, deletion of the same": (holding(), {"U": u("L1"), "D": d("L1")}, "L1"),
        "upload, deletion of an absent one": (holding(), {"U": u("L1"), "D": d("L2")}, "L2"),
        "upload, deletion of another": (holding("L2"), {"U": u("L1"), "D": d("L2")}, "L2"),
        "upload again, deletion": (holding("L1"), {"U": u("L1"), "D": d("L1")}, "L1"),
        "deletion of both": (holding("L1", "L2"), {"D": d("L1", "L2")}, "L1 L2"),
        "two deletions": (holding("L1", "L2"), {"D": d("L1"), "E": d("L2")}, "L1 L2"),
        "relabel, deletion of the old": (holding("L1"), {"R": r("L2", "L1"), "D": d("L1")}, "L1"),
        "relabel, deletion of the new": (
            holding("L1"),
            {"R": r("L2", "L1"), "D": d("L2")},
            "L1 L2",
        ),
        "relabel, deletion of a third": (
            holding("L1", "L3"),
            {"R": r("L2", "L1"), "D": d("L3")},
            "L1 L3",
        ),
        "two relabels": (holding("L1"), {"R": r("L2", "L1"), "Q": r("L3", "L1")}, "L1"),
        "two uploads of one label": (holding(), {"U": u("L1"), "V": u("L1")}, ""),
        "two uploads of two labels": (holding(), {"U": u("L1"), "V": u("L3")}, ""),
        "two labels in one upload": (holding("L3"), {"U": u("L1", "L2"), "D": d("L3")}, "L3"),
    }


TWO = list(two(NOWHERE, NOWHERE))


@pytest.mark.parametrize("name", TWO)
def test_two_programs_in_every_order(file, tmp_path, name):
    prepare, programs, going = two(file, tmp_path)[name]
    states = go_through(every_moment(Meeting(prepare, programs)), going=going.split())
    assert states > 10 * 10 ** (len(programs) - 1)


@pytest.mark.parametrize("name", TWO)
def test_two_programs_of_which_one_is_killed(file, tmp_path, name, every_order):
    prepare, programs, going = two(file, tmp_path)[name]
    go_through(ways(Meeting(prepare, programs, kills=1), every_order), going=going.split())


def ways(meeting, every_order):
    """All of them when asked for, which takes minutes; else so many random ones."""
    return every_moment(meeting) if every_order else some_moments(meeting, seed=1, ways=400)


def three(file, tmp_path):
    """Scenarios of three programs, by name."""
    u, d, s = (lambda *names: uploading(file, *names)), deleting, reading
    r = lambda new, old: relabelling(file, new, old)  # noqa: E731
    return {
        "two deletions, upload": (
            holding("L1", "L2"),
            {"D": d("L1"), "E": d("L2"), "U": u("L3")},
            "L1 L2",
        ),
        "one deletion twice, upload": (
            holding("L1"),
            {"D": d("L1"), "E": d("L1"), "U": u("L3")},
            "L1",
        ),
        "relabel, deletion, upload": (
            holding("L1"),
            {"R": r("L2", "L1"), "D": d("L1"), "U": u("L3")},
            "L1",
        ),
        "two uploads of one, deletion": (
            holding("L2"),
            {"U": u("L1"), "V": u("L1"), "D": d("L2")},
            "L2",
        ),
        "two uploads, deletion": (holding(), {"U": u("L1"), "V": u("L3"), "D": d("L1")}, "L1"),
        "relabel, deletion, upload of the new": (
            holding("L1"),
            {"R": r("L2", "L1"), "D": d("L1"), "U": u("L2")},
            "L1",
        ),
        "relabel, two deletions": (
            holding("L1", "L3"),
            {"R": r("L2", "L1"), "D": d("L2"), "E": d("L3")},
            "L1 L2 L3",
        ),
        "deletion, upload, its deletion": (
            holding("L1"),
            {"D": d("L1"), "U": u("L3"), "E": d("L3")},
            "L1 L3",
        ),
        "deletion, upload, reader": (
            holding("L1"),
            {"D": d("L1"), "U": u("L2"), "S": s(tmp_path, "L2")},
            "L1",
        ),
        "deletion, relabel, reader": (
            holding("L1", "L2"),
            {"D": d("L1"), "R": r("L3", "L2"), "S": s(tmp_path, "L2")},
            "L1 L2",
        ),
    }


THREE = list(three(NOWHERE, NOWHERE))


@pytest.mark.parametrize("kills", [0, 2])
@pytest.mark.parametrize("name", THREE)
def test_three_programs_on_many_ways(file, tmp_path, name, kills):
    prepare, programs, going = three(file, tmp_path)[name]
    meeting = Meeting(prepare, programs, kills)
    go_through(some_moments(meeting, seed=1, ways=300), going=going.split())


def test_a_relabel_without_the_picture_at_hand_finds_it_in_the_store(tmp_path):
    programs = {"R": relabelling(NOWHERE, "L2", "L1"), "D": deleting("L1")}
    meeting = Meeting(holding("L1"), programs)
    go_through(every_moment(meeting), going=["L1"])


def test_a_killed_relabel_without_the_picture_at_hand_is_the_one_known_hole(every_order):
    """It is told: the second run lists the label whose picture nobody has."""
    programs = {"R": relabelling(NOWHERE, "L2", "L1"), "D": deleting("L1")}
    meeting = Meeting(holding("L1"), programs, kills=1)
    go_through(ways(meeting, every_order), going=["L1"], hole=True)


def test_a_reader_never_takes_a_wrong_picture_for_the_right_one(file, tmp_path):
    """It may say that a picture is missing, when it looks between two steps; then its label is gone
    or its second run finds it."""
    programs = {"D": deleting("L1"), "U": uploading(file, "L2"), "S": reading(tmp_path, "L2")}
    for _, moment in some_moments(Meeting(holding("L1"), programs), seed=2, ways=200):
        if moment.all_ended:
            again = reading(tmp_path / "again", "L2")
            (tmp_path / "again").mkdir(exist_ok=True)
            result = again(moment.database.index, moment.database.store)
            assert result.failed == ()
            for fetched in (tmp_path / "again").rglob("*.jpg"):
                assert fetched.read_bytes() == CONTENT
                fetched.unlink()
            for folder in (tmp_path / "again").iterdir():
                for left in folder.iterdir():
                    left.unlink()
                folder.rmdir()
