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
        processes = tuple(self._advance(Process(name, 1))[0] for name in programs)
        self._first = State(world, processes, kills)
        self.states = 0

    def violations(self, check: Callable[[State], Iterator[str]]) -> list[Violation]:
        """Return each violation that `check` yields in a state at rest, with a shortest trace."""
        parents: dict[State, tuple[State, str] | None] = {self._first: None}
        waiting = deque([self._first])
        found: dict[str, Violation] = {}
        while waiting:
            state = waiting.popleft()
            if state.is_at_rest:
                for title in check(state):
                    if title not in found:
                        found[title] = Violation(title, _trace(parents, state))
            for text, successor in self._successors(state):
                if successor not in parents:
                    parents[successor] = (state, text)
                    waiting.append(successor)
        self.states = len(parents)
        return list(found.values())

    def _successors(self, state: State) -> Iterator[tuple[str, State]]:
        running = frozenset(p.id for p in state.processes if p.status == "running")
        for place, process in enumerate(state.processes):

            def after(changed: Process, world: Any, kills: int, place: int = place) -> State:
                processes = (*state.processes[:place], changed, *state.processes[place + 1 :])
                return State(world, processes, kills)

            if process.status == "running":
                _, step = self._advance(process)
                assert step is not None
                for answer, world in step.apply(state.world, running):
                    stepped = process._replace(answers=(*process.answers, answer))
                    changed, _ = self._advance(stepped)
                    text = f"{process.id}: {step.text} -> {_shown(answer)}"
                    if changed.status == "done":
                        text += f", ends: {changed.result}"
                    yield text, after(changed, world, state.kills)
                if state.kills and process.answers:
                    killed = process._replace(status="killed", answers=())
                    yield f"{process.id}: killed", after(killed, state.world, state.kills - 1)
            elif process.status == "killed":
                again, _ = self._advance(Process(process.name, process.run + 1))
                yield f"{process.name}: run again", after(again, state.world, state.kills)

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


def _trace(parents: Mapping[State, tuple[State, str] | None], state: State) -> tuple[str, ...]:
    steps = [f"end: {state.world}"]
    steps += [f"{p.id}: {p.status} {p.result or ''}" for p in state.processes]
    here = state
    while parent := parents[here]:
        here, text = parent
        steps.insert(0, text)
    return tuple(steps)
