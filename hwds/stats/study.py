"""The experiments of a study: each compared alone, then every contrast of them corrected
together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import polars as pl
from polars import DataFrame

from hwds.core.errors import ConfigError, DataError, nearest
from hwds.core.study import AGAINST, Study
from hwds.results.comparison import STUDY_CONTRASTS, STUDY_RUNS, Comparison
from hwds.results.tables import TRUTH
from hwds.stats.compare import compare, compare_table
from hwds.stats.effects import RESAMPLES, holm
from hwds.stats.evidence import comparison_of, scores_of_run
from hwds.stats.sources import RunSource, check_definitions, check_sources, metric_to_compare

WORLDS = "worlds"
"""The name of the units where each seed has data of its own."""


def compare_experiment(
    terms: Study,
    sources: Sequence[RunSource],
    *,
    margin: float | None = None,
    resamples: int = RESAMPLES,
) -> Comparison:
    """Return one experiment of a study: its runs, of one seed each.

    Where all seeds met the same data they are a level of their own beside its units. Where each has
    a simulated world of its own, worlds are the units: what differs within one says nothing of
    others, and the chance of training is in what differs between them.

    Args:
        terms: The study.
        sources: The runs.
        margin: The margin in place of the study's.
        resamples: The number of resamples of each bootstrap.

    Raises:
        DataError: Some seeds share their data and others do not, or the runs were not evaluated in
            the same way.
        ConfigError: The metric or the model is not there.
    """
    margin = terms.margin if margin is None else margin
    data = {source.data for source in sources}
    if len(data) == 1:
        return compare(
            sources, metric=terms.metric, model=terms.model, margin=margin, resamples=resamples
        )
    if len(data) < len(sources):
        raise DataError(
            f"study: {len(sources)} seeds have {len(data)} sets of data; each must have its own, "
            f"or all the same."
        )
    worlds = [f"{source.config['dataset']['name']}, seed {source.seed}" for source in sources]
    check_sources(sources, worlds)
    name = metric_to_compare(sources, terms.metric)
    check_definitions(sources, ["one"] * len(sources), name)
    measure = sources[0].tables.measure(sources[0].metric(name))
    comparison = compare_table(
        _worlds(sources, name),
        measure,
        model=terms.model,
        margin=margin,
        units=WORLDS,
        resamples=resamples,
    )
    board = comparison.leaderboard.drop("n_failed", "n_fallback", "seconds").join(
        _costs(sources, name), on="model", how="left"
    )
    dataset, task = str(sources[0].config["dataset"]["name"]), comparison_of(sources[0])
    return replace(
        comparison,
        task=sources[0].task,
        datasets=(dataset,),
        metrics={dataset: measure.name},
        seeds=tuple(source.seed for source in sources),
        sources=tuple(source.title for source in sources),
        leaderboard=board.select(comparison.leaderboard.columns),
        conditions=task.conditions,
        trained=task.trained,
    )


def contrasts_of(terms: Study, comparisons: Mapping[str, Comparison]) -> DataFrame:
    """Return the contrasts of all experiments, p-values corrected over all of them.

    See `hwds.results.comparison.STUDY_CONTRASTS`.

    Raises:
        ConfigError: A rival was not run in an experiment.
    """
    rows = [
        row | {"experiment": name, "relative": each.relative}
        for name, each in comparisons.items()
        for row in _contrast_rows(terms, name, each)
    ]
    several = len(terms.rivals) > 1
    for row, p, alike in zip(
        rows, *(holm([row[key] for row in rows]) for key in ("p_value", "alike_p")), strict=True
    ):
        name = (
            f"{row['experiment']}{AGAINST}{row['rival'].rpartition('/')[2]})"
            if several
            else row["experiment"]
        )
        row |= {"contrast": name, "p_holm": p, "alike_holm": alike}
        row["verdict"] = _verdict(row, 1 - next(iter(comparisons.values())).level)
    columns = list(STUDY_CONTRASTS.schema)
    return STUDY_CONTRASTS.frame([tuple(row[name] for name in columns) for row in rows])


def experiment_scores(experiment: str, sources: Sequence[RunSource], metric: str) -> DataFrame:
    """Return the metric of each model in each run of an experiment.

    See `hwds.results.comparison.STUDY_RUNS`.
    """
    parts = []
    for source in sources:
        constants = {"experiment": experiment, "seed": source.seed, "run": source.title}
        columns = [pl.lit(value).alias(key) for key, value in constants.items()]
        parts.append(
            scores_of_run(source, metric)
            .with_columns(*columns)
            .select(pl.col(key).cast(kind) for key, kind in STUDY_RUNS.items())
        )
    return pl.concat(parts)


def _worlds(sources: Sequence[RunSource], metric: str) -> DataFrame:
    """Return the metric of each model in each world, as `compare_table` reads it."""
    parts = [
        scores_of_run(source, metric).with_columns(unit=pl.lit(str(source.seed)))
        for source in sources
    ]
    constants = {"dataset": pl.lit("worlds"), "seed": pl.lit(0, pl.Int64)}
    table = pl.concat(part.filter(pl.col("model") != TRUTH) for part in parts).with_columns(
        **constants
    )
    return table.select("model", "dataset", "seed", "unit", "value")


def _costs(sources: Sequence[RunSource], metric: str) -> DataFrame:
    """Return the failures, fallbacks and seconds of each model in all worlds."""
    counts = (
        pl.concat(scores_of_run(source, metric) for source in sources)
        .group_by("model")
        .agg(pl.sum("n_failed", "n_fallback"))
    )
    timings = pl.concat(source.tables.timings.select("model", "seconds") for source in sources)
    return counts.join(timings.group_by("model").agg(pl.sum("seconds")), on="model", how="left")


def _contrast_rows(terms: Study, experiment: str, comparison: Comparison) -> list[dict[str, Any]]:
    """Return the pairs with the chosen rivals."""
    rows = {row["rival"]: row for row in comparison.pairs.to_dicts()}
    chosen = []
    for rival in terms.rivals:
        name = next((label for label in rows if rival in (label, label.rpartition("/")[2])), None)
        if name is None:
            raise ConfigError(f"rivals: no model '{rival}' in '{experiment}'{nearest(rival, rows)}")
        chosen.append(rows[name])
    return chosen


def _verdict(row: Mapping[str, Any], alpha: float) -> str:
    """Return a difference within the margin is none that matters, however sure it is."""
    if row["alike_holm"] is not None and row["alike_holm"] < alpha:
        return "alike"
    sure = row["p_holm"] is not None and row["p_holm"] < alpha
    return ("better" if row["effect"] > 0 else "worse") if sure else "unsure"
