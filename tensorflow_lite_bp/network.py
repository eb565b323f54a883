"""A declared network with its weights: predict, differentiate, train, evaluate, save and export it from Python."""

from __future__ import annotations

import gc
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dsl import Program, Source
from dsl.program import Call
from tensorflow_lite_bp.backend import Backend, get_backend
from tensorflow_lite_bp.declare import build
from tensorflow_lite_bp.errors import InputError
from tensorflow_lite_bp.graph.graph import Graph
from tensorflow_lite_bp.graph.half import Half
from tensorflow_lite_bp.graph.layout import Layout
from tensorflow_lite_bp.graph.mixed import HalfWeights
from tensorflow_lite_bp.graph.plan import Plan
from tensorflow_lite_bp.graph.rows import RowCheck
from tensorflow_lite_bp.graph.shortage import shortage
from tensorflow_lite_bp.graph.threads import ALONE, Division, available, division
from tensorflow_lite_bp.graph.trainer import Trainer
from tensorflow_lite_bp.graph.weights import Weights
from tensorflow_lite_bp.precision import PRECISIONS
from tensorflow_lite_bp.table import checked

if TYPE_CHECKING:
    from tensorflow_lite_bp.data import Preprocessing
    from tensorflow_lite_bp.exchange.export import ExportReport
    from tensorflow_lite_bp.training.loop import Result

_PLANS_KEPT = 8
_ROWS_AT_ONCE = 1024  # of predict and evaluate: bounds their memory


