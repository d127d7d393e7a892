"""The programs that meet at the database, step by step.

`upload` and `delete` as they are built, and those of the rules D15 and on; the rules are in
`docs/architecture.md`. Change an order here before the code. Every program takes `without`: rules
that it breaks, by the keys of `MUTANTS`, so that a test can show what each is for.
"""

from collections.abc import Collection, Generator
from typing import Any, NamedTuple

from tests.model import world as w
from tests.model.explorer import Program, StartProgram, Step
from tests.model.world import NEVER, PICTURE, Label, Reason

MUTANTS = {
    "amend: in place": "creates the label where it is missing",
    "amend: version": "replaces whatever label is there",
    "amend: one answer": "reads the version after comparing",
    "amend: base": "does not ask whether the file was made from this label",
    "amend: key": "writes the file's s3_key, which may be empty",
    "amend: tombstone": "amends a label that is about to be removed",
    "amend: picture": "stores the picture",
    "amend: lost answer": "takes its own success for a conflict",
    "upload: create only": "overwrites a label that is there",
    "upload: restores all": "does not create a label that is there beside its tombstone",
    "upload: restores last": "removes the tombstone before it has the picture",
    "delete: tombstones again": "does not ask whether its tombstone is still there",
    "relabel: base": "does not ask whether the file was made from the old label",
    "relabel: unchanged": "removes the old label whatever has become of it",
    "relabel: tombstone last": "writes the tombstone before it knows that the old label may go",
    "backup: tombstones before": "reads tombstones only after the labels",
    "backup: tombstones after": "reads tombstones only before the labels",
    "backup: until nothing is new": "does not read the labels of new tombstones again",
    "backup: leaves tombstoned labels out": "keeps a label that was deleted meanwhile",
    "backup: lost labels": "forgets labels that the database has lost",
    "backup: lost tombstones": "forgets tombstones that the database has lost",
    "backup: lost amendments": "forgets amendments that the database has lost",
    "backup: pictures first": "replaces the backup before it has the pictures",
    "restore: tombstones": "ignores the database's tombstones",
    "restore: saved tombstones": "ignores the backup's tombstones",
    "restore: tombstones first": "adds the backup's tombstones after its labels",
    "restore: label there": "adds a tombstone to a label that somebody restored",
    "restore: look after tombstone": "does not ask for labels again after adding tombstones",
    "restore: create only": "overwrites labels that are there",
    "restore: never amended": "replaces labels that were amended as well",
    "restore: compare again": "takes a label that appears meanwhile for its own",
    "restore: amended": "keeps a recording's label although the backup has an amendment",
    "restore: tombstones again": "does not ask for tombstones again after creating labels",
    "restore: reconcile": "leaves what an earlier run stored of a tombstoned label",
    "restore: picture first": "creates the label before its picture is stored",
    "restore: look again": "does not look for the picture after creating the label",
    "restore: verbatim": "writes a new upload date",
    "delete: sets": "does not ask which pictures frozen sets name",
    "delete: sets again": "asks for frozen sets only before it deletes the picture",
    "freeze: pictures first": "freezes a set whose picture has gone",
    "freeze: look again": "does not look for the picture after freezing",
    "freeze: damaged": "takes a damaged set for one that is frozen",
    "freeze: one step": "removes a damaged set before it freezes it anew",
    "freeze: tombstone": "leaves the tombstone of a set that was thrown away before",
    "throw: tombstone first": "writes the set's tombstone after removing the set",
    "throw: settle": "leaves the pictures of the set",
    "backup: sets": "does not save the pictures of frozen sets",
    "backup: lost sets": "forgets frozen sets that the database has lost",
    "backup: damaged sets": "saves a damaged frozen set",
    "backup: thrown sets": "keeps a frozen set that was thrown away since the last backup",
    "restore: set there": "leaves a tombstone with a set that somebody has frozen again",
    "restore: set tombstones": "ignores that a frozen set was thrown away",
    "restore: set tombstones again": "does not ask for its tombstone after creating a set",
    "restore: damaged set": "leaves a damaged set, since it is there",
    "restore: damaged set again": "does not ask for its tombstone after replacing a set",
    "restore: set looks again": "does not look for the picture after creating a set",
    "free: index first": "asks the store before the index",
    "free: index": "asks only the store",
    "free: store": "asks only the index",
    "free: hash": "compares sizes only",
}

