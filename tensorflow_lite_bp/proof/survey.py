"""All proofs of layers, operators and losses of the table: each of its examples, on each branch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tensorflow_lite_bp.declare import registry
from tensorflow_lite_bp.proof.ledger import PROVED, REFUTED, VERDICTS, count

CATEGORIES = ("layer", "operator", "loss")


@dataclass(frozen=True)
class Survey:
    """What was found of one layer, operator or loss."""

    category: str
    name: str
    by_example: Sequence[Sequence[Any]]
    """The proofs of each example, one for each branch."""

    @property
    def examples(self) -> int:
        return len(self.by_example)

    @property
    def proofs(self) -> list[Any]:
        return [proof for proofs in self.by_example for proof in proofs]

    @property
    def counts(self) -> dict[str, int]:
        return count(entry for proof in self.proofs for entry in proof.entries)

    @property
    def verdict(self) -> str:
        return worst(self.counts)


def worst(counts: dict[str, int]) -> str:
    """A refutation where there is one, else the verdict that says least of those that were found."""
    order = (REFUTED, *reversed(VERDICTS))
    return next((verdict for verdict in order if counts[verdict]), PROVED)


def names() -> list[str]:
    """Of everything that can be proved by name."""
    return sorted({name for category in CATEGORIES for name in registry[category]})


def surveys(name: str | None = None, *, seconds: float = 10.0, deadline: float = float("inf")) -> Iterator[Survey]:
    """The proofs of that name, or of everything in the table."""
    from tensorflow_lite_bp.proof.derivations import layer_proofs, loss_proofs

    for category in CATEGORIES:
        prove = loss_proofs if category == "loss" else layer_proofs
        for found, cls in sorted(registry[category].items()):
            if name is None or found == name:
                examples: Sequence[Any] = cls.examples  # type: ignore[attr-defined]  # these categories have them
                by_example = [[*prove(cls, ex, seconds=seconds, deadline=deadline)] for ex in examples]
                yield Survey(category, found, by_example)
