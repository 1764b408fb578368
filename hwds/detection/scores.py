"""Scores of test windows: the list of metrics, and their intervals by clusters of rows."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import exp, log
from typing import Self

import numpy as np
import polars as pl
from numpy import ndarray
from polars import DataFrame, Series

from hwds.core.questions import Json
from hwds.core.seeds import stream
from hwds.core.settings import read_beside
from hwds.detection.metrics import (
    CHANCES,
    COSTS,
    ScoredBy,
    TestRows,
    Values,
    WindowSide,
    metric_families,
    ratio_or_nan,
)
from hwds.detection.rows import distinct_codes, entities_of_rows
from hwds.evaluation.protocol import Score
from hwds.results.tables import Measure, short
from hwds.stats.binary_labels import BINS, LIKELY
from hwds.stats.contrasts import Scale
from hwds.stats.distributions import sigmoid
from hwds.stats.effects import LEAST_CLUSTERS, LEVEL, Effect, ReferenceDistribution
from hwds.stats.estimates import (
    LEAST_DEFINED,
    ClusterCounts,
    ClusteredPart,
    block_length,
    day_blocks,
    day_cluster,
    effective_number,
    resample_clusters,
    two_way_effect,
)

# Clusters of scored rows by entity, by day, and by both; drawn again they say how much a metric
# may vary.

BY_ENTITY, BY_DAY, BY_BOTH = "entity", "day", "entity and day"


@dataclass(frozen=True, eq=False)
class Clusters:
    """The clusters of one way to resample.

    Attributes:
        way: `BY_ENTITY`, `BY_DAY` or `BY_BOTH`.
        of_rows: The cluster of each row, by window.
        number: The number of clusters.
        strata: The clusters of each group within which they are drawn.
        called: The name of a cluster in words.
    """

    way: str
    of_rows: tuple[ndarray, ...]
    number: int
    strata: tuple[ndarray, ...]
    called: str

    @classmethod
    def of(
        cls, way: str, called: str, of_rows: Sequence[ndarray], *, by_window: bool = False
    ) -> Self:
        """Return clusters by the codes of rows.

        `by_window` draws them within windows, where each has several of its own.
        """
        ends = np.cumsum([len(each) for each in of_rows])[:-1]
        present, codes = np.unique(np.concatenate(of_rows), return_inverse=True)
        parts = tuple(np.split(codes, ends))
        strata = tuple(np.unique(part) for part in parts)
        apart = sum(map(len, strata)) == len(present) and min(map(len, strata)) > 1
        if not (by_window and apart):
            strata = (np.arange(len(present)),)
        return cls(way, parts, len(present), strata, called)

    def draw(self, rng: np.random.Generator) -> ndarray:
        """Return how often each cluster is drawn, shape (clusters,)."""
        counts = np.zeros(self.number)
        for stratum in self.strata:
            counts[stratum] = resample_clusters(len(stratum), rng)
        return counts

    def counts(self, weight: ndarray) -> ClusterCounts:
        """Return the clusters as far as they have weight, shape (clusters,)."""
        return ClusterCounts(
            self.called, int((weight > 0).sum()), effective_number(weight), len(self.strata)
        )

    def same_as(self, way: str, others: Sequence[Clusters]) -> bool:
        """Return whether another way has the same clusters, each of which a row is in."""
        other = next(each for each in others if each.way == way)
        own = self.number, len(self.strata)
        return self.way == BY_BOTH and own == (other.number, len(other.strata))


def clusters_of_windows(windows: Sequence[TestRows]) -> list[Clusters]:
    """Return the ways to resample rows: entities, and where their days are known days and the
    entities of a day.

    Of many days, neighbours are one cluster. Days are drawn within windows, where these have
    several.
    """
    if not windows:
        return []
    by_entity = [window.entity for window in windows]
    ways, by_day = [Clusters.of(BY_ENTITY, "customer", by_entity)], _day_blocks(windows)
    if by_day is not None:
        days, called = by_day
        width = max(int(each.max(initial=0)) for each in days) + 1
        both = [who * width + day for who, day in zip(by_entity, days, strict=True)]
        ways += [
            Clusters.of(BY_DAY, called, days, by_window=True),
            Clusters.of(BY_BOTH, "customer day", both),
        ]
    return ways


def _day_blocks(windows: Sequence[TestRows]) -> tuple[list[ndarray], str] | None:
    """Return the number of each row's block of days, by window, and what a block is called.

    None where no day is known.

    Where a protocol counts no days, for its folds are no windows in time, a row's time says its
    day.
    """
    counted = [window.table["day"].fill_null(0).to_numpy().astype(np.int64) for window in windows]
    if any(each.any() for each in counted):
        earliest = min(int(each.min(initial=0)) for each in counted)
        total = sum(window.days for window in windows)
        length = block_length(total)
        blocks = [(each - earliest) // length for each in counted]
        width = max(int(each.max(initial=0)) for each in blocks) + 1
        return [each + place * width for place, each in enumerate(blocks)], day_cluster(total)
    times = pl.concat([window.table["time"] for window in windows])
    if times.null_count():
        return None
    dates = times.dt.date().to_physical().to_numpy()
    by_window = np.split(day_blocks(dates), np.cumsum([len(window.day) for window in windows])[:-1])
    return by_window, day_cluster(len(np.unique(dates)))


def effect_of(
    value: float, samples: Mapping[str, ndarray], counts: Mapping[str, ClusterCounts]
) -> Effect:
    """Return a number with its variance over entities and days, both of which its rows share.

    Args:
        value: The number on the rows as they are.
        samples: The resamples by way of resampling, shape (resamples,) each; NaN where a resample
            has no value.
        counts: The clusters of the same ways.
    """
    parts = {
        way: part
        for way, drawn in samples.items()
        if (part := _clustered_part(drawn, counts[way])) is not None
    }
    if BY_ENTITY not in parts or len(parts) < len(samples):
        few = next((each.refusal for each in counts.values() if each.refusal), "")
        number = min((each.number for each in counts.values()), default=0)
        return Effect(
            value, None, ReferenceDistribution(), few or "too few resamples with a value", number
        )
    way = BY_BOTH if BY_DAY in parts else BY_ENTITY
    return two_way_effect(
        value, parts[BY_ENTITY], parts.get(BY_DAY), parts.get(BY_BOTH), f"bootstrap by {way}"
    )


def _clustered_part(samples: ndarray, counts: ClusterCounts) -> ClusteredPart | None:
    """Return the variance of resamples, as large as that of so many clusters.

    None where most have no value.
    """
    known = samples[np.isfinite(samples)]
    if len(known) < max(2, LEAST_DEFINED * len(samples)):
        return None
    stretch = counts.effective / counts.df if counts.df > 0 else 1.0
    return ClusteredPart(counts, float(np.var(known, ddof=1)) * stretch)


# Rows of label 1, and the customers and days that have one: where these are few, a ranking is
# unsure.


@dataclass(frozen=True, slots=True)
class Positives:
    """The rows of label 1.

    Attributes:
        rows: The number of rows.
        clusters: The customers and the days (of all windows) with such a row, by the way of
            resampling.
    """

    rows: int
    clusters: Mapping[str, int]

    @classmethod
    def of(cls, rows: DataFrame, label: str) -> Positives:
        """Count the scored rows of one model whose `label` (or `truth`) is 1.

        A row without an entity is one of its own.
        """
        found = rows.filter(pl.col(label) == 1)
        days = found.select("cutoff", "day").unique()
        return cls(len(found), {BY_DAY: len(days), BY_ENTITY: entities_of_rows(found).n_unique()})


def few_positives(clusters: Mapping[str, int]) -> str:
    """Return the warning that customers or days with a positive row are few.

    Empty where they are enough.
    """
    way, count = min(clusters.items(), key=lambda each: each[1], default=("", LEAST_CLUSTERS))
    if count >= LEAST_CLUSTERS:
        return ""
    noun = "day" if way == BY_DAY else "customer"
    has = f"{noun} has" if count == 1 else f"{noun}s have"
    return f"Only {count} {has} a positive row: the next few may change the result."


# Test windows of scored rows: their metrics, and those of bootstrap resamples.

TRUE = "true_"
"""Before the name of a metric: against the truth, which only a simulator knows."""

OF_NEGATIVES = ("false_positive_rate",)
"""Metrics of rows of label 0, of which none are few."""

AT_ONCE = 2_000_000
"""Weights of rows that are held at once; more resamples than that allows come one part after the
other.
"""


@dataclass(frozen=True, eq=False)
class Window:
    """A test window against its labels, and against the truth where that is known."""

    rows: TestRows
    sides: dict[str, WindowSide]

    def values(self, weighting: WindowWeighting, wanted: Collection[str]) -> Values:
        """Return metrics of both sides by full name, shape (weightings,) each.

        See `Side.values`.
        """
        metrics: Values = {}
        for before, side in self.sides.items():
            values = side.values(weighting.times, weighting.days, weighting.sums[before], wanted)
            metrics |= {f"{before}{name}": value for name, value in values.items()}
        return metrics


@dataclass(frozen=True, eq=False)
class WindowWeighting:
    """The weights of each row and each day of a window, in several weightings.

    Attributes:
        times: The number of times that each row counts, shape (weightings, rows).
        days: Shape (weightings, days).
        sums: The weighted parts of each side, shape (weightings, columns).
        share: The weight of the window in the mean over windows, shape (weightings,).
    """

    times: ndarray
    days: ndarray
    sums: dict[str, ndarray]
    share: ndarray


@dataclass(frozen=True, eq=False)
class WindowClusters:
    """The clusters of one way to resample in one window.

    Attributes:
        of_row: The cluster of each row, of those of all windows.
        of_day: The cluster of each day where days are drawn; None elsewhere.
        present: The numbers of those that are here.
        sums: The parts of their rows, by side, shape (clusters that are here, columns).
    """

    of_row: ndarray
    of_day: ndarray | None
    present: ndarray
    sums: dict[str, ndarray]

    @classmethod
    def of(cls, window: Window, clusters: Clusters, place: int) -> WindowClusters:
        """Return the clusters of a window, by its place."""
        of_row = clusters.of_rows[place]
        present, local = np.unique(of_row, return_inverse=True)
        sums = {before: side.sums(local, len(present)) for before, side in window.sides.items()}
        of_day = None
        if clusters.way == BY_DAY:
            of_day = np.zeros(window.rows.days, np.int64)
            of_day[window.rows.day] = of_row
        return cls(of_row, of_day, present, sums)

    def weighted(self, window: Window, counts: ndarray) -> WindowWeighting:
        """Return the weightings in which each cluster counts so many times, shape (weightings,
        clusters of all windows).
        """
        here = counts[:, self.present]
        sums = {before: here @ each for before, each in self.sums.items()}
        even = np.ones((len(counts), window.rows.days))
        days = even if self.of_day is None else counts[:, self.of_day]
        share = even[:, 0] if self.of_day is None else here.mean(axis=1)
        return WindowWeighting(counts[:, self.of_row], days, sums, share)


@dataclass(frozen=True, eq=False)
class ResampledMetrics:
    """Metrics of one model, and of resamples of its rows.

    Attributes:
        values: The metrics of all rows as they are.
        samples: The metrics of the resamples by way and metric, shape (resamples,).
        counts: The clusters with a row of label 1, or with any where there is none, by side and
            way.
        any_counts: The clusters with any row, by side and way.
    """

    values: dict[str, float]
    samples: dict[str, Values]
    counts: dict[str, dict[str, ClusterCounts]]
    any_counts: dict[str, dict[str, ClusterCounts]]

    def samples_of(self, metric: str) -> dict[str, ndarray]:
        """Return the resamples of one metric by way."""
        return {way: each[metric] for way, each in self.samples.items()}

    def clusters(self, metric: str) -> Mapping[str, ClusterCounts]:
        """Return the clusters that a metric is drawn by: all of them, where it is one of rows of
        label 0.
        """
        counts = self.any_counts if metric.removeprefix(TRUE) in OF_NEGATIVES else self.counts
        return counts[TRUE if metric.startswith(TRUE) and TRUE in counts else ""]


def scored_windows(rows: DataFrame, protocol: ScoredBy) -> list[Window]:
    """Return the windows of test rows, in the order of their cutoffs.

    A row without an entity is one of its own. Against labels a row weighs as many as it stands for
    (`weight`), against the truth all rows weigh the same.
    """
    coded = rows.with_columns(__entity=Series(distinct_codes(entities_of_rows(rows))))
    windows = []
    for part in coded.partition_by("cutoff", maintain_order=True):
        window = TestRows(
            part, part["__entity"].to_numpy(), distinct_codes(part["day"].fill_null(0))
        )
        sides = {"": WindowSide.of(window, "label", True, protocol)}
        if part["truth"].null_count() < len(part):
            sides[TRUE] = WindowSide.of(window, "truth", False, protocol)
        windows.append(Window(window, sides))
    return windows


def resample_windows(
    windows: Sequence[Window], wanted: Collection[str], resamples: int
) -> ResampledMetrics:
    """Return metrics of several windows, and of each resample by the way it was drawn.

    A metric is the mean over the windows in which it is defined. Entities, days, and entities of a
    day are resampled; the draws depend on the rows alone, so that rivals meet the same.

    Args:
        windows: The windows of one model.
        wanted: Families of metrics.
        resamples: The number of resamples of each way.
    """
    ways = clusters_of_windows([window.rows for window in windows])
    counts: dict[str, dict[str, ClusterCounts]] = {}
    any_counts: dict[str, dict[str, ClusterCounts]] = {}
    samples: dict[str, Values] = {}
    values: Values = {}
    for clusters in ways:
        each = [WindowClusters.of(window, clusters, place) for place, window in enumerate(windows)]
        if not values:
            values = _mean_over_windows(windows, each, np.ones((1, clusters.number)), wanted)
        for side, weights in _weights(windows, each, clusters.number).items():
            positive = weights[:, 1] if weights[:, 1].any() else weights[:, 0]
            counts.setdefault(side, {})[clusters.way] = clusters.counts(positive)
            any_counts.setdefault(side, {})[clusters.way] = clusters.counts(weights[:, 0])
        # Where a row is the only one of its day, both ways draw the same rows.
        same = next((way for way in samples if clusters.same_as(way, ways)), None)
        if same is None:
            parts = [
                _mean_over_windows(windows, each, drawn, wanted)
                for drawn in _draws(clusters, windows, resamples)
            ]
            samples[clusters.way] = {
                name: np.concatenate([part[name] for part in parts]) for name in values
            }
        else:
            samples[clusters.way] = samples[same]
    return ResampledMetrics(
        {name: float(value[0]) for name, value in values.items()}, samples, counts, any_counts
    )


def _draws(clusters: Clusters, windows: Sequence[Window], resamples: int) -> Iterator[ndarray]:
    """Yield how often each cluster is drawn, shape (some resamples, clusters)."""
    rng = stream(0, f"bootstrap by {clusters.way}")
    rows = sum(len(window.rows.day) for window in windows)
    at_once = max(AT_ONCE // max(clusters.number, rows, 1), 1)
    for begin in range(0, resamples, at_once):
        yield np.stack([clusters.draw(rng) for _ in range(min(at_once, resamples - begin))])


def _weights(
    windows: Sequence[Window], each: Sequence[WindowClusters], number: int
) -> dict[str, ndarray]:
    """Return by side the weight of the rows of each cluster, and of those of label 1, shape
    (clusters, 2).
    """
    weights = {side: np.zeros((number, 2)) for window in windows for side in window.sides}
    for clusters in each:
        for side, sums in clusters.sums.items():
            weights[side][clusters.present] += sums[:, :2]
    return weights


def _mean_over_windows(
    windows: Sequence[Window],
    clusters: Sequence[WindowClusters],
    counts: ndarray,
    wanted: Collection[str],
) -> Values:
    """Return each metric's mean over windows in each weighting, shape (weightings,)."""
    both = list(zip(windows, clusters, strict=True))
    weightings = [each.weighted(window, counts) for window, each in both]
    by_window = [
        window.values(each, wanted) for window, each in zip(windows, weightings, strict=True)
    ]
    shares = np.array([each.share for each in weightings]).reshape(-1, len(counts))
    names = dict.fromkeys(name for values in by_window for name in values)
    unknown = np.full(len(counts), np.nan)
    metrics = {
        name: _weighted_mean(np.stack([values.get(name, unknown) for values in by_window]), shares)
        for name in names
    }
    if f"{TRUE}aucpr" in metrics:
        metrics["gap_aucpr"] = metrics["aucpr"] - metrics[f"{TRUE}aucpr"]
    return metrics


