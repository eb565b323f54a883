"""The error function for NumPy, which has none: W. J. Cody, "Rational Chebyshev approximation for the error function",
Math. Comp. 23 (1969), 631-637, in its three intervals.
"""

from __future__ import annotations

from math import pi, sqrt
from typing import Any

import numpy as np

from tensorflow_lite_bp.backend.reals import wide

# Coefficients of numerator and denominator, highest power first, for arguments up to 0.46875, up to 4 and above.
_NEAR = np.array((
    (1.85777706184603153e-1, 3.16112374387056560e0, 1.13864154151050156e2, 3.77485237685302021e2,
     3.20937758913846947e3),
    (1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3, 2.84423683343917062e3),
))  # fmt: skip
_MIDDLE = np.array((
    (2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594e0, 6.61191906371416295e1,
     2.98635138197400131e2, 8.81952221241769090e2, 1.71204761263407058e3, 2.05107837782607147e3,
     1.23033935479799725e3),
    (1.0, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2, 1.62138957456669019e3,
     3.29079923573345963e3, 4.36261909014324716e3, 3.43936767414372164e3, 1.23033935480374942e3),
))  # fmt: skip
_FAR = np.array((
    (1.63153871373020978e-2, 3.05326634961232344e-1, 3.60344899949804439e-1, 1.25781726111229246e-1,
     1.60837851487422766e-2, 6.58749161529837803e-4),
    (1.0, 2.56852019228982242e0, 1.87295284992346725e0, 5.27905102951428412e-1, 6.05183413124413191e-2,
     2.33520497626869185e-3),
))  # fmt: skip

_ONE = 6.0  # from here on erf is 1 in double precision
_BLOCK = 8192  # elements that stay in a core's cache together with what is computed of them


def erf(x: np.ndarray, *, out: np.ndarray) -> np.ndarray:
    """The error function of every element, to the rounding of its dtype; ``out`` may be ``x``.

    Args:
        x: of real numbers, any shape and strides; those of 16 bits are computed in float32.
        out: of the same shape and dtype.
    """
    dtype = wide(x.dtype)
    blocks: Any = np.nditer(
        [x, out],
        flags=["external_loop", "buffered", "zerosize_ok"],
        op_flags=[["readonly"], ["writeonly"]],
        op_dtypes=[dtype, dtype],
        casting="same_kind",
        buffersize=_BLOCK,
    )
    with blocks:
        for values, results in blocks:
            _erf(values, results)
    return out


def _erf(x: np.ndarray, out: np.ndarray) -> None:
    """One block, each interval by its own formula. Indices, because NumPy gathers by them faster than by masks."""
    a = np.minimum(np.abs(x), _ONE)
    is_near, is_far = a <= 0.46875, a > 4.0
    near, far = np.flatnonzero(is_near), np.flatnonzero(is_far)
    middle = np.flatnonzero(~(is_near | is_far))  # NaN is here, and stays NaN
    result = np.empty_like(a)
    result[near] = _near(a[near])
    result[middle] = 1.0 - _middle(a[middle])
    if far.size:
        result[far] = 1.0 - _far(a[far])
    np.copysign(result, x, out=out)


def _near(a: np.ndarray) -> np.ndarray:
    result: np.ndarray = a * _rational(_NEAR, a * a)
    return result


def _middle(a: np.ndarray) -> np.ndarray:
    """1 - erf(a). The rounding of the square in the exponential, which Cody splits off, vanishes in 1 - (1 - erf)."""
    result: np.ndarray = np.exp(-a * a) * _rational(_MIDDLE, a)
    return result


def _far(a: np.ndarray) -> np.ndarray:
    """1 - erf(a)."""
    inverse = 1.0 / (a * a)
    result: np.ndarray = np.exp(-a * a) / a * (1.0 / sqrt(pi) - inverse * _rational(_FAR, inverse))
    return result


def _rational(coefficients: np.ndarray, z: np.ndarray) -> np.ndarray:
    """The quotient of two polynomials, both by Horner's rule at once."""
    powers = coefficients.astype(z.dtype).T[:, :, np.newaxis]
    value = np.empty((2, z.size), dtype=z.dtype)
    value[...] = powers[0]
    for pair in powers[1:]:
        np.multiply(value, z, out=value)
        np.add(value, pair, out=value)
    quotient: np.ndarray = np.divide(value[0], value[1], out=value[0])
    return quotient
