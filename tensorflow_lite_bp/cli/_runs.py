"""A trained network from a run folder or a checkpoint, with what is known about its training."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tensorflow_lite_bp.errors import TflbpError

if TYPE_CHECKING:
    from tensorflow_lite_bp.backend import Backend
    from tensorflow_lite_bp.data import Table
    from tensorflow_lite_bp.network import Network
    from tensorflow_lite_bp.training.run import RunInfo


@dataclass(frozen=True)
class Trained:
    """``info`` is None for a checkpoint that lies in no run folder."""

    path: Path
    network: Network
    info: RunInfo | None

    @property
    def folder(self) -> Path | None:
        """Where the paths of the data section start."""
        return Path(self.info.folder) if self.info is not None else None

    @property
    def home(self) -> Path:
        """Where what is made of the run is put."""
        return self.path if self.path.is_dir() else self.path.parent

    def table(self) -> Table | None:
        """The table with the training rows; None when it is not known or no longer there."""
        from tensorflow_lite_bp.data.dataset import training_table

        if self.network.program.data is None or self.folder is None:
            return None
        try:
            return training_table(self.network.program, folder=self.folder)
        except TflbpError:
            return None

    def metrics(self) -> dict[str, Any]:
        """What training came to, for each split."""
        result = self.info.result if self.info is not None else None
        known = result if result is not None else {}
        return {split: known[split] for split in ("train", "validation", "test") if known.get(split)}


def load(typed: str, *, backend: str | Backend = "numpy") -> Trained:
    """The network of a run folder (its best weights) or of one checkpoint.

    Raises:
        InputError: when it is neither, or damaged.
    """
    from tensorflow_lite_bp.network import Network
    from tensorflow_lite_bp.training.run import Run

    path = Path(typed)
    network = Network.load(path, backend=backend)
    folder = path if path.is_dir() else path.parent
    return Trained(path, network, Run.open(folder).info if (folder / "run.json").is_file() else None)
