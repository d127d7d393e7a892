"""Explore every order in which programs can meet at the database, and every kill.

The programs are the real ones (`upload`, `delete`, what `upload_to_db.py` does) on an index and a
store in memory. Each of their calls is a step; between two steps any other program may make one.
The explorer tries every choice in every state, and recognises a state it has seen: the content of
the database, and all that each program has been told, determine what can follow.
"""

import random
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec
from greenlet import greenlet

from common.errors import DatabaseError
from get_data.database.interfaces import (
    BackupCopy,
    CreateResult,
    ReplaceResult,
    StoredLabel,
    Tombstone,
    backup_path,
)
from tests.fakes.memory_backup import MemoryBackup
from tests.fakes.memory_database import MemoryIndex, MemoryStore

OLD_S, YOUNG_S = 7200.0, 1.0


class Killed(BaseException):
    """The program was killed; it does nothing more."""


class TrustingIndex(MemoryIndex):
    """An index that checks no label, since the same four are created a million times."""

    def create(self, documents):
        result = CreateResult()
        for document in documents:
            fingerprint = document["label_fingerprint"]
            exists = fingerprint in self.labels
            (result.existing if exists else result.created).add(fingerprint)
            self.labels.setdefault(fingerprint, document)
        return result

    def replace(self, replacements):
        result = ReplaceResult()
        for replacement in replacements:
            fingerprint = replacement.document["label_fingerprint"]
            stored = self.read([fingerprint]).get(fingerprint)
            is_unchanged = stored is not None and stored.version == replacement.version
            (result.replaced if is_unchanged else result.changed).add(fingerprint)
            if is_unchanged:
                self.labels[fingerprint] = replacement.document
        return result


@dataclass
class Database:
    """The database that the programs share."""

    index: TrustingIndex = field(default_factory=TrustingIndex)
    store: MemoryStore = field(default_factory=MemoryStore)
    finished_runs: set[str] = field(default_factory=set)  # including killed ones
    backup: MemoryBackup | None = None
    has_sets: bool = False  # otherwise a question for frozen sets is no step
    keeps_snapshots: bool = True  # otherwise each hit of a search is of a later moment

    is_all_that_is_shared = True

    def state(self) -> object:
        backup = self.backup.state() if self.backup else None
        return self.index.state(), self.store.state(), frozenset(self.finished_runs), backup


class Stepwise:
    """An index or a store as one program sees it: before each call, others may make theirs."""

    def __init__(self, real, run: "Run") -> None:
        self._real = real
        self._run = run
        self.name = real.name

    def __getattr__(self, name):
        method = getattr(self._real, name)

        def call(*arguments, **options):
            self._run.pause()
            try:
                result = method(*arguments, **options)
            except DatabaseError as error:
                self._run.record(name, type(error).__name__)
                raise
            self._run.record(name, result)
            return result

        return call


class StepwiseIndex(Stepwise):
    """An index that changes labels one by one, as Elasticsearch's shards do."""

    def ensure_exists(self):
        """Do nothing: the index exists from the beginning."""

    def refresh(self):
        """Do nothing: everything is visible at once."""

    def search(self, query):
        if not self._run.database.keeps_snapshots:
            return self._search_anew(query)
        return self._listed("search", self._real.search(query))

    def _search_anew(self, query):
        """Yield each hit from a snapshot of its own, since the one before is lost.

        All labels are of one picture, so each snapshot is searched from its beginning.
        """
        found = set()
        while True:
            self._run.pause()
            labels = [msgspec.json.decode(line) for line in self._real.search(query)]
            new = [label for label in labels if label["label_fingerprint"] not in found]
            self._run.record("search", str(new[:1]))
            if not new:
                return
            found.add(new[0]["label_fingerprint"])
            yield msgspec.json.encode(new[0])

    def all_tombstones(self):
        return self._listed("all tombstones", self._real.all_tombstones())

    def _listed(self, call, found):
        """Return a generator of what was found at one moment."""
        self._run.pause()
        items = list(found)
        self._run.record(call, " ".join(map(_to_text, items)))
        return (item for item in items)

    def create(self, documents):
        result = CreateResult()
        for document in documents:
            self._run.pause()
            partial = self._real.create([document])
            result.created |= partial.created
            result.existing |= partial.existing
            result.rejected |= partial.rejected
        self._run.record("create", (sorted(result.created), sorted(result.existing)))
        return result

    def remove(self, fingerprints):
        removed = set()
        for fingerprint in fingerprints:
            self._run.pause()
            removed |= self._real.remove([fingerprint])
        self._run.record("remove", sorted(removed))
        return removed

    def replace(self, replacements):
        result = ReplaceResult()
        for replacement in replacements:
            self._run.pause()
            partial = self._real.replace([replacement])
            result.replaced |= partial.replaced
            result.changed |= partial.changed
        self._run.record("replace", (sorted(result.replaced), sorted(result.changed)))
        return result

    def remove_unchanged(self, versions):
        changed = set()
        for fingerprint, version in versions.items():
            self._run.pause()
            changed |= self._real.remove_unchanged({fingerprint: version})
        self._run.record("remove unchanged", sorted(changed))
        return changed


