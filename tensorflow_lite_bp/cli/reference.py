"""``tflbp reference``: the page of a layer, a loss, a setting's function, or a mistake."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tensorflow_lite_bp.cli._answer import Answer
from tensorflow_lite_bp.cli._layout import WIDTH, counted, table
from tensorflow_lite_bp.cli._options import Json
from tensorflow_lite_bp.errors import InputError

if TYPE_CHECKING:
    from tensorflow_lite_bp.cli._pages import Page


def reference(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="A layer, a loss, … or the code of a mistake.")
    ] = None,
    *,
    out: Annotated[str | None, typer.Option("--out", metavar="DIR", help="Write all pages as Markdown files.")] = None,
    json: Json = False,
) -> Answer:
    """Explain a layer, loss, optimizer, data function or mistake; without NAME list them.

    \b
    Examples:
      tflbp reference dense
      tflbp reference shape-mismatch
      tflbp reference --out reference
    """
    from tensorflow_lite_bp.cli._pages import all_pages

    pages = all_pages()
    if name is not None:
        pages = _named(pages, name)
    if out is not None:
        return _write(pages, Path(out))
    if name is None:
        listed = [{"category": page.category, "name": page.name, "summary": page.summary} for page in pages]
        return Answer({"pages": listed}, text=_list(pages))
    return Answer({"pages": [_as_data(page) for page in pages]}, text="\n\n".join(page.text.rstrip() for page in pages))


def _named(pages: Sequence[Page], name: str) -> list[Page]:
    found = [page for page in pages if page.name == name]
    if not found:
        from difflib import get_close_matches

        close = get_close_matches(name, [page.name for page in pages], n=1)
        hint = f"did you mean `{close[0]}`?" if close else "`tflbp reference` lists them"
        raise InputError(f"there is no page `{name}`: {hint}")
    return found


def _as_data(page: Page) -> dict[str, Any]:
    return {"category": page.category, "name": page.name, "summary": page.summary, "text": page.text}


def _list(pages: Sequence[Page]) -> str:
    """All names, by category, with as much of their summaries as fits a line."""
    from textwrap import shorten

    parts = []
    for folder in dict.fromkeys(page.folder for page in pages):
        listed = [page for page in pages if page.folder == folder]
        room = WIDTH - max(len(folder), *(len(f"  {page.name}") for page in listed)) - 2
        lines = [(f"  {page.name}", shorten(page.summary, room, placeholder=" …")) for page in listed]
        parts.append(table([(folder, ""), *lines]))
    return "\n\n".join(parts)


def _write(pages: Sequence[Page], out: Path) -> Answer:
    """The pages as files, a folder for each category, and an index."""
    from tensorflow_lite_bp.cli._pages import index
    from tensorflow_lite_bp.files import atomic_write

    files = {out / page.folder / f"{page.name}.md": page.text for page in pages} | {out / "README.md": index(pages)}
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as file:
            file.write(text.encode())
    return Answer(
        {"folder": str(out), "files": sorted(map(str, files))}, text=f"{counted(len(files), 'file')} in {out}"
    )
