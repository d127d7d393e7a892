"""What must hold when nothing runs, whoever met at the database and whoever was killed."""

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field

from tests.model.explorer import Explorer, StartProgram, State, Violation
from tests.model.protocols import Report
from tests.model.world import ALL_SETS, PICTURE, World


@dataclass(frozen=True)
class Scenario:
    """Programs that meet, and what must be true of the labels afterwards.

    Attributes:
        world: what they find.
        programs: by name.
        kills: how many may be killed; a killed one is run again or not.
        gone: labels that were deleted or replaced before, and must not be there.
        half_replaced: labels that a backup during a relabel may miss together with their
            tombstones, as if the relabel had been killed there.
        deleted_meanwhile: labels that are deleted and may or may not come back.
        restored_meanwhile: labels that are deleted and restored, so that they may be there.
        kept: labels that must be there.
        contents: what labels may say that are there.
        dates: the upload dates that labels may have that are there.
        is_alone: one program, so that not even a kill may leave a label without its picture.
        has_sets: whether there may be frozen sets.
        kept_sets: sets that must be there.
        gone_sets: sets that were thrown away before, and must not be there.
        may_leave_picture: whether a kill may leave a picture that nothing names.
        is_lost: whether the picture was lost before.
    """

    world: World
    programs: Mapping[str, StartProgram]
    kills: int = 0
    gone: Set[str] = frozenset()
    half_replaced: Set[str] = frozenset()
    deleted_meanwhile: Set[str] = frozenset()
    restored_meanwhile: Set[str] = frozenset()
    kept: Set[str] = frozenset()
    contents: Mapping[str, Set[str]] = field(default_factory=dict)
    dates: Mapping[str, Set[str]] = field(default_factory=dict)
    is_alone: bool = False
    has_sets: bool = False
    kept_sets: Set[str] = frozenset()
    gone_sets: Set[str] = frozenset()
    may_leave_picture: bool = False
    is_lost: bool = False

    def explore(self) -> tuple[list[Violation], int]:
        """Return the violations and the number of states."""
        constants = {} if self.has_sets else {ALL_SETS: frozenset()}
        explorer = Explorer(self.world, self.programs, self.kills, constants)
        return explorer.violations(self._check), explorer.states

    def _check(self, state: State) -> Iterator[str]:
        yield from self._check_rest(state)
        if state.is_final:
            yield from self._check_end(state)

    def _check_rest(self, state: State) -> Iterator[str]:
        """Yield what is wrong even if killed programs are never run again."""
        world: World = state.world
        names = {label.name for label in world.labels}
        can_be_fetched = world.picture == PICTURE or world.has_intact_copy()
        for report in _reports(state):
            if report.stored & names and not can_be_fetched:
                yield "a label that was reported as stored is without its picture"
            if report.frozen & world.sets and not can_be_fetched:
                yield "a set that was reported as frozen is without its picture"
        if self.is_alone and names and not can_be_fetched:
            yield "a killed program leaves a label without its picture"
        is_named = names or world.sets
        if world.recording is None and self.world.recording and is_named and not can_be_fetched:
            yield "a freed picture cannot be fetched"
        if world.backup and world.backup != self.world.backup:
            yield from self._check_backup(world)

    def _check_backup(self, world: World) -> Iterator[str]:
        """Yield why a database restored from this backup would be wrong."""
        backup = world.backup
        assert backup
        live = {label.name for label in backup.labels}
        dead = {tombstone.name: tombstone.reason for tombstone in backup.tombstones}
        if live and not backup.has_picture:
            yield "the backup has a label without its picture"
        if backup.sets and not backup.has_picture:
            yield "the backup has a set without its picture"
        earlier = self.world.backup.sets if self.world.backup else frozenset()
        if (backup.sets - earlier) & world.damaged_sets:
            yield "the backup has a damaged set"
        if backup.sets & dead.keys():
            yield "the backup has a set that it knows as thrown away"
        if live & dead.keys():
            yield "the backup has a label that it knows as deleted"
        known = {label.name for label in self.world.labels}
        known |= {tombstone.name for tombstone in self.world.tombstones} | self.world.sets
        known = known - self.world.damaged_sets | earlier
        for name in known - live - backup.sets - dead.keys() - self.half_replaced:
            yield f"the backup has neither {name} nor its tombstone"
        if "replaced" in dead.values() and not live and "deleted" not in dead.values():
            yield "the backup has a replaced label's tombstone, and not its correction"

    def _check_end(self, state: State) -> Iterator[str]:
        """Yield what is wrong now that every program has come to its end."""
        world: World = state.world
        labels = {label.name: label for label in world.labels}
        reports = list(_reports(state))
        deleted = frozenset().union(*(report.deleted for report in reports))
        replaced = frozenset().union(*(report.replaced for report in reports))
        if labels and world.picture != PICTURE and not self.is_lost:
            yield "a label is without its picture"
        failed = frozenset().union(*(report.failed for report in reports))
        if world.sets - failed and world.picture != PICTURE:
            yield "a set is without its picture"
        frozen = frozenset().union(*(report.frozen for report in reports))
        thrown = frozenset().union(*(report.thrown for report in reports))
        for name in (self.kept_sets | frozen) - thrown - world.sets:
            yield f"the set {name} is not there"
        for name in (self.kept_sets | frozen) & world.damaged_sets:
            yield f"the set {name} is damaged"
        for name in (self.gone_sets | thrown) & world.sets - frozen:
            yield f"the set {name}, which was thrown away, is there"
        buried = {tombstone.name for tombstone in world.tombstones} - thrown
        if world.sets & buried and self.kills == 0:
            yield "a set has a tombstone: once it is lost, no restore would bring it back"
        if labels.keys() & {tombstone.name for tombstone in world.tombstones}:
            yield "a label has a tombstone: the next upload would remove it"
        if any(not label.has_key for label in labels.values()):
            yield "a label does not name its picture"
        # a killed deletion of a set leaves its pictures to the next check of the database
        is_complete = not (self.may_leave_picture and self.kills)
        if not labels and not world.sets and world.picture and not self.is_alone and is_complete:
            yield "a picture is without a label"
        for name in (deleted | replaced | self.gone) & labels.keys() - self.restored_meanwhile:
            yield f"the deleted or replaced label {name} is there"
        deleted |= self.deleted_meanwhile
        stored = frozenset().union(*(report.stored for report in reports))
        for name in (self.kept | stored) - deleted - replaced - labels.keys():
            yield f"the label {name} is not there"
        known = {one.name for one in (*self.world.labels, *self.world.tombstones)}
        buried = {one.name for one in world.tombstones}
        for name in set() if self.has_sets else known - labels.keys() - buried:
            yield f"{name} is gone without a tombstone: the next upload would bring it back"
        for name, label in labels.items():
            if label.content not in self.contents.get(name, {label.content}):
                yield f"{name} says {label.content!r}"
            if label.upload_date not in self.dates.get(name, {label.upload_date}):
                yield f"{name} has another upload date"
        for report in reports:
            for name, content in report.amended:
                if name not in deleted and (name not in labels or labels[name].content != content):
                    yield "an amendment that was reported is lost, and nobody was told"
            for process in state.processes:
                if process.result is report and report.changed:
                    here = [label for label in labels.values() if label.version == process.id]
                    if here:
                        yield "an amendment that was made is reported as a conflict"


def _reports(state: State) -> list[Report]:
    return [process.result for process in state.processes if process.status == "done"]
