"""Evidence: what is known of models, whatever their task, and how a family pairs their scores."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import inf, sqrt
from typing import Any, Protocol

import numpy as np
import polars as pl
from numpy import ndarray
from polars import DataFrame, Series

from hwds.core.errors import ConfigError, nearest
from hwds.core.registry import Task, load_reference, stored_task
from hwds.core.seeds import stream
from hwds.results.comparison import SPECIFICATIONS
from hwds.results.formatting import counted
from hwds.results.tables import WHOLE_RUN, short
from hwds.stats.contrasts import Matrix, Pair, Periods, Scale, contrast_values
from hwds.stats.effects import (
    LEAST_CLUSTERS,
    LEAST_SEEDS,
    LEAST_SURE,
    LEVEL,
    MOST_CLUSTERS,
    Effect,
    ReferenceDistribution,
    cluster_values,
    over_units,
    resample_units,
    shared_resamples,
    student_critical,
    unit_effects,
)
from hwds.stats.estimates import fewest
from hwds.stats.periods import Deciders, with_periods
from hwds.stats.sources import ModelRows, RunSource

# Units and seeds as two levels of chance: which units were sampled, and how the training was
# seeded.


@dataclass(frozen=True, slots=True)
class UnitSeedLevels:
    """The variance of a mean over units and seeds, by where it is from.

    Attributes:
        mean: The mean over both.
        units, seeds, both: Variances of units, of seeds, and of the interaction of both that is
            part of the latter.
        df: Their degrees of freedom, in this order.
    """

    mean: float
    units: float
    seeds: float
    both: float
    df: tuple[float, float, float]

    @property
    def variance(self) -> float:
        """The variance of the mean if units and seeds were drawn anew: crossed random effects, none
        of them below 0.
        """
        return self.units + max(self.seeds - self.both, 0.0)

    @property
    def freedom(self) -> float:
        """Degrees of freedom (Satterthwaite 1946)."""
        parts = (
            (self.units, self.seeds, self.both)
            if self.seeds > self.both
            else (self.units, 0.0, 0.0)
        )
        inner = sum(part**2 / df for part, df in zip(parts, self.df, strict=True))
        return max(self.variance**2 / inner, 1.0) if inner > 0 else 1.0


def unit_seed_levels(values: ndarray, strata: Sequence[ndarray]) -> UnitSeedLevels:
    """Return the analysis of variance of values with a unit and a seed (two-way, one value a cell).

    Searle, Casella and McCulloch (1992), Variance Components, 4.3.

    Args:
        values: Values whose mean is the effect, shape (units, seeds).
        strata: The units of each dataset.
    """
    count = values.shape[1]
    units = over_units(values.mean(axis=1, keepdims=True), strata)
    by_seed = np.mean([values[rows].mean(axis=0) for rows in strata], axis=0)
    share, both, inner = 1 / len(strata), 0.0, 0.0
    for rows in strata:
        block = values[rows]
        rest = block - block.mean(axis=0) - block.mean(axis=1, keepdims=True) + block.mean()
        freedom = (len(rows) - 1) * (count - 1)
        part = share**2 * float(np.square(rest).sum()) / freedom / (len(rows) * count)
        both, inner = both + part, inner + part**2 / freedom
    df = (float(units.df[0, 0]), count - 1.0, both**2 / inner if inner > 0 else 1.0)
    return UnitSeedLevels(
        float(units.mean[0, 0]),
        float(units.units[0, 0]),
        float(np.var(by_seed, ddof=1)) / count,
        both,
        df,
    )


def seeded_effect(
    values: ndarray, strata: Sequence[ndarray], resamples: int, rng: np.random.Generator
) -> Effect:
    """Return the effect over units and seeds: a studentised bootstrap of both levels, or Student's
    t where either is few.

    Units and seeds are drawn apart and crossed (the pigeonhole bootstrap, Owen 2007): a seed has
    the same effect on all units.

    Args:
        values: The values, shape (units, seeds), two seeds at least.
        strata: The units of each dataset, two at least.
        resamples: The number of resamples.
        rng: The generator of the resamples.
    """
    observed, n = unit_seed_levels(values, strata), len(values)
    distribution, method = ReferenceDistribution(observed.freedom), "t over units and seeds"
    if min(map(len, strata)) >= LEAST_CLUSTERS and values.shape[1] >= LEAST_SEEDS:
        distribution, method = (
            ReferenceDistribution(
                observed.freedom, _two_level_stretch(values, strata, observed, resamples, rng)
            ),
            "bootstrap over units and seeds",
        )
    return Effect(observed.mean, float(np.sqrt(observed.variance)), distribution, method, n)


def _two_level_stretch(
    values: ndarray,
    strata: Sequence[ndarray],
    observed: UnitSeedLevels,
    resamples: int,
    rng: np.random.Generator,
) -> float:
    """Return the 95 % point of the bootstrap's |t| over that of Student's t; never less than 1."""
    seeds, t = values.shape[1], []
    for _ in range(resamples):
        # a seed has one effect on all units, so that both are drawn apart and crossed
        seed_draws = rng.integers(0, seeds, seeds)
        rows = np.concatenate(
            [stratum[rng.integers(0, len(stratum), len(stratum))] for stratum in strata]
        )
        ends = np.cumsum([0, *map(len, strata)])
        again = unit_seed_levels(
            values[rows][:, seed_draws], [np.arange(a, b) for a, b in pairwise(ends)]
        )
        if again.variance > 0:
            t.append(abs(again.mean - observed.mean) / again.variance**0.5)
    return (
        max(float(np.quantile(t, LEVEL)) / student_critical(observed.freedom, LEVEL), 1.0)
        if t
        else 1.0
    )


# Evidence: what is known of models, whatever their task, for comparisons to be made of.

ENOUGH_DATASETS = 5
"""Data sets from which on they, and not units, are the blocks of ranks (Demsar 2006)."""

MODEL_COLUMNS = {"model": pl.String, "dataset": pl.String, "seed": pl.Int64}
"""The columns that identify a model's predictions, beside units and values."""

