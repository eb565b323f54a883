"""The articles' equations, number by number, written out element by element and held against what the networks compute.

Nothing here multiplies matrices: every sum over an index is a loop, with the article's own letters. The networks are
the examples, in float64, with random biases in the place of zeros, so that nothing hides behind a zero.
"""

from __future__ import annotations

from math import exp, log, tanh

import numpy as np
import pytest


def sigmoid(z):
    return 1 / (1 + exp(-z))


def softmax(z):
    return [exp(value) / sum(exp(other) for other in z) for value in z]


def affine(W, x, b):
    """``W x + b`` for one column."""
    return [sum(W[o][i] * x[i] for i in range(len(x))) + b[o] for o in range(len(b))]


def columns_of(rows):
    return [list(column) for column in zip(*rows, strict=True)]


SLOPE = {  # the derivative by the pre-activation, from what came out
    tanh: lambda a: 1 - a**2,
    sigmoid: lambda a: a * (1 - a),
}


@pytest.fixture
def drawn(network):
    """``drawn("columns", m)``: the example's network with random weights, these as lists, and m random rows."""

    def draw(name, m, **options):
        generator = np.random.default_rng(len(name))
        net = network(name, **options)
        for weight, values in net.weights.items():
            net.weights[weight] = generator.normal(size=np.shape(values))
        rows = {
            variable.name: generator.integers(0, variable.type.count, m)
            if variable.type.kind == "class"
            else generator.random((m, *variable.type.shape))
            for variable in (*net.program.inputs, *net.program.targets)
        }
        weights = {weight: np.array(values).tolist() for weight, values in net.weights.items()}
        return net, weights, rows

    return draw


def agree(net, rows, expected, *, of_inputs=False):
    """The network's loss and gradients are the expected ones; ``"loss"`` stands among these."""
    loss, found = net.gradients(rows, of_inputs=of_inputs)
    assert loss == pytest.approx(expected["loss"], rel=1e-12)
    assert set(found) == set(expected) - {"loss"}
    for name, gradient in found.items():
        np.testing.assert_allclose(gradient, expected[name], rtol=1e-10, atol=1e-14, err_msg=name)


class Article000:
    """Samples are columns. ``[i][s]`` is row i of sample s; ``g`` is tanh, ``σ`` the sigmoid, E the mean of squares."""

    def __init__(self, weights, X, t):
        self.w, self.X, self.t = weights, X, t
        self.m = len(X[0])
        self.forward()

    def forward(self):
        """The exercise's (1) to (6)."""
        a, self.a = self.X, {0: self.X}
        for k, g in ((1, tanh), (2, tanh), (3, sigmoid)):
            W, b = self.w[f"W{k}"], self.w[f"b{k}"]
            y = columns_of(affine(W, [row[s] for row in a], b) for s in range(self.m))
            a = self.a[k] = [[g(value) for value in row] for row in y]

    def loss(self):
        squares = [
            (a - t) ** 2
            for row, wanted in zip(self.a[3], self.t, strict=True)
            for a, t in zip(row, wanted, strict=True)
        ]
        return sum(squares) / (2 * self.m)

    def gradients(self):
        """Every line of the exercise, from the last layer to the first, with the last line's misprint mended."""
        m, a = self.m, self.a
        dE_da = [[2 * (a[3][o][s] - self.t[o][s]) / 2 for s in range(m)] for o in range(2)]
        found = {"loss": self.loss()}
        for k, g in ((3, sigmoid), (2, tanh), (1, tanh)):
            W = self.w[f"W{k}"]
            outs, ins = range(len(W)), range(len(W[0]))
            dE_dy = [[dE_da[o][s] * SLOPE[g](a[k][o][s]) for s in range(m)] for o in outs]
            # (2) and (3): sums over the samples, divided by m
            found[f"W{k}"] = [[sum(dE_dy[o][s] * a[k - 1][i][s] for s in range(m)) / m for i in ins] for o in outs]
            found[f"b{k}"] = [sum(dE_dy[o][s] for s in range(m)) / m for o in outs]
            # (1): a sum over the outputs
            dE_da = [[sum(W[o][i] * dE_dy[o][s] for o in outs) for s in range(m)] for i in ins]
        found["X"] = dE_da
        return found


