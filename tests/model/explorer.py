"""An explicit-state model checker for programs that meet at one database and may be killed.

A program is a generator that yields atomic steps and receives their answers. Between two steps any
other program may make one, or the program is killed; a killed program may be run again from its
start, or never. The explorer visits every reachable state once, breadth first, so that a violation
comes with one of its shortest traces. It knows nothing of labels and pictures: see `protocols`.
"""

from collections import deque
from collections.abc import Callable, Generator, Hashable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

Answers = Sequence[tuple[Any, Any]]


class Step(NamedTuple):
    """One atomic request; `apply` returns each possible answer with the world after it."""

    text: str
    apply: Callable[[Any, frozenset[str]], Answers]


Program = Generator[Step, Any, Any]
StartProgram = Callable[[str], Program]
"""Starts a program; the argument is the id of the run, which is unique."""


class Process(NamedTuple):
    """A program during its run number `run`; `answers` determine where it is."""

    name: str
    run: int
    answers: tuple[Any, ...] = ()
    status: str = "running"  # or done, killed
    result: Any = None

    @property
    def id(self) -> str:
        """The id of this run."""
        return f"{self.name}{self.run}"


class State(NamedTuple):
    """The world, the programs, and how many kills may still happen."""

    world: Any
    processes: tuple[Process, ...]
    kills: int

    @property
    def is_at_rest(self) -> bool:
        """Whether nothing runs; killed programs may still be run again."""
        return all(process.status != "running" for process in self.processes)

    @property
    def is_final(self) -> bool:
        """Whether every program has come to its end."""
        return all(process.status == "done" for process in self.processes)


class Violation(NamedTuple):
    """What does not hold, and the steps that lead to it."""

    title: str
    trace: tuple[str, ...]

    def __str__(self) -> str:
        return "\n  ".join((self.title, *self.trace))


class _Numbers:
    """Numbers of things, equal for equal ones: hashed and compared much faster than these."""

    def __init__(self) -> None:
        self.things: list[Any] = []
        self._numbers: dict[Hashable, int] = {}

    def of(self, thing: Hashable) -> int:
        """Return the number of a thing."""
        number = self._numbers.setdefault(thing, len(self.things))
        if number == len(self.things):
            self.things.append(thing)
        return number


class _Place(NamedTuple):
    """A state, with the numbers of the world and of the processes."""

    world: int
    processes: tuple[int, ...]
    kills: int


class _Event(NamedTuple):
    """What happened: a process (its number) got an answer and became another, or only became it."""

    before: int
    after: int
    answer: tuple[Any, ...] = ()


