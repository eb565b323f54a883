"""The items of a file, one after the other, and the program that they make."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import PurePath
from typing import Any

from dsl import tree
from dsl.checker import declarations, sections
from dsl.checker.declarations import define
from dsl.checker.imports import Imports
from dsl.checker.objectives import Objectives
from dsl.checker.rules.items import constant_binding, no_input, no_loss, no_output, repeated_item
from dsl.checker.rules.names import unused, unused_import
from dsl.checker.scope import Scope, later_names
from dsl.checker.session import Session
from dsl.checker.values import Known, Tensor, shortened
from dsl.program import DataSection, Parameter, Program, Variable
from dsl.source import Span

_SECTIONS = ("data", "train", "export")


class FileCheck:
    """The check of one network's file."""

    def __init__(self, session: Session, file: tree.File) -> None:
        self.session = session
        self.file = file
        self.scope = Scope(later=later_names(file.items))
        self.objectives = Objectives(session, self.scope, file.items)
        self.imports = Imports(session, file.source)
        self.network: tree.Network | None = None
        self.inputs: list[Variable] = []
        self.targets: list[Variable] = []
        self.parameters: list[Parameter] = []
        self.sizes: list[str] = []
        self.names: dict[str, str] = {}
        self.sections: dict[str, tree.Section] = {}
        self.train: Mapping[str, Any] = sections.defaults(session, "train")
        self.export: Mapping[str, Any] = sections.defaults(session, "export")
        self.data: DataSection | None = None

    def run(self) -> None:
        """Check every item. Sections come last: they speak of the whole network, wherever they stand."""
        for item in self.file.items:
            if isinstance(item, tree.Broken):
                self.session.lose(item)
        for item in self.file.items:
            self._item(item)
        for section in self.sections.values():
            self._section(section)
        if not self.session.damaged:
            self._complete()
        self.session.report_missing()
        if not self.session.report.errors:
            self._unused()

    def _item(self, item: tree.Item) -> None:
        """Check an item that defines something; what a network is for has a method of its own."""
        session, scope = self.session, self.scope
        match item:
            case tree.Import():
                self.imports.bring(item, scope)
            case tree.Let():
                declarations.let(session, item, scope)
            case tree.Input() | tree.Target():
                self._variable(item)
            case tree.Parameter():
                found = declarations.parameter(session, item, scope)
                if found is not None:
                    self.parameters.append(Parameter(item.name.text, *found, item.span))
            case tree.Block():
                declarations.block(session, item, scope)
            case tree.Layer():
                declarations.layer(session, item, scope)
            case tree.Binding():
                self._binding(item)
            case _:
                self._purpose(item)

    def _purpose(self, item: tree.Item) -> None:
        match item:
            case tree.Loss():
                self.objectives.add_loss(item)
            case tree.Metric():
                self.objectives.add_metric(item)
            case tree.Output():
                self.objectives.add_output(item)
                self._remember(item.name.text)
            case tree.Network():
                if self.network is None:
                    self.network = item
                else:
                    self.session.report.add(repeated_item(item.span, "network", self.network.span))
            case tree.Section():
                first = self.sections.setdefault(item.kind.text, item)
                if first is not item:
                    self.session.report.add(repeated_item(item.kind.span, item.kind.text, first.kind.span))

    def _variable(self, item: tree.Input | tree.Target) -> None:
        type_ = declarations.variable(self.session, item, self.scope, self.sizes)
        if type_ is not None:
            variables = self.inputs if isinstance(item, tree.Input) else self.targets
            variables.append(Variable(item.name.text, type_, item.span))

    def _binding(self, item: tree.Binding) -> None:
        value = self.session.frame(self.scope, item.name.text).evaluate(item.value)
        if isinstance(value, Known):
            self.session.report.add(constant_binding(value.span, shortened(item.name.text)))
        define(self.session, self.scope, item.name, "tensor", value)
        if isinstance(value, Tensor):
            self.session.nodes.bindings.setdefault(value.name, (item.name.text, item.name.span))
            self._remember(item.name.text)

    def _remember(self, name: str) -> None:
        """Keep which tensor a name stands for."""
        definition = self.scope.find(name)
        if definition is not None and isinstance(definition.value, Tensor):
            self.names[name] = definition.value.name

    def _section(self, section: tree.Section) -> None:
        if section.kind.text == "data":
            self.data = sections.data(self.session, section, self.scope)
            return
        found = sections.settings(self.session, section, self.scope)
        if section.kind.text == "train":
            self.train = found if found is not None else self.train
        else:
            self.export = found if found is not None else self.export

    def _complete(self) -> None:
        """Report what the file lacks as a whole."""
        items, report = self.file.items, self.session.report
        start = self.network.span if self.network is not None else Span(self.file.source, 0, 0)
        if not any(isinstance(item, tree.Input) for item in items):
            if not report.errors:
                report.add(no_input(start))
            return
        if not any(isinstance(item, tree.Output) for item in items):
            report.add(no_output(start))
        if "train" in self.sections and not any(isinstance(item, tree.Loss) for item in items):
            report.add(no_loss(self.sections["train"].kind.span))

    def _unused(self) -> None:
        """Warn of what is declared and never used."""
        report = self.session.report
        source = self.file.source
        for definition in self.scope.names.values():
            if not definition.used and definition.span.source is source:
                report.add(unused(definition.span, shortened(definition.name), definition.kind))
        for item, brought in self.imports.brought:
            if item.span.source is source and not any(definition.used for definition in brought):
                report.add(unused_import(item.span))
        for diagnostic in self.session.unused:
            report.add(diagnostic)

    def program(self, overrides: tuple[str, ...]) -> Program:
        """The checked network. Only to be asked for when nothing is wrong."""
        nodes = self.session.nodes
        bound = {tensor: name for tensor, (name, _) in nodes.bindings.items()}
        return Program(
            name=self.network.name.text if self.network is not None else _name_of(self.file.source.name),
            source=self.file.source,
            inputs=tuple(self.inputs),
            targets=tuple(self.targets),
            parameters=tuple(self.parameters),
            nodes=tuple(replace(made.node, binding=bound.get(name)) for name, made in nodes.made.items()),
            losses=tuple(self.objectives.losses),
            metrics=tuple(self.objectives.metrics),
            outputs=tuple(self.objectives.outputs),
            data=self.data,
            train=self.train,
            export=self.export,
            sizes=tuple(self.sizes),
            names=self.names,
            imports=tuple(self.imports.sources),
            overrides=overrides,
            types=nodes.types,
        )


def _name_of(source: str) -> str:
    """A network without a name is called after its file."""
    stem = PurePath(source).stem
    return stem if stem.isidentifier() else "network"