class StepwiseStore(Stepwise):
    """A store that copies by reading, then writing; a finished run's backup copies are old."""

    transfers_at_once = 1

    def make_durable(self):
        """Do nothing: there are no power cuts here."""

    def back_up(self, key, run):
        self._run.pause()
        picture = self._real.pictures.get(key)
        self._run.record("read", picture)
        if picture is None:
            return False
        self._run.pause()
        self._real.pictures[backup_path(key, run)] = picture
        return True

    def find_set_references(self, keys):
        if not self._run.database.has_sets:
            return set()
        return self._step("set references", lambda: self._real.find_set_references(keys))

    def read_set(self, stored):
        return iter(self._step("read set", lambda: list(self._real.read_set(stored))))

    def _step(self, call, make):
        self._run.pause()
        try:
            result = make()
        except DatabaseError as error:
            self._run.record(call, type(error).__name__)
            raise
        self._run.record(call, result)
        return result

    def backup_copies(self):
        self._run.pause()
        finished = self._run.database.finished_runs
        found = {
            key: [
                BackupCopy(copy.path, OLD_S if run_of(copy.path) in finished else YOUNG_S)
                for copy in sorted(copies, key=lambda copy: copy.path)
            ]
            for key, copies in sorted(self._real.backup_copies().items())
        }
        self._run.record("copies", sorted((key, str(copies)) for key, copies in found.items()))
        return found


def run_of(path: str) -> str:
    """Return the id of the run that made a backup copy."""
    return path.rpartition("/")[2]


@dataclass
class Run:
    """A running program, paused before its next call."""

    name: str
    number: int
    program: Callable
    database: Database
    result: object = None
    is_alive: bool = True
    history: list = field(default_factory=list)

    def __post_init__(self) -> None:
        self._greenlet = greenlet(self._main)
        self._greenlet.owner = self
        self._greenlet.switch()

    @property
    def id(self) -> str:
        """The name of this run, also in its backup copies."""
        return f"{self.name}{self.number}"

    def _main(self) -> None:
        index = StepwiseIndex(self.database.index, self)
        store = StepwiseStore(self.database.store, self)
        try:
            self.result = self.program(index, store)
        except Killed:
            self.result = "killed"
        self.is_alive = False
        self.database.finished_runs.add(self.id)

    def pause(self) -> None:
        """Let others go on until it is this program's turn again."""
        if not self.is_alive:
            raise Killed
        self._greenlet.parent.switch()

    def record(self, call: str, result: object) -> None:
        """Remember what the program has been told."""
        self.history.append((call, _to_text(result)))

    def step(self) -> None:
        """Let the program make its next call."""
        self._greenlet.parent = greenlet.getcurrent()
        self._greenlet.switch()

    def kill(self) -> None:
        """End the program before its next call."""
        self.is_alive = False
        self._greenlet.parent = greenlet.getcurrent()
        self._greenlet.throw(Killed)

    def state(self) -> object:
        return self.id, self.is_alive, str(self.result), tuple(self.history)


def current_run() -> Run:
    """Return the calling run."""
    return greenlet.getcurrent().owner


def current_run_id() -> str:
    """Return the id of the calling run."""
    return current_run().id


def _to_text(result: object) -> str:
    if isinstance(result, str):
        return result
    if isinstance(result, dict):
        return str(sorted((key, _to_text(value)) for key, value in result.items()))
    if isinstance(result, set | frozenset):
        return str(sorted(result))
    if isinstance(result, Tombstone):
        return result.fingerprint  # its time differs from run to run
    if isinstance(result, StoredLabel):
        return result.version
    return str(result)


@dataclass(frozen=True)
class Choice:
    """What happens next: a program makes a step, is killed, or is run again."""

    action: str
    name: str

    def __str__(self) -> str:
        return self.name if self.action == "step" else f"{self.action}({self.name})"


@dataclass
class Scenario:
    """Programs that meet at a database, and how many of them may be killed."""

    prepare: Callable[[], Database]
    programs: dict[str, Callable]
    kills: int = 0

    def replay(self, choices: Sequence[Choice]) -> "State":
        """Return the state after these choices, from the beginning."""
        state = State(self, self.prepare())
        for choice in choices:
            state.apply(choice)
        return state


