"""What a plan computes, in which order, and which array lives from when to when: all of it before anything is computed.

A training step goes forward through the nodes, through the losses, and back. These moments are counted, and each array
is needed from one to another: a node's result until the last node that reads it, forward or backward (`Layer.reads`
says who does), a gradient until the node that passes it on, a layer's buffer for that moment alone unless it is saved.
A function that may be computed in place takes over its input's memory when nobody needs the input any more, and passes
its gradient on in the same memory. In a mixed step, what somebody reads in another precision than it was computed in
has a copy in that one, made as soon as it is there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import prod

from tensorflow_lite_bp.graph.graph import Graph
from tensorflow_lite_bp.graph.half import Half
from tensorflow_lite_bp.graph.memory import SIZES, Memory, Slot
from tensorflow_lite_bp.layers.base import Buffer, Layer
from tensorflow_lite_bp.layers.unrolled import whole
from tensorflow_lite_bp.losses.base import Loss


@dataclass(frozen=True)
class Gradient:
    """Where one gradient of a step goes: to a tensor's or to a weight's, under the letter of the port or weight.

    ``part`` is where this step writes when it cannot write there: because it computes in another precision, or because
    earlier ones have contributed. Then (``adds``) it is added to what is there.
    """

    letter: str
    tensor: str | None
    weight: str | None
    part: Slot | None
    adds: bool


@dataclass(eq=False)
class Step:
    """A node or a loss: when it goes forward and (perhaps) back, and what it works in."""

    name: str
    place: str  # file:line
    derivation: Layer | Loss
    inputs: Mapping[str, str]  # port -> tensor
    loss: int | None = None  # which one of the program's
    forward: int = -1
    backward: int | None = None
    buffers: dict[str, Slot] = field(default_factory=dict)
    backward_buffers: dict[str, Slot] = field(default_factory=dict)
    own: dict[str, Buffer] = field(default_factory=dict)
    """Buffers that share memory with nobody: tables, and what starts as zeros."""
    gradients: list[Gradient] = field(default_factory=list)


class Layout:
    """The steps and slots for one shard.

    Args:
        columns: samples of the shard.
        whole, staged: `Backend.whole` and `Backend.staged` of what computes.
        tensors: results that must still be there at the end.
        gradient_of: inputs whose gradient is wanted too.
        half: what is computed in half precision, in a mixed training step.

    Attributes:
        moments: the steps in time, each with whether it goes back.
        fed: inputs and targets -> shape.
        turned: those of them that only need to be seen as columns, so that their rows are copied as they are.
        views: results that are the memory of one of them, in another shape.
        tensors: node -> slot of its result.
        copies: tensor or weight -> slot of it in the other precision, where somebody reads it so.
        gradients: tensor -> slot of its gradient.
    """

    def __init__(
        self,
        graph: Graph,
        *,
        mode: str,
        columns: int,
        sizes: Mapping[str, int],
        dtype: str,
        whole: bool,
        staged: int,
        tensors: Iterable[str] = (),
        gradient_of: Iterable[str] = (),
        half: Half | None = None,
    ) -> None:
        self.graph, self.columns, self.sizes, self.dtype, self.half = graph, columns, sizes, dtype, half
        self.whole, self.staged = whole, staged
        self.training = mode == "train"
        program = graph.program
        losses = graph.losses if mode != "infer" else []
        kept, wanted = set(tensors), [name for item, _ in losses for name in item.inputs]
        nodes = graph.ancestors([*kept, *wanted])
        self._gradient_of = set(gradient_of)
        self._learned = graph.learned | self._gradient_of
        for node in nodes:  # what depends on an input whose gradient is wanted passes gradients on too
            if self._learned.intersection(node.inputs):
                self._learned.add(node.name)

        variables = (*program.inputs, *(program.targets if mode != "infer" else ()))
        self.fed = {variable.name: self.shape(variable.name) for variable in variables}
        layers = [(node, graph.layers[node.name]) for node in nodes]
        self.steps = [Step(n.name, str(n.span), layer, _ports(layer, n.inputs)) for n, layer in layers]
        self.loss_steps = [
            Step(item.name, str(item.span), loss, _ports(loss, item.inputs), index)
            for index, (item, loss) in enumerate(losses)
        ]
        self._by_name = {step.name: step for step in self.steps}
        self.moments = list(self._in_time())
        for time, (step, back) in enumerate(self.moments):
            if back:
                step.backward = time
            else:
                step.forward = time

        self.views = self._views_of_fed()
        self.turned = {name for name in self.fed if name not in kept and self._may_be_turned(name)}
        self.memory = Memory()
        self.tensors: dict[str, Slot] = {}
        self.copies: dict[str, Slot] = {}
        self.gradients: dict[str, Slot] = {}
        self._last = self._last_uses(kept)
        self.written: set[str] = set()  # weights whose gradient an earlier moment has written
        for name in (*self.fed, *graph.trainable):
            self._lay_copy(name, 0)
        for step, back in self.moments:
            if back:
                self._lay_backward(step)
            else:
                self._lay_forward(step)
        self.memory.place()

    @property
    def fed_bytes(self) -> int:
        """Bytes of inputs and targets."""
        return sum(prod(shape) * SIZES[self.dtype_of(name)] for name, shape in self.fed.items())

    @property
    def staged_bytes(self) -> int:
        """Bytes of the buffers through which inputs, targets and random numbers come to the device."""
        drawn = sum(self._bytes(step, b) for step in self.steps for b in self._wanted(step).values() if b.drawn)
        return self.staged * (self.fed_bytes + (drawn if self.training else 0))

    @property
    def own_bytes(self) -> int:
        """Bytes of what steps share with nobody."""
        return sum(map(self._own_bytes, (*self.steps, *self.loss_steps)))

    def bytes_at(self, moment: int) -> int:
        """Bytes of the arrays that a moment is the first to need; what takes over an array's memory adds none."""
        step, back = self.moments[moment]
        slots = [slot for slot in self.memory.slots if slot.first == moment and slot.shares is None]
        return sum(slot.bytes for slot in slots) + (0 if back else self._own_bytes(step))

    @property
    def end(self) -> int:
        """The moment after the last."""
        return len(self.moments)

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor's array, or of a weight, which has no samples."""
        weight = self.graph.trainable.get(name)
        return weight.shape if weight is not None else (*self.graph.sample_shape(name, self.sizes), self.columns)

    def dtype_of(self, name: str) -> str:
        """The dtype of a tensor or of a weight as the step has it."""
        return self._unless_index(name, self._half_or_not(name))

    def computes(self, step: Step) -> str:
        """The dtype in which a step computes."""
        return self._half_or_not(step.name) if step.loss is None else self.dtype

    def reads(self, step: Step, name: str) -> str:
        """The dtype in which a step reads a tensor or a weight."""
        return self._unless_index(name, self.computes(step))

    def _half_or_not(self, name: str) -> str:
        return self.half.dtype if self.half is not None and name in self.half.names else self.dtype

    def _unless_index(self, name: str, dtype: str) -> str:
        """Indices are int64, everything else is real."""
        type_ = self.graph.program.types.get(name)
        return "int64" if type_ is not None and type_.kind in ("class", "token") else dtype

    # When what happens

    def _in_time(self) -> Iterator[tuple[Step, bool]]:
        yield from ((step, False) for step in self.steps)
        reached: set[str] = set()
        for step in self.loss_steps:
            yield step, False
            if self.training and step.inputs["Y"] in self._learned:
                reached.add(step.inputs["Y"])
                yield step, True
        for step in reversed(self.steps):  # those that matter to a loss and through which a gradient is wanted
            if step.name in reached and step.name in self._learned:
                reached.update(step.inputs.values())
                yield step, True

    def _last_uses(self, kept: set[str]) -> dict[tuple[str, str], int]:
        """The last moment in which each tensor and each weight is looked at, in which dtype."""
        last = {(name, self._unless_index(name, self.dtype)): self.end for name in kept}

        def note(step: Step, name: str, time: int) -> None:
            key = name, self.reads(step, name)
            last[key] = max(last.get(key, -1), time)

        for step in (*self.steps, *self.loss_steps):
            reads = step.derivation.reads
            end = step.forward if step.backward is None else step.backward
            for port, tensor in step.inputs.items():
                note(step, tensor, end if port in reads else step.forward)
            if step.loss is None:
                note(step, step.name, end if "Y" in reads else step.forward)
                for weight in self.graph.roles(step.name).values():
                    note(step, weight, end)
        return last

    # Which memory

    def _views_of_fed(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for step in self.steps:
            source = next(iter(step.inputs.values()))
            view = isinstance(step.derivation, Layer) and step.derivation.view
            if view and (source in self.fed or source in found) and self.dtype_of(step.name) == self.dtype_of(source):
                found[step.name] = found.get(source, source)
        return found

    def _may_be_turned(self, fed: str) -> bool:
        """Whether all that look at an input, perhaps through a view, take a matrix by its rows or its columns."""
        names = {fed, *(view for view, source in self.views.items() if source == fed)}
        return all(
            step.name in self.views
            or self.reads(step, tensor) != self.dtype_of(tensor)  # it takes the copy
            or (isinstance(step.derivation, Layer) and port in step.derivation.turned and len(self.shape(tensor)) == 2)
            for step in (*self.steps, *self.loss_steps)
            for port, tensor in step.inputs.items()
            if tensor in names
        )

    def _lay_forward(self, step: Step) -> None:
        if step.loss is None and step.name not in self.views:
            assert isinstance(step.derivation, Layer)
            last = self._last[step.name, self.computes(step)]
            result = self.tensors[step.name] = self._slot(step.name, step.name, step.forward, last)
            source = self._slot_read(step, next(iter(step.inputs.values())))
            if step.derivation.view and source is not None:
                result.join(source)
            elif step.derivation.in_place and source is not None and source.bytes == result.bytes:
                result.take_over(source)
        if step.loss is None:
            self._lay_copy(step.name, step.forward)
        for role, buffer in self._wanted(step).items():
            what = f"{step.name}: {role}"
            if buffer.constant is not None or buffer.zeroed:
                step.own[role] = buffer
            elif buffer.saved and step.backward is not None:
                both = self._buffer(step, what, buffer, step.forward, step.backward)
                step.buffers[role] = step.backward_buffers[role] = both
            else:
                step.buffers[role] = self._buffer(step, what, buffer, step.forward, step.forward)

    def _lay_copy(self, name: str, time: int) -> None:
        """Room for a tensor or a weight in the other precision, if somebody reads it so."""
        if self.half is None:
            return
        other = self.dtype if self.dtype_of(name) == self.half.dtype else self.half.dtype
        if (name, other) in self._last:
            last = self._last[name, other]
            self.copies[name] = self.memory.slot(f"{name} in {other}", self.shape(name), other, first=time, last=last)

    def _slot_read(self, step: Step, tensor: str) -> Slot | None:
        """Where a step finds a tensor; None for what is fed and for parameters."""
        return (self.tensors if self.reads(step, tensor) == self.dtype_of(tensor) else self.copies).get(tensor)

    def _lay_backward(self, step: Step) -> None:
        assert step.backward is not None
        for role, buffer in self._wanted(step).items():
            if role not in step.own and role not in step.backward_buffers:
                what = f"{step.name}: {role}, back"
                step.backward_buffers[role] = self._buffer(step, what, buffer, step.backward, step.backward)
        step.gradients += self._port_gradients(step, step.backward)
        if step.loss is None:
            step.gradients += self._weight_gradients(step, step.backward)

    def _port_gradients(self, step: Step, time: int) -> Iterator[Gradient]:
        """For each port through which a gradient flows. No gradient flows to a loss's target."""
        for position, (port, tensor) in enumerate(step.inputs.items()):
            if tensor in self.graph.parameters:
                yield self._weight_gradient(step, time, port, tensor)
            elif tensor in self._learned and (step.loss is None or port == "Y"):
                adds = tensor in self.gradients
                if not adds:
                    self.gradients[tensor] = self._slot(f"d{tensor}", tensor, time, self._gradient_end(tensor))
                part = None
                if adds or self.reads(step, tensor) != self.dtype_of(tensor):
                    shape, dtype = self.shape(tensor), self.computes(step)
                    part = self.memory.slot(f"{step.name}: d{port}", shape, dtype, first=time, last=time)
                made, flowing = part or self.gradients[tensor], self.gradients.get(step.name)
                in_place = position == 0 and isinstance(step.derivation, Layer) and step.derivation.in_place
                if not adds and in_place and flowing is not None and flowing.bytes == made.bytes:
                    made.take_over(flowing)
                yield Gradient(port, tensor, None, part, adds)

    def _weight_gradients(self, step: Step, time: int) -> Iterator[Gradient]:
        trainable = self.graph.trainable
        for letter, weight in self.graph.roles(step.name).items():
            if weight in trainable:
                yield self._weight_gradient(step, time, letter, weight)

    def _weight_gradient(self, step: Step, time: int, letter: str, weight: str) -> Gradient:
        part, adds = None, weight in self.written
        if adds or self.computes(step) != self.dtype_of(weight):
            shape, dtype = self.graph.trainable[weight].shape, self.computes(step)
            part = self.memory.slot(f"{step.name}: d{letter}", shape, dtype, first=time, last=time)
        self.written.add(weight)
        return Gradient(letter, None, weight, part, adds)

    def _gradient_end(self, tensor: str) -> int:
        """When a tensor's gradient has been passed on."""
        if tensor in self._gradient_of:
            return self.end
        backward = self._by_name[tensor].backward
        assert backward is not None
        return backward

    def _own_bytes(self, step: Step) -> int:
        return sum(self._bytes(step, buffer) for buffer in step.own.values())

    def _bytes(self, step: Step, buffer: Buffer) -> int:
        return prod(buffer.shape) * SIZES[buffer_dtype(buffer, self.computes(step))]

    def _wanted(self, step: Step) -> Mapping[str, Buffer]:
        with whole(self.whole):
            return step.derivation.buffers(*(self.shape(tensor) for tensor in step.inputs.values()))

    def _slot(self, what: str, tensor: str, first: int, last: int) -> Slot:
        return self.memory.slot(what, self.shape(tensor), self.dtype_of(tensor), first=first, last=last)

    def _buffer(self, step: Step, what: str, buffer: Buffer, first: int, last: int) -> Slot:
        return self.memory.slot(what, buffer.shape, buffer_dtype(buffer, self.computes(step)), first=first, last=last)


def columns(m: int, shards: int) -> list[slice]:
    """Which columns of a batch of m samples each shard has: as equal as can be, none without any."""
    count = max(1, min(shards, m))
    return [slice(m * shard // count, m * (shard + 1) // count) for shard in range(count)]


def _ports(derivation: Layer | Loss, inputs: Iterable[str]) -> dict[str, str]:
    return dict(zip(derivation.ports, inputs, strict=True))


def buffer_dtype(buffer: Buffer, floats: str) -> str:
    """The dtype of a buffer of a layer that computes in ``floats``; objects are of any kind."""
    if floats == "object":
        return floats
    if buffer.drawn and SIZES[floats] < SIZES["float32"]:
        floats = "float32"
    return {"float": floats, "bool": "bool", "int": "int64"}[buffer.kind]
