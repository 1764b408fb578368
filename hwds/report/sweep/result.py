"""The result of a sweep: its trials, its best settings, and the comparable scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from math import hypot
from typing import Any

import numpy as np
import polars as pl

from hwds.report.standings import Number
from hwds.results.measure import Measure

UNKNOWN = Number()

ENDS = {"value": "", "stderr": "_stderr", "low": "_low", "high": "_high"}
"""The stored parts of a number, each with its suffix behind the number's name."""

OWN = ("trial", "status", "windows", "score", "stderr", "error", "source", "seconds", "cached", "host")
"""The columns of the trials table that are not settings."""

Runs = Mapping[str, Mapping[int, float]]
"""The running scores of each trial by completed windows."""

UNUSED = "not used"
"""The value of a setting in a trial whose choices leave it out."""


@dataclass(frozen=True, slots=True)
class TunedEffect:
    """By how much the best trial is better than the experiment as it stood, on the final windows, as a comparison tests it.

    Attributes:
        effect: A share, or an amount where a mean is not above 0; None where the two were not compared.
        low, high: Its 95 % interval; None where its certainty is unknown.
        p_value: Of no difference.
        reason: The reason why there is no interval.
    """

    effect: float | None = None
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SweepResult:
    """The result of a sweep.

    Attributes:
        trials: The trials table.
        measure: The metric that trials are compared by.
        better: `low` or `high`.
        windows: The number of inner windows.
        best: The number of the best trial.
        model: The label of the model that is tuned.
        inner: Its score on the inner windows.
        final: Its score on the final ones.
        own_inner: The score of the untuned experiment on the inner windows; without a value where it was not tried.
        own_final: The same on the final ones.
        tuned: The test of the latter two.
    """

    trials: pl.DataFrame
    measure: Measure
    better: str
    windows: int
    best: int
    model: str
    inner: Number = UNKNOWN
    final: Number = UNKNOWN
    own_inner: Number = UNKNOWN
    own_final: Number = UNKNOWN
    tuned: TunedEffect = TunedEffect()

    @property
    def optimism(self) -> float | None:
        """The inner score less the final one."""
        return None if self.inner.value is None or self.final.value is None else self.inner.value - self.final.value

    @property
    def optimism_error(self) -> float | None:
        """Its standard error: of other inner and other final windows, each of which has its own."""
        if self.inner.stderr is None or self.final.stderr is None:
            return None
        return hypot(self.inner.stderr, self.final.stderr)

    @property
    def gain(self) -> float | None:
        """The improvement on the final windows as a share of the untuned score; None where nothing was tuned."""
        if self.best == 0 or self.own_final.value in (None, 0) or self.final.value is None:
            return None
        assert self.own_final.value is not None
        change = (self.own_final.value - self.final.value) / abs(self.own_final.value)
        return -change if self.better == "high" else change


def ordered(result: SweepResult) -> pl.DataFrame:
    """Return the trials, best first; then those that were stopped, the furthest first; then those that failed."""
    rank = pl.col("status").replace_strict({"finished": 0, "stopped": 1, "unfinished": 2}, default=3)
    score = pl.col("score") if result.better == "low" else -pl.col("score")
    return result.trials.sort(rank, -pl.col("windows"), score, "trial", nulls_last=True)


def as_dict(result: SweepResult) -> dict[str, dict[str, Any]]:
    """Return the plain values of the result for `sweep.json`."""
    best = {
        "trial": result.best,
        **_ends(result.inner, result.final),
        "optimism": result.optimism,
        "optimism_stderr": result.optimism_error,
    }
    return {"best": best, "untuned": _ends(result.own_inner, result.own_final), "tuned": asdict(result.tuned)}


def _ends(inner: Number, final: Number) -> dict[str, float | None]:
    return {f"{name}{end}": getattr(of, key) for name, of in (("inner", inner), ("final", final)) for key, end in ENDS.items()}


def from_dict(trials: pl.DataFrame, data: Mapping[str, Any], measure: Measure) -> SweepResult:
    """Return the result of a sweep from its trials table and its `sweep.json`.

    Args:
        trials: The table.
        data: The content of `sweep.json`.
        measure: The metric that trials were compared by.
    """
    best, untuned = data["best"], data["untuned"]
    ends = [(of, name) for of in (best, untuned) for name in ("inner", "final")]
    numbers = [Number(**{key: of.get(f"{name}{end}") for key, end in ENDS.items()}) for of, name in ends]
    model, windows = str(data["config"]["model"]["name"]), len(data["windows"])
    result = SweepResult(trials, measure, str(data["better"]), windows, int(best["trial"]), model)
    tuned = TunedEffect(**data.get("tuned", {}))
    return replace(result, inner=numbers[0], final=numbers[1], own_inner=numbers[2], own_final=numbers[3], tuned=tuned)


def first_scores(result: SweepResult, runs: Runs) -> pl.DataFrame:
    """Return the trials with their score after the least number of completed windows, where all are comparable.

    Returns:
        The trials table with the columns `first`, the score, and `compared`, the number of windows.
    """
    common = min((min(scores) for scores in runs.values()), default=result.windows)
    rows = [(int(label.removeprefix("trial ")), scores[common]) for label, scores in runs.items() if common in scores]
    first = pl.DataFrame(rows, schema={"trial": pl.Int64, "first": pl.Float64}, orient="row")
    return result.trials.join(first, on="trial", maintain_order="left").with_columns(compared=pl.lit(common))


def varied(table: pl.DataFrame) -> list[str]:
    """Return the settings that differ between the trials that have a score."""
    scored = table.filter(pl.col("score").is_not_null())
    extra = {*OWN, "first", "compared"}
    return [name for name in scored.columns if name not in extra and scored[name].n_unique() > 1]


def places(values: pl.Series) -> tuple[np.ndarray, list[str]]:
    """Return the positions of a setting's values on an axis, and the names of the positions.

    Numbers are as they are, nan where unused, without names; words lie at 0, 1, ..., `UNUSED` among them.
    """
    if values.dtype.is_numeric():
        return values.cast(pl.Float64).fill_null(float("nan")).to_numpy(), []
    texts = values.cast(pl.String).fill_null(UNUSED)
    names = [text for text in texts.unique().sort() if text != UNUSED]
    names += [UNUSED] * bool(values.null_count())
    return np.array([names.index(text) for text in texts], float), names


def numbers_of(table: pl.DataFrame, names: list[str]) -> np.ndarray:
    """Return the settings as input of a forest, shape (trials, settings): an unused one lies below all others."""
    columns: list[Any] = []
    for name in names:
        where, _ = places(table[name])
        known = where[~np.isnan(where)]
        columns.append(np.nan_to_num(where, nan=float(known.min(initial=0.0)) - 1.0))
    return np.stack(columns, axis=1) if columns else np.zeros((len(table), 0))
