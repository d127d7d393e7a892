"""Find where index, store and recordings differ.

What a listing shows may be a program at work: an upload stores pictures before labels, a deletion
removes labels before pictures. So each difference is looked at again, in real time, and only what
is confirmed counts. The rules that the comments cite are in `docs/architecture.md`.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from common.batching import batches
from common.errors import SetDamaged, SetMissing
from get_data.database.backup.folder import SavedLabel
from get_data.database.delete import OLD_BACKUP_S
from get_data.database.entries import Entry
from get_data.database.frozen import frozen_sets
from get_data.database.interfaces import (
    LabelIndex,
    PictureStore,
    StoredSet,
    is_store_path,
    picture_key,
)
from get_data.database.survey import KINDS, Difference, Kind, Survey

SETTLED_S = OLD_BACKUP_S  # after which an upload has created the label of a picture
PAUSE_S = 2.0  # between two looks: a deletion at work may put a picture back
_SEARCHED: tuple[Kind, ...] = ("picture_without_label", "wrong_content")  # the others go by id


def compare_recording(
    entries: Iterable[Entry], place: Path, survey: Survey, index: LabelIndex
) -> Iterator[Entry]:
    """Add the labels of a recording that the index neither has nor had; yield all labels.

    Its pictures are remembered as copies.
    """
    for batch in batches(entries):
        fingerprints = [entry.fingerprint for entry in batch]
        known = index.find(fingerprints).keys() | index.find_tombstones(fingerprints).keys()
        survey.add(
            Difference(
                "not_uploaded",
                entry.img_id,
                entry.fingerprint,
                key,
                place=str(place),
            )
            for entry, key in zip(batch, map(_key_of, batch), strict=True)
            if entry.fingerprint not in known
        )
        survey.add_copies((key, entry.picture) for entry in batch if (key := _key_of(entry)))
        yield from batch


def compare_backup(
    labels: Iterable[SavedLabel], place: Path, survey: Survey, index: LabelIndex
) -> Iterator[SavedLabel]:
    """Add the labels of a backup that the index neither has nor had; yield all labels."""
    for batch in batches(labels):
        fingerprints = [label.fingerprint for label in batch]
        known = index.find(fingerprints).keys() | index.find_tombstones(fingerprints).keys()
        survey.add(
            Difference(
                "not_uploaded",
                label.img_id,
                label.fingerprint,
                label.reference.s3_key,
                place=str(place),
            )
            for label in batch
            if label.fingerprint not in known
        )
        yield from batch


def _key_of(entry: Entry) -> str:
    """Return the key of a recorded picture, "" if there is no such file."""
    sha256 = entry.picture_sha256
    return picture_key(entry.img_id, sha256) if sha256 else ""


def add_sets(survey: Survey, store: PictureStore) -> Iterator[StoredSet]:
    """Add the pictures that frozen sets name, and the sets that are damaged; yield all sets."""
    for stored in store.list_sets():
        with suppress(SetMissing):  # thrown away meanwhile
            keys = frozen_sets.read_keys(stored, store)
            if keys is None or not frozen_sets.is_whole(stored, store):
                survey.add([Difference("damaged_set", key=stored.path)])
            survey.add_frozen(keys or (), stored.full_name)
        yield stored


def add_leftovers(survey: Survey, store: PictureStore) -> None:
    """Add what killed programs have left in the store."""
    survey.add(Difference("leftover", key=path) for path in sorted(_leftovers(store)))


def _leftovers(store: PictureStore) -> set[str]:
    copies = (copy for found in store.backup_copies().values() for copy in found)
    # D13: a newer copy may be the only picture of the deletion that made it
    return {copy.path for copy in copies if copy.age_s > OLD_BACKUP_S} | set(store.stale_files())


def read_pictures(keys: Iterable[str], survey: Survey, store: PictureStore) -> Iterator[str]:
    """Read pictures and add those with another content than their key says; yield all keys."""
    for batch in batches(keys):
        damaged = _find_damaged(batch, store)
        survey.add(Difference("wrong_content", key=key) for key in batch if key in damaged)
        yield from batch


def _find_damaged(keys: Collection[str], store: PictureStore) -> set[str]:
    """Return those of the pictures that exist and do not have the content that their key says."""
    states = store.examine(dict.fromkeys(keys, _no_copy), read=True)
    return {key for key, state in states.items() if not state.is_intact}


def _no_copy() -> bytes | None:
    return None


def pause_s(survey: Survey, index: LabelIndex) -> float:
    """Return how long to wait before the last look, so that programs at work are not counted."""
    found = survey.found()
    is_searched = any(found[kind] for kind in _SEARCHED)
    return PAUSE_S + (index.search_delay_s if is_searched else 0.0)


def look_again(
    survey: Survey,
    index: LabelIndex,
    store: PictureStore,
    *,
    kinds: Sequence[Kind] = KINDS,
    repaired: bool = False,
) -> Iterator[Difference]:
    """Look at each difference in real time; drop those that are no more, and yield all.

    With `repaired` they are marked as repaired instead.
    """
    for batch in survey.differences(*kinds):
        confirmed = _confirm(batch, index, store)
        ended = [each for each in batch if each.number not in confirmed]
        (survey.mark_repaired if repaired else survey.drop)(ended)
        yield from batch


def _confirm(differences: Sequence[Difference], index: LabelIndex, store: PictureStore) -> set[int]:
    """Return the numbers of those differences, all of one kind, that are still there."""
    confirmed = _CONFIRMATIONS[differences[0].kind](differences, index, store)
    return {each.number for each in confirmed}


def _still_without_picture(
    differences: Sequence[Difference], index: LabelIndex, store: PictureStore
) -> Iterator[Difference]:
    sizes = store.sizes({each.key for each in differences})
    held = {
        key
        for key, copies in store.backup_copies().items()
        if any(copy.age_s <= OLD_BACKUP_S for copy in copies)
    }
    # D9: asked after the store, so that a label that goes before its picture is not blamed
    labels = index.find([each.fingerprint for each in differences])
    for each in differences:
        label = labels.get(each.fingerprint)
        # D11: a deletion at work may be about to put the picture back
        if label and label.s3_key == each.key and each.key not in {*sizes, *held}:
            yield each


def _still_without_picture_of_set(
    differences: Sequence[Difference], _index: LabelIndex, store: PictureStore
) -> Iterator[Difference]:
    keys = {each.key for each in differences}
    sizes, held = store.sizes(keys), store.backup_copies()
    named = _named_by_sets(keys, store)
    for each in differences:
        if each.key in named and not sizes.get(each.key) and each.key not in held:
            yield each


def _still_damaged_set(
    differences: Sequence[Difference], _index: LabelIndex, store: PictureStore
) -> Iterator[Difference]:
    sets = {each.path: each for each in store.list_sets()}
    for each in differences:
        with suppress(SetMissing):
            if each.key in sets and not frozen_sets.is_whole(sets[each.key], store):
                yield each


def _still_without_label(
    differences: Sequence[Difference], index: LabelIndex, store: PictureStore
) -> Iterator[Difference]:
    # D3: the label of a picture that was just stored is still to come; one from the future was
    # stored while the clock was wrong
    settled = [
        each for each in differences if abs(each.age_s) > SETTLED_S and is_store_path(each.key)
    ]
    keys = {each.key for each in settled}
    # D27: a frozen set names its pictures as a label does
    named = index.find_references(keys).keys() | _named_by_sets(keys, store)
    sizes = store.sizes(keys)
    return (each for each in settled if each.key in sizes and each.key not in named)


def _still_of_wrong_size(
    differences: Sequence[Difference], index: LabelIndex, store: PictureStore
) -> Iterator[Difference]:
    sizes = store.sizes({each.key for each in differences})
    labels = index.read([each.fingerprint for each in differences])
    for each in differences:
        label, size = labels.get(each.fingerprint), sizes.get(each.key)
        if label is None or size is None or label.document.get("s3_key") != each.key:
            continue
        if size == 0 or label.document.get("picture_size", size) != size:
            yield each


def _still_of_wrong_content(
    differences: Sequence[Difference], index: LabelIndex, store: PictureStore
) -> Iterator[Difference]:
    keys = {each.key for each in differences}
    damaged = _find_damaged(keys, store)
    named = index.find_references(keys).keys() | _named_by_sets(keys, store)
    return (each for each in differences if each.key in damaged and each.key in named)


def _still_not_uploaded(
    differences: Sequence[Difference], index: LabelIndex, _store: PictureStore
) -> Iterator[Difference]:
    fingerprints = [each.fingerprint for each in differences]
    known = index.find(fingerprints).keys() | index.find_tombstones(fingerprints).keys()
    return (each for each in differences if each.fingerprint not in known)


def _still_unfinished_deletion(
    differences: Sequence[Difference], index: LabelIndex, _store: PictureStore
) -> Iterator[Difference]:
    # D4: the tombstone comes first, so the label is asked for last
    tombstones = index.find_tombstones([each.fingerprint for each in differences])
    labels = index.find(tombstones)
    return (each for each in differences if each.fingerprint in labels)


def _still_left_over(
    differences: Sequence[Difference], _index: LabelIndex, store: PictureStore
) -> Iterator[Difference]:
    leftovers = _leftovers(store)
    return (each for each in differences if each.key in leftovers)


def _still_of_wrong_key(
    differences: Sequence[Difference], index: LabelIndex, _store: PictureStore
) -> Iterator[Difference]:
    labels = index.find([each.fingerprint for each in differences])
    for each in differences:
        label = labels.get(each.fingerprint)
        if label and label.s3_key == each.key:
            yield each


def _named_by_sets(keys: Collection[str], store: PictureStore) -> set[str]:
    """Return those of the keys that frozen sets name; none if a set is damaged.

    What that set names is unknown; it is a difference of its own.
    """
    try:
        return store.find_set_references(keys)
    except SetDamaged:
        return set()


_CONFIRMATIONS = {
    "label_without_picture": _still_without_picture,
    "set_without_picture": _still_without_picture_of_set,
    "damaged_set": _still_damaged_set,
    "picture_without_label": _still_without_label,
    "wrong_size": _still_of_wrong_size,
    "wrong_content": _still_of_wrong_content,
    "not_uploaded": _still_not_uploaded,
    "unfinished_deletion": _still_unfinished_deletion,
    "leftover": _still_left_over,
    "wrong_key": _still_of_wrong_key,
}
