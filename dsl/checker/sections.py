"""The sections `data`, `train` and `export`: settings, and what the inputs and targets are made of."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from dsl import tree
from dsl.checker.rules.calls import repeated_setting
from dsl.checker.rules.names import reserved_name
from dsl.checker.rules.sections import missing_columns, unknown_variable
from dsl.checker.scope import Definition, Scope, closest
from dsl.checker.session import Frame, Session
from dsl.checker.settings import Owner, fill
from dsl.checker.transforms import columns
from dsl.checker.values import listed, shortened
from dsl.program import Call, DataSection
from dsl.signature import REQUIRED
from dsl.source import Span

_VARIABLES = ("input", "target")


def settings(session: Session, section: tree.Section, scope: Scope) -> Mapping[str, Any] | None:
    """Every setting of a `train` or `export` section; None when one of them is wrong."""
    return _settings(session, section, section.bindings, session.frame(scope))


def defaults(session: Session, kind: str) -> Mapping[str, Any]:
    """The settings of a section that the file does not have."""
    signature = session.table.find("section", kind)
    given = signature.settings if signature is not None else ()
    return {setting.name: setting.default for setting in given if setting.default is not REQUIRED}


def data(session: Session, section: tree.Section, scope: Scope) -> DataSection | None:
    """The `data` section; None when something in it is wrong."""
    frame = session.frame(scope)
    variables = {name: found for name, found in scope.names.items() if found.kind in _VARIABLES}
    signature = session.table.find("section", "data")
    known = [setting.name for setting in signature.settings] if signature is not None else []
    for name in known:
        if name in variables:
            session.report.add(reserved_name(variables[name].span, name, "a setting of `data`"))
    own = [binding for binding in section.bindings if binding.name.text in known]
    others = [binding for binding in section.bindings if binding.name.text not in known]
    filled = _settings(session, section, own, frame)
    made = _made(others, variables, known, frame)
    _all_given(session, section, variables.values(), {*made, *known})
    calls = {name: call for name, call in made.items() if call is not None}
    return DataSection(filled, calls, section.span) if filled is not None and len(calls) == len(made) else None


def _made(
    bindings: Iterable[tree.Binding], variables: Mapping[str, Definition], known: list[str], frame: Frame
) -> dict[str, Call | None]:
    """What each input and target is made of; None where that is wrong, or where a misspelt name probably means it."""
    made: dict[str, Call | None] = {}
    places: dict[str, Span] = {}
    for binding in bindings:
        name = binding.name
        if name.text not in variables:
            close = _refuse(frame.session, name, known, variables)
            if close in variables:
                made.setdefault(close, None)
        elif name.text in places:
            frame.say(repeated_setting(name.span, "data", name.text, places[name.text]))
        else:
            made[name.text] = columns(binding.value, frame)
            places[name.text] = name.span
    return made


def _settings(
    session: Session, section: tree.Section, bindings: Iterable[tree.Binding], frame: Frame
) -> Mapping[str, Any] | None:
    signature = session.table.find("section", section.kind.text)
    assert signature is not None, f"the table has no section {section.kind.text}"
    arguments = [tree.Argument(binding.span, binding.name, binding.value) for binding in bindings]
    return fill(Owner.of(signature, section.kind.span), arguments, frame)


def _refuse(session: Session, name: tree.Name, known: list[str], variables: Mapping[str, Definition]) -> str:
    """Report a line that is neither a setting nor an input or target, unless that one has a mistake of its own. Returns
    what was probably meant."""
    if session.is_lost(name.text):
        return name.text
    close = closest(name.text, [*variables, *known])
    settings = listed([f"`{setting}`" for setting in known])
    inputs = listed([f"`{shortened(variable)}`" for variable in list(variables)[:10]])
    session.report.add(unknown_variable(name.span, shortened(name.text), close, settings, inputs))
    return close if close is not None else name.text


def _all_given(
    session: Session, section: tree.Section, variables: Iterable[Definition], given: Collection[str]
) -> None:
    if session.damaged:
        return
    missing = [variable for variable in variables if variable.name not in given]
    if missing:
        names = tuple(shortened(variable.name) for variable in missing)
        session.report.add(missing_columns(section.kind.span, missing[0].kind, names))
