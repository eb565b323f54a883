"""Metrics against scikit-learn, over batches of unequal sizes, in float32 and float64."""

from __future__ import annotations

from math import nan, sqrt

import numpy as np
import pytest
from sklearn import metrics as reference

from dsl.signature import ShapeMismatch
from dsl.types import TensorType, floats
from tensorflow_lite_bp.metrics.accuracy import Accuracy
from tensorflow_lite_bp.metrics.confusion import Confusion
from tensorflow_lite_bp.metrics.regression import MAE, R2, RMSE
from tensorflow_lite_bp.metrics.retrieval import F1, Precision, Recall
from tensorflow_lite_bp.metrics.top_k import TopK

xp = np
rng = np.random.default_rng(3)

# 60 samples of 4 classes, of which the last never occurs and is never predicted.
CLASSES = rng.integers(0, 3, 60)
SCORES = rng.normal(size=(4, 60)).astype(np.float32)
SCORES[CLASSES, np.arange(60)] += 1.0
SCORES[3] = -9.0
PREDICTED = SCORES.argmax(axis=0)

FLAGS = (rng.random((3, 60)) < [[0.3], [0.5], [0.7]]).astype(np.float32)
LOGITS = (rng.normal(size=(3, 60)) + 2 * FLAGS - 1).astype(np.float32)

VALUES = rng.normal(size=(2, 60)) * [[1.0], [50.0]] + [[0.0], [1000.0]]
GUESSES = VALUES + rng.normal(size=(2, 60)) * [[0.5], [20.0]]


def total(metric, Y, T):
    """The sums over two unequal batches (one, where there is but one sample)."""
    cut = (T.shape[-1] + 1) // 3
    pieces = [(a, b) for a, b in ((0, cut), (cut, T.shape[-1])) if a < b]
    sums = [metric.measure(xp, Y[..., a:b], T[..., a:b]) for a, b in pieces]
    assert all(piece.dtype == np.float64 and piece.shape == sums[0].shape for piece in sums)
    return sum(sums)


def value(metric, Y, T):
    before = Y.copy(), T.copy()
    found = metric.value(total(metric, Y, T))
    np.testing.assert_array_equal(Y, before[0])
    np.testing.assert_array_equal(T, before[1])
    assert type(found) is float
    return found


def test_accuracy_of_classes():
    assert value(Accuracy(), SCORES, CLASSES) == reference.accuracy_score(CLASSES, PREDICTED)


def test_accuracy_of_a_class_for_each_place():
    Y, T = SCORES.reshape(4, 3, 4, 5), CLASSES.reshape(3, 4, 5)
    assert value(Accuracy(), Y, T) == reference.accuracy_score(CLASSES, PREDICTED)


def test_accuracy_of_flags_from_logits_and_from_probabilities():
    expected = reference.accuracy_score(FLAGS.ravel(), LOGITS.ravel() > 0)
    assert value(Accuracy(), LOGITS, FLAGS) == expected
    assert value(Accuracy(threshold=0.5), 1 / (1 + np.exp(-LOGITS)), FLAGS) == expected
    assert value(Accuracy(), LOGITS[0], FLAGS[0]) == reference.accuracy_score(FLAGS[0], LOGITS[0] > 0)


def test_accuracy_takes_the_first_of_equal_scores():
    assert value(Accuracy(), np.zeros((3, 2)), np.array([0, 1])) == 0.5


@pytest.mark.parametrize("k", [1, 2, 3])
def test_top_k(k):
    expected = reference.top_k_accuracy_score(CLASSES, SCORES.T, k=k, labels=range(4))
    assert value(TopK(k), SCORES, CLASSES) == expected


def test_top_k_of_equal_and_broken_scores():
    T = np.array([0, 1, 2])
    assert value(TopK(1), np.zeros((3, 3)), T) == value(Accuracy(), np.zeros((3, 3)), T) == 1 / 3
    assert value(TopK(2), np.zeros((3, 3)), T) == 2 / 3
    assert value(TopK(2), np.full((3, 3), nan), T) == 0.0


@pytest.mark.parametrize("average", ["macro", "micro", "weighted"])
@pytest.mark.parametrize(
    ("metric", "function"),
    [(Precision, reference.precision_score), (Recall, reference.recall_score), (F1, reference.f1_score)],
)
class TestRetrieval:
    def test_classes(self, metric, function, average):
        expected = function(CLASSES, PREDICTED, average=average, zero_division=0)
        assert value(metric(average=average), SCORES, CLASSES) == pytest.approx(expected, rel=1e-14)

    def test_class_that_is_never_predicted(self, metric, function, average):
        Y = SCORES.copy()
        Y[1] = -9.0
        expected = function(CLASSES, Y.argmax(axis=0), average=average, zero_division=0)
        assert value(metric(average=average), Y, CLASSES) == pytest.approx(expected, rel=1e-14)

    def test_class_that_never_occurs_and_is_predicted(self, metric, function, average):
        Y = SCORES.copy()
        Y[3, :7] = 9.0
        expected = function(CLASSES, Y.argmax(axis=0), average=average, zero_division=0)
        assert value(metric(average=average), Y, CLASSES) == pytest.approx(expected, rel=1e-14)

    def test_flags(self, metric, function, average):
        expected = function(FLAGS.T, LOGITS.T > 0, average=average)
        assert value(metric(average=average), LOGITS, FLAGS) == pytest.approx(expected, rel=1e-14)

    def test_one_flag_is_binary(self, metric, function, average):
        expected = function(FLAGS[0], LOGITS[0] > 0)
        assert value(metric(average=average), LOGITS[0], FLAGS[0]) == pytest.approx(expected, rel=1e-14)

    def test_nothing_to_find_is_0(self, metric, function, average):
        assert value(metric(average=average), -np.ones(60), np.zeros(60)) == 0.0


