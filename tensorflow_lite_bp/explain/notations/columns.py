"""Article 000: samples are columns, ``y = W · X + b`` and ``a = g(y)``; the mean over them is taken in ∂W and ∂b."""

from tensorflow_lite_bp.explain.notation import Notation

NOTATION = Notation(
    name="columns",
    article="000",
    title="深度学习的反向传播",
    samples="columns",
    reduction="gradient",
    through="both",
    input="X",
    pre="y^[{k}]",
    post="a^[{k}]",
    target="t",
    weight="W^[{k}]",
    bias="b^[{k}]",
    loss="E",
    function="g",
    output_function="σ",
    seed="named",
    hadamard="*",
    transposed_brackets=True,
    shape_indices=True,
)
