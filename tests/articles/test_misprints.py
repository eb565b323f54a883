"""Where the articles are wrong: the printed form is shown to be wrong, and the one that this project implements right.

Everything is differentiated exactly by SymPy and compared with what the article prints. What is only a heading or a
letter has its test too, where something can be computed from it.
"""

from __future__ import annotations

import numpy as np
import pytest
from mpmath import mpf, workdps
from sympy import (
    Function,
    Matrix,
    MatrixSymbol,
    Rational,
    ShapeError,
    diag,
    diff,
    exp,
    lambdify,
    log,
    ones,
    symbols,
    tanh,
)

from tensorflow_lite_bp import Network


def named(letter, rows, columns):
    """A matrix of symbols ``w11, w12, …``, counted from 1 as the articles do."""
    return Matrix(rows, columns, lambda i, j: symbols(f"{letter}{i + 1}{j + 1}"))


def numbers(rows, columns, start):
    """A matrix of small unequal rationals."""
    return Matrix(rows, columns, lambda i, j: Rational(((start + 7 * i + 3 * j) % 11) - 5, 4 + i + j))


def sigmoid(z):
    return 1 / (1 + exp(-z))


def by(scalar, matrix):
    """The derivative of a scalar by each entry of a matrix of symbols, in the matrix's shape."""
    return matrix.applyfunc(lambda entry: diff(scalar, entry))


def at(expression, point):
    """The entries' values at a rational point, to 50 digits. Only this last step is not exact."""
    names, values = zip(*point, strict=True)
    evaluate = lambdify(names, Matrix(expression), modules="mpmath", cse=True)
    with workdps(50):
        return list(evaluate(*(mpf(value.p) / value.q for value in values)))


def same(first, second) -> bool:
    """Values of `at` that agree to 40 digits: different expressions do not do that by chance."""
    return all(abs(one - other) < 1e-40 for one, other in zip(first, second, strict=True))


class TestArticle000:
    """y = W X + b with W 2×3; E is any function of y."""

    W, x, b = named("w", 2, 3), named("x", 3, 1), named("b", 2, 1)
    y = W * x + b
    u = Matrix(symbols("u1 u2"))
    E_of = Function("E")(*u)

    def through(self, variable):
        """``∂E/∂variable`` by the chain rule with E's own derivatives left open, and ``∂E/∂y``."""
        E = self.E_of.subs(dict(zip(self.u, self.y, strict=True)))
        return by(E, variable).doit(), by(self.E_of, self.u).subs(dict(zip(self.u, self.y, strict=True))).doit()

    def test_last_line_of_the_exercise_names_the_wrong_matrix(self):
        W1, W2 = named("w", 5, 3), MatrixSymbol("W2", 3, 5)
        X, c = named("x", 3, 4), named("c", 5, 4)  # c is ∂E/∂y[1], 5×m with m = 4
        E = sum((W1 * X).multiply_elementwise(c))  # any E is linear in y[1] near a point
        assert by(E, X) == W1.T * c
        with pytest.raises(ShapeError):
            W2.T * MatrixSymbol("dE/dy1", 5, 4)  # what is printed

    def test_row_1_of_the_matrix_of_weight_gradients(self):
        found, (c1, c2) = self.through(self.W)
        x1, x2, x3 = self.x
        printed = Matrix([[c1 * x1, c1 * x3, c1 * x3], [c2 * x1, c2 * x2, c2 * x3]])
        assert found == Matrix([[c1 * x1, c1 * x2, c1 * x3], [c2 * x1, c2 * x2, c2 * x3]])
        assert found == Matrix([c1, c2]) * self.x.T
        assert found[0, 1] != printed[0, 1]

    def test_first_proof_is_headed_by_the_weights_and_proves_the_inputs(self):
        found, c = self.through(self.x)
        assert found.expand() == (self.W.T * c).expand()
        assert found.shape != (c * self.x.T).shape  # the heading's formula is that of ∂E/∂W, 2×3

    def test_first_matrix_is_headed_dy_dx_and_holds_dE_dx(self):
        (w11, _, _), (w21, _, _) = self.W.tolist()
        found, (c1, c2) = self.through(self.x)
        assert found[0].expand() == (c1 * w11 + c2 * w21).expand()
        assert diff(self.y, self.x[0]) == Matrix([w11, w21])  # this is ∂y/∂x₁

    def test_dividing_by_m_is_the_gradient_of_a_mean(self):
        m = 4
        X, c = named("x", 3, m), named("c", 2, m)
        terms = [(self.W * X[:, s]).dot(c[:, s]) for s in range(m)]  # E of each sample, with ∂E/∂y = c
        assert by(sum(terms), self.W) == (c * X.T)
        assert by(sum(terms) / m, self.W).expand() == (c * X.T / m).expand()