class Explorer:
    """All states that these programs can reach from one world."""

    def __init__(
        self,
        world: Hashable,
        programs: Mapping[str, StartProgram],
        kills: int,
        constants: Mapping[str, Any] | None = None,
    ) -> None:
        """Create an explorer.

        Args:
            world: what the programs find.
            programs: by name.
            kills: how many of them may be killed.
            constants: the answers of steps, by text, that nothing here can change. They are no
                states of their own.
        """
        self._constants = constants or {}
        self._programs = programs
        self._next: dict[Process, tuple[Process, Step | None]] = {}
        self._canonical: dict[Hashable, tuple[Any, ...]] = {}
        self._worlds, self._processes = _Numbers(), _Numbers()
        self._steps: dict[tuple[int, int, frozenset[str]], list[tuple[_Event, int]]] = {}
        numbers = (self._number_of(Process(name, 1)) for name in programs)
        self._first = _Place(self._worlds.of(world), tuple(numbers), kills)
        self.states = 0

    def violations(self, check: Callable[[State], Iterator[str]]) -> list[Violation]:
        """Return each violation that `check` yields in a state at rest, with a shortest trace."""
        parents: dict[_Place, tuple[_Place, _Event] | None] = {self._first: None}
        waiting = deque([self._first])
        found: dict[str, Violation] = {}
        while waiting:
            place = waiting.popleft()
            processes = [self._processes.things[number] for number in place.processes]
            running = frozenset(p.id for p in processes if p.status == "running")
            if not running:
                for title in check(self._state(place)):
                    if title not in found:
                        found[title] = Violation(title, self._trace(parents, place))
            for event, successor in self._successors(place, processes, running):
                if successor not in parents:
                    parents[successor] = (place, event)
                    waiting.append(successor)
        self.states = len(parents)
        return list(found.values())

    def _successors(
        self, place: _Place, processes: Sequence[Process], running: frozenset[str]
    ) -> Iterator[tuple[_Event, _Place]]:
        world, numbers, kills = place
        for index, (number, process) in enumerate(zip(numbers, processes, strict=True)):
            before, after = numbers[:index], numbers[index + 1 :]
            if process.status == "running":
                for event, changed_world in self._steps_of(number, world, running):
                    yield event, _Place(changed_world, (*before, event.after, *after), kills)
                if kills and process.answers:
                    killed = self._processes.of(process._replace(status="killed", answers=()))
                    event = _Event(number, killed)
                    yield event, _Place(world, (*before, killed, *after), kills - 1)
            elif process.status == "killed":
                again = self._number_of(Process(process.name, process.run + 1))
                yield _Event(number, again), _Place(world, (*before, again, *after), kills)

    def _steps_of(
        self, number: int, world: int, running: frozenset[str]
    ) -> list[tuple[_Event, int]]:
        """Return what the next step of a process may do, with the worlds after it."""
        key = (number, world, running)
        if key not in self._steps:
            process = self._processes.things[number]
            _, step = self._advance(process)
            assert step is not None
            found = self._steps[key] = []
            for answer, changed_world in step.apply(self._worlds.things[world], running):
                changed = self._number_of(process._replace(answers=(*process.answers, answer)))
                event = _Event(number, changed, (answer,))
                found.append((event, self._worlds.of(changed_world)))
        return self._steps[key]

    def _number_of(self, process: Process) -> int:
        """Return the number of the process at its next step."""
        return self._processes.of(self._advance(process)[0])

    def _state(self, place: _Place) -> State:
        processes = tuple(self._processes.things[number] for number in place.processes)
        return State(self._worlds.things[place.world], processes, place.kills)

    def _text(self, event: _Event) -> str:
        before, after = (self._processes.things[number] for number in event[:2])
        if after.status == "killed":
            return f"{before.id}: killed"
        if before.status == "killed":
            return f"{before.name}: run again"
        _, step = self._advance(before)
        assert step is not None
        text = f"{before.id}: {step.text} -> {_shown(*event.answer)}"
        return f"{text}, ends: {after.result}" if after.status == "done" else text

    def _trace(
        self, parents: Mapping[_Place, tuple[_Place, _Event] | None], place: _Place
    ) -> tuple[str, ...]:
        state = self._state(place)
        steps = [f"end: {state.world}"]
        steps += [f"{p.id}: {p.status} {p.result or ''}" for p in state.processes]
        while parent := parents[place]:
            place, event = parent
            steps.insert(0, self._text(event))
        return tuple(steps)

    def _advance(self, process: Process) -> tuple[Process, Step | None]:
        """Return the process at its next step, with this step; None if it has come to its end.

        Processes whose answers led to the same place with the same local variables become equal.
        """
        if process not in self._next:
            program = self._programs[process.name](process.id)
            try:
                step = self._skip_constants(program, next(program))
                for answer in process.answers:
                    step = self._skip_constants(program, program.send(answer))
            except StopIteration as end:
                done = process._replace(status="done", result=end.value, answers=())
                self._next[process] = (done, None)
            else:
                key = (process.id, *_place(program))
                answers = self._canonical.setdefault(key, process.answers)
                self._next[process] = (process._replace(answers=answers), step)
        return self._next[process]

    def _skip_constants(self, program: Program, step: Step) -> Step:
        while step.text in self._constants:
            step = program.send(self._constants[step.text])
        return step


def _place(program: Program) -> Iterator[Hashable]:
    """Yield what determines how a program goes on: its frames, inner ones last."""
    frame: Any = program
    while frame is not None:
        names = frame.gi_frame.f_locals
        values = tuple((k, names[k]) for k in sorted(names) if not callable(names[k]))
        yield frame.gi_code, frame.gi_frame.f_lasti, values
        frame = frame.gi_yieldfrom


def _shown(answer: Any) -> str:
    return str(sorted(map(str, answer))) if isinstance(answer, frozenset) else str(answer)
