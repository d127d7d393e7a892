"""Goes through every order in which programs can meet at the database, and every kill.

The programs are the real ones (`upload`, `delete`, what `upload_to_db.py` does) on an index and a
store in memory. Each of their calls is a step; between two steps any other program may make its
own. The explorer tries every choice at every state, and knows a state again: what the database
holds, and what each program has seen so far, decide all that can follow.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field

from greenlet import greenlet

from get_data.database.interfaces import BackupCopy, CreateResult, Tombstone, backup_path
from tests.fakes.memory_database import MemoryIndex, MemoryStore

OLD_S, YOUNG_S = 7200.0, 1.0


class Killed(BaseException):
    """The program was killed; it does nothing more."""


class SerialExecutor(Executor):
    """Does the work at once, in the caller's thread."""

    def __init__(self, _workers: int) -> None:
        pass

    def submit(self, work, /, *arguments, **options):
        future: Future = Future()
        try:
            future.set_result(work(*arguments, **options))
        except Exception as error:  # noqa: BLE001  it is raised where the result is asked for
            future.set_exception(error)
        return future

    def map(self, work, *items, **_options):
        return [work(*one) for one in zip(*items, strict=True)]


class TrustingIndex(MemoryIndex):
    """Takes any label for a good one, since the same four are created a million times."""

    def create(self, documents):
        result = CreateResult()
        for one in documents:
            fingerprint = one["label_fingerprint"]
            known = fingerprint in self.labels
            (result.existing if known else result.created).add(fingerprint)
            self.labels.setdefault(fingerprint, one)
        return result


@dataclass
class Database:
    """What the programs share."""

    index: TrustingIndex = field(default_factory=TrustingIndex)
    store: MemoryStore = field(default_factory=MemoryStore)
    over: set[str] = field(default_factory=set)  # the runs that have ended, in whatever way

    def state(self) -> object:
        return self.index.state(), self.store.state(), frozenset(self.over)


class Steps:
    """An index or a store as one program sees it: before each call, any other may make its own."""

    def __init__(self, real, run: "Run") -> None:
        self._real = real
        self._run = run
        self.name = real.name

    def __getattr__(self, name):
        method = getattr(self._real, name)

        def call(*arguments, **options):
            self._run.wait()
            result = method(*arguments, **options)
            self._run.saw(name, result)
            return result

        return call


class IndexSteps(Steps):
    """Labels go in and out one by one, as they do where an index keeps them apart."""

    def ensure_exists(self):
        """Nothing that anybody could see: the index is there from the beginning."""

    def create(self, documents):
        result = CreateResult()
        for one in documents:
            self._run.wait()
            created = self._real.create([one])
            result.created |= created.created
            result.existing |= created.existing
            result.rejected |= created.rejected
        self._run.saw("create", (sorted(result.created), sorted(result.existing)))
        return result

    def remove(self, fingerprints):
        removed = set()
        for one in fingerprints:
            self._run.wait()
            removed |= self._real.remove([one])
        self._run.saw("remove", sorted(removed))
        return removed


class StoreSteps(Steps):
    """Copying is reading, then writing; a copy is old when the run that made it is over."""

    def make_durable(self):
        """Nothing that anybody could see."""

    def back_up(self, key, run):
        self._run.wait()
        picture = self._real.pictures.get(key)
        self._run.saw("read", picture)
        if picture is None:
            return False
        self._run.wait()
        self._real.pictures[backup_path(key, run)] = picture
        return True

    def backup_copies(self):
        self._run.wait()
        over = self._run.database.over
        found = {
            key: [
                BackupCopy(copy.path, OLD_S if copy.path.rpartition("/")[2] in over else YOUNG_S)
                for copy in copies
            ]
            for key, copies in self._real.backup_copies().items()
        }
        self._run.saw("copies", sorted((key, str(copies)) for key, copies in found.items()))
        return found


