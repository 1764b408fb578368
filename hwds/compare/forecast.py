"""Evidence of forecasts: the metric of each series on the answers that all models gave, and of each origin along it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from hwds.compare.answers import Answer, shared
from hwds.compare.contrasts import Pair, Scale, contrasts
from hwds.compare.cosines import METHOD, cosine_effect
from hwds.compare.dm import LEAST_ORIGINS, diebold_mariano, enough
from hwds.compare.evidence import UnitEvidence, long_table
from hwds.compare.families import holm
from hwds.compare.laws import Effect, Law
from hwds.compare.matrix import Matrix
from hwds.errors import ConfigError, nearest
from hwds.frames.roles import SERIES, TIME
from hwds.metrics.forecast import Metric, forecast_metrics
from hwds.protocols.forecast_scores import Rows, coded, per_origin, per_series

KEYS = (SERIES, "cutoff", "step")
"""What names an answer."""


@dataclass(frozen=True, eq=False)
class ForecastEvidence(UnitEvidence):
    """Evidence of forecasts.

    Attributes:
        origins: The metric at each origin of each series, averaged over seeds: `dataset`, `series_id`, `cutoff`, and a column
            of each model; only origins at which all have a value.
        reach: How many origins one error reaches over, of each dataset.
    """

    origins: pl.DataFrame
    reach: Mapping[str, int]

    def effects(self, pairs: Sequence[Pair], scale: Scale) -> list[Effect]:
        """How much better the first of each pair is: over series, or along the only one, where it has origins enough."""
        alone = self.origins.select("dataset", SERIES).unique().height == 1
        if not alone or not enough(self.origins["cutoff"].n_unique(), max(self.reach.values())):
            return super().effects(pairs, scale)
        values = self.origins.sort("cutoff").select(self.models).to_numpy()[:, None, :]
        where = Matrix(self.models, values, np.zeros(len(values), np.int64), self.matrix.datasets, (0,))
        each = contrasts(where, pairs, scale)[:, 0]
        return [_along_one(each[:, place], max(self.reach.values())) for place in range(len(pairs))]


def evidence(answers: Sequence[Answer], metric: str, resamples: int) -> tuple[ForecastEvidence, int]:
    """The evidence of answers, and how many answers were left out because some model lacks them.

    Args:
        answers: Of every model, dataset and seed.
        metric: Its short or full name.
        resamples: Of each bootstrap.
    """
    kept, left_out = shared(answers, KEYS)
    tables, origins, reach = [], [], dict[str, int]()
    for dataset in dict.fromkeys(answer.dataset for answer in kept):
        own = [answer for answer in kept if answer.dataset == dataset]
        by_series, by_origin = _values(own, metric)
        tables.append(by_series)
        origins.append(by_origin.drop_nans())
        reach[dataset] = _reach(own[0].rows)
    every = pl.concat(origins, how="diagonal")
    return ForecastEvidence(Matrix.of(pl.concat(tables)), "series", resamples, every, reach), left_out


def _values(answers: Sequence[Answer], metric: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The metric of answers to the same rows of one dataset: of each series, and at each origin."""
    first = answers[0].rows
    names = first[SERIES].unique().sort()
    at = first.select(SERIES, pl.col("cutoff").cast(pl.String)).unique().sort(SERIES, "cutoff")
    values, by_model = list[np.ndarray](), dict[str, list[np.ndarray]]()
    rows: Rows | None = None
    for answer in answers:
        measure = _metric(answer.rows, metric)
        rows = coded(answer.rows, _levels(answer.rows), int(answer.rows["season"][0]), rows)
        values.append(per_series(measure, rows))
        by_model.setdefault(answer.model, []).append(per_origin(measure, rows))
    means = {model: pl.Series(np.mean(seeds, axis=0)) for model, seeds in by_model.items()}
    return long_table(answers, names, values), at.with_columns(pl.lit(answers[0].dataset).alias("dataset"), **means)


def along(evidence: ForecastEvidence, subject: str, better: str) -> pl.DataFrame:
    """Diebold-Mariano tests of one model against every other along each series that has origins enough.

    Seeds are averaged. Where windows overlap and origins are few, or losses remember what was before, the test finds many
    differences that are none (`python -m bench.error_rates`): `p_steady` is that of `cosine_effect`, which holds its level
    there too, and `p_holm` is that one, corrected over all series and rivals.

    Returns:
        Columns `dataset`, `series_id`, `rival`, `origins`, `horizon`, `difference` (below 0 where the subject is better),
        `statistic`, `p_value`, `p_steady`, `p_holm`.
    """
    sign = 1.0 if better == "low" else -1.0
    enough_of_them = pl.len().over("dataset", SERIES) >= LEAST_ORIGINS  # a thousand short series would be cut in vain
    wide = evidence.origins.filter(enough_of_them)
    found = []
    for (dataset, series), part in wide.sort("dataset", SERIES, "cutoff").group_by(["dataset", SERIES], maintain_order=True):
        horizon = evidence.reach[str(dataset)]
        if not enough(len(part), horizon):
            continue
        for rival in (model for model in evidence.models if model != subject):
            differences = sign * (part[subject] - part[rival]).to_numpy()
            test = diebold_mariano(differences, horizon)
            if test:
                steady = cosine_effect(differences, horizon).p_value
                told = test.origins, test.horizon, test.mean, test.statistic, test.p_value, steady
                found.append((dataset, series, rival, *told))
    table = pl.DataFrame(found, schema=ALONG, orient="row")
    return table.with_columns(p_holm=pl.Series(holm(table["p_steady"].to_list()), dtype=pl.Float64))


def _along_one(values: np.ndarray, reach: int) -> Effect:
    """The mean difference along origins; what never differs is one of 0 for sure."""
    if not np.ptp(values):
        return Effect(float(np.mean(values)), 0.0, Law(), METHOD, len(values))
    return cosine_effect(values, reach)


ALONG = {
    **dict.fromkeys(("dataset", SERIES, "rival"), pl.String),
    **dict.fromkeys(("origins", "horizon"), pl.Int64),
    **dict.fromkeys(("difference", "statistic", "p_value", "p_steady"), pl.Float64),
}
"""The columns of `along`, but for the adjusted p-value."""


def _levels(rows: pl.DataFrame) -> tuple[float, ...]:
    return tuple(sorted(float(name[2:]) for name in rows.columns if name.startswith("q_")))


def _metric(rows: pl.DataFrame, name: str) -> Metric:
    known = forecast_metrics(int(rows["season"][0]), _levels(rows))
    found = next((metric for metric in known.values() if name in (metric.name, metric.short)), None)
    if found is None or found.better == "none":
        good = [metric.short for metric in known.values() if metric.better != "none"]
        raise ConfigError(f"--metric: forecasts cannot be compared by '{name}'{nearest(name, good)}")
    return found


def _reach(rows: pl.DataFrame) -> int:
    """Over how many origins one window reaches: 1 where windows do not overlap."""
    cutoffs = rows["cutoff"].unique().sort()
    if len(cutoffs) < 2:
        return 1
    ends = rows.group_by("cutoff").agg(pl.col(TIME).max()).sort("cutoff")[TIME]
    later = np.searchsorted(cutoffs.cast(pl.Int64).to_numpy(), ends.cast(cutoffs.dtype).cast(pl.Int64).to_numpy(), side="left")
    return int(max(later - np.arange(len(cutoffs)), default=1))