def _weighted_mean(values: ndarray, shares: ndarray) -> ndarray:
    """Return the mean over windows in which a metric is defined; NaN where it is in none."""
    known = np.where(np.isnan(values), 0.0, shares)
    return ratio_or_nan((known * np.nan_to_num(values)).sum(axis=0), known.sum(axis=0))


# Names, meanings and directions of the metrics of detection.

SHOWN_METRICS = ("aucpr", "auroc")
"""Metrics that the terminal shows of the headline's side (labels or truth); of the other side only
the average precision.
"""


MEASURES: dict[str, list[Json]] = read_beside(__file__, "scores.yaml")
"""The metrics `against_labels`, and `others`."""


def detection_measures(protocol: ScoredBy, unit: str) -> Sequence[Measure]:
    """Return all metrics of a detection protocol: against labels, against the truth, and the gap
    between the two.

    Args:
        protocol: The protocol, whose settings are in the names.
        unit: The currency of amounts; empty where it is not known.
    """
    first = f"the {protocol.card_k} entities with the highest scores of each day"
    set_to = {"by": protocol, "first": first, "bins": BINS, "likely": LIKELY}
    (*by_label, money), others = (
        Measure.filled(rows, units="rows", **set_to) for rows in MEASURES.values()
    )
    by_label.append(replace(money, measured_in=unit))
    true = [
        replace(
            each,
            name=f"{TRUE}{each.name}",
            head=each.head and f"{each.head} (truth)",
            meaning=f"{each.meaning}; against the truth of all rows",
        )
        for each in by_label
    ]
    main, other = (true, by_label) if protocol.headline.startswith(TRUE) else (by_label, true)
    # A terminal has room for so many.
    always = {*SHOWN_METRICS, *(f"{TRUE}{name}" for name in SHOWN_METRICS if name != "auroc")}
    shown = [replace(each, beside="always") if each.short in always else each for each in main]
    hidden = [
        replace(each, beside="always" if each.short.endswith("aucpr") else "no") for each in other
    ]
    every = [*shown, *hidden, *others]
    headline = next((measure for measure in every if measure.short == protocol.headline), None)
    return every if headline is None else [*every, _behind_measure(headline)]


