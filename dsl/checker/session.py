"""What one run of the checker shares: the mistakes and the nodes so far; and the frame that an expression stands in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from dsl.checker.nodes import Nodes, Path
from dsl.checker.report import Report
from dsl.checker.rules.limits import too_deep, too_many_nodes
from dsl.checker.rules.names import reserved_name, unknown_name, used_before_definition
from dsl.checker.scope import Scope, closest
from dsl.checker.values import Unknown, Value, shortened
from dsl.diagnostics import Diagnostic, Label
from dsl.signature import Table
from dsl.source import Source, Span
from dsl.tree import Broken, Expression, Name

REPEAT = "repeat"
_KINDS = ("float", "class", "token", "flag")
_STEPS_PER_NODE = 10


@dataclass
class Missing:
    """A name that nothing has, with all its uses: one mistake."""

    sentence: str
    close: str | None
    listing: str | None
    places: list[Span] = field(default_factory=list)


class Session:
    """One run of the checker.

    Args:
        evaluate: the evaluation of expressions, which calls and expressions both need, as they contain one another.

    Attributes:
        steps: how many stages were applied, and expressions of blocks evaluated.
        halted: the network grows beyond all bounds; nothing more is evaluated.
        damaged: something could not be read, so what seems to be missing may be there.
        import_failed: unknown names may be those of a file that could not be read.
        unused: warnings that are only said when nothing is wrong.
    """

    def __init__(self, table: Table, root: Source, evaluate: Callable[[Expression, Frame], Value]) -> None:
        self.table = table
        self.limits = table.limits
        self.evaluate = evaluate
        self.report = Report(root)
        self.nodes = Nodes(table.limits)
        self.halted = False
        self.damaged = False
        self.import_failed = False
        self.unused: list[Diagnostic] = []
        self.steps = 0
        self._lost: set[str] = set()  # names whose definitions could not be read
        self._missing: dict[tuple[Source, str], Missing] = {}
        self._early: set[tuple[Source, str]] = set()

    def frame(self, scope: Scope, path: str = "") -> Frame:
        """The frame of an item of a file, whose nodes are named below ``path``."""
        return Frame(self, scope, Path(path))

    def lose(self, item: Broken) -> None:
        """Keep what an item that could not be read would have defined."""
        self._lost.update(item.names)
        self.damaged = True

    def is_lost(self, name: str) -> bool:
        return name in self._lost

    def refuse_reserved(self, name: Name) -> bool:
        """Report a name that the language has taken; True when it has."""
        if self.table.find("layer", name.text) is not None or name.text == REPEAT:
            meaning = "a layer of the language"
        elif name.text in _KINDS:
            meaning = "a kind of value"
        else:
            return False
        self.report.add(reserved_name(name.span, name.text, meaning))
        self._lost.add(name.text)
        return True

    def unknown(self, name: Name, scope: Scope, *, stage: bool) -> None:
        """Keep a name that is not defined, to be said later with all its uses; not when its definition was lost to
        another mistake."""
        self.report.errors += 1
        key = (name.span.source, name.text)
        if self.is_lost(name.text) or len(self._missing) > self.report.most:
            return
        if key not in self._missing:
            self._missing[key] = self._misspelt(name, scope, stage=stage)
        self._missing[key].places.append(name.span)

    def early(self, name: Name, later: Span, frame: Frame) -> None:
        """Report a name that is defined further down, once."""
        key = (name.span.source, name.text)
        if key not in self._early:
            frame.say(used_before_definition(name.span, shortened(name.text), later))
        self._early.add(key)

    def report_missing(self) -> None:
        """Say all unknown names, each once."""
        for missing in self._missing.values():
            if self.import_failed and missing.close is None:
                continue
            first, *others = sorted(set(missing.places), key=lambda span: span.start)
            lines = tuple(sorted({span.line for span in others} - {first.line}))[:10]
            self.report.add(unknown_name(first, missing.sentence, missing.close, lines, missing.listing))

    def _misspelt(self, name: Name, scope: Scope, *, stage: bool) -> Missing:
        shown = shortened(name.text)
        if not stage:
            values = (definition.name for definition in scope.visible() if definition.value is not None)
            return Missing(f"`{shown}` is not defined", closest(name.text, values), None)
        category = next((c for c in ("loss", "metric") if self.table.find(c, name.text) is not None), None)
        if category is not None:
            sentence = f"`{shown}` is a {category}, and a layer is needed here"
            return Missing(sentence, None, f"use it as `{category} {shown}(…)`")
        layers = self.table.names("layer")
        own = [definition.name for definition in scope.visible() if definition.kind in ("block", "layer")]
        close = closest(name.text, [*own, *layers, REPEAT])
        listing = f"the layers are {', '.join(layers)}" if close is None else None
        return Missing(f"no layer or block is named `{shown}`", close, listing)


@dataclass(frozen=True, slots=True)
class Frame:
    """Where an expression is evaluated.

    Attributes:
        path: where the nodes that it makes stand in the tree of names.
        uses: the calls of blocks and layers that led here, the outermost first.
        depth: how many expressions this one is nested in.
        dry: a block or layer is looked at where it is defined: mistakes are found, no nodes are made.
    """

    session: Session
    scope: Scope
    path: Path
    uses: tuple[Span, ...] = ()
    depth: int = 0
    dry: bool = False

    def evaluate(self, expression: Expression) -> Value:
        """The value of an expression; an `Unknown` when it holds a mistake, which then is reported."""
        at = expression.span
        if self.too_deep(at) or self.exhausted(at, steps=1 if self.uses else 0):
            return Unknown(at)
        return self.session.evaluate(expression, self.deeper())

    def deeper(self, path: Path | None = None) -> Frame:
        """The frame of a part of what this one is the frame of, whose nodes may have a place of their own."""
        place = path if path is not None else self.path
        return Frame(self.session, self.scope, place, self.uses, self.depth + 1, self.dry)

    def inside(self, scope: Scope, path: Path, use: Span) -> Frame:
        """The frame of what a use of a block or layer is written out to."""
        return Frame(self.session, scope, path, (*self.uses, use), self.depth + 1, self.dry)

    def within(self, scope: Scope) -> Frame:
        """The same place with other names."""
        return Frame(self.session, scope, self.path, self.uses, self.depth, self.dry)

    def say(self, diagnostic: Diagnostic) -> None:
        """Report a mistake; one inside a block or layer also shows the use that led to it."""
        places = {label.span for label in diagnostic.labels}
        uses = tuple(Label(span, "used here") for span in self.uses[:1] if span not in places)
        self.session.report.add(replace(diagnostic, labels=(*diagnostic.labels, *uses)))

    def unknown(self, name: Name, *, stage: bool) -> Unknown:
        """Report a name that is not defined here: as a mistake of order or of spelling."""
        later = self.scope.find_later(name.text)
        if later is not None:
            self.session.early(name, later, self)
        else:
            self.session.unknown(name, self.scope, stage=stage)
        return Unknown(name.span)

    def too_deep(self, at: Span) -> bool:
        """Report what is nested beyond the bound; True when it is."""
        limit = self.session.limits.nesting
        if self.depth < limit:
            return False
        self.say(too_deep(at, limit))
        self.session.halted = self.session.halted or bool(self.uses)  # each use of these blocks would say it again
        return True

    def exhausted(self, at: Span, *, steps: int = 1) -> bool:
        """Count what is applied or written out of blocks; True when there is no sense in going on."""
        session = self.session
        session.steps += steps
        if session.steps > _STEPS_PER_NODE * session.limits.nodes and not session.halted:
            self.halt(at)  # blocks in blocks may bring about more of it than any network needs, and few nodes
        return session.halted or session.report.full

    def halt(self, at: Span) -> Unknown:
        """Stop: the network grows beyond all bounds."""
        self.session.halted = True
        self.session.report.add(too_many_nodes(self.uses[0] if self.uses else at, self.session.limits.nodes))
        return Unknown(at)