Steps = Generator[Step, Any, Any]
Without = Collection[str]


class Report(NamedTuple):
    """The last words of a program, by label."""

    stored: frozenset[str] = frozenset()
    deleted: frozenset[str] = frozenset()  # on purpose
    replaced: frozenset[str] = frozenset()
    amended: frozenset[tuple[str, str]] = frozenset()  # label, content
    changed: frozenset[str] = frozenset()  # by somebody else meanwhile: nothing was done
    overtaken: frozenset[str] = frozenset()  # by an amendment: nothing was done
    left: frozenset[str] = frozenset()  # tombstoned, absent, or restored by somebody
    failed: frozenset[str] = frozenset()
    is_complete: bool = False  # backup
    frozen: frozenset[str] = frozenset()
    thrown: frozenset[str] = frozenset()  # frozen sets, on purpose


# as built


def upload(*names: str, restore: bool = False, without: Without = ()) -> StartProgram:
    """Upload recorded labels, with the picture on the car."""

    def start(run: str) -> Program:
        documents = tuple(Label(name, run, run) for name in names)
        return (yield from _upload(run, documents, without, restore=restore))

    return start


def _upload(
    run: str,
    documents: tuple[Label, ...],
    without: Without = (),
    *,
    at_hand: bool = True,
    restore: bool = False,
) -> Steps:
    names = tuple(document.name for document in documents)
    found = yield w.find(*names)
    tombstones = yield w.find_tombstones(*names)
    tombstoned = frozenset(tombstone.name for tombstone in tombstones)
    to_restore = tombstoned if restore else frozenset()
    if {"upload: restores all", "upload: restores last"} & set(without):
        for name in sorted(to_restore):
            yield w.remove_tombstone(name)
        to_restore = frozenset()
    if restore:
        if "upload: restores all" not in without:
            found -= tombstoned  # D34: a deletion may remove the label yet
        tombstoned = frozenset()
    pending = tuple(x for x in documents if x.name not in tombstoned)
    new = tuple(x for x in pending if x.name not in found or "upload: create only" in without)
    failed: frozenset[str] = frozenset()
    fetched = None  # the picture, if the store has the only copy
    if new:
        file = (yield w.read_recording()) if at_hand else None
        fetched = None if file else (yield from _fetch())
        if not file and not fetched:
            failed = frozenset(x.name for x in new)
            pending = tuple(x for x in pending if x.name not in failed)
        else:
            yield w.put_new(PICTURE)
            for name in sorted(to_restore):  # D34: a label that cannot be restored stays deleted
                yield w.remove_tombstone(name)
            for document in new:  # D3
                if "upload: create only" in without:
                    yield w.put_label(document)
                else:
                    yield w.create(document)
            removed = yield from _complete_deletions(run, new)
            pending = tuple(x for x in pending if x.name not in removed)
            tombstoned |= removed
    attempt = 1
    while pending:
        # D6: a deletion may have taken the picture before its label was created
        stored = yield w.get()
        if stored == PICTURE:
            break
        file = (yield w.read_recording()) if at_hand else None
        if not file and not fetched and (yield from _fetch()) is None:
            failed |= frozenset(x.name for x in pending)
            break
        yield w.put(PICTURE) if stored else w.put_new(PICTURE)
        attempt += 1
        for document in pending:
            yield w.create(document._replace(version=f"{run}.{attempt}"))
        removed = yield from _complete_deletions(run, pending)
        pending = tuple(x for x in pending if x.name not in removed)
        tombstoned |= removed
    if tombstoned:
        # D7: an earlier run may have been killed after storing the picture or creating the label
        yield from _delete(run, *(tombstoned & found), reason="deleted")
    stored_names = frozenset(x.name for x in pending) - failed
    return Report(stored=stored_names, left=tombstoned, failed=failed)


def _fetch() -> Steps:
    """Return the picture from the store, also while a deletion holds it."""
    picture = yield w.get()
    if picture != PICTURE:
        aside = yield w.copies()
        picture = PICTURE if any(content == PICTURE for _, content in aside) else None
    if picture != PICTURE:
        picture = yield w.get()
    return picture if picture == PICTURE else None