def _behind_measure(headline: Measure) -> Measure:
    meaning = (
        f"by how much {headline.name} is worse than that of the best model, on the same "
        f"rows and resamples"
    )
    return replace(
        headline, name=f"behind_{headline.name}", meaning=meaning, better="low", beside="no"
    )


# The scores of scored rows: each metric with its interval, against labels and, where it is
# known, against the truth.

AMOUNTS = ("brier", "log_loss", "ece", "observed_to_expected", "expected_cost")
"""Metrics from 0 on."""

SIGNED = ("calibration_slope", "calibration_intercept", "gap_aucpr")
"""Metrics that may be of either sign; all others are shares, from 0 to 1."""


def detection_scores(rows: DataFrame, protocol: ScoredBy) -> list[Score]:
    """Return every metric of the test rows of one model: the mean over its windows, with an
    interval.

    If labels were looked for with known chances (role `label_propensity`), only those rows count
    against labels, each weighted by 1 / chance.

    The interval counts what rows of an entity share and what those of a day do, see
    `hwds.stats.estimates`; where either are too few there is none, and its method says so. Metrics
    of probabilities are there where there are probabilities, those of money where there are
    amounts.

    Args:
        rows: The rows with the columns of `prediction_rows`, and `flagged`.
        protocol: A detection protocol, for what it asks of its metrics.
    """
    if rows.is_empty():
        return []
    windows = scored_windows(rows, protocol)
    metrics = _metric_names(rows, protocol)
    known = metric_families(protocol)
    families = [family for family, names in known.items() if set(names) & set(metrics)]
    drawn = resample_windows(windows, families, protocol.resamples)
    cutoff = rows["cutoff"][0] if len(windows) == 1 else None
    return [_score(name, drawn, windows, cutoff) for name in metrics if name in drawn.values]


