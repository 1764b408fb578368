"""Comparison: what a comparison of models came to, as plain values and tables."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Self

import polars as pl

from hwds.errors import several
from hwds.metrics.base import Measure
from hwds.results.atomic import write_atomically, write_text
from hwds.results.folder import OUTPUTS, RunFolder
from hwds.results.sweep_folder import SweepFolder, twofold

Chosen = Literal["asked", "own", "best"]

LEADERBOARD = {
    "model": pl.String,
    "mean": pl.Float64,
    "stderr": pl.Float64,
    "median": pl.Float64,
    "rank": pl.Float64,
    "win_rate": pl.Float64,
    "skill": pl.Float64,
    "set_p": pl.Float64,
    "n": pl.Int64,
    "n_undefined": pl.Int64,
    "n_failed": pl.Int64,
    "n_fallback": pl.Int64,
    "seconds": pl.Float64,
}
"""Columns of the leaderboard, one row a model, the best first; see `Comparison`."""

PAIRS = {
    "model": pl.String,
    "rival": pl.String,
    "effect": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "p_value": pl.Float64,
    "p_holm": pl.Float64,
    "alike_p": pl.Float64,
    "alike_holm": pl.Float64,
    "wins": pl.Float64,
    "wins_low": pl.Float64,
    "wins_high": pl.Float64,
    "wilcoxon_p": pl.Float64,
    "method": pl.String,
    "clusters": pl.Int64,
    "verdict": pl.String,
}
"""Columns of the pairs; see `Comparison`."""


FILES = {"pairs": "comparison", "leaderboard": "leaderboard", "along": "along"}
"""The file of each table."""


@dataclass(frozen=True, slots=True)
class RankTest:
    """Friedman's test and Nemenyi's critical difference.

    Attributes:
        ranks: The mean rank of each model, 1 the best.
        blocks, called: How many blocks, and what they are (`series`, `datasets`).
        statistic, p_value: Friedman's.
        f_p_value: In the form of Iman and Davenport.
        critical_difference: Mean ranks further apart differ at 5 %, all pairs together.
    """

    ranks: Mapping[str, float]
    blocks: int
    called: str
    statistic: float
    p_value: float
    f_p_value: float
    critical_difference: float


@dataclass(frozen=True, eq=False)
class Comparison:
    """Models against models.

    Attributes:
        measure: The metric.
        metrics: Its full name on each dataset.
        task: Of the runs.
        subject: The model that sentences are about.
        chosen: Whether it was asked for, is the own model of all runs, or is the best of this data.
        family: How many tests are corrected for together: the subject against each rival, or all pairs where the data chose it.
        relative: Whether effects are shares (0.021 is 2.1 % better) or differences in the metric's unit.
        margin: Effects smaller than this do not matter; None where nothing was said.
        level: Of intervals and verdicts.
        leaderboard: See `LEADERBOARD`: over shared rows; `rank` is the mean over blocks, `win_rate` the mean share of units won
            against each other model, `set_p` above 1 - level is in the model confidence set, `n` counts shared units.
        pairs: See `PAIRS`: the subject against each rival, effects above 0 where it is better; `p_holm` and `alike_holm` are
            corrected; `verdict` is `better`, `worse`, `better, alike`, `worse, alike`, `alike` or `unsure`.
        along: Diebold-Mariano tests by series, empty where no series has origins enough.
        ranks: Friedman's test, None with fewer than three models.
        datasets, seeds, units: What was compared on; what a unit is.
        sources: The runs.
        notes: What is to be known before the numbers are read.
    """

    measure: Measure
    metrics: Mapping[str, str]
    task: str
    subject: str
    chosen: Chosen
    family: int
    relative: bool
    margin: float | None
    level: float
    leaderboard: pl.DataFrame
    pairs: pl.DataFrame
    along: pl.DataFrame
    ranks: RankTest | None
    datasets: tuple[str, ...]
    seeds: tuple[int, ...]
    units: str
    sources: tuple[str, ...]
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as JSON holds them."""
        plain = {name: value for name, value in vars(self).items() if not isinstance(value, pl.DataFrame)}
        plain |= {"measure": asdict(self.measure), "ranks": asdict(self.ranks) if self.ranks else None}
        tables = {name: getattr(self, name).to_dicts() for name in ("leaderboard", "pairs", "along")}
        return plain | tables

    @classmethod
    def read(cls, folder: Path) -> tuple[Self, str]:
        """What `write` wrote, and the command that made it."""
        said = json.loads((folder / "comparison.json").read_text(encoding="utf-8"))
        command, _ = said.pop("command"), said.pop("sentence")
        paths = {name: folder / f"{file}.parquet" for name, file in FILES.items()}
        tables = {name: pl.read_parquet(path) if path.is_file() else pl.DataFrame() for name, path in paths.items()}
        lists = {name: tuple(said[name]) for name in ("datasets", "seeds", "sources", "notes")}
        ranks = RankTest(**said["ranks"]) if said["ranks"] else None
        return cls(**{**said, **tables, **lists, "ranks": ranks, "measure": Measure(**said["measure"])}), command

    def write(self, folder: Path, sentence: str, command: str) -> None:
        """`comparison.parquet` (the pairs), `leaderboard.parquet`, `along.parquet` and `comparison.json`.

        Raises:
            HwdsError: The folder cannot be written.
        """
        for name, file in FILES.items():
            table: pl.DataFrame = getattr(self, name)
            if len(table) or name != "along":
                write_atomically(folder / f"{file}.parquet", table.write_parquet)
        said = {name: value for name, value in self.as_dict().items() if name not in FILES}
        write_text(folder / "comparison.json", as_json({"sentence": sentence, "command": command} | said))


def comparison_folders() -> dict[str, Path]:
    """The folders of all comparisons below the current folder, by their ids."""
    return {path.parent.name: path.parent for path in sorted((OUTPUTS / "comparisons").glob("*/comparison.json"))}


def comparison_folder(name: str) -> Path | None:
    """The folder of a comparison by its path, its id or the beginning of it; None where no comparison is called so.

    Raises:
        ConfigError: Several begin so, or a run or a sweep does, too.
    """
    if (Path(name) / "comparison.json").is_file():
        return Path(name).resolve()
    found = [path for known, path in comparison_folders().items() if known.startswith(name)]
    if len(found) > 1:
        raise several("comparison", name, (path.name for path in found))
    for kind, others in (("run", RunFolder.begun(name)), ("sweep", SweepFolder.begun(name))):
        if found and others and found[0].name != name:
            raise twofold(name, kind, others, "comparison", found)
    return found[0].resolve() if found else None


def as_json(data: Mapping[str, Any] | Sequence[Any]) -> str:
    """Plain data as JSON; what is not a number is null."""
    return json.dumps(_plain(data), indent=1, allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and value - value != 0:  # NaN and infinity
        return None
    return value
