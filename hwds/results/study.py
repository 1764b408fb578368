"""The result of a study, and the state of its runs with the plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import polars as pl

from hwds.core.checksums.files import Damaged, write_json
from hwds.core.hashing import digest_file
from hwds.core.outputs import OUTPUTS
from hwds.results.comparison import plain
from hwds.results.csv_files import read_csv, write_csv
from hwds.results.files import read_mapping, undamaged

FILES = "files"
"""The key of a result with the digests of its tables."""

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
class StudyResult:
    """The result of a study.

    Attributes:
        name: The name of the study.
        plan: All decisions made before the runs.
        plan_hash: Its digest.
        verdict: The answer of the rule to the contrasts.
        unit: The unit of the metric.
        contrasts: See `CONTRASTS`.
        scores: See `RUNS`.
        notes: Warnings to read before the numbers.
        amended: Changes of the plan after results were known: `margin: 0.02, and before 0.05`.
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
        """Write `contrasts.csv`, `scores.csv` and `study.json`, which comes last: a folder with it is complete.

        Raises:
            HwdsError: The folder cannot be written.
        """
        for name in ("contrasts", "scores"):
            table: pl.DataFrame = getattr(self, name)
            write_csv(folder / f"{name}.csv", table)
        content = {key: value for key, value in vars(self).items() if not isinstance(value, pl.DataFrame)}
        content |= {FILES: {name: digest_file(folder / name) for name in ("contrasts.csv", "scores.csv")}}
        write_json(folder / "study.json", plain(content), allow_nan=False)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Return the result that `write` wrote.

        Raises:
            HwdsError: A file is damaged.
        """
        content = read_mapping(folder / "study.json")
        for name, checksum in content.pop(FILES, {}).items():
            with undamaged(folder / name) as path:
                if digest_file(path) != checksum:
                    raise Damaged("has another checksum than when it was written")
        content |= {"notes": tuple(content["notes"]), "amended": tuple(content["amended"])}
        content |= {"contrasts": read_csv(folder / "contrasts.csv", CONTRASTS)}
        return cls(**content, scores=read_csv(folder / "scores.csv", RUNS))


@dataclass(frozen=True)
class StudyState:
    """The folder `outputs/studies/<name>/` with the plan and its runs; another one where overrides change the numbers."""

    path: Path

    @classmethod
    def of(cls, name: str, changes: str = "") -> StudyState:
        """Return the state of a study, or of a variant of it under further overrides (their digest)."""
        return cls((OUTPUTS / "studies" / (f"{name}-{changes}" if changes else name)).resolve())

    def read(self) -> dict[str, Any]:
        """Return `plan`, `plan_hash`, `runs` (by experiment and seed) and `amended`; empty before the first run.

        Raises:
            HwdsError: It is damaged.
        """
        path = self.path / "state.json"
        return read_mapping(path) if path.is_file() else {}

    def write(
        self, plan: Mapping[str, Any], plan_hash: str, runs: Mapping[str, Mapping[str, str]], amended: Sequence[str]
    ) -> None:
        """Write the state for `read`."""
        content = {"plan": plan, "plan_hash": plan_hash, "runs": runs, "amended": amended}
        write_json(self.path / "state.json", plain(content), allow_nan=False)