def _complete_deletions(run: str, documents: tuple[Label, ...]) -> Steps:
    # D5: a deletion may have written its tombstone, and passed by, before the label was created
    names = tuple(document.name for document in documents)
    tombstones = yield w.find_tombstones(*names)
    removed = frozenset(tombstone.name for tombstone in tombstones)
    if removed:
        yield from _delete(run, *removed, reason="deleted")
    return removed


def delete(*names: str, without: Without = ()) -> StartProgram:
    """Delete labels on purpose."""

    def start(run: str) -> Program:
        yield from _delete(run, *names, reason="deleted", without=without)
        return Report(deleted=frozenset(names))

    return start


def _delete(run: str, *names: str, reason: Reason, without: Without = ()) -> Steps:
    going = frozenset(names)
    while going:
        for name in sorted(going):  # D4
            yield w.add_tombstone(name, reason)
        for name in sorted(going):  # D9
            yield w.remove(name)
        if "delete: tombstones again" in without:
            break
        # D34: an upload that restores may have removed the tombstone before the label was removed
        tombstones = yield w.find_tombstones(*sorted(going))
        going -= frozenset(tombstone.name for tombstone in tombstones)
        tombstones = None
    yield from _reconcile(run, without)


def _reconcile(run: str, without: Without = ()) -> Steps:
    old = yield w.old_copies()  # D13
    sets = (yield w.all_sets()) if "delete: sets again" in without else frozenset()
    while True:
        named = yield w.references()
        # D27: a frozen set names its pictures as a label does
        if not {"delete: sets", "delete: sets again"} & set(without):
            sets = yield w.all_sets()
        named |= sets
        stored = yield w.has_picture()
        if bool(named) == stored:
            # D12: both agree, so the copies may go; an old one may be the only intact picture
            if not (stored and old and (yield from _repair())):
                yield w.drop_copies((run, *old))
                return
        elif named:  # D11
            aside = yield w.copies()
            if not any(content == PICTURE for _, content in aside):
                return  # lost, or its uploader is about to look
            yield w.put_new(PICTURE)
            aside = None
        elif (yield w.copy_aside(run)):  # D10
            yield w.delete_picture()
        named = stored = None
        if "delete: sets again" not in without:
            sets = frozenset()
        old = yield w.old_copies()  # D13


def _reconcile_old(run: str) -> Steps:
    """Complete what killed deletions have left."""
    if (yield w.old_copies()):
        yield from _reconcile(run)


def _repair() -> Steps:
    if (yield w.get()) == PICTURE:
        return False
    aside = yield w.copies()
    if not any(content == PICTURE for _, content in aside):
        return False
    yield w.put(PICTURE)
    return True


# frozen sets


def freeze(name: str, *, at_hand: bool = True, without: Without = ()) -> StartProgram:
    """Freeze a set; `at_hand` tells whether the picture is in the folder that is frozen."""

    def start(run: str) -> Program:
        state = yield w.read_set(name)
        if state is None or (state == w.DAMAGED_SET and "freeze: damaged" not in without):
            # D28: of pictures that are there
            if "freeze: pictures first" not in without and (yield from _fetch()) is None:
                return Report(failed=frozenset({name}))
            if state and "freeze: one step" not in without:  # D36
                yield w.put_set(name)
            else:
                if state:
                    yield w.remove_set(name)
                yield w.create_set(name)
        if "freeze: look again" not in without:
            is_whole = yield from _complete_set(run, name, at_hand=at_hand)
            if not is_whole:
                return Report(failed=frozenset({name}))
        if "freeze: tombstone" not in without:  # D30
            yield w.remove_tombstone(name)
        return Report(frozen=frozenset({name}))

    return start


def _complete_set(run: str, name: str, *, at_hand: bool = False, is_saved: bool = False) -> Steps:
    """Look for the picture of a set that is there, and put it back; return whether it is there.

    `is_saved`: a backup has the picture.
    """
    # D28: a deletion may have taken it before it could see the set
    while (yield w.get()) != PICTURE:
        file = is_saved or ((yield w.read_recording()) if at_hand else None)
        if not file and (yield from _fetch()) is None:
            return False
        yield w.put(PICTURE)
        # D29: the set may have been thrown away meanwhile
        yield from _reconcile(run)
        if name not in (yield w.all_sets()):
            break
    return True


