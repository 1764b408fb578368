"""StudyFound: what a study came to, and the folder that keeps it beside what was planned."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import polars as pl

from hwds.results.atomic import write_atomically, write_text
from hwds.results.comparison import as_json
from hwds.results.folder import OUTPUTS

CONTRASTS = {
    **dict.fromkeys(("contrast", "experiment", "model", "rival"), pl.String),
    **dict.fromkeys(("effect", "low", "high", "p_value", "p_holm", "alike_p", "alike_holm"), pl.Float64),
    "method": pl.String,
    "clusters": pl.Int64,
    "relative": pl.Boolean,
    "verdict": pl.String,
}
"""Columns of the contrasts: the model against each rival in each experiment; p-values corrected over all of them together.

`relative` says whether effects are shares of the rival's mean, or amounts in the unit of the metric; `verdict` is `alike` where
the difference is surely within the margin, else `better` or `worse` where it is sure, else `unsure`.
"""

RUNS = {
    "experiment": pl.String,
    "seed": pl.Int64,
    "run": pl.String,
    "model": pl.String,
    **dict.fromkeys(("metric", "aggregate"), pl.String),
    "value": pl.Float64,
    "n": pl.Int64,
    "n_failed": pl.Int64,
    "n_fallback": pl.Int64,
}
"""Columns of the scores: each model's of each run."""


@dataclass(frozen=True, eq=False)
class StudyFound:
    """What a study came to.

    Attributes:
        name: Of the study.
        plan: All that was decided before.
        plan_hash: Its digest.
        verdict: What the rule makes of the contrasts.
        unit: Of the metric.
        contrasts: See `CONTRASTS`.
        scores: See `RUNS`.
        notes: What is to be known before the numbers are read.
        amended: What of the plan was changed after results were known: `margin: 0.02, and before 0.05`.
        origin: Command, code, versions.
    """

    name: str
    plan: Mapping[str, Any]
    plan_hash: str
    verdict: str
    unit: str
    contrasts: pl.DataFrame
    scores: pl.DataFrame
    notes: tuple[str, ...] = ()
    amended: tuple[str, ...] = ()
    origin: Mapping[str, Any] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """`contrasts.csv`, `scores.csv` and `study.json`, which comes last: a folder with it is whole.

        Raises:
            HwdsError: The folder cannot be written.
        """
        for name in ("contrasts", "scores"):
            table: pl.DataFrame = getattr(self, name)
            write_atomically(folder / f"{name}.csv", table.write_csv)
        told = {key: value for key, value in vars(self).items() if not isinstance(value, pl.DataFrame)}
        write_text(folder / "study.json", as_json(told))

    @classmethod
    def read(cls, folder: Path) -> Self:
        """What `write` wrote."""
        told = json.loads((folder / "study.json").read_text(encoding="utf-8"))
        told |= {"notes": tuple(told["notes"]), "amended": tuple(told["amended"])}
        told |= {"contrasts": pl.read_csv(folder / "contrasts.csv", schema=CONTRASTS)}
        return cls(**told, scores=pl.read_csv(folder / "scores.csv", schema=RUNS))


@dataclass(frozen=True)
class StudyState:
    """`outputs/studies/<name>/`: which run answered what, under which plan; another folder where words changed the numbers."""

    path: Path

    @classmethod
    def of(cls, name: str, changes: str = "") -> StudyState:
        """The state of a study, or of a trial of it under other words (their digest)."""
        return cls((OUTPUTS / "studies" / (f"{name}-{changes}" if changes else name)).resolve())

    def read(self) -> dict[str, Any]:
        """`plan`, `plan_hash`, `runs` (of each experiment and seed the run) and `amended`; empty before the first."""
        path = self.path / "state.json"
        told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        return told

    def write(
        self, plan: Mapping[str, Any], plan_hash: str, runs: Mapping[str, Mapping[str, str]], amended: Sequence[str]
    ) -> None:
        """What `read` gives back."""
        told = {"plan": plan, "plan_hash": plan_hash, "runs": runs, "amended": amended}
        write_text(self.path / "state.json", as_json(told))
