"""Article 004: one column vector, ``z = w a + b`` and ``a = σ(z)``; ∇w is rows of activations times ∂C/∂z."""

from tensorflow_lite_bp.explain.notation import Notation

NOTATION = Notation(
    name="neurons",
    article="004",
    title="反向传播",
    samples="one",
    input="a_{k}",
    pre="z_{k}",
    post="a_{k}",
    output="o",
    target="y",
    weight="w^{k}",
    bias="b^{k}",
    loss="L",
    sample_loss="C",
    weight_gradient="∇",
    functions={"sigmoid": "σ"},
    product="",
    transposed="⊺",
    slope_first=True,
    outer="broadcast",
    bold=True,
)