def throw(name: str, *, without: Without = ()) -> StartProgram:
    """Throw a frozen set away."""

    def start(run: str) -> Program:
        if name not in (yield w.all_sets()):
            # it went before a kill; the next deletion completes what that left
            yield from _reconcile_old(run)
            return Report(thrown=frozenset({name}))
        if "throw: tombstone first" not in without:  # D30
            yield w.add_tombstone(name, "deleted")
        yield w.remove_set(name)
        if "throw: tombstone first" in without:
            yield w.add_tombstone(name, "deleted")
        if "throw: settle" not in without:  # D29
            yield from _reconcile(run)
        return Report(thrown=frozenset({name}))

    return start


# amend, relabel, back up, restore, free space


def _is_base(stored: Label, upload_date: str) -> bool:
    """Return whether a file with this upload date was made from the label as stored (D16)."""
    return not stored.is_amended or stored.upload_date == upload_date


def amend(
    name: str,
    content: str,
    *,
    fetched: str = NEVER,
    by: str = "version",
    without: Without = (),
) -> StartProgram:
    """Replace what a label says beside its fingerprint; `fetched` is the file's upload date."""

    def start(run: str) -> Program:
        if "amend: picture" in without:
            yield w.put_new(PICTURE)
        stored = yield w.read(name)
        tombstones = yield w.find_tombstones(name)
        if stored is None and "amend: in place" not in without:
            return Report(left=frozenset({name}))
        if tombstones and "amend: tombstone" not in without:  # D17
            return Report(left=frozenset({name}))
        if stored and stored.content == content:
            return Report(amended=frozenset({(name, content)}))
        if stored and not _is_base(stored, fetched) and "amend: base" not in without:
            return Report(overtaken=frozenset({name}))
        if "amend: one answer" in without:
            stored = (yield w.read(name)) or stored
        # D15: as of the version that was compared; a missing label is changed, too
        amended = (stored or Label(name, run, run))._replace(
            version=run, upload_date=run, content=content, is_amended=True
        )
        if "amend: key" in without:
            amended = amended._replace(has_key=False)
        if "amend: in place" in without:
            yield w.put_label(amended)
            return Report(amended=frozenset({(name, content)}))
        tolerant = "amend: version" in without
        answer = yield w.replace(amended, stored, by="existence" if tolerant else by)
        if answer == "lost" and "amend: lost answer" not in without:
            answer = "replaced" if (yield w.read(name)) == amended else "changed"
        if answer == "replaced":
            return Report(amended=frozenset({(name, content)}))
        return Report(changed=frozenset({name}))

    return start


def relabel(
    new: str,
    old: str,
    *,
    fetched: str = NEVER,
    at_hand: bool = True,
    by: str = "version",
    without: Without = (),
) -> StartProgram:
    """Replace a label by a corrected one.

    `fetched` is the upload date that the file has of the old one; `at_hand` tells whether the
    program can read the picture on the car.
    """

    def start(run: str) -> Program:
        overtaken = Report(overtaken=frozenset({old}))
        before = yield w.read(old)
        # D18: a tombstone decides, be it ours of an earlier run
        is_going = bool((yield w.find_tombstones(old)))
        is_checked = not is_going and "relabel: base" not in without
        if before and is_checked and not _is_base(before, fetched):
            return overtaken
        added = yield from _upload(run, (Label(new, run, run),), at_hand=at_hand)
        if not added.stored:
            return added
        if "relabel: tombstone last" in without:
            yield w.add_tombstone(old, "replaced")
        if not is_going and "relabel: unchanged" not in without:
            # D18: an amendment until here is seen, and one from here on fails
            now = yield w.read(old)
            if now and is_checked and not _is_base(now, fetched):
                return overtaken
            if now and not (yield w.remove_unchanged(now, by=by)):
                return overtaken
        yield from _delete(run, old, reason="replaced")
        return Report(stored=added.stored, replaced=frozenset({old}))

    return start


