"""Article 001: one column vector, ``a = W · z + b`` and ``z = h(a)``; δ = ∂E/∂a is a row, in numerator layout."""

from tensorflow_lite_bp.explain.notation import Notation

NOTATION = Notation(
    name="layers",
    article="001",
    title="神经网络与反向传播算法",
    samples="one",
    layout="numerator",
    input="z^({k})",
    pre="a^({k})",
    post="z^({k})",
    input_alias="x",
    output_alias="y",
    target="t",
    weight="W^({k})",
    bias="b^({k})",
    loss="E",
    carried="δ^({k})",
    function="h^({k})",
    seed="named",
    diagonal=True,
)
