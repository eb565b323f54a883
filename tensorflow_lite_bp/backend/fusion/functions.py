"""What each elementwise function is in C, for numbers of any type.

`x`, `y` and `z` are the operands, already in the type that the function computes in (`Work.computes`). The
expressions mean what CuPy's own kernels mean, so that a fused chain gives the numbers of the single calls.
"""

from __future__ import annotations

from dataclasses import dataclass

FUNCTIONS = {
    "abs": "(x < 0 ? -x : x + 0)",
    "add": "x + y",
    "clip": "(x < y ? y : x > z ? z : x)",
    "copyto": "x",
    "divide": "x / y",
    "equal": "x == y",
    "erf": "erf(x)",
    "exp": "exp(x)",
    "greater": "x > y",
    "greater_equal": "x >= y",
    "isfinite": "x - x == 0",
    "less": "x < y",
    "less_equal": "x <= y",
    "log": "log(x)",
    "log1p": "log1p(x)",
    "logaddexp": "(x == y ? x + log(2.0) : fmax(x, y) + log1p(exp(-fabs(x - y))))",
    "logical_and": "x && y",
    "logical_not": "!x",
    "logical_or": "x || y",
    "maximum": "(x != x ? x : y != y ? y : x > y ? x : y)",
    "minimum": "(x != x ? x : y != y ? y : x < y ? x : y)",
    "multiply": "x * y",
    "negative": "-x",
    "power": "pow(x, y)",
    "reciprocal": "1 / x",
    "sign": "(x > 0 ? 1 : x < 0 ? -1 : x - x)",
    "sqrt": "sqrt(x)",
    "square": "x * x",
    "subtract": "x - y",
    "tanh": "tanh(x)",
}


@dataclass(frozen=True)
class Reduction:
    """A reduction: how a value ``x`` joins what was found so far, ``a``, beginning with ``identity``."""

    text: str
    identity: str


REDUCTIONS: dict[str, Reduction] = {
    "sum": Reduction("a + x", "0"),
    "mean": Reduction("a + x", "0"),
    "max": Reduction("(a != a ? a : x != x ? x : a > x ? a : x)", "-INFINITY"),
    "min": Reduction("(a != a ? a : x != x ? x : a < x ? a : x)", "INFINITY"),
}

FLOATS = frozenset(
    ("divide", "erf", "exp", "isfinite", "log", "log1p", "logaddexp", "power", "reciprocal", "sign", "sqrt", "tanh")
)
"""What is only computed here for real numbers."""
LOGICAL = frozenset(("logical_and", "logical_not", "logical_or"))
"""What looks at each operand's truth."""
COMPARISONS = frozenset(("equal", "greater", "greater_equal", "isfinite", "less", "less_equal"))

C_TYPES = {
    "float16": "float16",
    "bfloat16": "bfloat16",
    "float32": "float",
    "float64": "double",
    "int64": "long long",
    "bool": "bool",
}
"""The types that kernels work on, as CuPy spells them in C."""
