"""Standings: what the scores table says of each model, best first, the truth's floor last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import polars as pl

from hwds.metrics.base import Better, Measure, short
from hwds.protocols.score import Score
from hwds.results.tables import TRUTH, Tables


@dataclass(frozen=True, slots=True)
class Number:
    """A score with its standard error and 95 % interval; None where there is none."""

    value: float | None = None
    stderr: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """One model.

    Attributes:
        model: Its label.
        headline, median, pooled: The headline metric: mean over units, median over units, and of all rows together.
        beside: Other metrics by full name, mean over units.
        skill: 1 - the headline over that of the reference on the same rows.
        to_floor: The share of the way from the reference to the truth.
        n: Units with a value; `n_undefined` have none.
        n_failed: Answers lost, one for each unit and fold.
        n_fallback: Units answered by something simpler than the model.
        seconds: What its cells took when they were computed.
        error: The first failure.
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
        """The headline of the reference on this model's own rows, as its skill implies."""
        if self.headline.value is None or self.skill.value is None or self.skill.value >= 1:
            return None
        return self.headline.value / (1 - self.skill.value)


@dataclass(frozen=True, slots=True)
class Standings:
    """All models by the headline.

    Attributes:
        measure: The headline metric.
        beside: The metrics that stand beside it.
        lines: Models, best first, those without a score last.
        own: The experiment's own model, None where nothing was run.
        truth: The simulator's floor, None for real data.
        methods: How each aggregate's interval was made.
        title: Experiment and dataset.
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
        """Whether a low or a high headline is good."""
        return self.measure.better

    @property
    def units(self) -> str:
        """What is counted: `series`."""
        return self.measure.units

    @property
    def rival(self) -> str:
        """What models are held against, in words: `the seasonal naive`."""
        return self.measure.rival

    @property
    def all(self) -> tuple[Standing, ...]:
        """The models, then the floor."""
        return (*self.lines, self.truth) if self.truth else self.lines

    @property
    def reference(self) -> float | None:
        """The headline of the reference: on the own model's rows, or else the rival's, or else on any model's rows."""
        rival = [line.headline.value for line in self.lines if self.is_reference(line)]
        candidates = [self.own.reference if self.own else None, *rival, *(line.reference for line in self.lines)]
        return next((value for value in candidates if value is not None), None)

    def called(self, line: Standing) -> str:
        """A line's model where people read."""
        if line is not self.truth:
            return line.model
        return TRUTH if self.better == "none" else f"{TRUTH} (floor)"

    def is_reference(self, line: Standing) -> bool:
        """Whether a line is that of the model that the others are held against."""
        return line.model == self.measure.reference


def standings(tables: Tables, headline: str, *, model: str | None = None) -> Standings:
    """What the tables say of each model.

    Args:
        tables: Of one run.
        headline: The short name of the metric that orders models (`mase`).
        model: The label of the experiment's own model; None takes the first in the scores table, which a run writes first.
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
    """What the headline says of itself, under the full name that it was scored by."""
    whole = tables.overall(headline)
    return tables.measure(whole["metric"][0] if len(whole) else headline)


def _beside(tables: Tables, headline: str) -> list[Measure]:
    """The metrics that stand beside the headline and were scored."""
    scored = set(tables.scores["metric"])
    found = (tables.measure(name) for name in tables.metrics["metric"])
    return [entry for entry in found if entry.beside != "no" and entry.short != headline and entry.name in scored]


def _standing(tables: Tables, label: str, headline: str, beside: Sequence[str]) -> Standing:
    of_model = replace(tables, scores=tables.scores.filter(pl.col("model") == label))
    row = _row(of_model, headline)
    failures = of_model.scores.filter(pl.col("status").str.starts_with("failed"))
    timings = tables.timings.filter(pl.col("model") == label)["seconds"]
    return Standing(
        label,
        _number(row),
        _number(_row(of_model, headline, "median")),
        _number(_row(of_model, headline, "pooled")),
        {name: _number(_row(of_model, name)) for name in beside},
        _number(_row(of_model, f"skill_{headline}")),
        n=row.get("n") or 0,
        n_undefined=row.get("n_undefined") or 0,
        n_failed=row["n_failed"] if row else int(failures["n_failed"].sum()),
        n_fallback=row.get("n_fallback") or 0,
        seconds=float(timings.sum()) if len(timings) else None,
        error=failures["status"][0].removeprefix("failed: ") if len(failures) else "",
    )


def _row(tables: Tables, metric: str, aggregate: str = "mean") -> dict[str, Any]:
    """The first row of a metric by its short or full name, empty where there is none."""
    name = short(metric)
    found = tables.overall(name, aggregate)
    found = found.filter(pl.col("metric") == metric) if name != metric else found
    return found.row(0, named=True) if len(found) else {}


def number(score: Score | None) -> Number:
    """A score as a number with its error."""
    return Number() if score is None else Number(score.value, score.stderr, score.ci_low, score.ci_high)


def number_of(tables: Tables, metric: str, model: str) -> Number:
    """A model's total of a metric, by its short name: the mean where there are several aggregates."""
    own = replace(tables, scores=tables.scores.filter(pl.col("model") == model))
    return _number(_row(own, metric) or _row(own, metric, "pooled"))


def _number(row: Mapping[str, Any]) -> Number:
    return Number(*(row.get(name) for name in ("value", "stderr", "ci_low", "ci_high")))


def _with_share(line: Standing, lines: Sequence[Standing], truth: Standing | None, measure: Measure) -> Standing:
    """The line with its share of the way to the floor, where the truth is better than the reference."""
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
    """How the intervals were made, by what they are of."""
    rows = {aggregate: tables.overall(headline, aggregate) for aggregate in ("mean", "median", "pooled")}
    rows["skill"] = tables.overall(f"skill_{headline}")
    known = {name: table["ci_method"].drop_nulls().unique(maintain_order=True) for name, table in rows.items()}
    return {name: tuple(methods) for name, methods in known.items() if len(methods)}


def _title(tables: Tables) -> str:
    names = [next(iter(tables.scores[column].drop_nulls()), "") for column in ("experiment", "dataset")]
    return " on ".join(filter(None, names)) or "Leaderboard"