class TestArticle000:
    def test_equations_1_2_3_and_the_whole_exercise(self, drawn):
        net, weights, rows = drawn("columns", 6)
        article = Article000(weights, rows["X"].T.tolist(), rows["t"].T.tolist())
        expected = article.gradients()
        # the article's ∂E/∂X is that of each sample's own E; here E is their mean, so it carries the 1/m
        expected["X"] = np.array(expected["X"]).T / 6
        agree(net, rows, expected, of_inputs=True)

    def test_one_sample(self, drawn):
        net, weights, rows = drawn("columns", 1)
        expected = Article000(weights, rows["X"].T.tolist(), rows["t"].T.tolist()).gradients()
        del expected["X"]
        agree(net, rows, expected)

    def test_updates(self, drawn):
        """W ← W − η ∂E/∂W and b ← b − η ∂E/∂b, twice."""
        net, weights, rows = drawn("columns", 6, overrides=["train.optimizer=sgd(0.5)"])
        trainer, eta = net.trainer(), 0.5
        for _ in range(2):
            gradients = Article000(weights, rows["X"].T.tolist(), rows["t"].T.tolist()).gradients()
            weights = {name: np.array(value) - eta * np.array(gradients[name]) for name, value in weights.items()}
            weights = {name: value.tolist() for name, value in weights.items()}
            trainer.step(rows)
        for name, value in weights.items():
            np.testing.assert_allclose(net.weights[name], value, rtol=1e-10, err_msg=name)

    def test_dividing_by_m_is_the_mean_in_the_loss(self, drawn, network):
        """E summed instead of averaged has m times (and here twice, for two outputs) the gradient."""
        net, _, rows = drawn("columns", 6)
        text = net.program.source.text.replace("mse(a3, t)", 'mse(a3, t, reduction = "sum")', 1)
        summed = type(net).from_text(text, precision="float64")
        for name in net.weights:
            summed.weights[name] = net.weights[name]
        mean_of, sum_of = net.gradients(rows)[1], summed.gradients(rows)[1]
        for name, gradient in mean_of.items():
            np.testing.assert_allclose(sum_of[name], 6 * 2 * gradient, rtol=1e-12)


class Article001:
    """One sample as a column; layer k has ``a`` before its activation h and ``z`` behind it; totals are sums."""

    N = 3

    @staticmethod
    def softplus(a):
        return log(1 + exp(a))

    def __init__(self, weights):
        self.w = weights
        self.h = {1: tanh, 2: self.softplus, 3: sigmoid}
        self.slope = {
            1: lambda a: 1 - tanh(a) ** 2,
            2: sigmoid,
            3: lambda a: sigmoid(a) * (1 - sigmoid(a)),
        }

    def forward(self, x):
        """(1) to (5)."""
        self.z, self.a = {0: x}, {}
        for k in range(1, self.N + 1):
            self.a[k] = affine(self.w[f"W{k}"], self.z[k - 1], self.w[f"b{k}"])
            self.z[k] = [self.h[k](a) for a in self.a[k]]
        return self.z[self.N]

    def slopes(self, k):
        """``h⁽ᵏ⁾′(a⁽ᵏ⁾)``"""
        return [self.slope[k](a) for a in self.a[k]]

    def with_delta(self, dl_dy):
        """(10): δ = ∂E/∂a is what flows back."""
        found = {}
        delta = [dl_dy[j] * slope for j, slope in enumerate(self.slopes(self.N))]
        for k in range(self.N, 0, -1):
            W = self.w[f"W{k}"]
            found[f"b{k}"] = delta
            found[f"W{k}"] = [[delta[i] * z for z in self.z[k - 1]] for i in range(len(W))]
            if k > 1:
                arriving = [sum(delta[i] * W[i][j] for i in range(len(W))) for j in range(len(W[0]))]
                delta = [arriving[j] * slope for j, slope in enumerate(self.slopes(k - 1))]
        return found

    def with_delta_rows(self, dl_dy):
        """(9) mended: δ is a row, and ``diag{h⁽ᵏ⁻¹⁾′}`` a matrix that it is multiplied by."""
        found, delta = {}, None
        for k in range(self.N, 0, -1):
            W = self.w[f"W{k + 1}"] if delta else None
            row = dl_dy if W is None else [sum(delta[i] * W[i][j] for i in range(len(W))) for j in range(len(W[0]))]
            slopes = self.slopes(k)
            diagonal = [[slopes[i] if i == j else 0.0 for j in range(len(row))] for i in range(len(row))]
            delta = [sum(row[i] * diagonal[i][j] for i in range(len(row))) for j in range(len(row))]
            found[f"b{k}"] = delta
            found[f"W{k}"] = [[d * z for z in self.z[k - 1]] for d in delta]
        return found

    def with_dz(self, dl_dy):
        """The article's exercise: ``∂E/∂z`` flows back instead of δ, so each slope is taken where it is used."""
        found, dz = {}, dl_dy
        for k in range(self.N, 0, -1):
            W, slopes = self.w[f"W{k}"], self.slopes(k)
            found[f"b{k}"] = [dz[i] * slopes[i] for i in range(len(W))]
            found[f"W{k}"] = [[dz[i] * slopes[i] * z for z in self.z[k - 1]] for i in range(len(W))]
            dz = [sum(dz[i] * slopes[i] * W[i][j] for i in range(len(W))) for j in range(len(W[0]))]
        return found

    def augmented(self, dl_dy):
        """(2′): ``z̃₀ = 1`` and ``W̃`` has b as its column 0, so one equation gives both gradients."""
        wide = {k: [[b, *row] for b, row in zip(self.w[f"b{k}"], self.w[f"W{k}"], strict=True)] for k in (1, 2, 3)}
        z = {k: [1.0, *self.z[k]] for k in range(self.N)}
        found = {}
        delta = [dl_dy[j] * slope for j, slope in enumerate(self.slopes(self.N))]
        for k in range(self.N, 0, -1):
            gradient = [[d * value for value in z[k - 1]] for d in delta]
            found[f"b{k}"], found[f"W{k}"] = [row[0] for row in gradient], [row[1:] for row in gradient]
            if k > 1:
                W = wide[k]
                arriving = [sum(delta[i] * W[i][j] for i in range(len(W))) for j in range(1, len(W[0]))]
                delta = [arriving[j] * slope for j, slope in enumerate(self.slopes(k - 1))]
        return found


