"""Imports: constants and blocks of other files, from inside the project folder only."""

from __future__ import annotations

import os

from dsl import tree
from dsl.checker import declarations
from dsl.checker.rules.imports import import_cycle, import_outside, import_unreadable, not_importable
from dsl.checker.rules.names import duplicate_name
from dsl.checker.scope import Definition, Scope, later_names
from dsl.checker.session import Session
from dsl.checker.values import shortened
from dsl.parser import parse
from dsl.source import Source, read_source

_MOST_FILES = 100
_DEEPEST = 20


class Imports:
    """The files that a network's file imports, each read once.

    Attributes:
        sources: the imported texts; a file stands behind those that it imports itself.
        brought: the import items of the network's file with what they define.
    """

    def __init__(self, session: Session, root: Source) -> None:
        self.session = session
        self.root = root
        self.sources: list[Source] = []
        self.brought: list[tuple[tree.Import, list[Definition]]] = []
        self._folder = os.path.dirname(os.path.realpath(root.name))
        self._open = [(os.path.realpath(root.name), root.name)]  # the files that import each other to this one
        self._scopes: dict[str, Scope] = {}
        self._characters = len(root.text)

    def bring(self, item: tree.Import, scope: Scope) -> None:
        """Define the names of an imported file in this scope."""
        imported = self._scope(item)
        if imported is None:
            self.session.import_failed = True
            return
        self.brought.append((item, list(imported.names.values())))
        for definition in imported.names.values():
            first = scope.find(definition.name)
            if first is None:
                scope.define(definition)
            elif first is not definition:
                name = shortened(definition.name)
                self.session.report.add(duplicate_name(item.path.span, name, first.span))

    def _scope(self, item: tree.Import) -> Scope | None:
        """The names of the imported file; None when it cannot be had, which is reported."""
        path = self._path(item)
        if path is None:
            return None
        name, real = path
        if any(real == other for other, _ in self._open):
            circle = [shown for _, shown in self._open[[real for real, _ in self._open].index(real) :]]
            self.session.report.add(import_cycle(item.path.span, (*circle, circle[0])))
            return None
        if real not in self._scopes:
            source = self._read(item, name)
            if source is None:
                return None
            self._open.append((real, name))
            self._scopes[real] = self._checked(item, source)
            self._open.pop()
            self.sources.append(source)
        return self._scopes[real]

    def _path(self, item: tree.Import) -> tuple[str, str] | None:
        """The path of a file as people know it, and the real one, inside of the project folder."""
        written, at, report = item.path.value, item.path.span, self.session.report
        if not os.path.isfile(self.root.name):
            report.add(import_unreadable(at, "a text that is no file imports nothing: it has no folder"))
            return None
        name = os.path.normpath(os.path.join(os.path.dirname(at.source.name), written))
        shown = f"`{shortened(written)}`"
        if "\0" in written or not written:
            report.add(import_unreadable(at, f"{shown} is no path"))
            return None
        real = os.path.realpath(name)
        if os.path.isabs(written):
            report.add(import_outside(at, f"an import is relative to its file, and {shown} is absolute"))
        elif os.path.commonpath([self._folder, real]) != self._folder:
            report.add(import_outside(at, f"{shown} leads out of the project folder"))
        elif os.path.isfile(real) and os.stat(real).st_nlink > 1:
            report.add(import_outside(at, f"{shown} has several hard links, so it may be a file from elsewhere"))
        else:
            return name, real
        return None

    def _read(self, item: tree.Import, name: str) -> Source | None:
        report = self.session.report
        if len(self._open) > _DEEPEST or len(self.sources) >= _MOST_FILES:
            reason = f"imports go at most {_DEEPEST} files deep, and over at most {_MOST_FILES} files"
            report.add(import_unreadable(item.path.span, reason))
            return None
        source = read_source(name, self.session.limits)
        self._characters += len(source.text)
        if source.fault is not None:
            report.add(import_unreadable(item.path.span, source.fault.message, source.fault.help))
        elif self._characters > self.session.limits.characters:
            report.add(import_unreadable(item.path.span, "the imported files are too large together"))
        else:
            return source
        return None

    def _checked(self, item: tree.Import, source: Source) -> Scope:
        """The names of one file, whose mistakes are reported with its name."""
        session = self.session
        session.report.place(source, item.path.span)
        parsed = parse(source, session.limits)
        for diagnostic in parsed.diagnostics:
            session.report.add(diagnostic)
        items = parsed.file.items if parsed.file is not None else ()
        scope = Scope(later=later_names(items))
        refused = False
        for part in items:
            match part:
                case tree.Let():
                    declarations.let(session, part, scope)
                case tree.Block():
                    declarations.block(session, part, scope)
                case tree.Import():
                    self.bring(part, scope)
                case tree.Broken():
                    session.lose(part)
                case _:
                    if not refused:
                        session.report.add(not_importable(part.span, part.span.text.split()[0], item.path.span))
                    refused = True
        return scope
