"""A network's whole text in one file: what it imports is written out in the place of the import."""

from __future__ import annotations

from dsl import Program, Source, parse, tree


def standalone(program: Program) -> str:
    """The source of a program with its imports written out, so that it checks in any folder.

    Imported files hold `let` and `block` items whose names are unique in all, so they can stand together before
    everything that uses them; comments stay.
    """
    source = program.source
    imports = _imports(source) if program.imports else []
    if not imports:
        return source.text
    brought = "".join(f"{_without(imported, _imports(imported)).strip()}\n" for imported in program.imports)
    start = imports[0].span.start
    return source.text[:start] + brought + _without(source, imports, start=start)


def _imports(source: Source) -> list[tree.Import]:
    file = parse(source).file
    assert file is not None, "a checked program has parsed"
    return [item for item in file.items if isinstance(item, tree.Import)]


def _without(source: Source, items: list[tree.Import], *, start: int = 0) -> str:
    """The text from ``start`` on, without these items."""
    pieces = []
    for item in items:
        pieces.append(source.text[start : item.span.start])
        start = item.span.end
    return "".join([*pieces, source.text[start:]])
