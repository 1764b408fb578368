"""KeepModel: whether the model is good enough to be used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import polars as pl

from hwds.core.recipe import Positive
from hwds.evaluation.decisions.base import Decision
from hwds.results.tables import Tables, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepVerdict(Verdict):
    """What to do with the model.

    Attributes:
        errors: The squared error of every model.
    """

    errors: pl.DataFrame

    files: ClassVar = {"kept_models": "errors"}


class KeepModel(Decision):
    """KEEP a model whose squared error is at most so large.

    Attributes:
        most: The largest squared error.
    """

    tasks: ClassVar[tuple[str, ...]] = ("regression",)

    most: Positive = 1.0

    def decide(self, tables: Tables, frame: Any, model: str, protocol: Any) -> KeepVerdict:
        """Return the verdict on the experiment's own model."""
        errors = tables.overall("squared_error").select("model", "value")
        own = errors.filter(pl.col("model") == model)["value"][0]
        action = "KEEP" if own <= self.most else "DROP"
        sentence = f"{action} {model}: its squared error is {own:.3f} and may be {self.most:g}."
        return KeepVerdict(
            decision=self.name,
            action=action,
            rule="none",
            sentence=sentence,
            errors=errors,
        )