def back_up(*, without: Without = ()) -> StartProgram:
    """Save labels, tombstones and the picture."""

    def start(run: str) -> Program:
        before: Any = frozenset()
        earlier = (yield w.read_backup()) or w.Backup(frozenset(), frozenset(), False)
        for _ in range(4):
            if "backup: tombstones before" not in without:
                before = yield w.all_tombstones()
            labels = yield w.all_labels()
            sets = yield w.all_sets()
            after = before
            if "backup: tombstones after" not in without:
                after = yield w.all_tombstones()
            # D19
            while after != before and not {
                "backup: until nothing is new",
                "backup: tombstones before",
            } & set(without):
                before = after
                labels = yield w.all_labels()
                after = yield w.all_tombstones()
            live, after = _merged(earlier, labels, after, without)
            # D31: a set that is there is live, whatever tombstone it has
            after = frozenset(tombstone for tombstone in after if tombstone.name not in sets)
            if "backup: damaged sets" not in without:  # D31
                for name in sorted(sets):
                    if (yield w.read_set(name)) == w.DAMAGED_SET:
                        sets -= {name}
            if "backup: lost sets" not in without:
                thrown = frozenset(tombstone.name for tombstone in after)
                sets |= earlier.sets - (frozenset() if "backup: thrown sets" in without else thrown)
            if "backup: pictures first" in without:
                yield w.save_backup(live, after, sets)
            # D20
            is_named = live or (sets and "backup: sets" not in without)
            if is_named and not (yield w.has_saved_picture()):
                if (yield from _fetch()) is None:
                    continue  # deleted meanwhile
                yield w.save_picture()
            yield w.save_backup(live, after, sets)
            return Report(is_complete=True)
        return Report(failed=frozenset({"picture"}))

    return start


def _merged(
    earlier: w.Backup,
    labels: frozenset[Label],
    tombstones: frozenset[w.Tombstone],
    without: Without,
) -> tuple[frozenset[Label], frozenset[w.Tombstone]]:
    """Return labels and tombstones of a backup, with what the database has lost (D21).

    A label that has gone without a tombstone was lost, and so was a tombstone without its label.
    """
    stored = {label.name: label for label in labels}
    if "backup: lost tombstones" not in without:
        tombstones |= {t for t in earlier.tombstones if t.name not in stored}
    dead = {tombstone.name for tombstone in tombstones}
    if "backup: leaves tombstoned labels out" in without:
        dead = set()
    for label in earlier.labels:
        now = stored.get(label.name)
        if now is None:
            is_lost = "backup: lost labels" not in without
        else:
            is_lost = "backup: lost amendments" not in without and _is_later(label, now)
        if is_lost:
            stored[label.name] = label
    return frozenset(x for x in stored.values() if x.name not in dead), tombstones


def restore(*, by: str = "version", without: Without = ()) -> StartProgram:
    """Bring back what a database has lost since the backup."""

    def start(run: str) -> Program:
        saved = yield w.read_backup()
        tombstones = tuple(sorted(saved.tombstones))
        # D36: before anything that may delete pictures
        if "restore: damaged set" not in without:
            for name in sorted(saved.sets):
                yield from _replace_damaged_set(run, name, without)
        if {"restore: saved tombstones", "restore: tombstones first"}.isdisjoint(without):
            yield from _restore_tombstones(run, tombstones, without)  # D22
        report = Report()
        for label in sorted(saved.labels):
            report = yield from _restore_label(run, label, by, without)
        if "restore: tombstones first" in without:
            yield from _restore_tombstones(run, tombstones, without)
        for name in sorted(saved.sets):
            yield from _restore_set(run, name, without)
        return report

    return start


def _restore_tombstones(run: str, tombstones: tuple[w.Tombstone, ...], without: Without) -> Steps:
    for name, reason in tombstones:
        if name.startswith("S"):
            yield from _restore_set_tombstone(name, reason, without)
            continue
        found = yield w.find(name)
        known = yield w.find_tombstones(name)
        if found and not known and "restore: label there" not in without:
            continue  # restored by somebody since
        yield w.add_tombstone(name, reason)
        if "restore: look after tombstone" not in without and (yield w.find(name)):
            yield from _delete(run, name, reason=reason)


def _restore_set_tombstone(name: str, reason: Reason, without: Without) -> Steps:
    """Add the tombstone of a frozen set, unless somebody has frozen it again (D32)."""
    yield w.add_tombstone(name, reason)
    if "restore: set there" not in without and name in (yield w.all_sets()):
        yield w.remove_tombstone(name)


