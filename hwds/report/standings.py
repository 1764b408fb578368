"""Standings: the scores of each model, best first, and the conclusion on them in one sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import polars as pl

from hwds.frames.roles import SERIES
from hwds.report.words import say_lines, verdict_word
from hwds.results.tables import TRUTH, Better, Measure, Tables, short

if TYPE_CHECKING:  # `hwds runs` prints tables and loads no protocol
    from hwds.evaluation.protocol import Score

# Standings: the scores of each model, best first, the floor of the truth last.


@dataclass(frozen=True, slots=True)
class ScoreValue:
    """A score with its standard error, 95 % interval and how they were made; None where there is
    none.
    """

    value: float | None = None
    stderr: float | None = None
    low: float | None = None
    high: float | None = None
    method: str | None = None


@dataclass(frozen=True, slots=True)
class ModelStanding:
    """The standing of one model.

    Attributes:
        model: Its label.
        headline, median, pooled: The headline metric: mean over units, median over units, and of
            all rows together.
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
    headline: ScoreValue = ScoreValue()
    median: ScoreValue = ScoreValue()
    pooled: ScoreValue = ScoreValue()
    beside: Mapping[str, ScoreValue] = field(default_factory=dict)
    skill: ScoreValue = ScoreValue()
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
        cutoffs: The most cutoffs of a series; 0 where there are none.
        steps: The steps from each.
    """

    measure: Measure
    beside: Sequence[Measure]
    lines: tuple[ModelStanding, ...]
    own: ModelStanding | None
    truth: ModelStanding | None
    methods: Mapping[str, tuple[str, ...]]
    title: str
    cutoffs: int = 0
    steps: int = 0

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
    def all(self) -> tuple[ModelStanding, ...]:
        """The models, then the floor."""
        return (*self.lines, self.truth) if self.truth else self.lines

    @property
    def scored(self) -> list[ModelStanding]:
        """The models with a score."""
        return [line for line in self.lines if line.headline.value is not None]

    @property
    def better_rivals(self) -> list[ModelStanding]:
        """The rivals with a strictly better headline than the experiment's model."""
        assert self.own is not None
        own, sign = self.own.headline.value, -1 if self.better == "high" else 1
        return [
            line
            for line in self.scored
            if not self.is_reference(line) and sign * line.headline.value < sign * own  # type: ignore[operator]
        ]

    @property
    def reference(self) -> float | None:
        """The headline of the reference: on the rows of the experiment's model, else on its own,
        else on any model's rows.
        """
        rival = [line.headline.value for line in self.lines if self.is_reference(line)]
        candidates = [
            self.own.reference if self.own else None,
            *rival,
            *(line.reference for line in self.lines),
        ]
        return next((value for value in candidates if value is not None), None)

    def as_table(self) -> pl.DataFrame:
        """Return one row a model, best first: the headline with its error and interval, and what
        was lost.
        """
        rows = [
            {
                "model": self.display_name(line),
                "metric": self.headline,
                "mean": line.headline.value,
                "stderr": line.headline.stderr,
                "low": line.headline.low,
                "high": line.headline.high,
                "n": line.n,
                "n_undefined": line.n_undefined,
                "n_failed": line.n_failed,
                "n_fallback": line.n_fallback,
                "seconds": line.seconds,
            }
            for line in self.all
        ]
        return pl.DataFrame(rows, infer_schema_length=None)

    def plain_name(self, line: ModelStanding) -> str:
        """Return the name of a line in plain words: `seasonal naive`, `best possible`."""
        if self.is_reference(line):
            return self.rival.removeprefix("the ")
        if line is self.truth and self.better != "none":
            return "best possible"
        return line.model

    def display_name(self, line: ModelStanding) -> str:
        """Return the displayed name of a line's model."""
        if line is not self.truth:
            return line.model
        return TRUTH if self.better == "none" else f"{TRUTH} (floor)"

    def is_reference(self, line: ModelStanding) -> bool:
        """Return whether a line is that of the reference."""
        return line.model == self.measure.reference


def standings(tables: Tables, headline: str, *, model: str | None = None) -> Standings:
    """Return the standings of all models.

    Args:
        tables: The tables of one run.
        headline: The short name of the metric that orders models (`mase`).
        model: The label of the experiment's model; None takes the first in the scores table, which
            a run writes first.
    """
    labels = tables.scores["model"].unique(maintain_order=True).to_list()
    labels += [model] if model and model not in labels else []
    measure, beside = _measure(tables, headline), _metrics_beside(tables, headline)
    lines = [
        _standing(tables, label, headline, [entry.name for entry in beside]) for label in labels
    ]
    truth = next(
        (line for line in lines if line.model == TRUTH and line.headline.value is not None), None
    )
    models = [_with_share(line, lines, truth, measure) for line in lines if line.model != TRUTH]
    own = next((line for line in models if line.model == (model or models[0].model)), None)
    ordered = (
        models
        if measure.better == "none"
        else sorted(models, key=lambda line: _rank(line, measure.better))
    )
    names = [
        next(iter(tables.scores[column].drop_nulls()), "") for column in ("experiment", "dataset")
    ]
    return Standings(
        measure,
        beside,
        tuple(ordered),
        own,
        truth,
        _methods(tables, headline),
        " on ".join(filter(None, names)) or "Leaderboard",
        *_reach(tables.predictions),
    )


