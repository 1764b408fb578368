"""Standings: the scores of each model, best first, the floor of the truth last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import polars as pl

from hwds.evaluation.score import Score
from hwds.results.measure import Better, Measure, short
from hwds.results.tables import TRUTH, Tables


@dataclass(frozen=True, slots=True)
class Number:
    """A score with its standard error, 95 % interval and how they were made; None where there is none."""

    value: float | None = None
    stderr: float | None = None
    low: float | None = None
    high: float | None = None
    method: str | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """The standing of one model.

    Attributes:
        model: Its label.
        headline, median, pooled: The headline metric: mean over units, median over units, and of all rows together.
        beside: Other metrics by full name, mean over units.
        skill: 1 - the headline over that of the reference on the same rows.
        to_floor: The share of the way from the reference to the truth.
        n: The units with a value; `n_undefined` have none.
        n_failed: The failed predictions, one for each unit and fold.
        n_fallback: The units predicted by a fallback, simpler than the model.
        seconds: The seconds that its cells took when they were computed.
        error: The first error.
    """

    model: str
    headline: Number = Number()
    median: Number = Number()
    pooled: Number = Number()
    beside: Mapping[str, Number] = field(default_factory=dict)
    skill: Number = Number()
    to_floor: float | None = None
    n: int = 0
    n_undefined: int = 0
    n_failed: int = 0
    n_fallback: int = 0
    seconds: float | None = None
    error: str = ""

    @property
    def reference(self) -> float | None:
        """The headline of the reference on this model's rows, as its skill implies."""
        if self.headline.value is None or self.skill.value is None or self.skill.value >= 1:
            return None
        return self.headline.value / (1 - self.skill.value)


@dataclass(frozen=True, slots=True)
class Standings:
    """All models, sorted by the headline.

    Attributes:
        measure: The headline metric.
        beside: The metrics that stand beside it.
        lines: The models, best first, those without a score last.
        own: The experiment's model, None where nothing was run.
        truth: The simulator's floor, None for real data.
        methods: The methods of the intervals, by aggregate.
        title: The names of experiment and dataset.
    """

    measure: Measure
    beside: Sequence[Measure]
    lines: tuple[Standing, ...]
    own: Standing | None
    truth: Standing | None
    methods: Mapping[str, tuple[str, ...]]
    title: str

    @property
    def headline(self) -> str:
        """The metric's full name (`mase[m=12]`)."""
        return self.measure.name

    @property
    def called_in(self) -> str:
        """The metric's full name with the unit of its values (`pseudo_regret, USD`)."""
        return self.measure.with_unit

    @property
    def better(self) -> Better:
        """The good side of the headline: `low`, `high` or `none`."""
        return self.measure.better

    @property
    def units(self) -> str:
        """The name of the units: `series`."""
        return self.measure.units

    @property
    def rival(self) -> str:
        """The reference in words: `the seasonal naive`."""
        return self.measure.rival

    @property
    def all(self) -> tuple[Standing, ...]:
        """The models, then the floor."""
        return (*self.lines, self.truth) if self.truth else self.lines

    @property
    def reference(self) -> float | None:
        """The headline of the reference: on the rows of the experiment's model, else on its own, else on any model's rows."""
        rival = [line.headline.value for line in self.lines if self.is_reference(line)]
        candidates = [self.own.reference if self.own else None, *rival, *(line.reference for line in self.lines)]
        return next((value for value in candidates if value is not None), None)

    def as_table(self) -> pl.DataFrame:
        """Return one row a model, best first: the headline with its error and interval, and what was lost."""
        rows = []
        for line in self.all:
            number = line.headline
            score = {"mean": number.value, "stderr": number.stderr, "low": number.low, "high": number.high}
            lost = {name: getattr(line, name) for name in ("n", "n_undefined", "n_failed", "n_fallback", "seconds")}
            rows.append({"model": self.called(line), "metric": self.headline, **score, **lost})
        return pl.DataFrame(rows, infer_schema_length=None)

    def called(self, line: Standing) -> str:
        """Return the displayed name of a line's model."""
        if line is not self.truth:
            return line.model
        return TRUTH if self.better == "none" else f"{TRUTH} (floor)"

    def is_reference(self, line: Standing) -> bool:
        """Return whether a line is that of the reference."""
        return line.model == self.measure.reference


