"""The one base error for users; each says what was found, what was expected and what to do."""

from __future__ import annotations


class TflbpError(Exception):
    """Something the user can mend. ``exit_code`` is what the command line ends with.

    1: the user's input is wrong. 3: a numerical or environment failure.
    """

    exit_code = 1


class InputError(TflbpError):
    """A file, an argument or an array is not what was asked for."""


class EnvironmentFailure(TflbpError):
    """The machine lacks something: a library, a driver, space, a permission."""

    exit_code = 3


class NumericalFailure(TflbpError):
    """A value stopped being finite."""

    exit_code = 3