def _reach(predictions: pl.DataFrame) -> tuple[int, int]:
    """Return the most cutoffs of a series and the steps from each; 0 where rows have none."""
    if not {SERIES, "cutoff", "step"} <= {*predictions.columns} or predictions.is_empty():
        return 0, 0
    counts = predictions.group_by(SERIES).agg(pl.col("cutoff").n_unique())["cutoff"]
    return int(counts.max()), int(predictions["step"].max())  # type: ignore[arg-type]


def stored_standings(config: Mapping[str, Any], tables: Tables) -> Standings:
    """Return the standings of a stored run.

    Args:
        config: The config of the run.
        tables: Its result tables.
    """
    headline = str(config["protocol"].get("headline", ""))
    return standings(tables, headline, model=config["model"]["name"])


def _measure(tables: Tables, headline: str) -> Measure:
    """Return the measure of the headline, under the full name that it was scored by."""
    whole = tables.overall(headline)
    return tables.measure(whole["metric"][0] if len(whole) else headline)


def _metrics_beside(tables: Tables, headline: str) -> list[Measure]:
    """Return the measures of the metrics that stand beside the headline and were scored."""
    scored = set(tables.scores["metric"])
    measures = (tables.measure(name) for name in tables.metrics["metric"])
    return [
        entry
        for entry in measures
        if entry.beside != "no" and entry.short != headline and entry.name in scored
    ]


def _standing(tables: Tables, label: str, headline: str, beside: Sequence[str]) -> ModelStanding:
    of_model = replace(tables, scores=tables.scores.filter(model=label))
    row = tables.headline(headline, label)
    failures = of_model.scores.filter(pl.col("status").str.starts_with("failed"))
    timings = tables.timings.filter(model=label)["seconds"]
    refuted = str(row.get("status") or "").startswith("refuted")
    return ModelStanding(
        label,
        ScoreValue() if refuted else _row_number(row),
        _row_number(_row(of_model, headline, "median")),
        _row_number(_row(of_model, headline, "pooled")),
        {name: _row_number(_row(of_model, name)) for name in beside},
        _row_number(_row(of_model, f"skill_{headline}")),
        n=row.get("n") or 0,
        n_undefined=row.get("n_undefined") or 0,
        n_failed=row["n_failed"] if row else int(failures["n_failed"].sum()),
        n_fallback=row.get("n_fallback") or 0,
        seconds=float(timings.sum()) if len(timings) else None,
        error=str(row["status"])
        if refuted
        else failures["status"][0].removeprefix("failed: ")
        if len(failures)
        else "",
    )


def _row(tables: Tables, metric: str, aggregate: str = "mean") -> dict[str, Any]:
    """Return the first row of a metric by its short or full name, empty where there is none."""
    name = short(metric)
    rows = tables.overall(name, aggregate)
    rows = rows.filter(metric=metric) if name != metric else rows
    return rows.row(0, named=True) if len(rows) else {}


def score_number(score: Score | None) -> ScoreValue:
    """Return a score as a number with its error."""
    return (
        ScoreValue()
        if score is None
        else ScoreValue(score.value, score.stderr, score.ci_low, score.ci_high, score.ci_method)
    )


def number_of(tables: Tables, metric: str, model: str) -> ScoreValue:
    """Return a model's total of a metric, by its short name: the mean where there are several
    aggregates.
    """
    return _row_number(tables.headline(metric, model))


def _row_number(row: Mapping[str, Any]) -> ScoreValue:
    return ScoreValue(
        *(row.get(name) for name in ("value", "stderr", "ci_low", "ci_high", "ci_method"))
    )


def _with_share(
    line: ModelStanding,
    lines: Sequence[ModelStanding],
    truth: ModelStanding | None,
    measure: Measure,
) -> ModelStanding:
    """Return the line with its share of the way to the floor, where the truth is better than the
    reference.
    """
    if (
        truth is None
        or truth.headline.value is None
        or line.headline.value is None
        or measure.better == "none"
    ):
        return line
    if line.skill.value is not None and truth.skill.value is not None:
        return (
            replace(line, to_floor=line.skill.value / truth.skill.value)
            if truth.skill.value > 0
            else line
        )
    start = next(
        (other.headline.value for other in lines if other.model == measure.reference), None
    )
    whole = 0.0 if start is None else start - truth.headline.value
    if start is None or whole == 0 or (whole > 0) == (measure.better == "high"):
        return line
    return replace(line, to_floor=(start - line.headline.value) / whole)


def _rank(line: ModelStanding, better: Better) -> tuple[bool, float, str]:
    value = line.headline.value
    return (
        value is None,
        0.0 if value is None else -value if better == "high" else value,
        line.model,
    )