def test_confusion_matrix():
    sums = total(Confusion(), SCORES, CLASSES)
    expected = reference.confusion_matrix(CLASSES, PREDICTED, labels=range(4))
    np.testing.assert_array_equal(Confusion().matrix(sums), expected)
    assert Confusion().matrix(sums).dtype == np.int64
    assert Confusion().value(sums) == reference.accuracy_score(CLASSES, PREDICTED)


def test_confusion_matrix_of_flags():
    sums = total(Confusion(), LOGITS, FLAGS)
    expected = reference.confusion_matrix(FLAGS.ravel(), LOGITS.ravel() > 0)
    np.testing.assert_array_equal(Confusion().matrix(sums), expected)


def test_other_metrics_have_no_matrix():
    assert Accuracy().matrix(total(Accuracy(), SCORES, CLASSES)) is None


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_regression(dtype):
    Y, T = GUESSES.astype(dtype), VALUES.astype(dtype)
    tolerance = 1e-6 if dtype == np.float32 else 1e-12
    flat = T.ravel(), Y.ravel()
    assert value(MAE(), Y, T) == pytest.approx(reference.mean_absolute_error(*flat), rel=tolerance)
    assert value(RMSE(), Y, T) == pytest.approx(reference.root_mean_squared_error(*flat), rel=tolerance)
    assert value(R2(), Y, T) == pytest.approx(reference.r2_score(T.T, Y.T), rel=tolerance)
    assert value(R2(), Y[0], T[0]) == pytest.approx(reference.r2_score(T[0], Y[0]), rel=tolerance)


def test_r2_of_images_is_the_mean_of_their_pixels():
    T = rng.normal(size=(1, 2, 3, 60))
    Y = T + rng.normal(size=T.shape)
    assert value(R2(), Y, T) == pytest.approx(reference.r2_score(T.reshape(6, 60).T, Y.reshape(6, 60).T), rel=1e-12)


@pytest.mark.parametrize("constant", [0.0, 4.0, 0.1, 1e6 + 0.1])
def test_r2_of_a_value_that_never_varies(constant):
    T = np.full((1, 60), constant)
    assert value(R2(), T, T) == 1.0
    assert value(R2(), T + 1, T) == 0.0


def test_regression_of_flags_is_allowed():
    assert value(MAE(), np.array([0.25, 0.5]), np.array([0.0, 1.0])) == 0.375


def test_lower_is_better_where_it_is_an_error():
    assert [m.higher_is_better for m in (MAE, RMSE, R2, Accuracy, F1)] == [False, False, True, True, True]


def test_rmse_by_hand():
    assert value(RMSE(), np.array([1.0, 2.0]), np.array([4.0, 6.0])) == sqrt((9 + 16) / 2)


DIGIT, PIXELS, FLAG = TensorType("class", (), 10), TensorType("class", (8, 8), 3), TensorType("flag", ())


@pytest.mark.parametrize(
    ("metric", "Y", "T", "message", "help"),
    [
        (
            Accuracy(),
            floats((9,)),
            DIGIT,
            "`accuracy` needs one score for each class: [10] for a target class(10), and this is [9]",
            "end with `dense(10)`",
        ),
        (
            F1(),
            floats((16, 8, 8)),
            DIGIT,
            "`f1` needs one score for each class: [10] for a target class(10), and this is [16, 8, 8]",
            "end with `flatten -> dense(10)`",
        ),
        (
            Accuracy(),
            floats((3, 8, "W")),
            PIXELS,
            "`accuracy` needs one score for each class: [3, 8, 8] for a target class(3)[8, 8], and this is [3, 8, W]",
            None,
        ),
        (Accuracy(), floats((1,)), FLAG, "`accuracy` needs equal shapes: [1] and flag", None),
        (R2(), floats((2,)), floats((3,)), "`r2` needs equal shapes: [2] and float[3]", None),
        (TopK(10), floats((10,)), DIGIT, "`top_k(10)` of 10 classes is always right", "take a k from 1 to 9"),
        (
            Confusion(),
            floats((5000,)),
            TensorType("token", (), 5000),
            "`confusion` of 5000 classes is a matrix that nobody reads: expected at most 1000",
            "use `accuracy` or `top_k`",
        ),
    ],
)
def test_what_does_not_fit(metric, Y, T, message, help):
    with pytest.raises(ShapeMismatch) as caught:
        metric.agree(Y, T)
    assert (caught.value.message, caught.value.help) == (message, help)


def test_what_fits():
    Accuracy().agree(floats((10,)), DIGIT)
    Accuracy().agree(floats((3, 8, 8)), PIXELS)
    Accuracy().agree(floats(("K",)), TensorType("flag", ("K",)))
    TopK(9).agree(floats((10,)), DIGIT)
    R2().agree(floats(("T", 2)), floats(("T", 2)))