def total(each):
    """Sums over samples, entry by entry."""
    each = list(each)
    return {name: sum(np.array(one[name]) for one in each) for name in each[0]}


class TestArticle001:
    @pytest.mark.parametrize("form", ["with_delta", "with_delta_rows", "with_dz", "augmented"])
    def test_equation_10_in_all_its_forms(self, drawn, form):
        net, weights, rows = drawn("layers", 5)
        article = Article001(weights)
        each = []
        for x, t in zip(rows["x"].tolist(), rows["t"].tolist(), strict=True):
            y = article.forward(x)
            dl_dy = [y[i] - t[i] for i in range(3)]
            loss = sum((y[i] - t[i]) ** 2 for i in range(3)) / 2
            each.append({"loss": loss, **getattr(article, form)(dl_dy)})
        agree(net, rows, total(each))

    def test_forward_of_5(self, drawn):
        net, weights, rows = drawn("layers", 5)
        article = Article001(weights)
        expected = [article.forward(x) for x in rows["x"].tolist()]
        np.testing.assert_allclose(net.predict({"x": rows["x"]})["y"], expected, rtol=1e-12)


class Article002:
    """Samples are rows: ``X[n][i]``, and W is in × out, the transpose of the network's."""

    def __init__(self, weights):
        self.W = {i: columns_of(weights[f"W{i}"]) for i in range(3)}

    def forward(self, X0):
        self.X = {0: X0}
        for i in range(3):
            W, X = self.W[i], self.X[i]
            Z = [[sum(row[p] * W[p][q] for p in range(len(W))) for q in range(len(W[0]))] for row in X]
            self.X[i + 1] = [softmax(row) if i == 2 else [sigmoid(z) for z in row] for row in Z]
        return self.X[3]

    def deltas(self, Y):
        """δ₂ = Y − X₃; δ₁ = (δ₂ W₂ᵀ) ○ X₂ ○ (1 − X₂); δ₀ = (δ₁ W₁ᵀ) ○ X₁ ○ (1 − X₁)."""
        samples = range(len(Y))
        delta = {2: [[Y[n][q] - self.X[3][n][q] for q in range(3)] for n in samples]}
        for i in (1, 0):
            W, X = self.W[i + 1], self.X[i + 1]
            delta[i] = [
                [
                    sum(delta[i + 1][n][q] * W[p][q] for q in range(len(W[0]))) * X[n][p] * (1 - X[n][p])
                    for p in range(len(W))
                ]
                for n in samples
            ]
        return delta

    def directions(self, Y):
        """``Xᵢᵀ δᵢ``, which the article adds."""
        found = {}
        for i, delta in self.deltas(Y).items():
            X = self.X[i]
            ins, outs = range(len(X[0])), range(len(delta[0]))
            found[i] = [[sum(X[n][p] * delta[n][q] for n in range(len(X))) for q in outs] for p in ins]
        return found


