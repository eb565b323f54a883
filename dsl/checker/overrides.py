"""Settings that the command line gives in the place of the file's: ``train.epochs=5``, ``let.width=32``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from dsl import tree
from dsl.checker.rules.overrides import bad_override, unknown_override
from dsl.checker.scope import closest
from dsl.checker.session import Session
from dsl.checker.values import listed, shortened
from dsl.parser import parse
from dsl.source import Source, Span

_SECTIONS = ("data", "train", "export")
_LET = "let"
_NAME = "--set"
_Item = TypeVar("_Item", tree.Let, tree.Section)


def overridden(session: Session, file: tree.File, overrides: Sequence[str]) -> tree.File:
    """The file with these settings in it. Each is read as the line that it would be in the file, and shown so."""
    for text in overrides:
        key, sign, value = text.partition("=")
        kind, dot, name = (part.strip() for part in key.partition("."))
        typed = Source(_NAME, text)
        at = Span(typed, 0, len(text))
        if not (sign and kind and dot and name and value.strip()):
            session.report.add(bad_override(at))
        elif kind == _LET:
            file = _with_let(session, file, name, value, at)
        elif kind in _SECTIONS:
            file = _with_setting(session, file, kind, f"{name} = {value.strip()}", at)
        else:
            known = f"settings stand in {listed([*_SECTIONS, _LET], 'or')}"
            close = closest(kind, (*_SECTIONS, _LET))
            found = f"there is no section `{shortened(kind)}`"
            session.report.add(unknown_override(Span(typed, 0, len(kind)), found, close, known))
    return file


def _with_let(session: Session, file: tree.File, name: str, value: str, at: Span) -> tree.File:
    lets = [item.name.text for item in file.items if isinstance(item, tree.Let)]
    if name not in lets:
        found = f"the file has no constant `{shortened(name)}`"
        known = f"its constants are {listed([f'`{shortened(other)}`' for other in lets[:10]])}" if lets else ""
        key = Span(at.source, 0, at.source.text.index("="))
        session.report.add(unknown_override(key, found, closest(name, lets), known))
        return file
    new = _parsed(session, f"{_LET} {name} = {value.strip()}", tree.Let, at)
    if new is None:
        return file
    items = (new if isinstance(item, tree.Let) and item.name.text == name else item for item in file.items)
    return replace(file, items=tuple(items))


def _with_setting(session: Session, file: tree.File, kind: str, line: str, at: Span) -> tree.File:
    new = _parsed(session, f"{kind} {{ {line} }}", tree.Section, at)
    if new is None:
        return file
    items = list(file.items)
    for index, item in enumerate(items):
        if isinstance(item, tree.Section) and item.kind.text == kind:
            items[index] = replace(item, bindings=_merged(item.bindings, new.bindings[0]))
            break
    else:
        items.append(new)
    return replace(file, items=tuple(items))


def _merged(bindings: tuple[tree.Binding, ...], new: tree.Binding) -> tuple[tree.Binding, ...]:
    others = tuple(binding for binding in bindings if binding.name.text != new.name.text)
    return (*others, new)


def _parsed(session: Session, text: str, kind: type[_Item], at: Span) -> _Item | None:
    """The one item that this text is; otherwise what is wrong with it is reported."""
    parsed = parse(Source(_NAME, text), session.limits)
    for diagnostic in parsed.diagnostics:
        session.report.add(diagnostic)
    items = parsed.file.items if parsed.file is not None else ()
    if parsed.diagnostics:
        return None
    if len(items) == 1 and isinstance(items[0], kind):
        item = items[0]
        if not isinstance(item, tree.Section) or len(item.bindings) == 1:
            return item
    session.report.add(bad_override(at))
    return None
