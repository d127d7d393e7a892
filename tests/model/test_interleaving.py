"""No label or picture is lost, whichever programs meet at the database and whenever one is killed.

The scenarios are those of the model by which the ordering rules (`docs/architecture.md`) were
found; here the real code runs through them. All labels are of one picture.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import pytest

from common.errors import StillRecording
from get_data.database import amend as amending_module
from get_data.database import delete as deletion
from get_data.database import free as freeing_module
from get_data.database import upload as uploading_module
from get_data.database.amend import amend, compare
from get_data.database.delete import delete, reconcile
from get_data.database.download import download, newest_labels
from get_data.database.entries import Entry
from get_data.database.free import free
from get_data.database.interfaces import BACKUP_PREFIX, Failed, Tombstone, picture_key
from get_data.database.relabel import find_predecessors, remove_replaced
from get_data.database.search.search_query import SearchQuery
from get_data.database.upload import upload
from get_data.labels import edits, ids
from get_data.labels.local_pictures import LocalPicture
from get_data.recording import journal
from tests.conftest import START, document, picture
from tests.helpers.serial_executor import SerialExecutor
from tests.model.interleaving import (
    OLD_S,
    Database,
    Scenario,
    current_run,
    current_run_id,
    every_state,
    random_states,
)

pytestmark = pytest.mark.slow

CONTENT = picture(0)
KEY = picture_key(document(0)["img_id"], ids.sha256(CONTENT))
PEOPLE = {"L0": "auto", "L1": "Ada", "L2": "Bob", "L3": "Eve"}
LABELS = {name: document(0, created_by=person) for name, person in PEOPLE.items()}
FINGERPRINTS = {name: label["label_fingerprint"] for name, label in LABELS.items()}
NAMES = {fingerprint: name for name, fingerprint in FINGERPRINTS.items()}


@pytest.fixture
def every_order(request):
    """True with `--every-order`."""
    return request.config.getoption("every_order")


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """A picture file on the disk of those who have it."""
    path = tmp_path_factory.mktemp("drive") / LABELS["L1"]["file_name"]
    path.write_bytes(CONTENT)
    return path


NOWHERE = Path("/nonexistent/picture.jpg")


def holding(*labels):
    """Return a function that creates a database with the picture and these labels of it."""

    documents = [
        edits.uploaded(LABELS[name], picture=CONTENT, bucket="memory", key=KEY, upload_time=START)
        for name in labels
    ]

    def prepare():
        database = Database()
        if labels:
            database.store.put_new(KEY, CONTENT)
        database.index.create(documents)
        return database

    return prepare


@dataclass(frozen=True)
class Report:
    """What a program reports: labels stored, failures, labels deleted, and comments by label.

    `restored`: those of the stored labels that the program was to restore.
    """

    stored: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    amended: tuple[tuple[str, str], ...] = ()
    restored: tuple[str, ...] = ()


def uploading(file, *names, restore=False):
    """U: upload labels, with the picture at hand."""

    def program(index, store):
        entries = [Entry(LABELS[name], file, restore=restore) for name in names]
        report = report_of(upload(entries, index, store, threads=SerialExecutor))
        return replace(report, restored=report.stored if restore else ())

    return program


def deleting(*names, reason="deleted"):
    """D: delete labels."""

    def program(index, store):
        going = [Entry(LABELS[n], NOWHERE).label for n in names]
        list(delete(going, index, store, reason=reason, removed_by="test", threads=SerialExecutor))
        return Report(deleted=names)

    return program


def relabelling(file, new, old):
    """R: replace a label; the picture is on the disk or only in the store."""

    def program(index, store):
        entry = Entry({**LABELS[new], "replaces": FINGERPRINTS[old]}, file)
        predecessors = list(find_predecessors([entry], index))
        if any(predecessor.overtaken_by for predecessor in predecessors):
            return Report()
        added = report_of(upload([entry], index, store, threads=SerialExecutor))
        if not added.stored:
            return added
        outcomes = list(
            remove_replaced(predecessors, index, store, removed_by="test", threads=SerialExecutor)
        )
        refused = tuple(outcome.reason for outcome in outcomes if isinstance(outcome, Failed))
        return Report(added.stored, (*added.failed, *refused), () if refused else (old,))

    return program


def amending(name, comment):
    """A: amend a label, unless it was amended by somebody else before.

    As a finer correction of the same person does, this makes it the newest one of its picture.
    """

    def program(index, _store):
        label = {**LABELS[name]["label"], "created_on_date": "2030-01-01T00:00:00.000000Z"}
        entry = Entry({**LABELS[name], "comment": comment, "label": label}, NOWHERE)
        changes = [
            change for change in compare([entry], index) if not change.difference.is_overtaken
        ]
        outcomes = list(amend(changes, index, amended_by=comment))
        done = any(outcome.status == "amended" for outcome in outcomes)
        return Report(
            failed=tuple(outcome.reason for outcome in outcomes if outcome.status != "amended"),
            amended=((name, comment),) if done else (),
        )

    return program


def reading(tmp_path, name):
    """S: download the picture of a label."""
    numbers = count()

    def program(index, store):
        folder = tmp_path / str(next(numbers))
        folder.mkdir()
        found = [one for one in index.search(SearchQuery()) if FINGERPRINTS[name].encode() in one]
        results = list(
            download(
                newest_labels(found),
                store,
                pictures=folder,
                labels=folder / "labels.json",
                threads=SerialExecutor,
            )
        )
        return Report(failed=tuple(one.reason for one in results if one.status == "failed"))

    return program


@dataclass
class Car(Database):
    """A database, and the folder of a recording on a car that frees space."""

    file: Path = field(default=NOWHERE)

    is_all_that_is_shared = False  # there is the lock of the folder as well

    def state(self):
        return super().state(), self.file.exists()


def parked(file, *labels):
    """Return a function that creates the database, and the picture on the car."""
    prepare = holding(*labels)

    def prepare_car():
        file.write_bytes(CONTENT)
        database = prepare()
        return Car(database.index, database.store, file=file)

    return prepare_car


def locked(file, program, lock=journal.shared_lock):
    """Return a program that waits for the lock of the folder, as uploads and corrections do."""

    def run(index, store):
        while True:
            current_run().pause()
            held = lock(file.parent)
            try:
                held.__enter__()
            except StillRecording:
                continue
            current_run().record("lock", "held")
            try:
                return program(index, store)
            finally:
                held.__exit__(None, None, None)

    return run


def freeing(file, name):
    """F: remove the picture from the car, unless somebody uses the folder."""

    def program(index, store):
        picture = LocalPicture(LABELS[name]["img_id"], file, [LABELS[name]])
        try:
            with journal.removal_lock(file.parent):
                current_run().record("lock", "held")
                list(free([picture], index, store, needed_bytes=1))
        except StillRecording:
            current_run().record("lock", "refused")
        return Report()

    return program


def report_of(results):
    results = list(results)
    stored = tuple(
        NAMES[one.fingerprint] for one in results if one.status in ("created", "existing")
    )
    return Report(stored, tuple(one.reason for one in results if one.status == "failed"))


class _Clock(datetime):
    """A clock that shows each run a time of its own."""

    @classmethod
    def now(cls, tz=None):
        return START.astimezone(tz) + timedelta(seconds=int.from_bytes(current_run_id().encode()))


@pytest.fixture(autouse=True)
def _named_runs(monkeypatch):
    """Name backup copies and times after their run, so that equal states are recognised."""
    for module in (deletion, uploading_module):
        monkeypatch.setattr(module, "uuid4", lambda: SimpleNamespace(hex=current_run_id()))
    for module in (amending_module, uploading_module):
        monkeypatch.setattr(module, "datetime", _Clock)
    monkeypatch.setattr(journal, "LOCK_TIMEOUT_S", 0)
    remove = freeing_module._remove

    def remove_after_pause(*arguments, **options):
        current_run().pause()
        remove(*arguments, **options)

    monkeypatch.setattr(freeing_module, "_remove", remove_after_pause)


def check(state, *, going, hole=False):
    """Assert what must hold in every state; `going` are the labels deleted or replaced."""
    database = state.database
    labels = {NAMES[fingerprint] for fingerprint in database.index.labels}
    is_stored = database.store.pictures.get(KEY) == CONTENT
    copies = [path for path in database.store.pictures if path.startswith(BACKUP_PREFIX)]
    for run in state.runs.values():
        if isinstance(run.result, Report):
            for name in set(run.result.stored) - going:
                assert name in labels, f"{run.id} reported {name} as stored, and it is missing"
                assert is_stored or copies, (
                    f"{run.id} reported {name} as stored, and its picture is missing"
                )
            for name, comment in run.result.amended:
                check_amended(database.index, name, comment)
    is_at_rest = not any(run.is_alive for run in state.runs.values())
    is_freed = isinstance(database, Car) and not database.file.exists()
    if is_at_rest and is_freed and labels and not hole:
        contents = [CONTENT if is_stored else b"", *map(database.store.get, copies)]
        assert CONTENT in contents, "a freed picture cannot be fetched"
    if state.is_final:
        restored = {name for run in state.runs.values() for name in run.result.restored}
        was_killed = any(run.number > 1 for run in state.runs.values())
        for name in set() if was_killed else going - labels:
            assert FINGERPRINTS[name] in database.index.tombstones, f"{name} has no tombstone"
        for run in state.runs.values():
            undone = labels.intersection(run.result.deleted) - restored
            assert not undone, f"{run.id} deleted {undone}, and another run undid that"
        failed = any(run.result.failed for run in state.runs.values())
        if labels and not (hole and failed):
            assert is_stored, "all have finished, and a label's picture is missing"
        if not labels:
            assert not is_stored, "all have finished, and a picture without a label is left"
        for path in copies:
            # An upload that was killed while it completed a deletion may have left one.
            assert not path.rpartition("/")[2].startswith(("D", "E")), "a backup copy is left"
            database.store.age_s[path] = OLD_S
        if copies:
            reconcile([], database.index, database.store, run="next", threads=SerialExecutor)
            assert not any(path.startswith(BACKUP_PREFIX) for path in database.store.pictures)
            assert (KEY in database.store.pictures) == bool(labels)


def check_amended(index, name, comment):
    """Assert that an amended label is as reported, unless somebody has deleted it on purpose."""
    fingerprint = FINGERPRINTS[name]
    tombstone = index.tombstones.get(fingerprint)
    if not (tombstone and tombstone.reason == "deleted"):
        label = index.labels.get(fingerprint)
        assert label, f"the amended {name} is missing"
        assert label["comment"] == comment, f"the amendment {comment!r} of {name} was undone"
        assert label["s3_key"] == KEY


def go_through(states, *, going, hole=False):
    """Check every state and return their number."""
    number = 0
    for choices, state in states:
        number += 1
        try:
            check(state, going=set(going), hole=hole)
        except AssertionError as error:
            way = " ".join(map(str, choices))
            raise AssertionError(f"{error}\nafter: {way}") from error
    return number


def two(file, tmp_path):
    """Return scenarios of one and two programs: the database, the programs, the labels that go."""
    u, d, a = (lambda *names: uploading(file, *names)), deleting, amending
    r = lambda new, old: relabelling(file, new, old)  # noqa: E731
    return {
        "upload, deletion of the same": (holding(), {"U": u("L1"), "D": d("L1")}, "L1"),
        "upload, deletion of an absent one": (holding(), {"U": u("L1"), "D": d("L2")}, "L2"),
        "upload, deletion of another": (holding("L2"), {"U": u("L1"), "D": d("L2")}, "L2"),
        "upload again, deletion": (holding("L1"), {"U": u("L1"), "D": d("L1")}, "L1"),
        "upload that restores, deletion": (
            holding("L1"),
            {"U": uploading(file, "L1", restore=True), "D": d("L1")},
            "L1",
        ),
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
        "amend, deletion": (holding("L1"), {"A": a("L1", "Ada's"), "D": d("L1")}, "L1"),
        "amend, upload": (holding("L1"), {"A": a("L1", "Ada's"), "U": u("L1")}, ""),
        "amend, first upload": (holding(), {"A": a("L1", "Ada's"), "U": u("L1")}, ""),
        "amend, relabel": (holding("L1"), {"A": a("L1", "Ada's"), "R": r("L2", "L1")}, "L1"),
        "amend of the new, relabel": (
            holding("L1"),
            {"A": a("L2", "Ada's"), "R": r("L2", "L1")},
            "L1",
        ),
    }


TWO = list(two(NOWHERE, NOWHERE))
MANY = {"upload that restores, deletion"}  # states; the model goes through all of them


@pytest.mark.parametrize("name", TWO)
def test_two_programs_in_every_order(file, tmp_path, name, every_order):
    prepare, programs, going = two(file, tmp_path)[name]
    scenario = Scenario(prepare, programs)
    states = go_through(paths(scenario, every_order or name not in MANY), going=going.split())
    assert states > (15 if "A" in programs else 10 ** len(programs))  # an amendment has few steps


@pytest.mark.parametrize("name", TWO)
def test_two_programs_of_which_one_is_killed(file, tmp_path, name, every_order):
    prepare, programs, going = two(file, tmp_path)[name]
    go_through(paths(Scenario(prepare, programs, kills=1), every_order), going=going.split())


def paths(scenario, every_order):
    """Return every state if asked to, which takes minutes, else those on random paths."""
    return every_state(scenario) if every_order else random_states(scenario, seed=1, paths=80)


def three(file, tmp_path):
    """Return scenarios of three programs."""
    u, d, s, a = (lambda *names: uploading(file, *names)), deleting, reading, amending
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
        "amend, relabel, deletion": (
            holding("L1"),
            {"A": a("L1", "Ada's"), "R": r("L2", "L1"), "D": d("L1")},
            "L1",
        ),
        "amend, two relabels": (
            holding("L1"),
            {"A": a("L1", "Ada's"), "R": r("L2", "L1"), "Q": r("L3", "L1")},
            "L1",
        ),
        "three amend": (
            holding("L1"),
            {"A": a("L1", "Ada's"), "B": a("L1", "Bob's"), "E": a("L1", "Eve's")},
            "",
        ),
    }


THREE = list(three(NOWHERE, NOWHERE))


@pytest.mark.parametrize("kills", [0, 2])
@pytest.mark.parametrize("name", THREE)
def test_three_programs_on_many_ways(file, tmp_path, name, kills):
    prepare, programs, going = three(file, tmp_path)[name]
    scenario = Scenario(prepare, programs, kills)
    go_through(random_states(scenario, seed=1, paths=80), going=going.split())


def test_a_label_that_has_a_tombstone_is_not_amended():
    database = holding("L1")()
    label = Entry(LABELS["L1"], NOWHERE).label
    database.index.add_tombstones(
        [Tombstone(label.fingerprint, label.img_id, KEY, "deleted", "test", "2024-05-01T12:00:00Z")]
    )
    assert amending("L1", "Ada's")(database.index, database.store) == Report()
    assert database.index.labels[label.fingerprint].get("comment") != "Ada's"


def test_of_two_who_amend_a_label_one_is_told(every_order):
    """It is told as a conflict, or as overtaken where it came later."""
    programs = {"A": amending("L1", "Ada's"), "B": amending("L1", "Bob's")}
    scenario = Scenario(holding("L1"), programs)
    assert go_through(every_state(scenario), going="") > 20
    for _, state in every_state(scenario):
        if state.is_final:
            reports = [run.result for run in state.runs.values()]
            assert sum(bool(report.amended) for report in reports) == 1
    go_through(paths(Scenario(holding("L1"), programs, kills=2), every_order), going="")


def test_a_relabel_without_the_picture_at_hand_finds_it_in_the_store(tmp_path):
    programs = {"R": relabelling(NOWHERE, "L2", "L1"), "D": deleting("L1")}
    scenario = Scenario(holding("L1"), programs)
    go_through(every_state(scenario), going=["L1"])


def test_a_killed_relabel_without_the_picture_at_hand_is_the_one_known_hole(every_order):
    """It is reported: the second run lists the label whose picture is lost."""
    programs = {"R": relabelling(NOWHERE, "L2", "L1"), "D": deleting("L1")}
    scenario = Scenario(holding("L1"), programs, kills=1)
    go_through(paths(scenario, every_order), going=["L1"], hole=True)


@pytest.mark.parametrize("keeps_snapshots", [True, False])
def test_a_reader_never_takes_a_wrong_picture_for_the_right_one(file, tmp_path, keeps_snapshots):
    """It may find a picture missing between two steps; a second run then finds it, or no label."""
    programs = {"D": deleting("L1"), "U": uploading(file, "L2"), "S": reading(tmp_path, "L2")}

    def prepare():
        return replace(holding("L1")(), keeps_snapshots=keeps_snapshots)

    for _, state in random_states(Scenario(prepare, programs), seed=2, paths=200):
        if state.is_final:
            again = reading(tmp_path / "again", "L2")
            (tmp_path / "again").mkdir(exist_ok=True)
            result = again(state.database.index, state.database.store)
            assert result.failed == ()
            for fetched in (tmp_path / "again").rglob("*.jpg"):
                assert fetched.read_bytes() == CONTENT
                fetched.unlink()
            for folder in (tmp_path / "again").iterdir():
                for left in folder.iterdir():
                    left.unlink()
                folder.rmdir()


def freed(file, tmp_path):
    """Return scenarios in which a car frees space."""
    u, r = (lambda *names: locked(file, uploading(file, *names))), {}
    r["here"] = lambda new, old: locked(file, relabelling(file, new, old))
    r["elsewhere"] = lambda new, old: relabelling(NOWHERE, new, old)
    d, s, f, on_car = deleting, reading, freeing(file, "L1"), (lambda *names: parked(file, *names))
    return {
        "deletion": (on_car("L1"), {"F": f, "D": d("L1")}, "L1"),
        "deletion of another": (on_car("L1", "L2"), {"F": f, "D": d("L2")}, "L2"),
        "upload": (on_car("L1"), {"F": f, "U": u("L1")}, ""),
        "first upload": (on_car(), {"F": f, "U": u("L1")}, ""),
        "upload of another label": (on_car("L1"), {"F": f, "U": u("L2")}, ""),
        "relabel": (on_car("L1"), {"F": f, "R": r["here"]("L2", "L1")}, "L1"),
        "relabel elsewhere": (on_car("L1"), {"F": f, "R": r["elsewhere"]("L2", "L1")}, "L1"),
        "reader": (on_car("L1"), {"F": f, "S": s(tmp_path, "L1")}, ""),
        "amend": (on_car("L1"), {"F": f, "A": amending("L1", "Ada's")}, ""),
        "deletion, upload": (on_car("L1"), {"F": f, "D": d("L1"), "U": u("L1")}, "L1"),
        "deletion, first upload": (on_car("L2"), {"F": f, "D": d("L2"), "U": u("L1")}, "L2"),
        "deletion, first upload without the lock": (
            on_car("L2"),
            {"F": f, "D": d("L2"), "U": uploading(file, "L1")},
            "L2",
        ),
        "deletion, relabel": (
            on_car("L1"),
            {"F": f, "D": d("L1"), "R": r["here"]("L2", "L1")},
            "L1",
        ),
        "deletion, reader": (
            on_car("L1", "L2"),
            {"F": f, "D": d("L2"), "S": s(tmp_path, "L1")},
            "L2",
        ),
        "two relabels": (
            on_car("L1"),
            {"F": f, "R": r["here"]("L2", "L1"), "Q": r["elsewhere"]("L3", "L1")},
            "L1",
        ),
    }


FREED = list(freed(NOWHERE, NOWHERE))


@pytest.mark.parametrize("kills", [0, 2])
@pytest.mark.parametrize("name", FREED)
def test_what_a_car_has_freed_can_be_fetched(tmp_path, name, kills, every_order):
    (tmp_path / "car").mkdir()
    file = tmp_path / "car" / LABELS["L1"]["file_name"]
    prepare, programs, going = freed(file, tmp_path)[name]
    scenario = Scenario(prepare, programs, kills)
    is_small = len(programs) == 2 and not kills
    states = every_state(scenario) if is_small else paths(scenario, every_order)
    # the known hole: a relabel that begins when the picture is gone has it nowhere else
    hole = name == "deletion, relabel" and kills > 0
    go_through(states, going=going.split(), hole=hole)


def test_a_picture_is_freed_once_its_label_is_uploaded_or_replaced(tmp_path):
    file = tmp_path / "car.jpg"
    for labels, program in (
        (("L1",), None),
        ((), uploading(file, "L1")),
        (("L1",), relabelling(file, "L2", "L1")),
    ):
        programs = {"U": program} if program else {}
        state = Scenario(parked(file, *labels), programs).replay([])
        while choices := state.choices():
            state.apply(choices[0])
        freeing_run = Scenario(lambda database=state.database: database, {"F": freeing(file, "L1")})
        state = freeing_run.replay([])
        while choices := state.choices():
            state.apply(choices[0])
        assert not file.exists(), labels


def test_without_the_lock_of_the_folder_a_freed_picture_would_be_lost(tmp_path):
    """D25: a relabel that has found its picture here stores it again when a deletion takes it."""
    file = tmp_path / "car.jpg"
    programs = {
        "F": freeing(file, "L1"),
        "D": deleting("L1"),
        "R": relabelling(file, "L2", "L1"),
    }
    states = random_states(Scenario(parked(file, "L1"), programs), seed=3, paths=5000)
    with pytest.raises(AssertionError, match=r"is missing|cannot be fetched"):
        go_through(states, going=["L1"])