class TestArticle002:
    def test_deltas_and_gradients(self, drawn):
        net, weights, rows = drawn("rows", 7)
        article = Article002(weights)
        X3 = article.forward(rows["X0"].tolist())
        Y = np.eye(3)[rows["Y"]].tolist()
        loss = -sum(Y[n][q] * log(X3[n][q]) for n in range(7) for q in range(3))
        gradients = {f"W{i}": -np.array(columns_of(d)) for i, d in article.directions(Y).items()}
        agree(net, rows, {"loss": loss, **gradients})

    def test_update(self, drawn):
        """Wᵢ ← Wᵢ + α Xᵢᵀ δᵢ is one step of gradient descent on the loss with its minus sign."""
        alpha = 0.25
        net, weights, rows = drawn("rows", 7, overrides=[f"train.optimizer=sgd({alpha})"])
        article = Article002(weights)
        article.forward(rows["X0"].tolist())
        directions = article.directions(np.eye(3)[rows["Y"]].tolist())
        net.trainer().step(rows)
        for i, direction in directions.items():
            expected = np.array(article.W[i]) + alpha * np.array(direction)
            np.testing.assert_allclose(net.weights[f"W{i}"].T, expected, rtol=1e-10)


class Article003:
    """One sample; ``S_in`` enters the neurons, ``S_out`` leaves them."""

    f = {1: tanh, 2: sigmoid}

    def __init__(self, weights):
        self.w = weights

    def forward(self, S_out0):
        self.S_in, self.S_out = {}, {0: S_out0}
        for i in (1, 2, 3):
            self.S_in[i] = affine(self.w[f"W{i}"], self.S_out[i - 1], self.w[f"B{i}"])
            if i < 3:
                self.S_out[i] = [self.f[i](s) for s in self.S_in[i]]
        return self.S_in[3]

    def gradients(self, dcost):
        """From ``∂cost/∂S_in³``: (1), (2) and (3)."""
        found = {}
        for i in (3, 2, 1):
            found[f"W{i}"] = [[d * s for s in self.S_out[i - 1]] for d in dcost]
            found[f"B{i}"] = dcost
            if i > 1:
                W, slope = self.w[f"W{i}"], SLOPE[self.f[i - 1]]
                back = [sum(W[o][n] * dcost[o] for o in range(len(dcost))) for n in range(len(W[0]))]
                dcost = [back[n] * slope(s) for n, s in enumerate(self.S_out[i - 1])]
        return found


class TestArticle003:
    def test_equations_1_2_3(self, drawn):
        net, weights, rows = drawn("signals", 1)
        article = Article003(weights)
        probabilities = softmax(article.forward(rows["S_out0"][0].tolist()))
        right = rows["cultivar"][0]
        dcost = [p - (i == right) for i, p in enumerate(probabilities)]
        agree(net, rows, {"loss": -log(probabilities[right]), **article.gradients(dcost)})


class Article004:
    """Neuron by neuron; ``a`` leaves a layer, ``o`` the last one."""

    def __init__(self, weights):
        self.w = weights

    def forward(self, a0):
        self.a = {0: a0}
        for i in (1, 2, 3):
            self.a[i] = [sigmoid(z) for z in affine(self.w[f"w{i}"], self.a[i - 1], self.w[f"b{i}"])]
        return self.a[3]

    def cost(self, y):
        return sum((y[i] - o) ** 2 for i, o in enumerate(self.a[3])) / 2

    def gradients(self, y):
        """The article's summary: ∂C/∂z of the output, then of each layer before it; ∇w and ∇b."""
        slopes = {i: [a * (1 - a) for a in self.a[i]] for i in (1, 2, 3)}
        dC_dz = [(o - y[i]) * slopes[3][i] for i, o in enumerate(self.a[3])]
        found = {}
        for i in (3, 2, 1):
            before = [self.a[i - 1] for _ in dC_dz]  # every row is the layer before, as the article's matrix has it
            found[f"w{i}"] = [[a * dC_dz[row] for a in before[row]] for row in range(len(dC_dz))]
            found[f"b{i}"] = dC_dz
            if i > 1:
                w = self.w[f"w{i}"]
                arriving = [sum(w[row][n] * dC_dz[row] for row in range(len(w))) for n in range(len(w[0]))]
                dC_dz = [slopes[i - 1][n] * arriving[n] for n in range(len(arriving))]
        return found


class TestArticle004:
    def test_summary_and_sums_over_samples(self, drawn):
        net, weights, rows = drawn("neurons", 4)
        article = Article004(weights)
        each = []
        for a0, y in zip(rows["a0"].tolist(), rows["y"].tolist(), strict=True):
            article.forward(a0)
            each.append({"loss": article.cost(y), **article.gradients(y)})
        agree(net, rows, total(each))
