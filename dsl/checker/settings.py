"""Settings: a constant or a call of the file becomes the value that Python gets, or a mistake is reported."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from dsl import tree
from dsl.checker.rules.calls import (
    missing_setting,
    out_of_range,
    repeated_setting,
    too_many_arguments,
    unknown_choice,
    unknown_setting,
    wrong_kind,
)
from dsl.checker.rules.names import unknown_name
from dsl.checker.scope import closest
from dsl.checker.session import Frame
from dsl.checker.values import Known, Tensor, Unknown, described, is_number, listed, shortened, what, written
from dsl.program import Call, ColumnRange
from dsl.signature import REQUIRED, Constant, Setting, Signature
from dsl.source import Span

WRONG: Any = object()
"""In the place of a setting that holds a mistake, or hangs on one."""

_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "string": "a string",
    "sizes": "a whole number or a list of them",
    "strings": "a string or a list of them",
    "floats": "a list of numbers",
    "columns": 'names of columns, such as "a" or "p0".."p9"',
}
_LARGEST_FLOAT = 1 << 1023


@dataclass(frozen=True)
class Owner:
    """Whose settings they are, and how many tensors it takes before them."""

    name: str
    settings: tuple[Setting, ...]
    span: Span
    ports: int = 0

    @staticmethod
    def of(signature: Signature, span: Span) -> Owner:
        return Owner(signature.name, signature.settings, span, len(signature.ports))

    def find(self, name: str) -> Setting | None:
        return next((setting for setting in self.settings if setting.name == name), None)

    def names(self) -> str:
        return listed([f"`{setting.name}`" for setting in self.settings])


def fill(owner: Owner, arguments: Sequence[tree.Argument], frame: Frame) -> dict[str, Any] | None:
    """Every setting by name, those left out at their defaults; None when one of them is wrong."""
    given: dict[str, Any] = {}
    places: dict[str, Span] = {}
    fine = True
    for setting, arguments_of_it, at in _assigned(owner, arguments, frame):
        if setting is None:
            fine = False
        elif setting.name in places:
            frame.say(repeated_setting(at, owner.name, setting.name, places[setting.name]))
            fine = False
        else:
            places[setting.name] = at
            given[setting.name] = _value(owner, setting, arguments_of_it, frame)
    for setting in owner.settings:
        if setting.name not in given:
            if setting.default is REQUIRED and fine:
                frame.say(missing_setting(owner.span, owner.name, setting.name, setting.help))
            given[setting.name] = setting.default if setting.default is not REQUIRED else WRONG
    values = {setting.name: given[setting.name] for setting in owner.settings}
    return values if fine and not any(value is WRONG for value in values.values()) else None


def _assigned(
    owner: Owner, arguments: Sequence[tree.Argument], frame: Frame
) -> Iterable[tuple[Setting | None, list[tree.Expression], Span]]:
    """Each argument's setting (None when there is none) with what is given for it, and its place."""
    positional = [argument.value for argument in arguments if argument.name is None]
    for index, setting in enumerate(owner.settings):
        if setting.variadic and len(positional) > index:
            yield setting, positional[index:], positional[index].span.to(positional[-1].span)
            break
        if index < len(positional):
            yield setting, [positional[index]], positional[index].span
    else:
        if len(positional) > len(owner.settings):
            frame.say(too_many_arguments(positional[len(owner.settings)].span, owner.name, _takes(owner)))
            yield None, [], owner.span
    for argument in arguments:
        if argument.name is not None:
            setting_ = owner.find(argument.name.text)
            if setting_ is None:
                name = shortened(argument.name.text)
                close = closest(argument.name.text, (setting.name for setting in owner.settings))
                frame.say(unknown_setting(argument.name.span, owner.name, name, close, owner.names()))
            yield setting_, [argument.value], argument.name.span


def _takes(owner: Owner) -> str:
    count = len(owner.settings)
    settings = f"{count} setting{'s' if count > 1 else ''} ({owner.names()})" if count else "no settings"
    tensors = f"{owner.ports} tensors and " if owner.ports > 1 else "a tensor and " if owner.ports else ""
    return f"{tensors}{settings}"