def behind_scores(rows: Mapping[str, DataFrame], protocol: ScoredBy) -> Iterator[tuple[str, Score]]:
    """Yield by how much the headline of each model is behind that of the best, on the same rows and
    under the same draws.

    The interval is that of a comparison: of the logarithm of a ratio, where all are above 0.

    Args:
        rows: The test rows of each model.
        protocol: A detection protocol.
    """
    windows = {label: scored_windows(part, protocol) for label, part in _shared_rows(rows).items()}
    metric = headline_name(protocol)
    family = families_of_metric(protocol, metric)
    drawn = {
        label: resample_windows(each, family, protocol.resamples) for label, each in windows.items()
    }
    headlines = {label: each.values.get(metric, np.nan) for label, each in drawn.items()}
    scored = [label for label, value in headlines.items() if not np.isnan(value)]
    if len(scored) < 2:
        return
    better = next(
        measure for measure in detection_measures(protocol, "") if measure.name == metric
    ).better
    best = (min if better == "low" else max)(scored, key=headlines.__getitem__)
    scale = Scale.of(np.array([headlines[label] for label in scored]), better)
    for label in (label for label in scored if label != best):
        effect = model_difference(metric, drawn[best], drawn[label], scale)
        least = min(headlines[label], headlines[best]) if scale.relative else None
        base = short(metric.removeprefix(TRUE))
        most = np.inf if base in (*AMOUNTS, *SIGNED) else 1.0 - (least or 0.0)
        n = sum(len(window.sides[_metric_side(metric)].places) for window in windows[label])
        apart = abs(headlines[label] - headlines[best])
        interval = _effect_as_amount(effect, least, most)
        yield label, Score(f"behind_{metric}", "mean", apart, n=n, **interval)


