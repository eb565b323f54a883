"""From a frozen dataclass to an entry of the language: its fields are the settings, with bounds.

Layers, losses, metrics, optimizers, schedules, initialisers, data sources and transforms are declared alike::

    @dataclass(frozen=True)
    class Dense(Layer, name="dense"):
        '''First line: the summary in the reference.'''

        units: int = setting(minimum=1, help="features out")
        bias: bool = setting(True)

Importing the file is enough: `Declared.signature` makes of the class what the checker needs, `build` makes an instance
of a checked call. A package of such files calls `import_all` in its ``__init__``, so a new file is the only edit.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, ClassVar

from dsl.program import Call
from dsl.signature import REQUIRED, Setting, Signature

_KINDS = {
    "int": "int",
    "float": "float",
    "bool": "bool",
    "str": "string",
    "tuple[int, ...]": "sizes",
    "tuple[str, ...]": "strings",
    "tuple[float, ...]": "floats",
}

registry: dict[str, dict[str, type[Declared]]] = {}
"""Every declared class, by category and name."""


def setting(
    default: Any = REQUIRED,
    *,
    kind: str | None = None,
    minimum: float | None = None,
    maximum: float | None = None,
    above: float | None = None,
    below: float | None = None,
    choices: tuple[Any, ...] = (),
    help: str = "",
    variadic: bool = False,
) -> Any:
    """A dataclass field that is a setting of the language; arguments as in `dsl.signature.Setting`.

    ``kind`` is read off the annotation (int, float, bool, str, tuple[int, ...], ...) when left out. For a setting
    that is a call (an initialiser, a schedule) name the category, e.g. ``kind="initializer"``, and give the default
    as an instance.
    """
    described = Setting("", kind or "", default, minimum, maximum, above, below, choices, help, variadic)
    if default is REQUIRED:
        return field(metadata={"setting": described})
    return field(default=default, metadata={"setting": described})


@dataclass(frozen=True)
class Declared:
    """A class that the language knows by ``name`` within ``category``."""

    category: ClassVar[str]
    name: ClassVar[str]

    def __init_subclass__(cls, *, name: str | None = None, category: str | None = None) -> None:
        super().__init_subclass__()
        if category is not None:
            cls.category = category
        if name is not None:
            cls.name = name
            known = registry.setdefault(cls.category, {})
            assert name not in known or known[name].__qualname__ == cls.__qualname__, f"two declare {name}"
            known[name] = cls

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Any:
        """An instance from checked settings, in which calls (an initialiser, ...) are built too."""
        names = {item.name.rstrip("_"): item.name for item in fields(cls)}
        return cls(**{names[name]: _built(value) for name, value in settings.items()})

    @classmethod
    def signature(cls) -> Signature:
        """What the checker knows of this class; categories with tensors add ports and rules."""
        return Signature(cls.category, cls.name, settings_of(cls), summary=summary(cls))


def _built(value: Any) -> Any:
    return build(value) if isinstance(value, Call) else value


def build(call: Call) -> Any:
    """The instance that a checked call stands for."""
    return registry[call.category][call.name].from_settings(call.settings)


def settings_of(cls: type[Declared]) -> tuple[Setting, ...]:
    """The settings of a class, from its dataclass fields; ``with_`` is the setting ``with``, which Python reserves."""
    found = []
    for item in sorted(fields(cls), key=lambda item: item.kw_only is True):  # a base's come last
        described: Setting = item.metadata.get("setting", Setting("", ""))
        default = REQUIRED if item.default is MISSING else item.default
        optional = str(item.type).removesuffix(" | None")
        kind = described.kind or _KINDS[optional]
        found.append(
            Setting(
                item.name.rstrip("_"), kind, default, described.minimum, described.maximum, described.above,
                described.below, described.choices, described.help, described.variadic,
            )
        )  # fmt: skip
    return tuple(found)


def summary(cls: type[Declared]) -> str:
    """The first line of a class's documentation."""
    return (cls.__doc__ or "").strip().split("\n", 1)[0]


def import_all(package: str, path: list[str]) -> None:
    """Import every module of a package, so that what they declare is known."""
    for module in sorted(module.name for module in pkgutil.iter_modules(path)):
        importlib.import_module(f"{package}.{module}")
