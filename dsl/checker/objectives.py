"""What the network is for: losses, metrics and outputs."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from dsl import tree
from dsl.checker import layers
from dsl.checker.constants import TooLarge, bounded, calculate, constant
from dsl.checker.declarations import define
from dsl.checker.nodes import Path
from dsl.checker.rules.constants import constant_too_large, division_by_zero
from dsl.checker.rules.items import bad_factor, not_an_objective, not_an_output, repeated_output, sum_of_losses
from dsl.checker.scope import Scope
from dsl.checker.session import Frame, Session
from dsl.checker.settings import unknown_entry
from dsl.checker.stages import chain, name_of
from dsl.checker.values import Known, Tensor, Unknown, Value, described, listed, moved, numbered, shortened, what
from dsl.program import Loss, Metric, Output
from dsl.signature import Signature
from dsl.source import Span


class Objectives:
    """The losses, metrics and outputs of one file."""

    def __init__(self, session: Session, scope: Scope, items: tuple[tree.Item, ...]) -> None:
        self.session = session
        self.scope = scope
        self.losses: list[Loss] = []
        self.metrics: list[Metric] = []
        self.outputs: list[Output] = []
        self._taken: dict[str, set[str]] = {
            "loss": {item.name.text for item in items if isinstance(item, tree.Loss) and item.name is not None},
            "metric": {item.name.text for item in items if isinstance(item, tree.Metric) and item.name is not None},
        }
        self._output_places: dict[str, Span] = {}
        self._paths: dict[str, Path] = {}

    def add_loss(self, item: tree.Loss) -> None:
        """``loss 0.3 * mse(a, t)``: a factor times a loss of the table."""
        frame = self.session.frame(self.scope)
        term = self._term(item.value, frame)
        if item.name is not None:
            define(self.session, self.scope, item.name, "loss").used = True
        if term is None:
            return
        factor, expression = term
        found = self._objective("loss", item.name, expression)
        if found is not None:
            name, signature, inputs, settings = found
            self.losses.append(Loss(name, signature.name, inputs, settings, factor, item.span))

    def add_metric(self, item: tree.Metric) -> None:
        """``metric accuracy(logits, digit)``."""
        if item.name is not None:
            define(self.session, self.scope, item.name, "metric").used = True
        found = self._objective("metric", item.name, item.value)
        if found is not None:
            name, signature, inputs, settings = found
            self.metrics.append(Metric(name, signature.name, inputs, settings, item.span))

    def add_output(self, item: tree.Output) -> None:
        """``output a3``, or ``output p = softmax(logits)``, which also defines ``p``."""
        name = item.name
        frame = self.session.frame(self.scope, name.text)
        target = self.scope.find(name.text)
        if item.value is None and target is not None and target.kind == "target":
            target.used = True
            self.session.report.add(not_an_output(name.span, "a target"))
            return
        value = frame.evaluate(item.value if item.value is not None else name)
        if item.value is not None:
            definition = define(self.session, self.scope, name, "output", value)
            definition.used = True
            if self.scope.find(name.text) is not definition:
                return
        first = self._output_places.setdefault(name.text, name.span)
        if first is not name.span:
            self.session.report.add(repeated_output(name.span, shortened(name.text), first))
        elif isinstance(value, Tensor) and value.type.per_sample:
            self.session.nodes.bindings.setdefault(value.name, (name.text, name.span))
            self.outputs.append(Output(name.text, value.name, item.span))
        elif not isinstance(value, Unknown):
            found = described(value.value) if isinstance(value, Known) else what(value.type)
            self.session.report.add(not_an_output(value.span, found))

    # Losses and metrics

    def _term(self, expression: tree.Expression, frame: Frame) -> tuple[float, tree.Expression] | None:
        """The factor and the loss of ``0.3 * mse(a, t)``; None when the factor is wrong or there are several losses."""
        factor: int | Fraction = 1
        while isinstance(expression, tree.Binary | tree.Unary):
            if isinstance(expression, tree.Unary):
                factor, expression = -factor, expression.operand
                continue
            sign, number, rest = expression.operator, expression.right, expression.left
            if sign not in ("*", "/"):
                break
            if sign == "*" and self._holds_loss(number):
                number, rest = rest, number
            scaled = self._scaled(factor, sign, number, frame)
            if scaled is None:
                return None
            factor, expression = scaled, rest
        if isinstance(expression, tree.Binary) and self._holds_loss(expression):
            self.session.report.add(sum_of_losses(expression.span))
            return None
        try:
            return float(factor), expression
        except OverflowError:
            self.session.report.add(bad_factor(expression.span, "a number that is too large"))
            return None

    def _holds_loss(self, expression: tree.Expression) -> bool:
        """Whether a loss is called in a term."""
        waiting = [expression]
        while waiting:
            part = waiting.pop()
            if isinstance(part, tree.Binary):
                waiting += [part.left, part.right]
            elif isinstance(part, tree.Unary):
                waiting.append(part.operand)
            elif isinstance(part, tree.Call | tree.Pipe):
                name = name_of(part.stages[-1]) if isinstance(part, tree.Pipe) else part.function
                if self.session.table.find("loss", name.text) is not None:
                    return True
        return False

    def _scaled(
        self, factor: int | Fraction, sign: str, expression: tree.Expression, frame: Frame
    ) -> int | Fraction | None:
        """The factor times, or divided by, a constant; None when that is no number."""
        value = constant(expression, frame)
        if isinstance(value, Unknown):
            return None
        if isinstance(value.value, bool) or not isinstance(value.value, int | Fraction):
            self.session.report.add(bad_factor(value.span, described(value.value)))
            return None
        try:
            return bounded(calculate(sign, factor, value.value))
        except ZeroDivisionError:
            self.session.report.add(division_by_zero(value.span))
        except TooLarge:
            self.session.report.add(constant_too_large(value.span))
        return None

    def _objective(
        self, kind: str, name: tree.Name | None, expression: tree.Expression
    ) -> tuple[str, Signature, tuple[str, ...], dict[str, object]] | None:
        """A loss or metric applied to its tensors: its name, its entry, its inputs and its settings."""
        session = self.session
        signature = self._signature(kind, expression)
        if signature is None:
            return None
        chosen = name.text if name is not None else self._free(kind, signature.name)
        frame = replace(session.frame(self.scope), path=self._path(chosen))
        call = expression.stages[-1] if isinstance(expression, tree.Pipe) else expression
        assert isinstance(call, tree.Call | tree.Name)
        piped = None
        if isinstance(expression, tree.Pipe):
            piped = chain(expression.stages[:-1], self._argument(frame, expression.head), frame)
        given = layers.given(signature, call, piped, frame, evaluate=self._argument)
        if given is None:
            return None
        inputs, settings = given
        type_ = layers.result(signature, inputs, settings, expression.span, frame)
        if type_ is None:
            return None
        return chosen, signature, tuple(tensor.name for tensor in inputs), dict(settings)

    def _signature(self, kind: str, expression: tree.Expression) -> Signature | None:
        """The entry of the table that an expression applies; otherwise that is reported."""
        session, found = self.session, f"`{shortened(' '.join(expression.span.text.split()), 40)}`"
        if isinstance(expression, tree.Call | tree.Pipe | tree.Name):
            name = name_of(expression.stages[-1]) if isinstance(expression, tree.Pipe) else name_of(expression)
            signature = session.table.find(kind, name.text)
            if signature is not None:
                return signature
            if isinstance(expression, tree.Call) and session.table.find("layer", name.text) is None:
                unknown_entry([kind], name, self.session.frame(self.scope))
                return None
        known = listed([f"`{name}`" for name in session.table.names(kind)])
        session.report.add(not_an_objective(expression.span, kind, found, known))
        return None

    def _argument(self, frame: Frame, expression: tree.Expression) -> Value:
        """A tensor that is held against another one: here, and only here, it may be a target."""
        if isinstance(expression, tree.Name):
            definition = self.scope.find(expression.text)
            if definition is not None and definition.kind == "target" and definition.value is not None:
                definition.used = True
                return moved(definition.value, expression.span)
        return frame.evaluate(expression)

    def _free(self, kind: str, name: str) -> str:
        """A name for a loss or metric without one: ``mse``, then ``mse_2``, ..."""
        free = next(free for free in numbered(name) if free not in self._taken[kind])
        self._taken[kind].add(free)
        return free

    def _path(self, name: str) -> Path:
        """Where the nodes of a loss's own expressions stand: beside those of a loss or metric of the same name, and not
        where a binding of that name has its own."""
        place = next(place for place in numbered(name) if not self._is_tensor(place))
        return self._paths.setdefault(place, Path(place))

    def _is_tensor(self, name: str) -> bool:
        definition = self.scope.find(name)
        return self.scope.find_later(name) is not None or (
            definition is not None and definition.kind not in ("loss", "metric")
        )