class TestArticle001:
    """Three layers, each with an activation of its own."""

    h = (tanh, sigmoid, lambda a: a**3 + a)
    a1 = named("a", 3, 1)
    W2, W3 = numbers(2, 3, 1), numbers(2, 2, 4)
    t = Matrix([Rational(1, 3), Rational(-1, 2)])
    point = tuple(zip(a1, [Rational(2, 5), Rational(-1, 3), Rational(1, 7)], strict=True))

    def test_9_takes_the_slope_of_its_own_layer(self):
        h1, h2, h3 = self.h
        a2 = self.W2 * self.a1.applyfunc(h1)
        a3 = self.W3 * a2.applyfunc(h2)
        y = a3.applyfunc(h3)
        l = (y - self.t).dot(y - self.t) / 2

        def slopes(h, a):
            z = symbols("z")
            return diag(*(diff(h(z), z).subs(z, entry) for entry in a))

        delta3 = (y - self.t).T * slopes(h3, a3)  # rows, as (9) has them
        delta2 = delta3 * self.W3 * slopes(h2, a2)
        exact = at(by(l, self.a1).T, self.point)
        assert same(exact, at(delta2 * self.W2 * slopes(h1, self.a1), self.point))
        assert not same(exact, at(delta2 * self.W2 * slopes(h3, self.a1), self.point))  # as printed, with k = 2

    def test_N_counts_layers_in_5_and_samples_in_6(self, network):
        """Three layers and five samples: the total is over five. (In (5), "∀ i" is "∀ k": i stands nowhere in it.)"""
        net = network("layers")
        generator = np.random.default_rng(0)
        rows = {"x": generator.normal(size=(5, 13)), "t": generator.random((5, 3))}
        each = [net.gradients({name: value[i : i + 1] for name, value in rows.items()})[0] for i in range(5)]
        assert net.gradients(rows)[0] == pytest.approx(sum(each), rel=1e-12)
        assert net.gradients(rows)[0] != pytest.approx(sum(each[:3]), rel=1e-3)


