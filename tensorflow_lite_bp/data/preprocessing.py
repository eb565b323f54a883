"""From the columns of a table to the rows that a network is fed: fitted once, then the same everywhere.

What was fitted on the training rows travels with the weights (`Preprocessing.to_json`) and goes into the exported graph
(`Preprocessing.onnx`), so that training, prediction and ONNX see the same numbers.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dsl.program import Call, Program, Variable
from dsl.types import show
from tensorflow_lite_bp.data.base import BadValue
from tensorflow_lite_bp.data.expression import Expression, row_blocks
from tensorflow_lite_bp.data.forms import FORMS
from tensorflow_lite_bp.data.kinds import Kind, kind_of
from tensorflow_lite_bp.data.raw import RawInput, filled_onnx, raw_inputs
from tensorflow_lite_bp.data.shapes import declared_count, filled_shape
from tensorflow_lite_bp.data.tables import Rows, Table
from tensorflow_lite_bp.data.transforms.classes import Classes
from tensorflow_lite_bp.data.transforms.columns import Array
from tensorflow_lite_bp.data.transforms.vocabulary import gaps_in
from tensorflow_lite_bp.data.words import listed, quoted
from tensorflow_lite_bp.errors import InputError

if TYPE_CHECKING:
    from tensorflow_lite_bp.data.base import Block

_VERSION = 1


class Preprocessing:
    """The expressions of the data section for every input and target that it gives, each ended by its kind.

    Made by `bind` and `fit`, or by `from_json`.
    """

    def __init__(self, program: Program, columns: Mapping[str, Call], *, missing: Sequence[str] = ("",)) -> None:
        self.program = program
        self.missing = tuple(missing)
        self._variables = {variable.name: variable for variable in (*program.inputs, *program.targets)}
        self._roots: dict[str, Expression] = {}
        for name, call in columns.items():
            variable = self._variables[name]
            kind = kind_of(variable.type.kind, variable.type.count)
            expression = Expression.of(call, wanted=kind.takes)
            self._roots[name] = Expression(kind, (expression,), kind.takes, call.span)

    # Fitting

    def bind(self, table: Table) -> None:
        """Find the columns of every expression in the table with the training rows."""
        self.missing = table.missing
        for root in self._roots.values():
            root.bind(table)

    def load(self, table: Table, names: Iterable[str] | None = None) -> None:
        """Read the columns that these variables need (all by default).

        Raises:
            InputError: with the first column that is missing, or the first value that is no number.
        """
        wanted: dict[str, list[str]] = {"numbers": [], "categories": []}
        for name in self._chosen(names):
            for leaf in self._roots[name].leaves():
                leaf.leaf.require(table, leaf.state["columns"])
                wanted[leaf.wanted].extend(leaf.state["columns"])
        table.load(*(dict.fromkeys(columns) for columns in wanted.values()))

    def fit(self, table: Table, rows: np.ndarray) -> None:
        """Fit every transform to these rows of a table that is loaded: the training rows, and no others.

        Raises:
            InputError: when the rows cannot tell what a transform wants to know, or hold other classes than declared.
        """
        for root in self._roots.values():
            root.fit(table, rows)
        for name, names in self.classes.items():
            type_ = self._variables[name].type
            assert type_.count is not None
            if len(names) > type_.count or (len(names) < type_.count and type_.kind == "class"):
                raise InputError(self._other_count(name, names))

    def _other_count(self, name: str, names: Sequence[str]) -> str:
        """The message for a variable that has another number of classes or tokens than its type says."""
        type_, holder = self._variables[name].type, self._named_by(name)
        given = isinstance(holder.transform, Classes) and holder.transform.names is not None
        found = "`names` has" if given else "the training rows hold"
        hint = "" if given or type_.kind != "class" else ", or give all in order: classes(..., names = [...])"
        return (
            f"{holder.at}`{name}` is {type_}, and {found} {len(names)} different values ({listed(names)}): "
            f"declare {type_.kind}({len(names)}){hint}"
        )

    @property
    def classes(self) -> dict[str, list[str]]:
        """The name of each class, by variable; of classes that are given as numbers, the numbers. Also of tokens."""
        found = {}
        for name in self._roots:
            type_ = self._variables[name].type
            names = [each if isinstance(each, str) else quoted(each) for each in self._vocabulary(name)]
            if not names and type_.kind == "class":
                names = [str(number) for number in range(type_.count or 0)]
            if names and type_.kind in ("class", "token"):
                found[name] = names
        return found

    def has_names(self, name: str) -> bool:
        """Whether a variable's classes or tokens are named: by text, or by numbers that `classes` numbers."""
        return bool(self._vocabulary(name))

    def _vocabulary(self, name: str) -> Sequence[str | float]:
        """The values that stand for the classes of a variable; empty when the classes are given as their numbers."""
        found: Sequence[str | float] = self._named_by(name).state.get("values", [])
        return found

    def _named_by(self, name: str) -> Expression:
        """The node that numbers the classes of a variable: `classes`, or its kind."""
        root = self._roots[name]
        (expression,) = root.inputs
        assert isinstance(expression, Expression)
        return expression if isinstance(expression.transform, Classes) else root

    # Rows

    def rows(self, table: Table, names: Iterable[str] | None = None) -> dict[str, np.ndarray]:
        """The rows of a table for these inputs and targets (all by default): ``(m, *shape)``, float32 or int64.

        Raises:
            InputError: with the place of what is wrong.
        """
        chosen = self._chosen(names)
        self.load(table, chosen)
        return {name: self.filled(name, [table]) for name in chosen}

    def filled(self, name: str, tables: Sequence[Table]) -> np.ndarray:
        """One variable's rows of all these tables, one after the other; the tables are loaded.

        An array that already is what the network wants is given as it is, mapped into memory where it was, after a look
        at its values.
        """
        ready = self._ready_array(name, tables)
        out, start = ready, 0
        for table in tables:
            for rows in row_blocks(table.rows, self._roots[name].width()):
                block = self._block(name, table, rows)
                if out is None:
                    out = np.empty((sum(each.rows for each in tables), *block.shape[1:]), dtype=block.dtype)
                if block.shape[1:] != out.shape[1:]:
                    raise InputError(
                        f"`{name}` has rows of {show(out.shape[1:])} in {tables[0].name}, and of "
                        f"{show(block.shape[1:])} in {table.name}"
                    )
                if ready is None:
                    out[start : start + len(block)] = block
                start += len(block)
        assert out is not None, "a table that is loaded has rows"
        return out

    def _block(self, name: str, table: Table, rows: Rows) -> np.ndarray:
        """Some rows of a variable, in its shape."""
        block = self._roots[name].block(table, rows)
        return block.reshape(len(block), *self._filled_shape(name, block.shape[1:], table))

    def _ready_array(self, name: str, tables: Sequence[Table]) -> np.ndarray | None:
        """The source's own array in the declared shape, where the expression is nothing but that array."""
        root = self._roots[name]
        (expression,) = root.inputs
        assert isinstance(expression, Expression)
        assert isinstance(root.transform, Kind)
        if len(tables) > 1 or not isinstance(expression.transform, Array):
            return None
        array = tables[0].array(expression.transform.array)
        if array.dtype != root.transform.dtype or not array.flags.c_contiguous:
            return None
        return array.reshape(len(array), *self._filled_shape(name, array.shape[1:], tables[0]))

    def _filled_shape(self, name: str, found: tuple[int, ...], table: Table) -> tuple[int, ...]:
        """The shape of the variable's rows, for values of the shape found."""
        declared = self._variables[name].type
        shape = filled_shape(found, declared.shape)
        if shape is not None:
            return shape
        root = self._roots[name]
        if len(found) > 1:
            raise InputError(
                f"{root.at}`{name}` is {declared}, and {table.name} gives arrays of {show(found)}: declare that shape, "
                f"and turn it with `permute` where the network wants another order"
            )
        count = found[0] if found else 1
        raise InputError(
            f"{root.at}`{name}` is {declared}, which is {declared_count(declared.shape)} "
            f"value{'' if declared_count(declared.shape) == '1' else 's'}, and its expression gives {count}"
        )

    def _chosen(self, names: Iterable[str] | None) -> list[str]:
        chosen = list(self._roots if names is None else names)
        lacking = next((name for name in chosen if name not in self._roots), None)
        if lacking is not None:
            raise InputError(f"the data section says nothing about `{lacking}`: add a line `{lacking} = ...` to it")
        return chosen

    # In files

    def to_json(self) -> str:
        """What was fitted, for `from_json`; numbers come back to the last bit."""
        variables = {name: [dict(node.state) for node in root.nodes()] for name, root in self._roots.items()}
        return json.dumps({"version": _VERSION, "missing": list(self.missing), "variables": variables})

    @classmethod
    def from_json(cls, program: Program, text: str) -> Preprocessing:
        """What `to_json` wrote, for the program it was fitted for. The text may come from a stranger.

        Raises:
            InputError: when it is not what this program fits.
        """
        columns = program.data.columns if program.data is not None else {}
        made = cls(program, columns)
        try:
            content = json.loads(text)
            if not isinstance(content, dict) or content.get("version") != _VERSION:
                raise ValueError(f"its version is not {_VERSION}")
            made._restore(content)
        except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError, BadValue) as error:
            raise InputError(
                f"the fitted preprocessing does not belong to `{program.name}`, or is damaged ({error}): "
                f"train again, or use the .net file that it was trained with"
            ) from error
        return made

    def _restore(self, content: Mapping[str, Any]) -> None:
        """Take over fitted values after a look at their form, and a trial on no rows at all."""
        if not FORMS["names"](content["missing"]):
            raise ValueError("its missing values are no texts")
        if set(content["variables"]) != set(self._roots):
            raise ValueError("it is for other variables")
        self.missing = tuple(content["missing"])
        for name, root in self._roots.items():
            nodes, states = list(root.nodes()), content["variables"][name]
            for node, state in zip(nodes, states, strict=True):
                forms = node.transform.fitted
                if set(state) != set(forms) or not all(FORMS[form](state[key]) for key, form in forms.items()):
                    raise ValueError(f"a state of `{node.transform.name}` in `{name}` has another form")
                node.state = state
            with np.errstate(all="ignore"):
                found = root.evaluate(_no_rows)
            if filled_shape(found.shape[1:], self._variables[name].type.shape) is None:
                raise ValueError(f"`{name}` gets rows of {show(found.shape[1:])}")

    def expression(self, name: str) -> Expression:
        """The tree of one variable, with what it was fitted to; its root is the variable's kind."""
        return self._roots[name]

    # In ONNX

    def raw_inputs(self, variable: Variable) -> list[RawInput]:
        """The inputs of the exported graph that one input of the network is computed from; see `raw.raw_inputs`."""
        return [raw for raw, _ in raw_inputs(self.program, self._roots)[variable.name]]

    def onnx(self, g: Any, variable: Variable) -> str:
        """Add the raw inputs of one input and the nodes that make the network's tensor of them; returns its name."""
        dtypes = {"float": g.float_dtype, "int": "int64", "string": "string"}
        raws = raw_inputs(self.program, self._roots)[variable.name]
        made = [(leaf, g.input(raw.name, dtypes[raw.kind], raw.shape)) for raw, leaf in raws]

        def name_of(leaf: Expression) -> str:
            return next(str(name) for other, name in made if leaf.reads_as(other))

        root = self._roots[variable.name]
        result: str = root.onnx(g, name_of)
        return filled_onnx(g, result, root.evaluate(_no_rows).shape[1:], variable.type.shape)

    def raw_rows(self, table: Table, variable: Variable, rows: Rows) -> dict[str, np.ndarray]:
        """What the exported graph is fed for some rows of a table that is loaded: arrays by the raw inputs' names."""
        found = {}
        for raw, leaf in raw_inputs(self.program, self._roots)[variable.name]:
            block = leaf.read(table, rows)
            if raw.kind == "string":
                found[raw.name] = np.where(gaps_in(block), next(iter(self.missing), ""), block)
            else:
                found[raw.name] = block.astype(np.int64 if raw.kind == "int" else np.float32)
        return found


def _no_rows(leaf: Expression) -> Block:
    """The values of a leaf for no row."""
    numbers = np.float32 if leaf.wanted == "numbers" else np.float64
    return np.empty((0, *leaf.shape()), dtype=object if leaf.state["text"] else numbers)
