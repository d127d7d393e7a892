"""One picture, the labels that name it, and the atomic requests of which programs are made.

The index answers in real time or after a refresh (`references`), so no answer is stale when it is
given. What a bulk request does, it does label by label: other programs may come in between.
"""

from collections.abc import Callable, Iterable
from typing import Any, Literal, NamedTuple

from tests.model.explorer import Answers, Step

PICTURE = "picture"
DAMAGED = "damaged picture"  # of the same size
RECORDED = "recorded"  # the content of a label before anybody amended it
ALL_SETS = "all sets"
WHOLE_SET, DAMAGED_SET = "whole", "damaged"
NEVER = ""  # the upload date of a label in a recording

Reason = Literal["deleted", "replaced"]


class Label(NamedTuple):
    """A label in the index; `content` is all of it that is not in its fingerprint (`name`).

    `version` is the index's own, `upload_date` travels with the label into files and backups; a
    run writes its id where a real one writes the time, so equality means the same write.
    """

    name: str
    version: str
    upload_date: str
    content: str = RECORDED
    is_amended: bool = False
    has_key: bool = True


class Tombstone(NamedTuple):
    """A record of a removed label."""

    name: str
    reason: Reason


class Backup(NamedTuple):
    """A complete backup; the pictures in its folder are older than it."""

    labels: frozenset[Label]
    tombstones: frozenset[Tombstone]
    has_picture: bool
    sets: frozenset[str] = frozenset()


class World(NamedTuple):
    """The database, the disk of the car, and the folder of the backup.

    Every frozen set names the picture.
    """

    labels: frozenset[Label] = frozenset()
    tombstones: frozenset[Tombstone] = frozenset()
    picture: str | None = None
    copies: frozenset[tuple[str, str]] = frozenset()  # of deletions: run, content
    recording: str | None = None  # the picture on the car
    backup: Backup | None = None
    saved_picture: bool = False  # in the folder of the backup, with or without a backup
    sets: frozenset[str] = frozenset()
    damaged_sets: frozenset[str] = frozenset()  # those whose object is not what was frozen

    def label(self, name: str) -> Label | None:
        """Return the label with this name, if it is in the index."""
        return next((label for label in self.labels if label.name == name), None)

    def has_intact_copy(self) -> bool:
        """Return whether a deletion holds the picture."""
        return any(content == PICTURE for _, content in self.copies)


def _reads(text: str, answer: Callable[[World], Any]) -> Step:
    return Step(text, lambda world, _running: [(answer(world), world)])


def _writes(text: str, change: Callable[[World], tuple[Any, World]]) -> Step:
    return Step(text, lambda world, _running: [change(world)])


# the index


def find(*names: str) -> Step:
    """Answer which of the labels exist."""
    return _reads(f"find {names}", lambda w: frozenset(x.name for x in w.labels if x.name in names))


def read(name: str) -> Step:
    """Answer the label with its version, None if it does not exist."""
    return _reads(f"read {name}", lambda w: w.label(name))


def find_tombstones(*names: str) -> Step:
    """Answer the tombstones of these labels."""
    return _reads(
        f"find tombstones {names}", lambda w: frozenset(t for t in w.tombstones if t.name in names)
    )


def all_labels() -> Step:
    """Answer all labels."""
    return _reads("all labels", lambda w: w.labels)


def all_tombstones() -> Step:
    """Answer all tombstones."""
    return _reads("all tombstones", lambda w: w.tombstones)


def references() -> Step:
    """Answer the labels that name the picture."""
    return _reads("references", lambda w: frozenset(x.name for x in w.labels if x.has_key))


def create(label: Label) -> Step:
    """Create the label unless it exists; answer whether it was created."""

    def change(world: World) -> tuple[bool, World]:
        if world.label(label.name):
            return False, world
        return True, world._replace(labels=world.labels | {label})

    return _writes(f"create {label.name}", change)


def put_label(label: Label) -> Step:
    """Write the label whatever is there: what no program may do."""
    return _writes(
        f"put {label.name}",
        lambda w: (True, w._replace(labels=_without(w.labels, label.name) | {label})),
    )


def replace(label: Label, read_as: Label, *, by: str) -> Step:
    """Replace a label that is as it was read; answer `replaced`, `changed`, or `lost`.

    `lost`: it was replaced, the answer was lost, and the second attempt finds it changed.

    Args:
        label: the new one; its version becomes a new one.
        read_as: the label as it was read.
        by: `version` as Elasticsearch does, `document` as SQLite does, `existence` by neither.
    """

    def apply(world: World, _running: frozenset[str]) -> Answers:
        stored = world.label(label.name)
        if not _is_unchanged(stored, read_as, by):
            return [("changed", world)]
        after = world._replace(labels=_without(world.labels, label.name) | {label})
        return [("replaced", after), ("lost", after)]

    return Step(f"replace {label.name} as of {read_as.version}", apply)


def remove(name: str) -> Step:
    """Remove the label, if it exists."""
    return _writes(f"remove {name}", lambda w: (None, w._replace(labels=_without(w.labels, name))))