def model_difference(
    metric: str, first: ResampledMetrics, second: ResampledMetrics, scale: Scale
) -> Effect:
    """Return how much better the first of two models is, under the same draws."""
    value = float(scale.between(np.array(first.values[metric]), np.array(second.values[metric])))
    ways = first.samples_of(metric), second.samples_of(metric)
    with np.errstate(divide="ignore", invalid="ignore"):
        samples = {way: scale.between(ways[0][way], ways[1][way]) for way in ways[0]}
    return effect_of(value, samples, first.clusters(metric))


def headline_name(protocol: ScoredBy) -> str:
    """Return the headline's name with its definition."""
    names = [measure.name for measure in detection_measures(protocol, "")]
    return next(name for name in names if short(name) == protocol.headline)


def families_of_metric(protocol: ScoredBy, metric: str) -> list[str]:
    """Return the family that a metric, by its full name, is computed in."""
    base = metric.removeprefix(TRUE)
    return [family for family, names in metric_families(protocol).items() if base in names]


def _metric_names(rows: DataFrame, protocol: ScoredBy) -> list[str]:
    """Return the metrics that these rows allow, in the order in which they are reported."""
    money = rows["amount"].null_count() < len(rows)
    likely = rows["probability"].null_count() < len(rows)
    there = {CHANCES: likely, COSTS: likely and money}
    metrics = [
        name
        for family, names in metric_families(protocol).items()
        for name in names
        if there.get(family, True) and (money or name != "caught_value")
    ]
    if rows["truth"].null_count() == len(rows):
        return metrics
    return [*metrics, *(f"{TRUE}{name}" for name in metrics), "gap_aucpr"]


