"""The sentences of an explanation, in English and Chinese."""

from __future__ import annotations

SENTENCES = {
    "title": {
        "en": "{network}: its derivation in the notation `{notation}` (article {article})",
        "zh": "{network}：以 `{notation}`（文章 {article}）的记号推导",
    },
    "forward": {"en": "Forward", "zh": "前向传播"},
    "backward": {"en": "Backward", "zh": "反向传播"},
    "update": {"en": "Update", "zh": "参数更新"},
    "rules": {"en": "The rules", "zh": "所用法则"},
    "where": {"en": "where", "zh": "其中"},
    "updated": {"en": "The weights after this update:", "zh": "更新之后的参数："},
    "repeats": {"en": "the same with the indices of their places: {names}", "zh": "除下标外与此相同：{names}"},
    "samples_columns": {
        "en": "Samples are columns: an array has a row for each feature and m columns.",
        "zh": "样本按列排列：数组每行是一个特征，共 m 列。",
    },
    "samples_rows": {
        "en": "Samples are rows: an array has m rows and a column for each feature.",
        "zh": "样本按行排列：数组共 m 行，每列是一个特征。",
    },
    "samples_one": {
        "en": "One sample is seen at a time, a column vector; the gradient of a batch is the sum over its samples.",
        "zh": "每次只看一个样本（列向量）；一批样本的梯度是各样本梯度之和。",
    },
    "layout_denominator": {
        "en": "A derivative lies as its variable does (denominator layout).",
        "zh": "导数与变量形状相同（分母布局）。",
    },
    "layout_numerator": {
        "en": "A derivative lies across its variable (numerator layout): by a column it is a row.",
        "zh": "导数的形状是变量的转置（分子布局）：对列向量求导得行向量。",
    },
    "through_both": {
        "en": "Derivatives before and behind each activation are carried back.",
        "zh": "反向传播激活函数前后的导数。",
    },
    "through_pre": {
        "en": "The derivative before each activation is carried back.",
        "zh": "反向传播激活函数之前的导数。",
    },
    "through_post": {
        "en": "The derivative behind each activation is carried back.",
        "zh": "反向传播激活函数之后的导数。",
    },
    "reduction_loss": {
        "en": "The mean over the m samples stands in the loss.",
        "zh": "对 m 个样本的平均写在损失函数中。",
    },
    "reduction_gradient": {
        "en": "What flows back are each sample's own derivatives; the mean over the m samples is taken in the "
        "gradients of the weights.",
        "zh": "反向传播的是各样本自己的导数；对 m 个样本的平均写在参数的梯度中。",
    },
    "reduction_sum": {
        "en": "The loss is a sum over the samples.",
        "zh": "损失是各样本之和。",
    },
    "negative": {
        "en": "{letter} is the derivative times -1, the direction of descent.",
        "zh": "{letter} 是导数乘以 -1，即下降方向。",
    },
}

WORDS: dict[str, dict[str, str]] = {
    "unroll": {"zh": "卷积核每个位置一列，列中是它所覆盖的值"},
    "fold": {"zh": "把这些值加回各自原来的位置"},
    "vec": {"zh": "把一个样本的所有值排成一列"},
    "unvec": {"sign": "vec⁻¹", "zh": "恢复样本原来的形状"},
    "reshape": {"zh": "同样的值，另一种形状"},
    "unreshape": {"sign": "reshape⁻¹", "zh": "恢复原来的形状"},
    "permute": {"zh": "同样的值，轴的次序不同"},
    "unpermute": {"sign": "permute⁻¹", "zh": "恢复轴原来的次序"},
    "maxpool": {"zh": "每个窗口中的最大值"},
    "unmaxpool": {"sign": "maxpool⁻¹", "zh": "每个窗口的梯度放到其最大值（相等时取第一个）的位置，重叠处相加"},
    "avgpool": {"zh": "每个窗口的平均值"},
    "unavgpool": {"sign": "avgpool⁻¹", "zh": "每个窗口的梯度平均分给其中各值，重叠处相加"},
    "spread": {"zh": "每个样本取相同的值"},
    "gather": {"zh": "对样本求和"},
    "Phi": {"sign": "Φ", "zh": "½ (1 + erf(x / √2))，正态分布函数"},
    "phi": {"sign": "φ", "zh": "e^(−x²/2) / √(2π)，Φ 的导数"},
}
"""Signs and Chinese for the functions of layers' formulas; the layers themselves say them in English."""

LANGUAGES = ("en", "zh")


def sentence(key: str, lang: str, **values: object) -> str:
    """A sentence in a language, its places filled."""
    return SENTENCES[key][lang].format(**values)
