"""The signatures of the real CuPy, as a table that the double and the portability test bind calls against.

``python tests/strict/signatures.py`` writes the table anew. It needs CuPy, not a driver: what has no signature in
Python (array methods, whose code is compiled) is called with a keyword that it cannot have, which CuPy refuses before
it looks at the device. A test in an environment with CuPy holds the table against the package.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

TABLE = Path(__file__).with_name("double") / "cupy" / "signatures.json"
VERSION = "14.2.0"

METHODS = {
    "all": "axis= out= keepdims=",
    "any": "axis= out= keepdims=",
    "argmax": "axis= out= dtype= keepdims=",
    "argmin": "axis= out= dtype= keepdims=",
    "argsort": "axis= *",
    "astype": "dtype order= casting= subok= copy=",
    "clip": "min= max= out=",
    "conj": "",
    "copy": "order=",
    "cumprod": "axis= dtype= out=",
    "cumsum": "axis= dtype= out=",
    "diagonal": "offset= axis1= axis2=",
    "dot": "b out=",
    "fill": "value",
    "flatten": "order=",
    "get": "stream= order= out= * blocking=",
    "item": "",
    "max": "axis= out= keepdims=",
    "mean": "axis= dtype= out= keepdims=",
    "min": "axis= out= keepdims=",
    "nonzero": "",
    "prod": "axis= dtype= out= keepdims=",
    "ptp": "axis= out= keepdims=",
    "put": "indices values mode=",
    "ravel": "order=",
    "repeat": "repeats axis=",
    "reshape": "*shape order=",
    "round": "decimals= out=",
    "set": "arr stream=",
    "squeeze": "axis=",
    "std": "axis= dtype= out= ddof= keepdims=",
    "sum": "axis= dtype= out= keepdims=",
    "swapaxes": "axis1 axis2",
    "take": "indices axis= out=",
    "tobytes": "order=",
    "tolist": "",
    "trace": "offset= axis1= axis2= dtype= out=",
    "transpose": "*axes",
    "var": "axis= dtype= out= ddof= keepdims=",
    "view": "dtype= array_class=",
}
"""Of arrays, in their order as CuPy's documentation has them; `collect` asks CuPy whether each keyword is there."""

MODULES = ("cupy", "cupy.lib.stride_tricks", "cupyx", "cupyx.scipy.special", "cupy.linalg")


def _binding() -> Any:
    """The double's module that reads the table, which imports nothing of the double."""
    spec = spec_from_file_location("_binding", TABLE.with_name("_binding.py"))
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


binding = _binding()


def collect() -> dict[str, Any]:
    """The table, from the installed CuPy."""
    import cupy

    found: dict[str, Any] = {"version": cupy.__version__, "names": sorted(name for name in dir(cupy) if _public(name))}
    found["functions"] = {module: _functions(module) for module in MODULES}
    found["ufuncs"] = {module: _ufuncs(module) for module in MODULES}
    found["ufunc methods"] = {name: _of_docstring(cupy.add, name) for name in ("accumulate", "at", "outer", "reduce")}
    found["array"] = sorted(name for name in dir(cupy.ndarray) if _public(name))
    found["methods"] = {name: _probed(name, parameters) for name, parameters in METHODS.items()}
    return found


def _public(name: str) -> bool:
    return not name.startswith("_")


def _module(name: str) -> Any:
    from importlib import import_module

    return import_module(name)


def _functions(module: str) -> dict[str, str]:
    """Name → parameters, such as ``a axis= out= * blocking=``, of what has a signature."""
    import cupy

    found = {}
    for name, function in vars(_module(module)).items():
        if not _public(name) or isinstance(function, (type, cupy.ufunc)) or not callable(function):
            continue
        try:
            found[name] = written(inspect.signature(function))
        except (TypeError, ValueError):
            continue
    return dict(sorted(found.items()))


def written(signature: inspect.Signature) -> str:
    """Parameters in the table's notation: ``=`` for a default, ``*`` before what is a keyword alone."""
    words: list[str] = []
    kinds = inspect.Parameter
    for parameter in signature.parameters.values():
        if parameter.kind is kinds.KEYWORD_ONLY and not any(word.startswith("*") for word in words):
            words.append("*")
        mark = {kinds.VAR_POSITIONAL: "*", kinds.VAR_KEYWORD: "**"}.get(parameter.kind, "")
        words.append(mark + parameter.name + ("=" if parameter.default is not kinds.empty else ""))
    return " ".join(words)


def _ufuncs(module: str) -> dict[str, list[int]]:
    """Name → numbers of inputs and outputs."""
    import cupy

    members = vars(_module(module)).items()
    return {name: [f.nin, f.nout] for name, f in sorted(members) if isinstance(f, cupy.ufunc) and _public(name)}


def _of_docstring(ufunc: Any, name: str) -> str:
    """The first line of what CuPy says of a ufunc's method: ``ufunc.reduce(self, array, axis=0, …)``."""
    line = getattr(ufunc, name).__doc__.splitlines()[0]
    inside = line[line.index("(") + 1 : line.rindex(")")].split(", ")[1:]
    return " ".join(word.split("=")[0] + ("=" if "=" in word else "") for word in inside)


def _probed(name: str, parameters: str) -> str:
    """The same parameters, of which those are left out that this CuPy does not know as keywords."""
    method = getattr(_nowhere(), name)
    words = parameters.split()
    return " ".join(word for word in words if "=" not in word or _accepts(method, word.rstrip("=")))


def _nowhere() -> Any:
    """An array of memory that is not there, which is enough for CuPy to look at arguments."""
    import cupy

    memory = cupy.cuda.memory.BaseMemory.__new__(cupy.cuda.memory.BaseMemory)
    return cupy.ndarray((3,), dtype="f4", memptr=cupy.cuda.MemoryPointer(memory, 0))


def _accepts(method: Callable[..., Any], keyword: str) -> bool:
    """CuPy names the first keyword that it does not know."""
    try:
        method(**{keyword: None, "no_such_keyword": None})
    except TypeError as error:
        return f"'{keyword}'" not in str(error) and "no keyword arguments" not in str(error)
    return True


def table() -> Mapping[str, Any]:
    """The committed table."""
    read: Mapping[str, Any] = json.loads(TABLE.read_text("utf-8"))
    return read


def as_json(value: Any, indent: str = "") -> str:
    """JSON with a line for each key, and lists in one."""
    if not isinstance(value, Mapping):
        return json.dumps(value)
    lines = [f"{indent} {json.dumps(key)}: {as_json(value[key], indent + ' ')}" for key in sorted(value)]
    return "{\n" + ",\n".join(lines) + f"\n{indent}}}"


if __name__ == "__main__":
    TABLE.write_text(as_json(collect()) + "\n", "utf-8")