def _score(
    name: str, drawn: ResampledMetrics, windows: Sequence[Window], cutoff: str | None
) -> Score:
    """Return one score; its rows are those of the windows in which the metric is defined."""
    value = drawn.values[name]
    side = _metric_side(name)
    known = sum(len(window.sides[side].places) for window in windows if side in window.sides)
    total = sum(len(window.rows.day) for window in windows)
    if np.isnan(value):
        return Score(name, "mean", None, n=0, n_undefined=total, cutoff=cutoff)
    effect = effect_of(value, drawn.samples_of(name), drawn.clusters(name))
    interval = _metric_interval(effect, short(name.removeprefix(TRUE)))
    return Score(name, "mean", value, n=known, n_undefined=total - known, cutoff=cutoff, **interval)


def _metric_interval(effect: Effect, metric: str) -> Json:
    """Return the interval of a metric: of a share by its log odds, so that it stays between 0 and
    1.
    """
    value, signed = effect.value, metric in SIGNED
    share = not signed and metric not in AMOUNTS
    if effect.stderr == 0 and share and value in {0.0, 1.0}:
        return {"stderr": None, "ci_method": "resamples that are all alike cannot tell"}
    ends: tuple[float | None, float | None] = effect.interval(LEVEL) or (None, None)
    if effect.stderr is not None and share and 0 < value < 1:
        odds = log(value / (1 - value))
        half = effect.distribution.critical(LEVEL) * effect.stderr / (value * (1 - value))
        low, high = sigmoid(np.array([odds - half, odds + half])).tolist()
        ends = low, high
    elif ends[0] is not None and ends[1] is not None and not signed:
        ends = max(ends[0], 0.0), min(ends[1], 1.0 if share else np.inf)
    return _interval_fields(effect, effect.stderr, ends)