@dataclass
class Run:
    """A program on its way, from one call to the next."""

    name: str
    number: int
    program: Callable
    database: Database
    result: object = None
    alive: bool = True
    seen: list = field(default_factory=list)

    def __post_init__(self) -> None:
        self._greenlet = greenlet(self._main)
        self._greenlet.run_id = self.id
        self._greenlet.switch()

    @property
    def id(self) -> str:
        """What names this run, in the copies that it puts aside."""
        return f"{self.name}{self.number}"

    def _main(self) -> None:
        index, store = IndexSteps(self.database.index, self), StoreSteps(self.database.store, self)
        try:
            self.result = self.program(index, store)
        except Killed:
            self.result = "killed"
        self.alive = False
        self.database.over.add(self.id)

    def wait(self) -> None:
        """Others may go on; returns when this program may."""
        if not self.alive:
            raise Killed
        self._greenlet.parent.switch()

    def saw(self, call: str, result: object) -> None:
        self.seen.append((call, _plain(result)))

    def step(self) -> None:
        """The program makes the call that it waits for, and comes to the next one."""
        self._greenlet.parent = greenlet.getcurrent()
        self._greenlet.switch()

    def kill(self) -> None:
        """The program ends here; its last call is the last."""
        self.alive = False
        self._greenlet.parent = greenlet.getcurrent()
        self._greenlet.throw(Killed)

    def state(self) -> object:
        return self.id, self.alive, str(self.result), tuple(self.seen)


def current_run() -> str:
    """The id of the run that asks."""
    return greenlet.getcurrent().run_id


def _plain(result: object) -> str:
    if isinstance(result, str):
        return result
    if isinstance(result, dict):
        return str(sorted((key, _plain(value)) for key, value in result.items()))
    if isinstance(result, set | frozenset):
        return str(sorted(result))
    if isinstance(result, Tombstone):
        return result.fingerprint  # the moment is not the same twice
    return str(result)


@dataclass(frozen=True)
class Choice:
    """What happens next: a program makes a step, is killed, or is run again."""

    do: str
    name: str

    def __str__(self) -> str:
        return self.name if self.do == "step" else f"{self.do}({self.name})"


@dataclass
class Meeting:
    """Programs that meet at a database which holds something already."""

    prepare: Callable[[], Database]
    programs: dict[str, Callable]
    kills: int = 0

    def after(self, choices: Sequence[Choice]) -> "Moment":
        """Where the programs are when these choices were made, from the beginning."""
        moment = Moment(self, self.prepare())
        for choice in choices:
            moment.make(choice)
        return moment


class Moment:
    """A state of a meeting."""

    def __init__(self, meeting: Meeting, database: Database) -> None:
        self.meeting = meeting
        self.database = database
        self.kills_left = meeting.kills
        self.runs = {
            name: Run(name, 1, program, database) for name, program in meeting.programs.items()
        }

    def choices(self) -> list[Choice]:
        """All that can happen next."""
        possible = []
        for name, run in self.runs.items():
            if run.alive:
                possible.append(Choice("step", name))
                if self.kills_left:
                    possible.append(Choice("kill", name))
            elif run.result == "killed":
                possible.append(Choice("again", name))
        return possible

    def ensure_exists(self, choice: Choice) -> None:
        """The choice is made."""
        run = self.runs[choice.name]
        match choice.do:
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
    def at_rest(self) -> bool:
        """Nobody is on the way."""
        return not any(run.alive for run in self.runs.values())

    @property
    def all_ended(self) -> bool:
        """Everybody came to the end, those that were killed in their second run."""
        return self.at_rest and all(run.result != "killed" for run in self.runs.values())

    def state(self) -> object:
        runs = tuple(run.state() for run in self.runs.values())
        return self.database.state(), runs, self.kills_left

    def leave(self) -> None:
        """Nothing of this moment is left running."""
        for run in self.runs.values():
            if run.alive:
                run.kill()


def every_moment(meeting: Meeting) -> Iterator[tuple[list[Choice], Moment]]:
    """Each state that the meeting can come to, once, with one way to it."""
    known = set()
    waiting: list[list[Choice]] = [[]]
    while waiting:
        choices = waiting.pop()
        moment = meeting.after(choices)
        while (state := moment.state()) not in known:
            known.add(state)
            yield choices, moment
            first, *others = moment.choices() or [None]
            waiting += [[*choices, one] for one in others]
            if first is None:
                break
            choices = [*choices, first]
            moment.make(first)
        moment.leave()


def some_moments(
    meeting: Meeting, *, seed: int, ways: int
) -> Iterator[tuple[list[Choice], Moment]]:
    """The states on so many random ways from the beginning to the end."""
    chance = random.Random(seed)
    for _ in range(ways):
        choices: list[Choice] = []
        moment = meeting.after(choices)
        while possible := moment.choices():
            kills = [one for one in possible if one.do == "kill"]
            others = [one for one in possible if one.do != "kill"]
            rarely = kills and chance.random() < 0.05
            choice = chance.choice(kills if rarely or not others else others)
            choices.append(choice)
            moment.make(choice)
            yield choices, moment
        moment.leave()
