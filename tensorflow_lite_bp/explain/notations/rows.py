"""Article 002: samples are rows, ``Z = X · W``; δ is the derivative of -ξ, and no index is written but the layer's."""

from tensorflow_lite_bp.explain.notation import Notation

NOTATION = Notation(
    name="rows",
    article="002",
    title="反向传播的 10 行证明",
    samples="rows",
    input="X_{k}",
    pre="Z_{k}",
    post="X_{k}",
    target="Y",
    weight="W_{k}",
    bias="b_{k}",
    loss="ξ",
    carried="δ_{k}",
    sign=-1,
    functions={"softmax": "σ"},
    product="",
    hadamard="○",
    rate="α",
    update="explicit",
    first=0,
    behind=1,
)