def _value(owner: Owner, setting: Setting, expressions: Sequence[tree.Expression], frame: Frame) -> Any:
    """The value of one setting, or `WRONG`."""
    subject = f"`{setting.name}` of `{owner.name}`"
    kinds = setting.kind.split("|")
    categories = [kind for kind in kinds if kind in frame.session.table.signatures]
    if categories and isinstance(expressions[0], tree.Name | tree.Call):
        name = expressions[0] if isinstance(expressions[0], tree.Name) else expressions[0].function
        definition = frame.scope.find(name.text)
        if definition is None or isinstance(expressions[0], tree.Call):
            return entry(categories, expressions[0], frame)
    if "columns" in kinds:
        return _columns(subject, expressions, frame)
    if "string" in kinds and isinstance(expressions[0], tree.Name) and _unquoted(expressions[0], frame):
        return WRONG
    values = [frame.evaluate(expression) for expression in expressions]
    found: list[Constant] = []
    for value in values:
        if isinstance(value, Unknown):
            return WRONG
        if isinstance(value, Tensor):
            frame.say(wrong_kind(value.span, subject, _expected(kinds), what(value.type), None))
            return WRONG
        found.append(value.value)
    constant = tuple(found) if setting.variadic else found[0]
    return _converted(subject, setting, Known(constant, values[0].span), frame)


def _unquoted(name: tree.Name, frame: Frame) -> bool:
    """Report a string without its quotes; False when the name has a meaning."""
    if frame.scope.find(name.text) is not None or frame.scope.find_later(name.text) is not None:
        return False
    shown = shortened(name.text)
    help = f'put a string in quotes: `"{shown}"`'
    frame.say(unknown_name(name.span, f"`{shown}` is not defined", None, (), help))
    return True


def _converted(subject: str, setting: Setting, given: Known, frame: Frame) -> Any:
    kinds = setting.kind.split("|")
    for kind in kinds:
        convert = _CONVERSIONS.get(kind)
        value = convert(given.value) if convert is not None else WRONG
        if value is not WRONG:
            return value if _allowed(subject, setting, value, given, frame) else WRONG
    help = _advice(kinds, given, frame)
    frame.say(wrong_kind(given.span, subject, _expected(kinds), described(given.value), help))
    return WRONG


def _advice(kinds: list[str], given: Known, frame: Frame) -> str | None:
    """What to type instead of a constant of the wrong kind, where that is plain."""
    value, text = given.value, given.span.text
    if kinds == ["string"]:
        return f'put it in quotes: `"{shortened(written(value))}"`'
    if kinds == ["int"] and is_number(value) and ("/" in text or text.isidentifier()):
        return "use `//` to divide without a rest"
    names = frame.session.table.names(kinds[0])
    if not names or not isinstance(value, str):
        return None
    if value in names:
        return f"write `{value}` without quotes"
    return f"it is a call of {listed([f'`{name}`' for name in names], 'or')}: `{names[0]}(…)`"