SEEDED_SHARE = 8
"""A bootstrap of units and seeds draws so many times less often: each draw costs an analysis of
variance.
"""


class ComparisonEvidence(Protocol):
    """The interface of a task's evidence; models are numbered as in `models`."""

    @property
    def models(self) -> tuple[str, ...]:
        """Their labels."""

    @property
    def means(self) -> ndarray:
        """The metric of each model on each dataset, shape (datasets, models)."""

    @property
    def errors(self) -> ndarray:
        """The standard error of each model's metric over all datasets, NaN where there is none,
        shape (models,).
        """

    def effects(self, pairs: Sequence[Pair], scale: Scale) -> list[Effect]:
        """Return how much better the first of each pair is."""

    def unit_values(self) -> ndarray | None:
        """Return values of units, shape (units, models).

        None where the metric is not one of units.
        """

    @property
    def independent_units(self) -> bool:
        """True where units share nothing, so that their signs and ranks can be tested."""

    @property
    def few(self) -> str:
        """A warning that an interval rests on few of what was resampled, in a sentence.

        Empty where they are enough.
        """

    def blocks(self) -> tuple[ndarray, str]:
        """Return values to rank models by, shape (blocks, models), and what the blocks are.

        They share nothing.
        """

    def draws(self) -> ndarray | None:
        """Return the metrics in bootstrap resamples as shares of what all models have on average,
        shape (resamples, models).
        """


