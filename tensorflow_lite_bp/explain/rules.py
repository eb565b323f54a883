"""Why an equation is as it is: which rule of differentiation gives a gradient, found by the form of what arrives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tensorflow_lite_bp.explain.derivation import Arrival, Quantity, gradient
from tensorflow_lite_bp.explain.expression import STRUCTURAL, Expression, Function, Product, Symbol, Transpose, walk

if TYPE_CHECKING:
    from tensorflow_lite_bp.explain.gradients import Gradients

RULES = {
    "activation": {
        "en": "a function of each entry",
        "zh": "逐个元素的函数",
    },
    "several": {
        "en": "it is used in several places: by the chain rule what arrives from them is added up",
        "zh": "它在多处被使用：按链式法则，各处传来的梯度相加",
    },
    "input_of_product": {
        "en": "each entry reaches every output through one column of the matrix, and the paths are summed: a product "
        "with the transpose",
        "zh": "每个分量经矩阵的一列影响所有输出，各条路径求和：乘以转置矩阵",
    },
    "matrix_of_product": {
        "en": "each weight multiplies one input in every sample, and the samples are summed: a product with the "
        "transposed inputs",
        "zh": "每个权重在每个样本中只乘一个输入，对样本求和：乘以输入的转置",
    },
    "elementwise": {
        "en": "each entry depends on one entry only, one path: Hadamard's product with the slope",
        "zh": "每个元素只依赖一个元素，只有一条路径：与导数按位相乘",
    },
    "columns": {
        "en": "it is added in every column, with slope 1: the sum over the columns (axis 1)",
        "zh": "它加到每一列上，导数为 1：沿列方向（axis 1）求和",
    },
    "gain": {
        "en": "it multiplies every column: in each the gradient times what it multiplies, summed over the columns "
        "(axis 1)",
        "zh": "它乘以每一列：各列中梯度乘以被乘的值，再沿列方向（axis 1）求和",
    },
    "seed": {
        "en": "the derivative of the loss itself, where the way back begins",
        "zh": "损失函数自身的导数，反向传播由此开始",
    },
    "together": {
        "en": "loss and softmax taken together: the off-diagonal terms of softmax's Jacobian diag(x) − x xᵀ cancel "
        "against the columns of the target, which sum to 1",
        "zh": "损失与 softmax 合并：目标各列之和为 1，softmax 雅可比矩阵 diag(x) − x xᵀ 的非对角项相消",
    },
    "unchanged": {
        "en": "added with slope 1: the gradient goes on as it is",
        "zh": "相加的导数为 1：梯度原样传下去",
    },
    "inlined": {
        "en": "the slope of the activation between is put in",
        "zh": "代入了中间激活函数的导数",
    },
    "layer": {
        "en": "the layer's own derivation",
        "zh": "该层自身的推导",
    },
    "slope": {
        "en": "the slope of the activation",
        "zh": "激活函数的导数",
    },
}
"""The sentences, by the rule and the language."""

NAMES = {
    "activation": {"en": "activation", "zh": "激活函数"},
    "several": {"en": "several uses", "zh": "多处使用"},
    "input_of_product": {"en": "input of a product", "zh": "矩阵乘积的输入"},
    "matrix_of_product": {"en": "matrix of a product", "zh": "矩阵乘积的矩阵"},
    "elementwise": {"en": "entry by entry", "zh": "按位"},
    "columns": {"en": "bias", "zh": "偏置"},
    "gain": {"en": "gain", "zh": "增益"},
    "seed": {"en": "loss", "zh": "损失"},
    "together": {"en": "loss and softmax", "zh": "损失与 softmax"},
    "unchanged": {"en": "sum", "zh": "加法"},
    "inlined": {"en": "put in", "zh": "代入"},
    "layer": {"en": "layer", "zh": "层"},
    "slope": {"en": "slope", "zh": "导数"},
}
"""What each rule is called, by the language."""


def rules_of(gradients: Gradients, of: Quantity, arrivals: Sequence[Arrival]) -> tuple[str, ...]:
    """The rules that give a gradient, in the order in which they are applied."""
    found = ["several"] if len(arrivals) > 1 else []
    for arrival in arrivals:
        found += _of_arrival(gradients, of, arrival)
    right = gradients.rights[of]
    if len(arrivals) == 1 and gradients.put_in(right) != right:
        found.append("inlined")
    return tuple(dict.fromkeys(found))


def _of_arrival(gradients: Gradients, of: Quantity, arrival: Arrival) -> Iterator[str]:
    derivation = gradients.derivation
    step = derivation.step_of(arrival.step)
    assert step is not None
    if step.result.kind == "loss":
        yield "seed"
    elif arrival.step in derivation.through and gradients.inlined(gradient(step.result)):
        yield "together"
    else:
        rule = _of_value(arrival.value)
        yield "unchanged" if rule == "columns" and gradients.notation.samples == "one" else rule


def _of_value(value: Expression) -> str:
    match value:
        case Symbol():
            return "unchanged"
        case Product(factors=(Transpose(), *_)):
            return "input_of_product"
        case Product(factors=(*_, Transpose())) | Product(factors=(*_, Function())):
            return "matrix_of_product"
        case Function(name="sum", axis=1, arguments=(Symbol(),)):
            return "columns"
        case Function(name="sum", axis=1):
            return "gain"
    words = [part for part in walk(value) if isinstance(part, Function)]
    own = any(part.axis is not None or part.name in STRUCTURAL for part in words)
    return "layer" if own else "elementwise"