def _expected(kinds: Iterable[str]) -> str:
    return listed([_WORDS.get(kind, f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}") for kind in kinds], "or")


# Kinds of constants


def _int(value: Constant) -> Any:
    return value if is_number(value) and isinstance(value, int) else WRONG


def _float(value: Constant) -> Any:
    if not isinstance(value, int | Fraction) or isinstance(value, bool):
        return WRONG
    return float(value) if -_LARGEST_FLOAT < value < _LARGEST_FLOAT else WRONG


def _items(value: Constant, convert: Callable[[Constant], Any]) -> Any:
    if not isinstance(value, tuple):
        return WRONG
    items = tuple(convert(item) for item in value)
    return WRONG if WRONG in items else items


def _sizes(value: Constant) -> Any:
    return _items(value if isinstance(value, tuple) else (value,), _int)


def _strings(value: Constant) -> Any:
    return _items(value if isinstance(value, tuple) else (value,), _string)


def _string(value: Constant) -> Any:
    return value if isinstance(value, str) else WRONG


def _bool(value: Constant) -> Any:
    return value if isinstance(value, bool) else WRONG


def _floats(value: Constant) -> Any:
    return _items(value, _float)


_CONVERSIONS: dict[str, Callable[[Constant], Any]] = {
    "int": _int,
    "float": _float,
    "bool": _bool,
    "string": _string,
    "sizes": _sizes,
    "strings": _strings,
    "floats": _floats,
}


# Bounds


def _allowed(subject: str, setting: Setting, value: Any, given: Known, frame: Frame) -> bool:
    """Whether the value is one of the choices and within the bounds; otherwise that is reported."""
    chosen = isinstance(value, str) or "string" not in setting.kind.split("|")  # else another kind of a union
    if setting.choices and chosen and value not in setting.choices:
        choices = [written(choice) for choice in setting.choices]
        close = closest(written(value), choices)
        frame.say(unknown_choice(given.span, subject, listed(choices, "or"), written(given.value), close))
        return False
    for item in value if isinstance(value, tuple) else (value,):
        if isinstance(item, int | float) and not isinstance(item, bool) and not within(setting, item):
            frame.say(out_of_range(given.span, subject, bounds(setting), written(item)))
            return False
    return True


def within(setting: Setting, value: float) -> bool:
    return not (
        (setting.minimum is not None and value < setting.minimum)
        or (setting.maximum is not None and value > setting.maximum)
        or (setting.above is not None and value <= setting.above)
        or (setting.below is not None and value >= setting.below)
    )


def bounds(setting: Setting) -> str:
    """The range of a setting in words.

    >>> bounds(Setting("rate", "float", minimum=0, below=1))
    'at least 0 and below 1'
    """
    words = (
        ("at least", setting.minimum),
        ("above", setting.above),
        ("at most", setting.maximum),
        ("below", setting.below),
    )
    return listed([f"{word} {written(bound)}" for word, bound in words if bound is not None])


# Settings that are calls, and names of columns


def entry(categories: list[str], expression: tree.Name | tree.Call, frame: Frame) -> Any:
    """The call of an entry of one of these categories (``adam(0.001)``, ``constant``), or `WRONG`."""
    name = expression if isinstance(expression, tree.Name) else expression.function
    for category in categories:
        signature = frame.session.table.find(category, name.text)
        if signature is not None:
            arguments = expression.arguments if isinstance(expression, tree.Call) else ()
            settings = fill(Owner.of(signature, name.span), arguments, frame)
            return Call(category, name.text, settings, (), expression.span) if settings is not None else WRONG
    unknown_entry(categories, name, frame)
    return WRONG


def unknown_entry(categories: list[str], name: tree.Name, frame: Frame) -> None:
    """Report that no entry of these categories has a name."""
    known = [known for category in categories for known in frame.session.table.names(category)]
    close = closest(name.text, known)
    sentence = f"no {listed(categories, 'or')} is named `{shortened(name.text)}`"
    listing = f"there are {listed([f'`{entry}`' for entry in known])}" if close is None else None
    frame.say(unknown_name(name.span, sentence, close, (), listing))


def _columns(subject: str, expressions: Sequence[tree.Expression], frame: Frame) -> Any:
    """Names and ranges of columns, lists of them flattened."""
    found: list[str | ColumnRange] = []
    for expression in expressions:
        if isinstance(expression, tree.List):
            names = _columns(subject, expression.items, frame)
        elif isinstance(expression, tree.Range):
            ends = [_column(subject, end, frame) for end in (expression.first, expression.last)]
            names = WRONG if WRONG in ends else (ColumnRange(*ends),)
        else:
            names = _strings(_column(subject, expression, frame, several=True))
        if names is WRONG:
            return WRONG
        found.extend(names)
    return tuple(found)


def _column(subject: str, expression: tree.Expression, frame: Frame, *, several: bool = False) -> Any:
    """A column's name, or where ``several`` are possible a constant list of them; or `WRONG`."""
    value = frame.evaluate(expression)
    if isinstance(value, Unknown):
        return WRONG
    if isinstance(value, Known) and (_string(value.value) if not several else _strings(value.value)) is not WRONG:
        return value.value
    found = described(value.value) if isinstance(value, Known) else what(value.type)
    frame.say(wrong_kind(value.span, subject, _WORDS["columns"], found, None))
    return WRONG
