"""Evidence of forecasts: the metric of each series on the answers that all models gave, and of each
origin along it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl
from polars import DataFrame, Series

from hwds.core.checksums import is_sound
from hwds.core.errors import ConfigError, nearest
from hwds.core.files import OUTPUTS
from hwds.evaluation.protocol import CLUSTER_COLUMN
from hwds.forecast.metrics import (
    FROM_LAST,
    CodedRows,
    Metric,
    code_rows,
    forecast_metrics,
    forecast_origins,
    forecast_reach,
    named_metrics,
    per_block,
    per_origin,
    per_series,
)
from hwds.forecast.rows import SkillBlocks, cluster_remarks
from hwds.frames.panel import Panel
from hwds.frames.roles import SERIES
from hwds.stats.contrasts import Matrix, Pair, Periods, Reach, Scale
from hwds.stats.effects import holm
from hwds.stats.estimates import codes_of
from hwds.stats.evidence import TaskComparison, UnitEvidence, long_table
from hwds.stats.periods import LEAST_ORIGINS, cosine_effect, diebold_mariano, has_enough_origins
from hwds.stats.sources import ModelRows, shared_rows

KEYS = (SERIES, "cutoff", "step")
"""The columns that identify one forecast."""


@dataclass(frozen=True, eq=False)
class ForecastEvidence(UnitEvidence):
    """Evidence of forecasts.

    Attributes:
        origins: The metric at each origin of each series, averaged over seeds: `dataset`, `unit`,
            `period` (the cutoff), and a column of each model.
        span: The number of origins that one error reaches over, of each dataset.
        data: The fingerprint of the data of the first run.
    """

    origins: DataFrame = field(default_factory=DataFrame)
    span: Mapping[str, int] = field(default_factory=dict)
    data: str = ""

    def doubts(self, pair: Pair, scale: Scale, sure: bool) -> Iterator[str]:
        """Yield the same, and the static column that explains how series differ, of data that are
        still kept.
        """
        yield from super().doubts(pair, scale, sure)
        panel = _kept_panel(self.data)
        if panel is None or self.cluster is not None or len(self.matrix.datasets) > 1:
            return
        assert self.periods is not None
        skill = SkillBlocks(
            self.periods.gains(self.means, pair, scale),
            self.periods.cells[0],
            *self.periods.names[0],
        )
        if scale.relative:
            yield from cluster_remarks(panel, skill, (), scale.as_share, "better")


def _kept_panel(data: str) -> Panel | None:
    """Return the series of this fingerprint from the cache; None if they are gone or damaged."""
    path = OUTPUTS / "cache" / "frames" / data
    return Panel.read(path) if (path / "panel.json").is_file() and is_sound(path) else None


def forecast_evidence(
    answers: Sequence[ModelRows], metric: str, resamples: int
) -> tuple[ForecastEvidence, int]:
    """Return the evidence of answers, and how many answers were left out because some model lacks
    them.

    Args:
        answers: The forecasts of every model, dataset and seed.
        metric: Its short or full name.
        resamples: The resamples of each bootstrap.
    """
    common, left_out = shared_rows(answers, KEYS)
    tables, origins, reaches = [], [], dict[str, Reach]()
    blocks: dict[str, dict[str, np.ndarray]] = {}
    for dataset in dict.fromkeys(answer.dataset for answer in common):
        of_dataset = _align_clocks([answer for answer in common if answer.dataset == dataset])
        by_series, by_origin, blocks[dataset] = _values(of_dataset, metric)
        tables.append(by_series)
        origins.append(by_origin.drop_nans())
        first = of_dataset[0].rows
        reaches[dataset] = Reach(*forecast_reach(first, int(first["season"][0])))
    every, matrix = pl.concat(origins, how="diagonal"), Matrix.of(pl.concat(tables))
    periods = Periods.of(every, matrix, reaches, blocks)
    span = {dataset: each.span for dataset, each in reaches.items()}
    cluster = None
    if CLUSTER_COLUMN in every.columns:
        named = every.unique(["dataset", "unit"]).select("dataset", "unit", CLUSTER_COLUMN)
        joined = matrix.names.join(named, ["dataset", "unit"], "left", maintain_order="left")
        cluster = codes_of(joined[CLUSTER_COLUMN])
    return (
        ForecastEvidence(
            matrix, "series", resamples, periods, cluster, every, span, answers[0].source.data
        ),
        left_out,
    )


def _align_clocks(answers: Sequence[ModelRows]) -> Sequence[ModelRows]:
    """Return answers to the same rows, all with `FROM_LAST` where one has it: runs of earlier code
    have none.
    """
    known = next(
        (answer.rows[FROM_LAST] for answer in answers if FROM_LAST in answer.rows.columns), None
    )
    if known is None:
        return answers
    return [replace(answer, rows=answer.rows.with_columns(known)) for answer in answers]


def _clusters(answers: Sequence[ModelRows]) -> dict[str, Series]:
    """Return the cluster of each row, of the first run that has clusters; empty where none has."""
    with_clusters = (each.rows for each in answers if CLUSTER_COLUMN in each.rows.columns)
    rows = next(with_clusters, None)
    return {} if rows is None else {CLUSTER_COLUMN: rows[CLUSTER_COLUMN]}


def _values(
    answers: Sequence[ModelRows], metric: str
) -> tuple[DataFrame, DataFrame, dict[str, np.ndarray]]:
    """Return the metric of answers to the same rows of one dataset: of each series, at each origin,
    and in each block of steps, by model.
    """
    first = answers[0].rows
    names = first[SERIES].unique().sort()
    unit, period = first[SERIES].cast(pl.String), forecast_origins(first)["cutoff"]
    at = DataFrame({"unit": unit, "period": period, **_clusters(answers)})
    at = at.unique(["unit", "period"]).sort("unit", "period")
    at = at.with_columns(pl.col("period").rank("dense"), instant=pl.col("period").cast(pl.String))
    values, by_model = list[np.ndarray](), dict[str, list[np.ndarray]]()
    blocks: dict[str, list[np.ndarray]] = {}
    rows: CodedRows | None = None
    for answer in answers:
        measure = _metric(answer, metric)
        rows = code_rows(answer.rows, _levels(answer.rows), int(answer.rows["season"][0]), rows)
        values.append(per_series(measure, rows))
        by_model.setdefault(answer.model, []).append(per_origin(measure, rows))
        blocks.setdefault(answer.model, []).append(per_block(measure, rows))
    means = {model: Series(np.mean(seeds, axis=0)) for model, seeds in by_model.items()}
    dataset = pl.lit(answers[0].dataset).alias("dataset")
    table = at.with_columns(dataset, row=pl.int_range(pl.len()), **means)
    by_block = {model: np.mean(seeds, axis=0) for model, seeds in blocks.items()}
    return long_table(answers, names, values), table, by_block


def origin_tests(evidence: ForecastEvidence, subject: str, better: str) -> DataFrame:
    """Return Diebold-Mariano tests of one model against every other along each series that has
    origins enough.

    Seeds are averaged. Where windows overlap and origins are few, or losses remember what was
    before, the test finds many differences that are none (`python -m bench.error_rates`):
    `p_steady` is that of `cosine_effect`, which holds its level there too, and `p_holm` is that
    one, corrected over all series and rivals.

    Returns:
        Columns `dataset`, `series_id`, `rival`, `origins`, `horizon`, `difference` (below 0 where
        the subject is better), `statistic`, `p_value`, `p_steady`, `p_holm`.
    """
    sign = 1.0 if better == "low" else -1.0
    # a thousand short series would be cut in vain
    enough = pl.len().over("dataset", "unit") >= LEAST_ORIGINS
    wide = evidence.origins.filter(enough).sort("dataset", "unit", "period")
    lines = []
    for (dataset, series), part in wide.group_by(["dataset", "unit"], maintain_order=True):
        horizon = evidence.span[str(dataset)]
        if not has_enough_origins(len(part), horizon):
            continue
        for rival in (model for model in evidence.models if model != subject):
            differences = sign * (part[subject] - part[rival]).to_numpy()
            test = diebold_mariano(differences, horizon)
            if test:
                steady = cosine_effect(differences, horizon).p_value
                found = test.origins, test.horizon, test.mean, test.statistic, test.p_value
                lines.append((dataset, series, rival, *found, steady))
    table = DataFrame(lines, schema=ORIGIN_TESTS, orient="row")
    return table.with_columns(p_holm=Series(holm(table["p_steady"].to_list()), dtype=pl.Float64))


ORIGIN_TESTS = {
    **dict.fromkeys(("dataset", SERIES, "rival"), pl.String),
    **dict.fromkeys(("origins", "horizon"), pl.Int64),
    **dict.fromkeys(("difference", "statistic", "p_value", "p_steady"), pl.Float64),
}
"""The columns of `origin_tests`, but for the adjusted p-value."""


def _levels(rows: DataFrame) -> tuple[float, ...]:
    return tuple(sorted(float(name[2:]) for name in rows.columns if name.startswith("q_")))


def _metric(answer: ModelRows, name: str) -> Metric:
    """Return a metric by its name: built in, or one of the run's own, `protocol.metrics`."""
    own = answer.source.config["protocol"].get("metrics") or ()
    built_in = forecast_metrics(int(answer.rows["season"][0]), _levels(answer.rows)).values()
    known = [*built_in, *named_metrics(tuple(own))]
    metric = next((metric for metric in known if name in (metric.name, metric.short)), None)
    if metric is None or metric.better == "none":
        good = [metric.short for metric in known if metric.better != "none"]
        raise ConfigError(
            f"--metric: forecasts cannot be compared by '{name}'{nearest(name, good)}"
        )
    return metric


COMPARISON = TaskComparison(
    evidence=forecast_evidence, along=origin_tests, conditions="at the same cutoffs"
)