class State:
    """A state of a scenario."""

    def __init__(self, scenario: Scenario, database: Database) -> None:
        self.database = database
        self.kills_left = scenario.kills
        self.runs = {
            name: Run(name, 1, program, database) for name, program in scenario.programs.items()
        }

    def choices(self) -> list[Choice]:
        """Return all that can happen next."""
        possible = []
        for name, run in self.runs.items():
            if run.is_alive:
                possible.append(Choice("step", name))
                if self.kills_left:
                    possible.append(Choice("kill", name))
            elif run.result == "killed":
                possible.append(Choice("again", name))
        return possible

    def apply(self, choice: Choice) -> None:
        """Let it happen."""
        run = self.runs[choice.name]
        match choice.action:
            case "step":
                run.step()
            case "kill":
                run.kill()
                self.kills_left -= 1
            case "again":
                self.runs[choice.name] = Run(
                    choice.name, run.number + 1, run.program, self.database
                )

    @property
    def is_final(self) -> bool:
        """Whether all programs have finished, those that were killed in their second run."""
        return not any(run.is_alive or run.result == "killed" for run in self.runs.values())

    def fingerprint(self) -> "Fingerprint":
        """Return what determines all that can follow."""
        runs = tuple(run.state() for run in self.runs.values())
        return Fingerprint(self.database.state(), runs, self.kills_left)

    def close(self) -> None:
        """End all programs."""
        for run in self.runs.values():
            if run.is_alive:
                run.kill()


class Fingerprint(NamedTuple):
    """The content of the database, all that each program has been told, and the kills left."""

    database: object
    runs: tuple[object, ...]
    kills_left: int


class _Outcomes:
    """Where choices lead: a program's next step depends on it and the database, not on others.

    Programs that share more than the database are not predicted.
    """

    def __init__(self, names: Iterable[str], *, are_predictable: bool) -> None:
        self._places = {name: place for place, name in enumerate(names)}
        self._are_predictable = are_predictable
        self._known: dict[object, tuple[object, object]] = {}

    def add(self, before: Fingerprint, choice: Choice, after: Fingerprint) -> None:
        """Remember where a choice led."""
        if not self._are_predictable:
            return
        place = self._places[choice.name]
        key = (choice.action, before.database, before.runs[place])
        self._known[key] = (after.database, after.runs[place])

    def predict(self, before: Fingerprint, choice: Choice) -> Fingerprint | None:
        """Return where a choice leads; None if that is not known yet."""
        place = self._places[choice.name]
        outcome = self._known.get((choice.action, before.database, before.runs[place]))
        if outcome is None:
            return None
        database, run = outcome
        runs = (*before.runs[:place], run, *before.runs[place + 1 :])
        return Fingerprint(database, runs, before.kills_left - (choice.action == "kill"))


def every_state(scenario: Scenario) -> Iterator[tuple[list[Choice], State]]:
    """Yield each reachable state once, with one path to it.

    A path is only replayed where nobody knows that its end has been seen. The shortest is replayed
    first, since most that follows it is new.
    """
    first = scenario.replay([])
    known: set[Fingerprint] = set()
    outcomes = _Outcomes(scenario.programs, are_predictable=first.database.is_all_that_is_shared)
    numbers: dict[object, int] = {}

    def number(part: object) -> int:
        return numbers.setdefault(part, len(numbers))

    def fingerprint_of(state: State) -> Fingerprint:
        database, runs, kills_left = state.fingerprint()
        return Fingerprint(number(database), tuple(map(number, runs)), kills_left)

    def is_new(before: Fingerprint, choice: Choice) -> bool:
        return outcomes.predict(before, choice) not in known

    yield [], first
    start = fingerprint_of(first)
    known.add(start)
    open_choices = deque(([], start, choice) for choice in first.choices())
    first.close()
    while open_choices:
        path, before, choice = open_choices.popleft()
        if not is_new(before, choice):
            continue
        state = scenario.replay(path)
        while True:
            state.apply(choice)
            path = [*path, choice]
            after = fingerprint_of(state)
            outcomes.add(before, choice, after)
            if after in known:
                break
            known.add(after)
            yield path, state
            new = [choice for choice in state.choices() if is_new(after, choice)]
            if not new:
                break
            before, (choice, *others) = after, new
            open_choices.extend((path, before, other) for other in others)
        state.close()


def random_states(
    scenario: Scenario, *, seed: int, paths: int
) -> Iterator[tuple[list[Choice], State]]:
    """Yield the states on this many random paths from the beginning to the end."""
    generator = random.Random(seed)
    for _ in range(paths):
        path: list[Choice] = []
        state = scenario.replay(path)
        while possible := state.choices():
            kills = [choice for choice in possible if choice.action == "kill"]
            others = [choice for choice in possible if choice.action != "kill"]
            is_kill = kills and generator.random() < 0.05
            choice = generator.choice(kills if is_kill or not others else others)
            path.append(choice)
            state.apply(choice)
            yield path, state
        state.close()