@dataclass(frozen=True, eq=False)
class UnitEvidence:
    """Evidence of a metric that is a mean over units (series, replications).

    Attributes:
        matrix: The values.
        units_called: What a unit is.
        resamples: The number of resamples of each bootstrap.
        periods: The values of units in the periods that they share; None where they share none.
        cluster: The cluster of each unit, whose units are drawn together, shape (units,); None
            where each unit is drawn alone.
    """

    matrix: Matrix
    units_called: str
    resamples: int
    periods: Periods | None = None
    cluster: ndarray | None = None

    def drawn(self, values: ndarray) -> tuple[ndarray, Sequence[ndarray]]:
        """Return values of what is drawn, units or clusters of them, and those of each dataset.

        Args:
            values: The values of units, shape (units, ...).
        """
        strata = self.matrix.strata
        return (
            (values, strata)
            if self.cluster is None
            else cluster_values(values, strata, self.cluster)
        )

    @property
    def drawn_called(self) -> str:
        """What a unit that is drawn is called, in the plural."""
        return self.units_called if self.cluster is None else "clusters"

    @property
    def models(self) -> tuple[str, ...]:
        """Their labels."""
        return self.matrix.models

    @property
    def means(self) -> ndarray:
        """The mean of each model over the units of each dataset, shape (datasets, models)."""
        return self.matrix.means

    @property
    def errors(self) -> ndarray:
        """The standard error of each model's mean over all datasets, units and periods drawn anew,
        shape (models,).
        """
        values, strata = self.drawn(self.matrix.units)
        few = min(map(len, strata)) < 2
        units = np.full(len(self.models), np.nan) if few else over_units(values, strata).units[0]
        if self.periods is None or self.periods.refusal:
            return np.sqrt(units)
        part = self.periods.own_part()
        return np.sqrt(np.maximum(np.nan_to_num(units) - part.cells, 0.0) + part.periods)

    def effects(self, pairs: Sequence[Pair], scale: Scale) -> list[Effect]:
        """Return how much better the first of each pair is: over units, the periods that they
        share, and several seeds.
        """
        if self.periods is None:
            return self._over_units(pairs, scale)
        if self.periods.refusal:
            if len(self.matrix.datasets) >= ENOUGH_DATASETS:
                return self._over_datasets(pairs, scale)
            ahead = [
                float(scale.between(self.means[:, first], self.means[:, second]).mean())
                for first, second in pairs
            ]
            return [
                Effect(
                    each, None, ReferenceDistribution(), self.periods.refusal, self.periods.least
                )
                for each in ahead
            ]
        one_unit = min(map(len, self.matrix.strata)) < 2
        if one_unit and len(self.matrix.datasets) > 1:
            return self._over_datasets(pairs, scale)
        part, origins = self.periods.part(self.means, pairs, scale), f"{self.periods.least} origins"
        effects = self._over_units(pairs, scale)
        if one_unit:
            effects = [
                replace(each, method=f"t over {origins}", clusters=self.periods.least)
                for each in effects
            ]
        else:
            effects = [replace(each, method=f"{each.method} and {origins}") for each in effects]
        return [
            with_periods(effect, part, pair, self.periods.count)
            for pair, effect in enumerate(effects)
        ]

    def _over_units(self, pairs: Sequence[Pair], scale: Scale) -> list[Effect]:
        """Return the effects as if units shared nothing."""
        strata, rng = self.drawn(self.matrix.units)[1], stream(0, "compare", "units")
        if min(map(len, self.matrix.strata)) < 2:
            return self._over_datasets(pairs, scale)
        one_seed = self.matrix.values.shape[1] == 1
        counts = shared_resamples(strata, self.resamples, rng) if one_seed else None
        each = max(self.resamples // SEEDED_SHARE, 100)
        effects: list[Effect] = []
        for begin in range(0, len(pairs), 50):  # so many at once fit into memory
            values, _ = self.drawn(contrast_values(self.matrix, pairs[begin : begin + 50], scale))
            if one_seed:
                effects += unit_effects(values[:, 0], strata, counts)
            else:
                effects += [
                    seeded_effect(values[..., i], strata, each, rng) for i in range(values.shape[2])
                ]
        return [_unit_noun(effect, self.drawn_called) for effect in effects]

    def _over_datasets(self, pairs: Sequence[Pair], scale: Scale) -> list[Effect]:
        """Return the effects averaged over datasets, for the case that a dataset has a single
        unit.
        """
        means = self.means
        values = np.stack(
            [scale.between(means[:, first], means[:, second]) for first, second in pairs], axis=1
        )
        if len(values) < 2:
            return [
                Effect(
                    float(value), None, ReferenceDistribution(), f"one of {self.units_called}", 1
                )
                for value in values[0]
            ]
        stratum = [np.arange(len(values))]
        effects = unit_effects(
            values,
            stratum,
            shared_resamples(stratum, self.resamples, stream(0, "compare", "datasets")),
        )
        return [_unit_noun(effect, "datasets") for effect in effects]

    def unit_values(self) -> ndarray | None:
        """Return values averaged over seeds, shape (units, models)."""
        return self.matrix.units

    @property
    def few(self) -> str:
        """The warning that units are few."""
        strata = self.drawn(self.matrix.units)[1]
        least = min(map(len, strata))
        if not 1 < least < LEAST_CLUSTERS:
            return ""
        where = " of a dataset" if len(self.matrix.datasets) > 1 else ""
        if sum(map(len, strata)) < LEAST_SURE:
            return (
                f"Only {counted(least, self.drawn_called)}{where}: no difference of fewer than "
                f"{LEAST_SURE} is sure."
            )
        symmetric = "intervals are Student's t, which holds where differences are about symmetric"
        return f"Only {counted(least, self.drawn_called)}{where}: {symmetric}."

    def lasting(self, pairs: Sequence[Pair], scale: Scale) -> str:
        """Return what a remark says of how long shocks last; empty where nothing needs be said."""
        return "" if self.periods is None else self.periods.lasting(self.means, pairs, scale)

    def doubts(self, pair: Pair, scale: Scale, sure: bool) -> Iterator[str]:
        """Yield what a break in time makes of the difference of a pair, and what few units decide
        if it is sure; nothing of several datasets, which are averaged.
        """
        than = f" from {self.models[pair[1]]}"
        if len(self.matrix.datasets) > 1:
            return
        if self.periods is not None:
            yield from self.periods.doubts(
                self.means, pair, scale, self.units_called if sure else "", than
            )
            return
        values = contrast_values(self.matrix, [pair], scale).mean(axis=1)[:, 0]

        def stays(left_out: ndarray) -> bool:
            kept = np.delete(values, left_out)[:, None]
            low, high = unit_effects(kept, [np.arange(len(kept))], None)[0].difference(LEVEL) or (
                0,
                0,
            )
            return not low <= 0 <= high

        if self.cluster is None and sure and stays(np.zeros(0, np.int64)):
            few = fewest(np.sign(values.mean()) * values, stays)
            if few:
                found = Deciders("unit", few, len(values))
                yield found.remark(self.matrix.names["unit"], self.units_called, than)

    @property
    def independent_units(self) -> bool:
        """True where units share neither periods nor clusters."""
        return self.periods is None and self.cluster is None

    def blocks(self) -> tuple[ndarray, str]:
        """Return the means of datasets where there are enough of them, else those of periods where
        units share them.
        """
        if len(self.matrix.datasets) >= ENOUGH_DATASETS:
            return self.means, "datasets"
        return (
            (self.matrix.units, self.units_called)
            if self.periods is None
            else (self.periods.means(), "origins")
        )

    def draws(self) -> ndarray | None:
        """Return mean shares in resamples of units and periods, shape (resamples, models); None
        where they are few.
        """
        # shares of a dataset's mean, so that no dataset counts by the size of its errors
        shares = self.matrix.units / self.means.mean(axis=1)[self.matrix.dataset][:, None]
        shares, strata = self.drawn(shares)
        n = len(shares)
        fewest = (
            n if self.periods is None else min(n, sum(each.periods for each in self.periods.cells))
        )
        refused = self.periods is not None and self.periods.refusal
        if refused or min(map(len, strata)) < 2 or not LEAST_SURE <= fewest <= n <= MOST_CLUSTERS:
            return None
        counts = resample_units(strata, n, self.resamples, stream(0, "compare", "set"))
        over = over_units(shares, strata, counts).mean
        draws = widen(over, shares_of(self.means), min(map(len, strata)))
        return (
            draws
            if self.periods is None
            else draws + self.periods.draws(self.means, self.resamples)
        )


def shares_of(means: ndarray) -> ndarray:
    """Return each model's share of the mean of all models, averaged over datasets, shape
    (models,).
    """
    return (means / means.mean(axis=1, keepdims=True)).mean(axis=0)


def widen(draws: ndarray, estimates: ndarray, clusters: int) -> ndarray:
    """Return resamples spread as Student's t is for so few clusters: a bootstrap of few clusters
    varies too little.
    """
    wide = (
        sqrt(clusters / (clusters - 1))
        * student_critical(clusters - 1, LEVEL)
        / student_critical(inf, LEVEL)
    )
    return estimates + wide * (draws - estimates)


def _unit_noun(effect: Effect, units: str) -> Effect:
    return replace(effect, method=effect.method.replace("units", units))


def long_table(
    predictions: Sequence[ModelRows], units: Series, values: Sequence[ndarray]
) -> DataFrame:
    """Return the rows of answers as `Matrix.of` reads them.

    Args:
        predictions: The predictions of models, one for each dataset and seed.
        units: The units, which all of them have.
        values: The values of the units of each answer, shape (units,).
    """
    labels = DataFrame(
        [(each.model, each.dataset, each.seed) for each in predictions],
        schema=MODEL_COLUMNS,
        orient="row",
    )
    rows = labels[np.repeat(np.arange(len(predictions)), len(units))]
    names = pl.concat([units.cast(pl.String)] * len(predictions))
    return rows.with_columns(
        names.alias("unit"), Series("value", np.concatenate(values), pl.Float64)
    )


def by_dataset(
    predictions: Sequence[ModelRows], table: Callable[[list[ModelRows]], DataFrame]
) -> Matrix:
    """Return the values of units over all datasets, each of whose answers `table` makes rows of, as
    of `long_table`.
    """
    names = dict.fromkeys(each.dataset for each in predictions)
    return Matrix.of(
        pl.concat([table([each for each in predictions if each.dataset == name]) for name in names])
    )


def compared_metric(metric: str, metrics: Iterable[str], what: str) -> str:
    """Return the short name of a metric that models may be compared by.

    Args:
        metric: The name of the metric.
        metrics: The short names of those that can be.
        what: What is compared, in the plural.

    Raises:
        ConfigError: It is none of them, with the nearest one.
    """
    short, names = metric.partition("[")[0], list(metrics)
    if short not in names:
        raise ConfigError(
            f"--metric: {what} cannot be compared by '{metric}'{nearest(short, names)}"
        )
    return short


# The way the scores of a task's models are paired: by the family's own rule, or by their
# headlines where it has none.


Fact = tuple[str, float | None, float | None, str]
"""A number about a fit: its title, its value, its standard error if it has one, and its meaning."""


@dataclass(frozen=True, kw_only=True)
class Estimates:
    """The numbers that a comparison shows with specifications in columns.

    Attributes:
        coefficients: The short names of the metrics that are estimates, in their order.
        fit: Those that tell how well a specification fits.
        by: The column of segments (`arm`) that estimates are of, too.
        facts: The function from the rows of a model to more coefficients, and to more facts about
            the fit.
    """

    coefficients: tuple[str, ...]
    fit: tuple[str, ...] = ()
    by: str = ""
    facts: Callable[[DataFrame], tuple[Sequence[Fact], Sequence[Fact]]] | None = None

    def table(self, specifications: Mapping[str, ModelRows]) -> DataFrame:
        """Return the numbers of each specification; see `results.comparison.SPECIFICATIONS`."""
        rows = [row for name, each in specifications.items() for row in self._rows(name, each)]
        order = {name: place for place, name in enumerate(dict.fromkeys(row[1] for row in rows))}
        table = SPECIFICATIONS.frame(rows)
        place = pl.col("row").replace_strict(order, return_dtype=pl.Int64)
        return table.sort("is_fit", place, maintain_order=True)

    def _rows(self, name: str, of_model: ModelRows) -> Iterator[tuple[Any, ...]]:
        more = self.facts(of_model.rows) if self.facts else ((), ())
        for is_fit, metrics in enumerate((self.coefficients, self.fit)):
            for metric in metrics:
                for title, *numbers in self._scores(of_model, metric):
                    yield name, title, bool(is_fit), *numbers
            for title, value, stderr, meaning in more[is_fit]:
                ends = (None, None) if stderr is None else _normal_ends(value, stderr)
                yield name, title, bool(is_fit), value, stderr, *ends, meaning

    def _scores(self, of_model: ModelRows, metric: str) -> Iterator[tuple[Any, ...]]:
        """Yield title, value, error, ends and meaning of a metric, once for each of its
        segments.
        """
        tables, whole = of_model.source.tables, pl.all_horizontal(pl.col("fold", "step").is_null())
        scores = tables.scores.filter(whole, model=of_model.label).filter(
            pl.col("segment_by").is_null() | (pl.col("segment_by") == self.by),
            pl.col("value").is_not_null(),
        )
        known = [full for full in of_model.source.metrics if metric in (full, short(full))]
        # the first of several rules is that of the test
        once = scores.filter(pl.col("metric").is_in(known)).unique(
            ["metric", "segment"], keep="first", maintain_order=True
        )
        for row in once.to_dicts():
            measure = tables.measure(row["metric"])
            parts = (measure.with_unit.replace("_", " "), row["segment"])
            ends = (row["stderr"], row["ci_low"], row["ci_high"])
            yield " · ".join(filter(None, parts)), row["value"], *ends, measure.explained


def _normal_ends(value: float | None, stderr: float) -> tuple[float | None, float | None]:
    half = stderr * student_critical(inf, LEVEL)
    return (None, None) if value is None else (value - half, value + half)


@dataclass(frozen=True, kw_only=True)
class TaskComparison:
    """The comparison of a task's models.

    Attributes:
        evidence: The function from (predictions, metric, resamples) to what is known of the models,
            and how many rows were left out because some model lacks them; None if models are only
            shown next to each other.
        estimates: The numbers that are shown with specifications in columns; None for none.
        along: The function from (evidence, subject, `low` or `high`) to tests along each unit; see
            `Comparison.along`.
        conditions: What all rows that were compared have in common, as a sentence ends: `at the
            same cutoffs`.
        trained: Whether what a model learns depends on the seed, so that one seed says nothing of
            others.
    """

    evidence: Callable[[Sequence[ModelRows], str, int], tuple[ComparisonEvidence, int]] | None
    estimates: Estimates | None = None
    along: Callable[[Any, str, str], DataFrame] | None = None
    conditions: str = ""
    trained: bool = True


def comparison_of(source: RunSource) -> TaskComparison:
    """Return how the models of a run are compared.

    Raises:
        ConfigError: The models of its task are no rivals, or its family cannot be imported.
    """
    task = _task(source)
    if task is not None and not task.comparable and not task.comparison:
        raise ConfigError(
            f"compare: runs of task '{task.name}' have no comparison; read their own reports."
        )
    return (
        load_reference(task.comparison, TaskComparison) if task and task.comparison else HEADLINES
    )


def headline_evidence(
    predictions: Sequence[ModelRows], metric: str, resamples: int
) -> tuple[UnitEvidence, int]:
    """Return the score of each model in each run.

    One dataset alone has no error, several are the units.

    Args:
        predictions: The predictions of every model, dataset and seed.
        metric: The short or full name of the metric.
        resamples: The number of resamples of each bootstrap.
    """
    rows = [
        (each.model, each.dataset, each.seed, "run", _score(each, metric)) for each in predictions
    ]
    table = DataFrame(
        rows, schema={**MODEL_COLUMNS, "unit": pl.String, "value": pl.Float64}, orient="row"
    )
    return UnitEvidence(Matrix.of(table), "runs", resamples), 0


def scores_of_run(source: RunSource, metric: str) -> DataFrame:
    """Return the scores of a metric over a whole run, one row a model: a mean, or what is pooled
    where it is none.
    """
    scores = source.tables.scores.filter(WHOLE_RUN, metric=source.metric(metric))
    means = scores.filter(aggregate="mean")
    return means if len(means) else scores.filter(aggregate="pooled")


def _score(of_model: ModelRows, metric: str) -> float | None:
    values = scores_of_run(of_model.source, metric).filter(model=of_model.label)["value"]
    return values[0] if len(values) else None


def _task(source: RunSource) -> Task | None:
    protocol = source.config["protocol"]
    try:
        return stored_task(str(protocol.get("recipe", protocol["name"])), source.task)
    except ConfigError as error:
        raise ConfigError(f"compare: run {source.title} cannot be paired: {error}") from error


HEADLINES = TaskComparison(evidence=headline_evidence)
"""The comparison of a task whose family names none."""