def _replace_damaged_set(run: str, name: str, without: Without) -> Steps:
    """Put the backup's copy in the place of a damaged set, unless it is being thrown away (D36)."""
    if (yield w.read_set(name)) != w.DAMAGED_SET or (yield w.find_tombstones(name)):
        return
    yield w.put_set(name)
    if "restore: damaged set again" not in without and (yield w.find_tombstones(name)):
        yield w.remove_set(name)
        yield from _reconcile(run)


def _restore_set(run: str, name: str, without: Without) -> Steps:
    """Bring a frozen set back, unless it was thrown away since (D32)."""
    is_created = False
    if name not in (yield w.all_sets()):
        if (yield w.find_tombstones(name)) and "restore: set tombstones" not in without:
            return
        yield w.put_new(PICTURE)
        is_created = yield w.create_set(name)
    if "restore: set looks again" not in without:
        yield from _complete_set(run, name, is_saved=True)
    asks = {"restore: set tombstones", "restore: set tombstones again"}.isdisjoint(without)
    if asks and is_created and (yield w.find_tombstones(name)):
        yield w.remove_set(name)
        yield from _reconcile(run)


def _restore_label(run: str, saved: Label, by: str, without: Without) -> Steps:
    name = saved.name
    document = saved._replace(version=run)
    if "restore: verbatim" in without:
        document = document._replace(upload_date=run)
    stored = yield w.read(name)
    if (yield w.find_tombstones(name)) and "restore: tombstones" not in without:
        # D7: an earlier run may have been killed after storing the picture or creating the label
        if "restore: reconcile" not in without:
            yield from _delete(run, *((name,) if stored else ()), reason="deleted")
        return Report(left=frozenset({name}))
    if stored is None or "restore: create only" in without:
        if "restore: picture first" not in without:
            yield w.put_new(PICTURE)
        if "restore: create only" in without:
            yield w.put_label(document)
        elif not (yield w.create(document)) and "restore: compare again" not in without:
            stored = yield w.read(name)  # somebody was faster
        if not {"restore: tombstones again", "restore: tombstones"} & set(without) and (
            yield from _complete_deletions(run, (document,))
        ):
            return Report(left=frozenset({name}))
    if stored and _is_later(saved, stored, without):
        answer = yield w.replace(document._replace(has_key=stored.has_key), stored, by=by)
        if answer == "changed":
            return Report(changed=frozenset({name}))
    attempt = 1
    while "restore: look again" not in without and (yield w.get()) != PICTURE:  # D6
        yield w.put(PICTURE)
        attempt += 1
        yield w.create(document._replace(version=f"{run}.{attempt}"))
        if (yield from _complete_deletions(run, (document,))):
            return Report(left=frozenset({name}))
    return Report(stored=frozenset({name}))


def _is_later(saved: Label, stored: Label, without: Without = ()) -> bool:
    """Return whether a backup's label is an amendment that the database has lost."""
    if saved.content == stored.content or "restore: amended" in without:
        return False
    return saved.is_amended and (not stored.is_amended or "restore: never amended" in without)


def free(name: str, *, without: Without = ()) -> StartProgram:
    """Remove the picture from the car, if the database has label and picture."""

    def start(run: str) -> Program:
        stored = None
        # D24: the index first, since a deletion may take the picture until it finds the label
        if "free: index first" in without:
            stored = yield w.get()
        if "free: index" not in without and not (yield from _is_indexed(name)):
            return Report(left=frozenset({name}))
        if "free: store" in without:
            stored = PICTURE
        elif "free: index first" not in without:
            stored = yield w.get()
        is_proven = stored == PICTURE or (stored is not None and "free: hash" in without)
        if not is_proven:
            return Report(left=frozenset({name}))
        yield w.remove_recording()
        return Report()

    return start


def _is_indexed(name: str) -> Steps:
    if (yield w.find(name)):
        return True
    # D33: what a frozen set names is as safe as what a label names
    if (yield w.all_sets()):
        return True
    tombstones = yield w.find_tombstones(name)
    if all(tombstone.reason != "replaced" for tombstone in tombstones):
        return False
    return bool((yield w.references()))
