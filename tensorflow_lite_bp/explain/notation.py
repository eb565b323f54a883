"""A notation: how a textbook writes the mathematics, as data. One file in `notations` is one notation.

It says which letter stands for what and where its index goes, whether samples are columns or rows or seen one at a
time, whether a gradient lies as its variable does (denominator layout) or across (numerator layout), which derivatives
are carried from layer to layer, and where the mean over the batch is taken.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

from tensorflow_lite_bp.errors import InputError


@dataclass(frozen=True)
class Notation:
    """One system of symbols.

    Letters are templates: ``a^[{k}]`` has the index k of the layer above in brackets, ``S_in^{k}`` has a word below and
    the index above. What is not given is written out: without ``function`` an activation is its own name.

    Attributes:
        name, article, title: for people.
        samples: ``columns`` of a matrix, ``rows``, or ``one`` at a time, with totals as sums over the samples.
        layout: of derivatives, ``denominator`` or ``numerator``.
        reduction: where 1/m stands, in the ``loss`` or in the ``gradient`` of weights.
        through: what is carried back: derivatives by what stands before activations (``pre``), behind (``post``) or
            ``both``.
        input, pre, post, output, target, weight, bias: tensors and weights. ``output`` is the last activation.
        input_alias, output_alias: names of the network's input and output beside their letters: ``z⁰ = x``, ``y = zᴺ``.
        loss: the total; ``sample_loss`` that of one sample, where it has a letter of its own.
        carried: the letter of a carried derivative, such as δ; "" writes ∂E/∂… .
        sign: -1 where the carried letter stands for the derivative times -1.
        weight_gradient: ``∂`` or ``∇``.
        function, output_function: letters of activations.
        functions: letters of single ones: ``{"sigmoid": "σ"}``.
        prime_outside: whether a slope is ``(f(x))′`` rather than ``f′(x)``.
        seed: whether the loss's own derivative is ``named`` or written out (``explicit``).
        product, hadamard, transposed: signs.
        brackets: whether a matrix product inside of a Hadamard product is bracketed.
        slope_first: whether f′ stands on the left of what comes through a matrix.
        diagonal: whether f′ beside a row of derivatives is written as ``diag{f′}``.
        outer: whether ``u vᵀ`` of one sample is written as rows of v times u (``broadcast``) or as the product.
        transposed_brackets: whether a letter is bracketed before it is transposed.
        shape_indices: whether letters carry their shapes below, in typeset output.
        bold: whether letters of vectors and matrices are bold in typeset output.
        rate: the letter of the learning rate.
        update: ``named`` gradients, or written out (``explicit``).
        first: the first layer's index; ``behind`` is how much higher that of its activation is.
    """

    name: str
    article: str
    title: str
    samples: str
    input: str
    pre: str
    post: str
    target: str
    weight: str
    bias: str
    loss: str
    output: str = ""
    input_alias: str = ""
    output_alias: str = ""
    sample_loss: str = ""
    layout: str = "denominator"
    reduction: str = "loss"
    through: str = "pre"
    carried: str = ""
    sign: int = 1
    weight_gradient: str = "∂"
    function: str = ""
    output_function: str = ""
    functions: Mapping[str, str] = field(default_factory=dict)
    prime_outside: bool = False
    seed: str = "explicit"
    product: str = "·"
    hadamard: str = "⊙"
    transposed: str = "T"
    brackets: bool = True
    slope_first: bool = False
    diagonal: bool = False
    outer: str = "product"
    transposed_brackets: bool = False
    shape_indices: bool = False
    bold: bool = False
    rate: str = "η"
    update: str = "named"
    first: int = 1
    behind: int = 0


@cache
def notations() -> dict[str, Notation]:
    """All notations by name, in the order of their articles."""
    from tensorflow_lite_bp.explain import notations as package

    names = [module.name for module in pkgutil.iter_modules(package.__path__)]
    found = [importlib.import_module(f"{package.__name__}.{name}").NOTATION for name in names]
    return {notation.name: notation for notation in sorted(found, key=lambda notation: notation.article)}


def notation(name: str) -> Notation:
    """The notation of this name.

    Raises:
        InputError: with the list of those that there are.
    """
    from difflib import get_close_matches

    known = notations()
    if name not in known:
        close = get_close_matches(name, known, n=1)
        hint = f"did you mean `{close[0]}`?" if close else f"there are {', '.join(known)}"
        raise InputError(f"no notation is named `{name}`: {hint}")
    return known[name]