def _effect_as_amount(effect: Effect, least: float | None, most: float) -> Json:
    """Return an effect as an amount: of a logarithm, where the smaller of two values is given, what
    it makes of that.

    Args:
        effect: A difference, or the logarithm of a ratio.
        least: The smaller value, where it is a ratio.
        most: The largest distance of two values: that of shares is 1.
    """
    ends: list[float | None] = [
        min(end if least is None else least * (exp(end) - 1), most)
        for end in effect.difference(LEVEL) or ()
    ] or [None, None]
    slope = 1.0 if least is None else least * exp(effect.value)
    stderr = None if effect.stderr is None else slope * effect.stderr
    return _interval_fields(effect, stderr, ends)


def _interval_fields(effect: Effect, stderr: float | None, ends: Sequence[float | None]) -> Json:
    return {"stderr": stderr, "ci_low": ends[0], "ci_high": ends[1], "ci_method": effect.method}


def _metric_side(metric: str) -> str:
    return TRUE if metric.startswith(TRUE) else ""


def _shared_rows(rows: Mapping[str, DataFrame]) -> dict[str, DataFrame]:
    """Return the rows that all models have scored: a fold that failed for one is left out for
    all.
    """
    cutoffs = [set(part["cutoff"]) for part in rows.values() if part.width]
    common = set.intersection(*cutoffs) if cutoffs else set()
    return {
        label: part.filter(pl.col("cutoff").is_in(common))
        for label, part in rows.items()
        if part.width and common
    }
