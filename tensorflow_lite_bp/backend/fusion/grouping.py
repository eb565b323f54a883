"""Which calls become one launch: the list of recorded calls, in an order that changes nothing, cut into launches.

A call may go back before others that it is apart from, to a launch that it can join:

- as one more line for the same threads, where everything that two threads share is only read (`access.safe`);
- as a further *segment*, with threads of its own, where it is apart from all that the launch does;
- a reduction of rows takes the elementwise calls before it as what it reduces, and those on its results after it.

All else is a launch by itself: the products of matrices, and what no kernel of ours can do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tensorflow_lite_bp.backend.fusion.access import Access, Dims, apart, safe, split
from tensorflow_lite_bp.backend.fusion.work import Operand, Reader, Work

if TYPE_CHECKING:
    from tensorflow_lite_bp.backend.base import Backend, Call

FURTHEST = 64
"""Launches that a call may go back over: each is held against it. Only the reduction of what a launch leaves goes back
over a product: other calls would save no launch, and the more memory is read the further apart they are."""
LOOP = 64
"""Rounds that a thread may go through one after the other, unless there are `MANY` threads."""
SHORT = 8
"""Rounds that are worth going through to save a launch."""
MANY = 1 << 12
"""Threads that keep a GPU busy whatever each of them does."""
BLOCKS = 32
"""Rows from which a block of threads for each is quick enough for more than to read them."""
FEW = 1 << 17
"""Items that few blocks go through as quickly as many."""
LINES = 48
"""Calls of a launch: what a kernel holds in registers."""
SEGMENTS = 16
"""Segments of a launch: a thread looks for its own."""


@dataclass(eq=False)
class Statement:
    """A work as the threads of its launch do it. ``reads`` holds None for numbers."""

    work: Work
    reads: list[Access | None]
    out: Access
    rounds: int

    @property
    def accesses(self) -> list[tuple[Access, bool]]:
        """Each with whether it is written."""
        return [*((access, False) for access in self.reads if access is not None), (self.out, True)]


@dataclass(eq=False)
class Run:
    """Statements in one loop of so many rounds."""

    rounds: int
    statements: list[Statement]


@dataclass(eq=False)
class Segment:
    """Threads that do the same, run after run."""

    threads: int
    runs: list[Run]

    @property
    def statements(self) -> list[Statement]:
        return [statement for run in self.runs for statement in run.statements]

    def admits(self, statement: Statement) -> bool:
        return all(_safe_together(before, statement) for before in self.statements)

    def add(self, statement: Statement) -> None:
        last = self.runs[-1] if self.runs else None
        if last is not None and last.rounds == statement.rounds and _same_loop(last, statement):
            last.statements.append(statement)
        else:
            self.runs.append(Run(statement.rounds, [statement]))

    def copy(self) -> Segment:
        return Segment(self.threads, [Run(run.rounds, list(run.statements)) for run in self.runs])

    def over(self, threads: int) -> Segment | None:
        """The same with fewer threads, each of which goes through rounds; None where that cannot be."""
        made = Segment(threads, [])
        for statement in self.statements:
            turned = columns(statement.work, threads)
            if turned is None or not made.admits(turned):
                return None
            made.add(turned)
        return made


@dataclass(eq=False)
class Kernel:
    """A launch of elementwise work: segments side by side."""

    segments: list[Segment]

    @property
    def works(self) -> list[Work]:
        return [statement.work for segment in self.segments for statement in segment.statements]


@dataclass(eq=False)
class Rows:
    """A launch that reduces rows: for each of its ``threads`` results the items of a row, then what is made of it."""

    threads: int
    rounds: int
    items: list[Statement]
    reduction: Statement
    after: Segment

    @property
    def works(self) -> list[Work]:
        return [*(s.work for s in self.items), self.reduction.work, *(s.work for s in self.after.statements)]

    @property
    def statements(self) -> list[Statement]:
        return [*self.items, self.reduction, *self.after.statements]


@dataclass(eq=False)
class Single:
    """A launch, or several, of the array library."""

    call: Call
    reads: list[Access]
    writes: list[Access]


Launch = Kernel | Rows | Single


def launches(calls: Sequence[Call], backend: Backend, constants: Sequence[Any] = ()) -> list[Launch]:
    """The same calls as launches.

    Args:
        constants: arrays whose values never change, such as tables of indices.
    """
    made: list[Launch] = []
    reader = Reader(backend, constants)
    for call in calls:
        if getattr(call.kwargs.get("out", call.args[0]), "size", 1) == 0:  # it writes nothing
            continue
        work = reader.read(call)
        if work is None or not _sound(work):
            made.append(Single(call, *reader.touched(call)))
        else:
            for part in reader.halves(work):
                _place(part, made)
    return made


def _sound(work: Work) -> bool:
    """Whether no thread reads what another one writes, when the call is a kernel by itself."""
    statement = _of_threads(work)
    return all(safe(access, statement.out) for access in statement.reads if access is not None)


def _place(work: Work, made: list[Launch]) -> None:
    """Let a work join the last launch that it can join as a line, or else as a segment, or begin a new one."""
    beside: int | None = None
    over_product = False
    for place in range(len(made) - 1, max(-1, len(made) - 1 - FURTHEST), -1):
        over_product = over_product or isinstance(made[place], Single)
        if over_product and work.reduction is None:
            break
        joined = _joined(made[place], work)
        if joined is not None and (isinstance(joined, Rows) or not over_product):
            made[place] = joined
            return
        if _depends(work, made[place]):
            break
        if beside is None and not over_product and _fits_beside(made[place], work):
            beside = place
    new = _alone(work)
    if beside is not None and isinstance(new, Kernel):
        launch = made[beside]
        assert isinstance(launch, Kernel)
        launch.segments += new.segments
    else:
        made.append(new)


def _alone(work: Work) -> Launch:
    if work.reduction is None or not _by_rows(work):
        return Kernel([Segment(work.threads, [Run(work.rounds, [_of_threads(work)])])])
    return Rows(work.threads, work.rounds, [], _of_threads(work), Segment(work.threads, []))


def _fits_beside(launch: Launch, work: Work) -> bool:
    return (
        isinstance(launch, Kernel)
        and not (work.reduction and _by_rows(work))
        and len(launch.segments) < SEGMENTS
        and len(launch.works) < LINES
    )


def _joined(launch: Launch, work: Work) -> Launch | None:
    """The launch with one more line, or None."""
    if isinstance(launch, Single) or len(launch.works) >= LINES:
        return None
    if isinstance(launch, Rows):
        return _after_rows(launch, work)
    if work.reduction and _by_rows(work):
        return _with_items(launch, work)
    for segment in launch.segments:
        others = [other for other in launch.segments if other is not segment]
        for candidate, statement in _in_segment(segment, work):
            rest = _taken_in(candidate, others)
            apart_from = not any(_depends_on(work, s.work) for other in rest for s in other.statements)
            if apart_from and candidate.admits(statement):
                candidate.add(statement)
                return Kernel([*rest, candidate])
    return None


def _taken_in(segment: Segment, others: Sequence[Segment]) -> list[Segment]:
    """Let a segment do what others with as many threads do, which it is apart from; returns the rest."""
    rest = []
    for other in others:
        if other.threads == segment.threads and all(map(segment.admits, other.statements)):
            for statement in other.statements:
                segment.add(statement)
        else:
            rest.append(other)
    return rest


def _in_segment(segment: Segment, work: Work) -> Iterator[tuple[Segment, Statement]]:
    """How a work can be done by the threads of a segment, or both by as many threads as a reduction has results."""
    if work.threads == segment.threads:
        yield segment.copy(), _of_threads(work)
    elif work.reduction is not None:
        fewer = segment.over(work.threads) if segment.threads % work.threads == 0 else None
        if fewer is not None:
            yield fewer, _of_threads(work)
    elif any(run.rounds > 1 for run in segment.runs) or (
        work.threads <= MANY and any(_depends_on(work, statement.work) for statement in segment.statements)
    ):
        turned = columns(work, segment.threads)
        if turned is not None:
            yield segment.copy(), turned


def _after_rows(launch: Rows, work: Work) -> Rows | None:
    """With a line on the results: by the same threads, when their rows are done."""
    if work.reduction is not None or work.name in ("take", "put"):
        return None
    statement = _of_threads(work) if work.threads == launch.threads else columns(work, launch.threads)
    if statement is None or (statement.rounds > 1 and (statement.rounds > SHORT or not _uses(work, launch))):
        return None
    if not all(_safe_together(before, statement) for before in launch.statements):
        return None
    launch.after.add(statement)
    return launch


def _with_items(launch: Kernel, work: Work) -> Rows | None:
    """A reduction of rows with the elementwise launch before it as what it reduces."""
    items = work.threads * work.rounds
    if len(launch.segments) != 1 or any(s.rounds > 1 or s.work.threads != items for s in launch.segments[0].statements):
        return None
    if work.threads < BLOCKS and items > FEW:
        return None
    reduction = _of_threads(work)
    made = Rows(work.threads, work.rounds, [], reduction, Segment(work.threads, []))
    for statement in launch.segments[0].statements:
        turned = rows(statement.work, work.rounds)
        if turned is None or not all(_safe_items(before, turned) for before in made.items):
            return None
        made.items.append(turned)
    return made if _takes(reduction, made.items) else None


def _takes(reduction: Statement, items: Sequence[Statement]) -> bool:
    """Whether a reduction can go through what these leave, item by item: it reads nothing that another item writes."""
    reads = [access for access in reduction.reads if access is not None]
    every = [(access, writes) for item in items for access, writes in item.accesses]
    return (
        any(_depends_on(reduction.work, item.work) for item in items)
        and all(_safe_item(read, access) for read in reads for access, writes in every if writes)
        and all(apart(reduction.out, access) for access, _ in every)
    )


# A work in the threads and rounds of a launch


def _of_threads(work: Work) -> Statement:
    """A thread for each result."""
    assert work.out.kept is not None
    if work.name == "put":
        out, reads = _indirect(work.out), [operand.access(operand.kept, ()) for operand in work.reads if operand.kept]
        return Statement(work, [*reads], out, 1)
    return Statement(work, [_read(operand) for operand in work.reads], work.out.access(work.out.kept, ()), work.rounds)


def _read(operand: Operand) -> Access | None:
    if operand.kept is None:
        return None
    return _indirect(operand) if operand.indirect else operand.access(operand.kept, operand.reduced)


def _indirect(operand: Operand) -> Access:
    """Of a matrix whose thread j stays in column j, that column; else all of it for every thread."""
    assert operand.kept is not None
    loop, thread = (operand.kept[:-1], operand.kept[-1:]) if operand.own else (operand.kept, ())
    return operand.access(thread, loop)


def columns(work: Work, threads: int) -> Statement | None:
    """An elementwise work by fewer threads: each goes through its column."""
    return _turned(work, threads, lambda dims: split(dims, threads)) if work.threads <= LOOP * threads else None


def rows(work: Work, rounds: int) -> Statement | None:
    """An elementwise work by fewer threads: each goes through a row of so many items."""

    def cut(dims: Dims) -> tuple[Dims, Dims] | None:
        found = split(dims, rounds)
        return (found[1], found[0]) if found is not None else None

    return _turned(work, work.threads // rounds, cut)


def _turned(work: Work, threads: int, cut: Callable[[Dims], tuple[Dims, Dims] | None]) -> Statement | None:
    """A work by so many threads; ``cut`` gives of an operand's axes those of the rounds and those of the threads."""
    if work.threads == threads:
        return _of_threads(work)
    if work.reduction is not None or work.name in ("take", "put") or work.threads % threads:
        return None
    made: list[Access | None] = []
    for operand in (*work.reads, work.out):
        if operand.kept is None:
            made.append(None)
            continue
        found = cut(operand.kept)
        if found is None:
            return None
        loop, thread = found
        made.append(operand.access(thread, loop))
    out = made.pop()
    assert out is not None
    return Statement(work, made, out, work.threads // threads)


def _by_rows(work: Work) -> bool:
    """Whether a reduction is worth a block of threads for each result; else one thread goes through its items."""
    if work.reduction == "argmax":
        return False
    dims = next(operand for operand in work.reads if operand.is_array)
    assert dims.kept is not None
    along = min((abs(dim.stride) for dim in dims.reduced if dim.size > 1), default=0)
    across = min((abs(dim.stride) for dim in dims.kept if dim.size > 1), default=1 << 62)
    beside = across < along  # neighbouring threads read neighbouring numbers
    return not (work.rounds <= 4 or (beside and (work.rounds <= LOOP or work.threads >= MANY)))


# What may be done together


def _depends(work: Work, launch: Launch) -> bool:
    """Whether a work must come after a launch."""
    if isinstance(launch, Single):
        return _clash(work, launch.reads, launch.writes)
    return any(_depends_on(work, before) for before in launch.works)


def _uses(work: Work, launch: Rows) -> bool:
    """Whether a work reads what a launch writes."""
    return any(not apart(access, before.out) for access in work.whole[:-1] for before in launch.statements)


def _depends_on(work: Work, before: Work) -> bool:
    if _same_fill(work, before):
        return False
    return _clash(work, before.whole[:-1], before.whole[-1:])


def _same_fill(A: Work, B: Work) -> bool:
    """Whether both write the same number: then it does not matter which does it last."""
    return A.fill is not None and repr(A.fill) == repr(B.fill) and A.out.dtype == B.out.dtype


def _clash(work: Work, reads: Sequence[Access], writes: Sequence[Access]) -> bool:
    *read, written = work.whole
    return any(not apart(written, access) for access in (*reads, *writes)) or any(
        not apart(access, write) for access in read for write in writes
    )


def _safe_together(A: Statement, B: Statement) -> bool:
    """Whether threads may do both, A and then B, each for itself."""
    if _same_fill(A.work, B.work):
        return True
    return all(safe(a, b) for a, writes in A.accesses for b, also in B.accesses if writes or also)


def _same_loop(run: Run, statement: Statement) -> bool:
    """Whether a statement may be one more line in a loop: its round depends on the same round of those before it."""
    for before in run.statements:
        if before.work.reduction is not None and not all(apart(before.out, b) for b, _ in statement.accesses):
            return False
        if not _safe_items(before, statement):
            return False
    return True


def _safe_items(A: Statement, B: Statement) -> bool:
    if _same_fill(A.work, B.work):
        return True
    return all(_safe_item(a, b) for a, writes in A.accesses for b, also in B.accesses if writes or also)


def _safe_item(a: Access, b: Access) -> bool:
    return apart(a, b) or safe(a.as_items(), b.as_items())