def standings(tables: Tables, headline: str, *, model: str | None = None) -> Standings:
    """Return the standings of all models.

    Args:
        tables: The tables of one run.
        headline: The short name of the metric that orders models (`mase`).
        model: The label of the experiment's model; None takes the first in the scores table, which a run writes first.
    """
    labels = tables.scores["model"].unique(maintain_order=True).to_list()
    labels += [model] if model and model not in labels else []
    measure, beside = _measure(tables, headline), _beside(tables, headline)
    lines = [_standing(tables, label, headline, [entry.name for entry in beside]) for label in labels]
    truth = next((line for line in lines if line.model == TRUTH and line.headline.value is not None), None)
    models = [_with_share(line, lines, truth, measure) for line in lines if line.model != TRUTH]
    own = next((line for line in models if line.model == (model or models[0].model)), None)
    ordered = models if measure.better == "none" else sorted(models, key=lambda line: _rank(line, measure.better))
    return Standings(measure, beside, tuple(ordered), own, truth, _methods(tables, headline), _title(tables))


def _measure(tables: Tables, headline: str) -> Measure:
    """Return the measure of the headline, under the full name that it was scored by."""
    whole = tables.overall(headline)
    return tables.measure(whole["metric"][0] if len(whole) else headline)


def _beside(tables: Tables, headline: str) -> list[Measure]:
    """Return the measures of the metrics that stand beside the headline and were scored."""
    scored = set(tables.scores["metric"])
    measures = (tables.measure(name) for name in tables.metrics["metric"])
    return [entry for entry in measures if entry.beside != "no" and entry.short != headline and entry.name in scored]


def _standing(tables: Tables, label: str, headline: str, beside: Sequence[str]) -> Standing:
    of_model = replace(tables, scores=tables.scores.filter(pl.col("model") == label))
    row = tables.headline(headline, label)
    failures = of_model.scores.filter(pl.col("status").str.starts_with("failed"))
    timings = tables.timings.filter(pl.col("model") == label)["seconds"]
    refuted = str(row.get("status") or "").startswith("refuted")
    return Standing(
        label,
        Number() if refuted else _number(row),
        _number(_row(of_model, headline, "median")),
        _number(_row(of_model, headline, "pooled")),
        {name: _number(_row(of_model, name)) for name in beside},
        _number(_row(of_model, f"skill_{headline}")),
        n=row.get("n") or 0,
        n_undefined=row.get("n_undefined") or 0,
        n_failed=row["n_failed"] if row else int(failures["n_failed"].sum()),
        n_fallback=row.get("n_fallback") or 0,
        seconds=float(timings.sum()) if len(timings) else None,
        error=str(row["status"]) if refuted else failures["status"][0].removeprefix("failed: ") if len(failures) else "",
    )


def _row(tables: Tables, metric: str, aggregate: str = "mean") -> dict[str, Any]:
    """Return the first row of a metric by its short or full name, empty where there is none."""
    name = short(metric)
    rows = tables.overall(name, aggregate)
    rows = rows.filter(pl.col("metric") == metric) if name != metric else rows
    return rows.row(0, named=True) if len(rows) else {}


def number(score: Score | None) -> Number:
    """Return a score as a number with its error."""
    return Number() if score is None else Number(score.value, score.stderr, score.ci_low, score.ci_high, score.ci_method)


def number_of(tables: Tables, metric: str, model: str) -> Number:
    """Return a model's total of a metric, by its short name: the mean where there are several aggregates."""
    return _number(tables.headline(metric, model))


def _number(row: Mapping[str, Any]) -> Number:
    return Number(*(row.get(name) for name in ("value", "stderr", "ci_low", "ci_high", "ci_method")))


def _with_share(line: Standing, lines: Sequence[Standing], truth: Standing | None, measure: Measure) -> Standing:
    """Return the line with its share of the way to the floor, where the truth is better than the reference."""
    if truth is None or truth.headline.value is None or line.headline.value is None or measure.better == "none":
        return line
    if line.skill.value is not None and truth.skill.value is not None:
        return replace(line, to_floor=line.skill.value / truth.skill.value) if truth.skill.value > 0 else line
    start = next((other.headline.value for other in lines if other.model == measure.reference), None)
    whole = 0.0 if start is None else start - truth.headline.value
    if start is None or whole == 0 or (whole > 0) == (measure.better == "high"):
        return line
    return replace(line, to_floor=(start - line.headline.value) / whole)


def _rank(line: Standing, better: Better) -> tuple[bool, float, str]:
    value = line.headline.value
    return value is None, 0.0 if value is None else -value if better == "high" else value, line.model


def _methods(tables: Tables, headline: str) -> dict[str, tuple[str, ...]]:
    """Return the methods of the intervals, by aggregate."""
    rows = {aggregate: tables.overall(headline, aggregate) for aggregate in ("mean", "median", "pooled")}
    rows["skill"] = tables.overall(f"skill_{headline}")
    known = {name: table["ci_method"].drop_nulls().unique(maintain_order=True) for name, table in rows.items()}
    return {name: tuple(methods) for name, methods in known.items() if len(methods)}


def _title(tables: Tables) -> str:
    names = [next(iter(tables.scores[column].drop_nulls()), "") for column in ("experiment", "dataset")]
    return " on ".join(filter(None, names)) or "Leaderboard"