def _methods(tables: Tables, headline: str) -> dict[str, tuple[str, ...]]:
    """Return the methods of the intervals, by aggregate."""
    rows = {
        aggregate: tables.overall(headline, aggregate) for aggregate in ("mean", "median", "pooled")
    }
    rows["skill"] = tables.overall(f"skill_{headline}")
    named = {
        name: table["ci_method"].drop_nulls().unique(maintain_order=True)
        for name, table in rows.items()
    }
    return {name: tuple(methods) for name, methods in named.items() if len(methods)}


# The conclusion of a run, in one sentence.

CONCLUSION = """
{%- set unit = measure.measured_in %}
{%- macro number(score) %}{{ score.value | money(unit) }}{% endmacro %}
{%- macro better(value) %}{{ "better" if value > 0 else "worse" }}{% endmacro %}
{%- set few = own and own.n is not none and own.n < least_sure %}
{%- set base = cutoffs | counted("cutoffs") if cutoffs and not few else own.n | counted(units)
if own %}
{%- set reason = (own.skill.method or "") if own else "" %}
{%- set too_few = reason.removesuffix(" cannot tell") if reason.endswith("cannot tell") %}
{%- macro against_reference() %}
{%- set skill, low, high = own.skill.value, own.skill.low, own.skill.high %}
{%- set size, _, ends = (skill | quoted_percent(low, high, less=skill <= 0)).partition(" (") %}
{%- set word = verdict_word(low, high) %}
{%- if skill == 0 and not own.skill.stderr -%}
ALIKE: {{ own.model }} scores as {{ rival }} does: {{ headline }} {{ number(own.headline) }},
{{ own.n | counted(units) }}.
{%- else -%}
{{ word }}: {{ own.model }} is {{ size }} {{ better(skill) }} than {{ rival }}
{%- if word != "NOT SURE" %}
({{- ends[:-1] ~ "; " if ends }}{{ own.n | counted(units) }}
{%- if cutoffs %}, {{ cutoffs | counted("cutoffs") }}{% endif %}).
{%- else %} so far;
{% if too_few %}{{ too_few.partition(" in ")[0] }} cannot tell.
{%- elif not ends %}{{ base }} {{ "is" if base.startswith("1 ") else "are" }} too few.
{%- else %}{{ base }} cannot tell ({{ ends }}.
{%- endif %}
{%- endif %}
{%- endif %}

{% if too_few and " in " in too_few %}They lie in {{ too_few.partition(" in ")[2] }}.{% endif %}

{% if better_rivals | length == 1 -%}
{{ better_rivals[0].model }} scores better ({{ number(better_rivals[0].headline) }}); hwds compare
tests that.
{%- elif better_rivals -%}
{{ better_rivals | length }} rivals score better, best of them {{ better_rivals[0].model }}
({{ number(better_rivals[0].headline) }}); hwds compare tests that.
{%- endif %}
{%- endmacro %}
{%- macro by_rank() %}
{%- set best, count = scored[0], scored | length %}
{%- set score %}
{{- headline }} {{ own.headline.value | quoted(own.headline.low, own.headline.high, unit) }}
{%- endset %}
{%- set score = (score[:-1] ~ "; " if score.endswith(")") else score ~ " (")
    ~ (own.n | counted(units)) ~ ")" %}
{%- if count == 1 %}ESTIMATE: {{ own.model }} has {{ score }}
{%- elif best.model == own.model -%}
NOT SURE: {{ own.model }} scores best of {{ count }} models, {{ score }}
{%- else -%}
NOT SURE: {{ best.model }} scores best of {{ count }} models, {{ headline }}
{{ number(best.headline) }}; {{ own.model }} is number {{ scored.index(own) + 1 }}, {{ score }}
{%- endif %}
{%- if truth and truth.headline.value is not none %}; the best possible is
{{ number(truth.headline) }}{% endif %}.
{%- if count > 1 %}

No test was made: hwds compare makes it.
{%- endif %}
{%- endmacro %}
{%- if own is none -%}
Nothing was scored.
{%- elif own.headline.value is none -%}
NOT SURE: {{ own.model }} has no
{% if own.n_failed %}score: {{ own.n_failed | counted("answers") }} failed ({{ own.error }})
{%- elif not own.n_undefined %}score: there is no answer of it
{%- else %}{{ headline }}: it is undefined for all of its {{ own.n_undefined | counted(units) }}
{%- endif %}
{%- if scored %}; the best of its rivals is {{ scored[0].model }} ({{ headline }}
{{ number(scored[0].headline) }}){% endif %}.
{%- elif own.skill.value is not none %}{{ against_reference() }}
{%- else %}{{ by_rank() }}
{%- endif %}"""
"""The conclusion on the experiment's model against the reference, the floor and the rivals, by the
headline: the verdict, then notes by their weight, a line each. An end of an interval at 0 was drawn
there by `reaching_zero`. Without a skill the model's rank stands in for it.
"""


def run_conclusion(board: Standings) -> str:
    """Return the conclusion of a run: the verdict, then notes by their weight, a line each."""
    from hwds.stats.effects import LEAST_SURE  # `hwds runs` prints tables and makes no sentence

    values = {"verdict_word": verdict_word, "least_sure": LEAST_SURE}
    return "\n".join(say_lines(CONCLUSION, board, **values))