class Network:
    """A network and its weights.

    Args:
        program: what `tensorflow_lite_bp.table.checked` gives.
        seed: of the first weights, the order of samples and dropout; the train section's by default.
        precision: one of `precision.PRECISIONS`; the train section's by default.
        backend: ``"numpy"``, ``"cupy"``, or what `backend.get_backend` gives for one with options.
        threads: that compute a step; None leaves it to the rule of `graph.threads`.

    Attributes:
        weights: host arrays by name; assignable by name.
        preprocessing: what was fitted on the training data, after `fit` or `load`; None before.
    """

    def __init__(
        self,
        program: Program,
        *,
        seed: int | None = None,
        precision: str | None = None,
        backend: str | Backend = "numpy",
        threads: int | None = None,
    ) -> None:
        self.program = program
        self.graph = Graph(program)
        self.backend: Backend = get_backend(backend) if isinstance(backend, str) else backend
        self.precision: str = precision if precision is not None else program.train["precision"]
        if self.precision not in PRECISIONS:
            expected = " or ".join(PRECISIONS)
            raise InputError(f"precision `{self.precision}` is unknown: expected {expected}")
        self.dtype: np.dtype[Any] = np.dtype(PRECISIONS[self.precision].weights)
        self.threads = threads
        self.seed: int = seed if seed is not None else program.train["seed"]
        self._half = half = Half.of(self.graph, self.precision)
        first = half.names if half is not None else ()
        self.arrays = Weights(self.backend, self.graph.weights, self.dtype, first=first)
        self.arrays.initialize(self.seed)
        self.preprocessing: Preprocessing | None = None
        self._check = RowCheck(program)
        self._plans: OrderedDict[tuple[Any, ...], Plan] = OrderedDict()

    # Making, saving and loading

    @classmethod
    def from_file(
        cls,
        path: str | Path,
        *,
        seed: int | None = None,
        precision: str | None = None,
        backend: str | Backend = "numpy",
        overrides: Sequence[str] = (),
    ) -> Network:
        """The network that a `.net` file declares, with fresh weights. No data is read.

        Args:
            overrides: settings in the place of the file's, such as ``"train.epochs=5"``.

        Raises:
            ProgramError: with every mistake of the file.
        """
        return cls(checked(path, overrides=overrides), seed=seed, precision=precision, backend=backend)

    @classmethod
    def from_text(cls, text: str, *, name: str = "<text>", overrides: Sequence[str] = (), **options: Any) -> Network:
        """The network that a text in the language declares; ``options`` as for `from_file`."""
        return cls(checked(Source(name, text), overrides=overrides), **options)

    @classmethod
    def load(cls, path: str | Path, *, backend: str | Backend = "numpy") -> Network:
        """The network of a run folder (its best checkpoint) or of one checkpoint, with weights and preprocessing."""
        from tensorflow_lite_bp.training.checkpoint import load_network

        return load_network(path, backend=backend)

    def save(self, path: str | Path) -> None:
        """Write a checkpoint: weights, source and fitted preprocessing in one safetensors file."""
        from tensorflow_lite_bp.training.checkpoint import save_network

        save_network(self, path)

    def export(
        self, path: str | Path, *, opset: int | None = None, raw: bool | None = None, **options: Any
    ) -> ExportReport:
        """Write an ONNX model and prove that onnxruntime computes the same with it.

        Args:
            opset: version of the ONNX operators, 13 to 21; the export section's by default.
            raw: leave the preprocessing out; the export section's by default.
            options: ``precision``, ``sample``, ``metrics`` of `exchange.export.export`.
        """
        from tensorflow_lite_bp.exchange.export import export

        section = self.program.export
        return export(
            self,
            path,
            opset=opset if opset is not None else section["opset"],
            raw=raw if raw is not None else section["raw"],
            **options,
        )

    # Computing

    @property
    def weights(self) -> Weights:
        return self.arrays

    def predict(self, inputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Every declared output for rows of every declared input.

        Args:
            inputs: arrays ``(m, *shape)`` by the inputs' names.

        Returns:
            Arrays ``(m, *shape)`` by the outputs' names, in the precision of the weights.

        Raises:
            InputError: for a missing or unknown input, another shape, or values that are no numbers.
        """
        tensors = tuple(item.tensor for item in self.program.outputs)
        found = self._inferred(self.accepted(inputs, targets=False), tensors)
        return {item.name: found[item.tensor] for item in self.program.outputs}

    def tensors(self, inputs: Mapping[str, Any], names: Iterable[str] | None = None) -> dict[str, np.ndarray]:
        """Tensors inside the network in inference mode, rows first: all nodes, or those named (nodes or bindings)."""
        asked = {name: self._tensor(name) for name in (names if names is not None else self.graph.nodes)}
        found = self._inferred(self.accepted(inputs, targets=False), tuple(dict.fromkeys(asked.values())))
        return {name: found[tensor] for name, tensor in asked.items()}

    def _inferred(self, rows: Mapping[str, np.ndarray], tensors: tuple[str, ...]) -> dict[str, np.ndarray]:
        """These tensors for all rows, computed in pieces that bound the memory."""
        m = len(next(iter(rows.values()))) if rows else 0
        if m <= _ROWS_AT_ONCE:
            plan = self.plan("infer", rows, tensors=tensors)
            plan.feed(rows)
            plan.run()
            return {name: plan.fetch(name) for name in tensors}
        starts = range(0, m, _ROWS_AT_ONCE)
        pieces = [{name: value[start : start + _ROWS_AT_ONCE] for name, value in rows.items()} for start in starts]
        found = [self._inferred(piece, tensors) for piece in pieces]
        return {name: np.concatenate([piece[name] for piece in found]) for name in tensors}

    def gradients(self, rows: Mapping[str, Any], *, of_inputs: bool = False) -> tuple[float, dict[str, np.ndarray]]:
        """The training loss of a batch and its gradient.

        Args:
            rows: arrays ``(m, *shape)`` for every input and target.
            of_inputs: give the gradient of every float input too, rows first.

        Returns:
            The loss, and ``{name: ∂E/∂name}`` in the shapes of the weights.
        """
        floats = [v.name for v in self.program.inputs if v.type.kind == "float"] if of_inputs else []
        accepted = self.accepted(rows)
        plan = self.plan("train", accepted, gradient_of=floats)
        plan.feed(accepted)
        plan.run()
        plan.gather()
        to_host = self.backend.to_host
        found = {name: np.array(to_host(view)) for name, view in self.arrays.gradients.views.items()}
        for name in floats:
            gradient = plan.fetch_gradient(name)
            found[name] = gradient if gradient is not None else np.zeros_like(accepted[name], dtype=self.dtype)
        return plan.loss(), found

    def evaluate(self, batches: Iterable[Mapping[str, Any]]) -> dict[str, float]:
        """The loss and every metric over batches of rows, in inference mode.

        Losses with ``reduction = "mean"`` are averaged over all samples, those with ``"sum"`` are added.

        Returns:
            ``{"loss": total, …}`` with each metric under its name.
        """
        from tensorflow_lite_bp.graph.evaluation import Evaluation

        evaluation = Evaluation(self)
        for rows in batches:
            evaluation.add_rows(rows)
        return evaluation.report()

    def trainer(self) -> Trainer:
        """A trainer with the optimizer and settings of the file's train section."""
        return Trainer(self)

    def fit(self, **options: Any) -> Result:
        """Train as the file's data and train sections say, as `tflbp train` does. See `training.loop.fit`."""
        from tensorflow_lite_bp.training.loop import fit

        return fit(self, **options)

    # What the other packages need

    def setting(self, name: str) -> Any:
        """A setting of the train section, built: an optimizer, a schedule, a number."""
        value = self.program.train[name]
        return build(value) if isinstance(value, Call) else value

    @cached_property
    def mixed(self) -> HalfWeights | None:
        """What a mixed training step computes with besides the weights; None in other precisions."""
        return HalfWeights(self.backend, self.arrays, self._half) if self._half is not None else None

    def use_class_weights(self, weights: Mapping[str, tuple[float, ...]]) -> None:
        """Weigh the classes of these targets in the losses."""
        self.graph.with_class_weights(weights)
        self._plans.clear()

    def plan(
        self,
        mode: str,
        rows: Mapping[str, Any],
        *,
        tensors: Sequence[str] = (),
        gradient_of: Sequence[str] = (),
        mixed: bool = False,
    ) -> Plan:
        """The plan for batches of this size: made at the first use, kept for the next ones.

        Args:
            mixed: compute in half precision what `precision` says, if it does.
        """
        sizes = self._check.sizes(rows)
        m = len(next(iter(rows.values())))
        halves = self.mixed if mixed else None
        key = (mode, halves is not None, m, *sizes.values(), *tensors, "|", *gradient_of)
        plan = self._plans.get(key)
        if plan is None:
            wanted = {"tensors": tensors, "gradient_of": gradient_of, "dtype": self.dtype.name, "mixed": halves}
            plan = self._plans[key] = self._planned(m, mode=mode, sizes=sizes, **wanted)
        self._plans.move_to_end(key)
        while len(self._plans) > _PLANS_KEPT:
            self._plans.popitem(last=False)
        return plan

    def _planned(self, m: int, *, mode: str, sizes: Mapping[str, int], **wanted: Any) -> Plan:
        """A new plan; where memory is short, earlier ones are given up for it.

        Raises:
            EnvironmentFailure: when it does not fit even so; it says how many samples would.
        """
        wanted |= {"mode": mode, "sizes": sizes}
        division = self._division(m, sizes, training=mode == "train", mixed=wanted["mixed"] is not None)
        make = partial(Plan, self.graph, self.arrays, self.backend, m=m, seed=self.seed, division=division, **wanted)
        try:
            return make()
        except MemoryError:
            self._plans.clear()
        gc.collect()  # behind the handler, as the error holds what the plan had got hold of
        self.backend.release_memory()
        try:
            return make()
        except MemoryError as error:
            said = str(error)
        gc.collect()
        layout = partial(self._layout, wanted)
        raise shortage(mode, m, layout, left=self.backend.memory_left(), said=said)

    def _layout(self, wanted: Mapping[str, Any], samples: int) -> Layout:
        backend, others = self.backend, {name: value for name, value in wanted.items() if name != "mixed"}
        mixed: HalfWeights | None = wanted["mixed"]
        half = mixed.half if mixed is not None else None
        return Layout(self.graph, columns=samples, whole=backend.whole, staged=backend.staged, half=half, **others)

    @property
    def most_threads(self) -> int:
        """How many threads may work for this network."""
        return self.threads if self.threads is not None else available()

    def use_threads(self, threads: int | None) -> None:
        """Compute with so many threads from now on; None leaves it to the rule of `graph.threads`."""
        if threads != self.threads:
            self.threads = threads
            self._plans.clear()

    def _division(self, m: int, sizes: Mapping[str, int], *, training: bool, mixed: bool) -> Division:
        if not self.backend.threaded:
            return ALONE
        return division(self.graph, m=m, sizes=sizes, training=training, threads=self.threads, mixed=mixed)

    def accepted(self, rows: Mapping[str, Any], *, targets: bool = True) -> dict[str, np.ndarray]:
        """The rows as arrays, checked as `graph.rows` says."""
        return self._check.accepted(rows, targets=targets)

    def _tensor(self, name: str) -> str:
        """The tensor that a node's or a binding's name stands for."""
        tensor = self.program.names.get(name, name)
        if tensor not in self.graph.nodes and tensor not in {
            v.name for v in (*self.program.inputs, *self.program.targets)
        }:
            raise InputError(f"no tensor is named `{name}`")
        return tensor
