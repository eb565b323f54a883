"""The text of a kernel for a launch: what stands in an ElementwiseKernel or a ReductionKernel.

All arrays are handed over as *raw* parameters, each by its first element; where thread j finds its numbers is written
into the text, so that the compiler knows all sizes and strides. A value that was computed or loaded is kept in a
variable; it is stored where somebody needs it: a later launch, or one that keeps it longer than the step.

A reduction's text is inside of lambdas, since CuPy takes expressions there: ``_i`` is the result, ``_J`` the item.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tensorflow_lite_bp.backend.fusion.access import Access, Dims, apart, count
from tensorflow_lite_bp.backend.fusion.functions import C_TYPES, FUNCTIONS, LOGICAL, REDUCTIONS
from tensorflow_lite_bp.backend.fusion.grouping import Kernel, Rows, Run, Segment, Statement
from tensorflow_lite_bp.backend.fusion.work import Number, Operand
from tensorflow_lite_bp.backend.reals import wide

Needed = Callable[[Access, Sequence[Access]], bool]
"""Whether what is written must be stored, given what the same launch loads later."""


@dataclass(frozen=True)
class Parameter:
    """An array (its first element's place) or a number that a kernel is handed."""

    name: str
    dtype: str
    value: Any = field(compare=False)
    written: bool = False

    @property
    def is_number(self) -> bool:
        return isinstance(self.value, Number)


@dataclass(frozen=True)
class Source:
    """A kernel: what it is handed and what it does.

    Attributes:
        threads: results of a reduction, or threads of an elementwise kernel.
        rounds: items of each result; 0 for an elementwise kernel.
        body: what an elementwise kernel does for thread ``i``; for a reduction the value of an item.
        joins, identity, kind: how two values ``a`` and ``b`` are joined, what to begin with, in which C type.
        after: for a reduction what is done with the total ``a``.
    """

    parameters: tuple[Parameter, ...]
    threads: int
    rounds: int
    body: str
    joins: str = ""
    identity: str = ""
    kind: str = ""
    after: str = ""
    loads: tuple[Access, ...] = field(default=(), compare=False)
    stores: tuple[Access, ...] = field(default=(), compare=False)

    @property
    def key(self) -> tuple[Any, ...]:
        """Equal for kernels that can be compiled once."""
        names = tuple((p.name, p.dtype, p.written, p.is_number) for p in self.parameters)
        return (names, self.body, self.joins, self.identity, self.kind, self.after)


def source(launch: Kernel | Rows, needed: Needed) -> Source:
    """The text of a launch.

    Args:
        needed: called for each write with what the launch itself loads from then on.
    """
    events = _written(launch, _Pass()).events  # to see what is loaded
    kept = [
        not _overwritten(access, events[place + 1 :])
        and needed(access, [e for e, stores in events[place + 1 :] if not stores])
        for place, (access, is_store) in enumerate(events)
        if is_store
    ]
    return _written(launch, _Pass(keep=kept)).source()


def _written(launch: Kernel | Rows, text: _Pass) -> _Pass:
    return _elementwise(launch, text) if isinstance(launch, Kernel) else _reduction(launch, text)


def _overwritten(access: Access, later: Sequence[tuple[Access, bool]]) -> bool:
    """Whether the same thread writes the same again before anybody loads it."""
    for other, is_store in later:
        if is_store and other == access and not access.indirect:
            return True
        if not is_store and not apart(other, access):
            return False
    return False


class _Pass:
    """One way through a launch: text, parameters, and which memory is loaded and stored in which order.

    Args:
        keep: for each write in order whether it is stored; all are by default.
    """

    def __init__(self, keep: list[bool] | None = None) -> None:
        self.keep = iter(keep) if keep is not None else None
        self.events: list[tuple[Access, bool]] = []
        self.stored: list[Access] = []
        self.parameters: dict[tuple[Any, ...], Parameter] = {}
        self.written: set[tuple[Any, ...]] = set()
        self.lines: list[str] = []
        self.names = 0
        self.wide = False
        self.made: dict[str, Any] = {}

    def variable(self) -> str:
        self.names += 1
        return f"v{self.names}"

    def array(self, access: Access, operand: Operand, written: bool) -> str:
        return self._parameter((access.start, access.dtype), access.dtype, operand.value, written)

    def number(self, number: Number) -> str:
        return self._parameter(("number", id(number)), str(number.dtype), number, False)

    def stores(self) -> bool:
        return next(self.keep) if self.keep is not None else True

    def source(self) -> Source:
        parameters = tuple(
            Parameter(p.name, p.dtype, p.value, key in self.written) for key, p in self.parameters.items()
        )
        loads = tuple(access for access, is_store in self.events if not is_store)
        return Source(parameters, loads=loads, stores=tuple(self.stored), **self.made)

    def _parameter(self, key: tuple[Any, ...], dtype: str, value: Any, written: bool) -> str:
        if key not in self.parameters:
            self.parameters[key] = Parameter(f"p{len(self.parameters)}", dtype, value)
        if written:
            self.written.add(key)
        return self.parameters[key].name


# The two kinds


def _elementwise(launch: Kernel, text: _Pass) -> _Pass:
    total, blocks = 0, []
    index = _index_type(launch.segments)
    for segment in launch.segments:
        lines = _Scope(text).segment(segment)
        begin, total = total, total + segment.threads
        inside = "\n".join(f"  {line}" for line in [f"const {index} j = i - {begin};", *lines])
        blocks.append((begin, total, inside))
    if len(blocks) == 1:
        body = blocks[0][2]
    else:
        body = " else ".join(f"if (i < {end}) {{\n{inside}\n}}" for _, end, inside in blocks)
    text.made = {"threads": total, "rounds": 0, "body": body}
    return text


def _reduction(launch: Rows, text: _Pass) -> _Pass:
    work = launch.reduction.work
    assert work.reduction is not None
    reduction, kind = REDUCTIONS[work.reduction], _accumulator(work.computes)
    index = _index_type(
        [Segment(launch.threads, [Run(launch.rounds, [*launch.items, launch.reduction])]), launch.after]
    )
    scope = _Scope(text)
    lines = [line for statement in launch.items for line in scope.statement(statement)]
    more, value = scope.value(launch.reduction)
    body = " ".join([*lines, *more, f"return ({kind}){value};"])
    heading = f"const {index} j = _i; const {index} r = _J;"
    item = (
        f"[&]() -> {kind} {{ if (_i >= {launch.threads}) return ({kind})({reduction.identity}); {heading} {body} }}()"
    )
    after = _Scope(text)
    total = f"({kind})(a) / {launch.rounds}" if work.reduction == "mean" else f"({kind})(a)"
    ended = [*after.store(launch.reduction, total, launch.reduction.out.dtype), *after.segment(launch.after)]
    text.made = {
        "threads": launch.threads,
        "rounds": launch.rounds,
        "body": item,
        "joins": re.sub(r"\bx\b", "b", reduction.text),
        "identity": reduction.identity,
        "kind": kind,
        "after": f"[&]() {{ const {index} j = _i; {' '.join(ended)} }}()",
    }
    return text


class _Scope:
    """The variables that a thread knows: of its segment, and inside of a loop those of the round."""

    def __init__(self, text: _Pass) -> None:
        self._text = text
        self._known: list[dict[Access, str]] = [{}]

    def segment(self, segment: Segment) -> list[str]:
        return [line for run in segment.runs for line in self._run(run)]

    def _run(self, run: Run) -> Iterator[str]:
        if run.rounds == 1:
            for statement in run.statements:
                if statement.work.reduction is None:
                    yield from self.statement(statement)
                elif statement.work.reduction == "argmax":  # of one item, as are those below
                    yield from self.store(statement, "0", statement.out.dtype)
                else:
                    lines, value = self.value(statement)
                    yield from [*lines, *self.store(statement, value, statement.out.dtype)]
            return
        reductions = [statement for statement in run.statements if statement.work.reduction is not None]
        totals = {statement: _Total(self._text.variable(), statement) for statement in reductions}
        for total in totals.values():
            yield from total.begin()
        self._known.append({})
        inside: list[str] = []
        for statement in run.statements:
            if statement in totals:
                lines, value = self.value(statement)
                inside += [*lines, *totals[statement].join(value)]
            else:
                inside += self.statement(statement)
        self._known.pop()
        yield f"for (int r = 0; r < {run.rounds}; ++r) {{"
        yield from (f"  {line}" for line in inside)
        yield "}"
        for statement, total in totals.items():
            yield from self.store(statement, total.end(), statement.out.dtype)

    def statement(self, statement: Statement) -> list[str]:
        """The lines of an elementwise call."""
        if statement.work.name in ("take", "put"):
            return self._indexed(statement)
        lines, value = self.value(statement)
        if not statement.work.guarded:
            return [*lines, *self.store(statement, value, statement.work.gives)]
        flag, before = zip(statement.work.reads[-2:], statement.reads[-2:], strict=True)
        (asked, yes), (kept, old) = (self._load(_plain(access), operand) for operand, access in (flag, before))
        kind = C_TYPES[statement.out.dtype]
        chosen = f"{yes} ? ({kind})({C_TYPES[statement.work.gives]})({value}) : {old}"
        return [*lines, *asked, *kept, *self.store(statement, chosen, statement.out.dtype)]

    def value(self, statement: Statement) -> tuple[list[str], str]:
        """What must stand before, and the value of the function as an expression."""
        work, lines, names = statement.work, [], []
        kind = _compute_type(work.computes)
        for operand, access in zip(work.operands, statement.reads, strict=False):
            if access is None:
                names.append(self._literal(operand, work.computes))
                continue
            more, name = self._load(access, operand)
            lines += more
            names.append(name if C_TYPES[access.dtype] == kind else f"(({kind}){name})")
        if work.name in LOGICAL:
            names = [f"({name} != 0)" for name in names]
        letters = dict(zip("xyz", names, strict=False))
        return lines, re.sub(r"\b[xyz]\b", lambda found: letters[found[0]], FUNCTIONS[work.name])

    def store(self, statement: Statement, value: str, gives: str) -> list[str]:
        """Keep a value in a variable, and in memory where somebody needs it."""
        access, name = statement.out, self._text.variable()
        kind = C_TYPES[access.dtype]
        rounded = f"({C_TYPES[gives]})({value})"
        line = f"const {kind} {name} = {rounded if C_TYPES[gives] == kind else f'({kind}){rounded}'};"
        for known in self._known:
            for other in [other for other in known if not apart(other, access)]:
                del known[other]
        self._known[-1][access] = name
        self._text.events.append((access, True))
        if not self._text.stores():
            return [line]
        self._text.stored.append(access)
        return [line, f"{self._place(access, statement.work.out, written=True)} = {name};"]

    def _indexed(self, statement: Statement) -> list[str]:
        """A number read or written at an index."""
        work, text = statement.work, self._text
        lines, index = self._load(_plain(statement.reads[0]), work.reads[0])
        anywhere = _plain(statement.reads[1]) if work.name == "take" else statement.out
        operand = work.reads[1] if work.name == "take" else work.out
        assert operand.kept is not None
        step = operand.kept[-1].stride // anywhere.itemsize
        place = f"{text.array(anywhere, operand, work.name == 'put')}[{index}{f' * {step}' if step != 1 else ''}]"
        if work.name == "take":
            text.events.append((anywhere, False))
            return [*lines, *self.store(statement, place, anywhere.dtype)]
        more, value = self._load(_plain(statement.reads[1]), work.reads[1])
        for known in self._known:
            for other in [other for other in known if not apart(other, anywhere)]:
                del known[other]
        text.events.append((anywhere, True))
        text.stores()
        text.stored.append(anywhere)
        return [*lines, *more, f"{self._target(place, anywhere.dtype)} = ({C_TYPES[anywhere.dtype]}){value};"]

    def _load(self, access: Access, operand: Operand) -> tuple[list[str], str]:
        for known in reversed(self._known):
            if access in known:
                return [], known[access]
        name = self._known[-1][access] = self._text.variable()
        self._text.events.append((access, False))
        return [f"const {C_TYPES[access.dtype]} {name} = {self._place(access, operand, written=False)};"], name

    def _place(self, access: Access, operand: Operand, *, written: bool) -> str:
        terms = [*_terms(access.thread, "j", access.itemsize), *_terms(access.loop, "r", access.itemsize)]
        place = f"{self._text.array(access, operand, written)}[{' + '.join(terms) or '0'}]"
        return self._target(place, access.dtype) if written else place

    def _target(self, place: str, dtype: str) -> str:
        """A place that can be written to: a reduction is handed all arrays as such that it only reads."""
        return f"const_cast<{C_TYPES[dtype]}&>({place})"

    def _literal(self, operand: Operand, dtype: str) -> str:
        if isinstance(operand.value, Number):
            kind = _compute_type(dtype)
            return f"(({kind})({C_TYPES[dtype]}){self._text.number(operand.value)})"
        return literal(operand.value, dtype)


class _Total:
    """What one thread adds up (or finds the largest of) in a loop."""

    def __init__(self, name: str, statement: Statement) -> None:
        self.name, self._work = name, statement.work
        self.kind = _accumulator(self._work.computes)
        self._is_place = self._work.reduction == "argmax"

    def begin(self) -> list[str]:
        if self._is_place:
            return [f"{self.kind} {self.name} = 0; long long {self.name}_at = 0;"]
        assert self._work.reduction is not None
        return [f"{self.kind} {self.name} = ({self.kind})({REDUCTIONS[self._work.reduction].identity});"]

    def join(self, value: str) -> list[str]:
        new = f"{self.name}_x"
        line = f"const {self.kind} {new} = ({self.kind})({value});"
        if self._is_place:  # the first of equal ones, the first that is no number before all others
            larger = f"{new} > {self.name} || ({new} != {new} && {self.name} == {self.name})"
            return [line, f"if (r == 0 || {larger}) {{ {self.name} = {new}; {self.name}_at = r; }}"]
        assert self._work.reduction is not None
        letters = {"a": self.name, "x": new}
        text = REDUCTIONS[self._work.reduction].text
        joined = re.sub(r"\b[ax]\b", lambda found: letters[found[0]], text)
        return [line, f"{self.name} = {joined};"]

    def end(self) -> str:
        if self._is_place:
            return f"{self.name}_at"
        return f"{self.name} / {self._work.rounds}" if self._work.reduction == "mean" else self.name


# Small pieces of C


def literal(value: Any, dtype: str) -> str:
    """A Python number as C has it, rounded to a type as NumPy rounds it.

    >>> literal(0.1, "float32"), literal(2, "float64"), literal(True, "bool"), literal(-float("inf"), "float32")
    ('0.10000000149011612f', '2.0', 'true', '-INFINITY')
    """
    if dtype == "bool":
        return "true" if value else "false"
    if dtype == "int64":
        return f"{int(value)}LL"
    number = np.dtype(dtype).type(value)
    if not np.isfinite(number):
        return "NAN" if np.isnan(number) else "INFINITY" if number > 0 else "-INFINITY"
    return repr(float(number)) if dtype == "float64" else f"{float(number)!r}f"


def _terms(dims: Dims, index: str, itemsize: int) -> list[str]:
    """The places that an index means, in elements."""
    terms: list[str] = []
    inner = 1
    for place, (size, stride) in reversed(list(enumerate(dims))):
        step = stride // itemsize
        if step:
            term = index if inner == 1 else f"{index} / {inner}"
            term = term if place == 0 else f"{term} % {size}"
            terms.insert(0, term if step == 1 else f"{f'({term})' if ' ' in term else term} * {step}")
        inner *= size
    return terms


def _index_type(segments: Sequence[Segment]) -> str:
    """32 bits are divided faster, and are enough where no place lies further from its array's start."""
    reach = 0
    for segment in segments:
        reach = max(reach, segment.threads)
        for statement in segment.statements:
            for access, _ in statement.accesses:
                reach = max(reach, sum(abs(dim.size * dim.stride) for dim in access.thread + access.loop))
                reach = max(reach, count(access.thread) * count(access.loop))
    return "int" if reach < 1 << 31 else "long long"


def _compute_type(dtype: str) -> str:
    """Numbers of 16 bits are computed in single precision and rounded after each function, as CuPy does."""
    return C_TYPES[str(wide(np.dtype(dtype)))]


def _accumulator(dtype: str) -> str:
    return "long long" if dtype == "bool" else _compute_type(dtype)


def _plain(access: Access | None) -> Access:
    assert access is not None
    return access
