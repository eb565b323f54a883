"""The error function for NumPy, which has none: W. J. Cody, "Rational Chebyshev approximation for the error function",
Math. Comp. 23 (1969), 631-637, in its three intervals.
"""

from __future__ import annotations
