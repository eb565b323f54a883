"""The mistakes found so far: each once, in the order of the file, and not more than anybody reads."""

from __future__ import annotations

from dsl.checker.rules.limits import too_many_mistakes
from dsl.diagnostics import Diagnostic
from dsl.source import Source, Span


class Report:
    """Collects diagnostics; a second one of the same kind at the same place is the same mistake seen again.

    Attributes:
        most: how many errors, and how many warnings, are kept.
        errors: how many were reported, those included that are kept back or seen again.
    """

    most = 1000

    def __init__(self, root: Source) -> None:
        self._places: dict[Source, tuple[int, ...]] = {root: ()}
        self._found: dict[tuple[str, Source, int, int], Diagnostic] = {}
        self._kept = {"error": 0, "warning": 0}
        self.errors = 0

    @property
    def full(self) -> bool:
        return self._kept["error"] >= self.most

    def add(self, diagnostic: Diagnostic) -> None:
        self.errors += diagnostic.severity == "error"
        span = diagnostic.span
        key = (diagnostic.code.name, span.source, span.start, span.end)
        if key not in self._found and self._kept[diagnostic.severity] < self.most:
            self._found[key] = diagnostic
            self._kept[diagnostic.severity] += 1

    def place(self, source: Source, at: Span) -> None:
        """Mistakes of this source stand where the root file imports it."""
        self._places.setdefault(source, (*self._places.get(at.source, ()), at.start))

    def in_order(self) -> tuple[Diagnostic, ...]:
        """All of them in the order in which a reader of the file comes upon their places."""

        def order(diagnostic: Diagnostic) -> tuple[int, ...]:
            span = diagnostic.span
            return (*self._places.get(span.source, (-1,)), span.start)

        found = sorted(self._found.values(), key=order)
        return (*found, too_many_mistakes(found[-1].span, self.most)) if self.full else tuple(found)
