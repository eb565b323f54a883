"""Article 003: one column vector; S_in enters the neurons of a layer, S_out leaves them, and any cost follows."""

from tensorflow_lite_bp.explain.notation import Notation

NOTATION = Notation(
    name="signals",
    article="003",
    title="反向传播算法推导",
    samples="one",
    input="S_out^{k}",
    pre="S_in^{k}",
    post="S_out^{k}",
    target="t",
    weight="W^{k}",
    bias="B^{k}",
    loss="cost",
    function="f^{k}",
    prime_outside=True,
    product="*",
    seed="named",
    hadamard="☉",
    brackets=False,
    transposed_brackets=True,
)
