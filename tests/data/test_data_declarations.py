"""What the language learns of data sections: without NumPy, and with the names that the `.net` file uses."""

from __future__ import annotations

import subprocess
import sys

import pytest

import tensorflow_lite_bp.data
from dsl.signature import Table


def test_declarations_import_no_numpy() -> None:
    code = "import sys, tensorflow_lite_bp.data; print(sorted({'numpy', 'csv', 'onnx', 'zipfile'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_what_does_the_work_is_imported_when_it_is_used() -> None:
    for name in tensorflow_lite_bp.data.__all__:
        assert getattr(tensorflow_lite_bp.data, name) is not None
    with pytest.raises(AttributeError, match=r"^module 'tensorflow_lite_bp\.data' has no attribute 'nothing'$"):
        _ = tensorflow_lite_bp.data.nothing


def test_names(data_table: Table) -> None:
    assert data_table.names("source") == ["csv", "idx", "npz"]
    assert data_table.names("split") == ["random", "stratified"]
    assert data_table.names("transform") == [
        "add", "array", "classes", "column", "columns", "concatenate", "divide", "impute", "minmax", "multiply",
        "one_hot", "power", "standardize", "subtract",
    ]  # fmt: skip


def test_a_setting_may_have_a_name_that_python_reserves(data_table: Table) -> None:
    signature = data_table.find("transform", "impute")
    assert signature is not None
    assert [setting.name for setting in signature.settings] == ["with"]


@pytest.mark.parametrize("category", ["source", "split", "transform"])
def test_every_setting_and_entry_says_what_it_is(data_table: Table, category: str) -> None:
    for signature in data_table.signatures[category].values():
        assert signature.summary.endswith((".", ":")) or "`" in signature.summary, signature.name
        assert all(setting.help for setting in signature.settings), signature.name