def remove_unchanged(read_as: Label, *, by: str) -> Step:
    """Remove a label that is as it was read, or absent; answer whether that holds."""

    def change(world: World) -> tuple[bool, World]:
        stored = world.label(read_as.name)
        if stored and not _is_unchanged(stored, read_as, by):
            return False, world
        return True, world._replace(labels=_without(world.labels, read_as.name))

    return _writes(f"remove {read_as.name} as of {read_as.version}", change)


def add_tombstone(name: str, reason: Reason) -> Step:
    """Add a tombstone; an older one stays."""

    def change(world: World) -> tuple[None, World]:
        if any(t.name == name for t in world.tombstones):
            return None, world
        return None, world._replace(tombstones=world.tombstones | {Tombstone(name, reason)})

    return _writes(f"add tombstone {name}", change)


def remove_tombstone(name: str) -> Step:
    """Remove the tombstone, so that the label may be created again."""
    return _writes(
        f"remove tombstone {name}",
        lambda w: (
            None,
            w._replace(tombstones=frozenset(t for t in w.tombstones if t.name != name)),
        ),
    )


# the store


def put_new(picture: str) -> Step:
    """Store the picture unless there is one."""
    return _writes("put new picture", lambda w: (None, w._replace(picture=w.picture or picture)))


def put(picture: str) -> Step:
    """Store the picture."""
    return _writes("put picture", lambda w: (None, w._replace(picture=picture)))


def get() -> Step:
    """Answer the picture."""
    return _reads("get picture", lambda w: w.picture)


def has_picture() -> Step:
    """Answer whether the store has the picture, by its size."""
    return _reads("has picture", lambda w: w.picture is not None)


def delete_picture() -> Step:
    """Delete the picture from the store."""
    return _writes("delete picture", lambda w: (None, w._replace(picture=None)))


def copy_aside(run: str) -> Step:
    """Make this run's backup copy of the picture; answer whether there was a picture."""

    def change(world: World) -> tuple[bool, World]:
        if world.picture is None:
            return False, world
        others = frozenset(copy for copy in world.copies if copy[0] != run)
        return True, world._replace(copies=others | {(run, world.picture)})

    return _writes("copy picture aside", change)


def copies() -> Step:
    """Answer all backup copies."""
    return _reads("backup copies", lambda w: w.copies)


def old_copies() -> Step:
    """Answer the runs whose backup copies are old: those that are over."""
    return Step(
        "old backup copies",
        lambda w, running: [(frozenset(run for run, _ in w.copies if run not in running), w)],
    )


def drop_copies(runs: Iterable[str]) -> Step:
    """Delete these runs' backup copies."""
    gone = frozenset(runs)
    return _writes(
        "drop backup copies",
        lambda w: (None, w._replace(copies=frozenset(c for c in w.copies if c[0] not in gone))),
    )


# frozen sets


def all_sets() -> Step:
    """Answer the frozen sets."""
    return _reads(ALL_SETS, lambda w: w.sets)


def create_set(name: str) -> Step:
    """Create the set unless it exists; answer whether it was created."""
    return _writes(
        f"create set {name}", lambda w: (name not in w.sets, w._replace(sets=w.sets | {name}))
    )


def read_set(name: str) -> Step:
    """Answer whether the set is `whole` or `damaged`, None if it does not exist."""

    def state(world: World) -> str | None:
        if name not in world.sets:
            return None
        return DAMAGED_SET if name in world.damaged_sets else WHOLE_SET

    return _reads(f"read set {name}", state)


def put_set(name: str) -> Step:
    """Write the set whatever is there."""
    return _writes(
        f"put set {name}",
        lambda w: (
            None,
            w._replace(sets=w.sets | {name}, damaged_sets=w.damaged_sets - {name}),
        ),
    )


def remove_set(name: str) -> Step:
    """Remove the set, if it exists."""
    return _writes(
        f"remove set {name}",
        lambda w: (
            None,
            w._replace(sets=w.sets - {name}, damaged_sets=w.damaged_sets - {name}),
        ),
    )


# the disks


def read_recording() -> Step:
    """Answer the picture on the car."""
    return _reads("read own picture", lambda w: w.recording)


def remove_recording() -> Step:
    """Remove the picture from the car."""
    return _writes("free own picture", lambda w: (None, w._replace(recording=None)))


def save_picture() -> Step:
    """Write the picture into the folder of the backup."""
    return _writes("save picture", lambda w: (None, w._replace(saved_picture=True)))


def has_saved_picture() -> Step:
    """Answer whether the folder of the backup has the picture."""
    return _reads("has saved picture", lambda w: w.saved_picture)


def save_backup(
    labels: frozenset[Label], tombstones: frozenset[Tombstone], sets: frozenset[str]
) -> Step:
    """Make labels, tombstones and frozen sets the backup, in one rename."""
    return _writes(
        "save labels and tombstones",
        lambda w: (None, w._replace(backup=Backup(labels, tombstones, w.saved_picture, sets))),
    )


def read_backup() -> Step:
    """Answer the backup."""
    return _reads("read backup", lambda w: w.backup)


def _without(labels: frozenset[Label], name: str) -> frozenset[Label]:
    return frozenset(label for label in labels if label.name != name)


def _is_unchanged(stored: Label | None, read_as: Label, by: str) -> bool:
    if stored is None:
        return False
    if by == "version":
        return stored.version == read_as.version
    return by == "existence" or stored._replace(version="") == read_as._replace(version="")