class TestArticle002:
    """Rows: X₂ = f(Z₁), X₃ = softmax(X₂ W₂), one sample with 4 hidden values and 3 classes."""

    Z1 = named("z", 1, 4)
    W2 = numbers(4, 3, 2)
    Y = Matrix([[0, 1, 0]])
    point = tuple(zip(Z1, [Rational(1, 2), Rational(-1, 3), Rational(3, 4), Rational(1, 5)], strict=True))

    @staticmethod
    def softmax(Z):
        powers = Z.applyfunc(exp)
        return powers / sum(powers)

    def log_likelihood(self, X3):
        return sum(self.Y.multiply_elementwise(X3.applyfunc(log)))

    def deltas(self, f):
        """For a hidden activation f: ``∂ξ/∂Z₁`` of ξ as printed, the article's δ₁, and ``δ₂ W₂ᵀ`` behind f."""
        X2 = f(self.Z1)
        X3 = self.softmax(X2 * self.W2)
        delta2 = self.Y - X3
        delta1 = (delta2 * self.W2.T).multiply_elementwise(X2).multiply_elementwise(ones(1, 4) - X2)
        return by(self.log_likelihood(X3), self.Z1), delta1, delta2 * self.W2.T

    def test_loss_lacks_its_minus_sign(self):
        Z2 = named("z", 1, 3)
        X3 = self.softmax(Z2)
        point = tuple(zip(Z2, [Rational(1, 2), Rational(-1, 3), Rational(3, 4)], strict=True))
        delta2 = self.Y - X3
        printed, right = self.log_likelihood(X3), -self.log_likelihood(X3)
        assert same(at(by(printed, Z2), point), at(delta2, point))  # so W + α Xᵀ δ climbs what is printed …
        assert same(at(by(right, Z2), point), at(-delta2, point))  # … and descends what is meant

    def test_delta_1_is_right_with_sigmoid(self):
        exact, delta1, _ = self.deltas(lambda Z: Z.applyfunc(sigmoid))
        assert same(at(exact, self.point), at(delta1, self.point))

    def test_delta_1_is_wrong_with_softmax(self):
        exact, delta1, arriving = self.deltas(self.softmax)
        X2 = self.softmax(self.Z1)
        jacobian = diag(*X2) - X2.T * X2
        assert not same(at(exact, self.point), at(delta1, self.point))
        assert same(at(exact, self.point), at(arriving * jacobian, self.point))

    def test_the_framework_is_right_with_both(self):
        text = """
            network hidden
            input  X1: float[3]
            target Y: class(3)
            parameter W1: float[4, 3]
            parameter W2: float[3, 4]
            Z1 = W1 @ X1
            X2 = {f}(Z1)
            X3 = softmax(W2 @ X2)
            loss nll(X3, Y, reduction = "sum")
            output X2
            output X3
        """
        X1, y = np.array([[0.3, -0.2, 0.5]]), np.array([1])
        for f, article_is_right in (("sigmoid", True), ("softmax", False)):
            net = Network.from_text(text.format(f=f), precision="float64")
            X2, X3 = net.predict({"X1": X1}).values()
            arriving = (np.eye(3)[y] - X3) @ net.weights["W2"]
            article = arriving * X2 * (1 - X2)
            exact = arriving @ (np.diagflat(X2) - X2.T @ X2) if f == "softmax" else article
            found = net.gradients({"X1": X1, "Y": y})[1]["W1"]
            np.testing.assert_allclose(found, -exact.T @ X1, rtol=1e-12)
            assert np.allclose(found, -article.T @ X1) == article_is_right


class TestArticle003:
    """S_in¹ → S_out¹ → S_in² → S_out² → S_in³ with f¹ = tanh and f² = the sigmoid; cost is a sum of squares."""

    S_in1 = named("s", 3, 1)
    W2, W3 = numbers(2, 3, 3), numbers(2, 2, 6)
    point = tuple(zip(S_in1, [Rational(2, 5), Rational(-1, 3), Rational(1, 7)], strict=True))

    def gradients(self, f_of_layer_1):
        """``∂cost/∂S_in¹`` exactly and by the article's (1), when layer 1's output is ``f_of_layer_1(S_in¹)``."""
        S_in2 = self.W2 * self.S_in1.applyfunc(f_of_layer_1)
        S_in3 = self.W3 * S_in2.applyfunc(sigmoid)
        cost = S_in3.dot(S_in3)
        s = symbols("s")
        slope = {1: diff(tanh(s), s), 2: diff(sigmoid(s), s)}
        last = 2 * S_in3
        second = (self.W3.T * last).multiply_elementwise(S_in2.applyfunc(lambda v: slope[2].subs(s, v)))
        first = (self.W2.T * second).multiply_elementwise(self.S_in1.applyfunc(lambda v: slope[1].subs(s, v)))
        return at(by(cost, self.S_in1), self.point), at(first, self.point)

    def test_a_layer_has_its_own_activation(self):
        exact, by_equation_1 = self.gradients(tanh)  # S_out¹ = f¹(S_in¹)
        assert same(exact, by_equation_1)
        exact, by_equation_1 = self.gradients(sigmoid)  # as printed, S_out¹ = f²(S_in¹)
        assert not same(exact, by_equation_1)


def test_same_tells_apart():
    x = symbols("x")
    point = ((x, Rational(1, 3)),)
    assert same(at([exp(x) ** 2], point), at([exp(2 * x)], point))
    assert not same(at([exp(x)], point), at([exp(x) + Rational(1, 10**30)], point))
