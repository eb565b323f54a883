"""``cupyx.scipy.special`` of the double: the error function."""

from cupy._functions import ufunc_of

erf = ufunc_of("erf", "cupyx.scipy.special")
__all__ = ["erf"]
