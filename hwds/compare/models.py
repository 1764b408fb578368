"""Models against models: the leaderboard, the effects with their intervals, and what is sure of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from hwds.compare.answers import Answer, answers_of
from hwds.compare.board import comparison_notes, leaderboard
from hwds.compare.checks import check_definitions, check_sources, metric_of
from hwds.compare.contrasts import Scale
from hwds.compare.evidence import Evidence, UnitEvidence
from hwds.compare.hooks import comparison_of
from hwds.compare.labels import dataset_labels, model_labels
from hwds.compare.matrix import Matrix
from hwds.compare.source import Source
from hwds.core.errors import ConfigError, DataError, nearest
from hwds.results.comparison import PAIRS, Chosen, Comparison
from hwds.results.measure import Measure, short
from hwds.statistics.multiple_testing import holm
from hwds.statistics.ranks import rank_test, rounded, wilcoxon_p, win_rate
from hwds.statistics.reference_distribution import Effect
from hwds.statistics.standard_errors import RESAMPLES

LEVEL = 0.95


def compare(
    sources: Sequence[Source], *, metric: str = "", model: str = "", margin: float | None = None, resamples: int = RESAMPLES
) -> Comparison:
    """Compare the models of finished runs on the rows that all of them answered.

    Args:
        sources: The runs, in the order in which they were named.
        metric: Short or full name; the headline of the runs where empty.
        model: The model that is held against the others; where empty the own model of all runs, or else the best one.
        margin: A difference that does not matter: a share (0.01 for 1 %), or an amount where a mean is not above 0.
        resamples: Of each bootstrap.

    Raises:
        DataError: The runs were not evaluated in the same way, or share no row.
        ConfigError: The metric or the model is not there, or the task has no comparison.
    """
    datasets = dataset_labels(sources)
    check_sources(sources, datasets)
    name = metric_of(sources, metric)
    check_definitions(sources, datasets, name)
    answers, missing = answers_of(sources, datasets, model_labels(sources))
    task = comparison_of(sources[0])
    _refuse_few(answers, missing)
    evidence, left_out = task.evidence(answers, name, resamples)
    measure = sources[0].tables.measure(sources[0].metric(name))
    subject, chosen = _subject(evidence, answers, sources, model, measure)
    metrics = {dataset: source.metric(name) for source, dataset in zip(sources, datasets, strict=True)}
    along = task.along(evidence, subject, measure.better) if task.along else pl.DataFrame()
    scale = Scale.of(evidence.means, measure.better)
    return Comparison(
        **_compared(evidence, measure, subject, chosen, scale, margin),
        metrics=metrics,
        task=sources[0].task,
        leaderboard=leaderboard(evidence, measure, answers, scale, name),
        along=along,
        datasets=tuple(dict.fromkeys(datasets)),
        seeds=tuple(sorted({answer.seed for answer in answers})),
        sources=tuple(source.title for source in sources),
        notes=tuple(comparison_notes(evidence, missing, left_out, metrics, answers)),
        conditions=task.conditions,
        trained=task.trained,
    )


def compare_table(
    table: pl.DataFrame,
    measure: Measure,
    *,
    model: str = "",
    margin: float | None = None,
    units: str = "units",
    nested: bool = False,
    resamples: int = RESAMPLES,
) -> Comparison:
    """Compare models by any table of values.

    Args:
        table: Columns `model`, `dataset`, `seed`, `unit` and `value`, one row each.
        measure: What the value is, and which way is good.
        model: The model that is held against the others; the best where empty.
        margin: See `compare`.
        units: What a unit is.
        nested: Whether a unit is another one under another seed.
        resamples: Of each bootstrap.

    Raises:
        DataError: The models share no unit.
        ConfigError: There is no such model.
    """
    evidence = UnitEvidence(Matrix.of(table, nested=nested), units, resamples)
    subject, chosen = _subject(evidence, (), (), model, measure)
    scale = Scale.of(evidence.means, measure.better)
    datasets = evidence.matrix.datasets
    return Comparison(
        **_compared(evidence, measure, subject, chosen, scale, margin),
        metrics=dict.fromkeys(datasets, measure.name),
        task="",
        leaderboard=leaderboard(evidence, measure, (), scale, measure.name),
        along=pl.DataFrame(),
        datasets=datasets,
        seeds=tuple(sorted(table["seed"].unique())),
        sources=(),
        notes=tuple(comparison_notes(evidence, (), 0, {}, ())),
        trained=False,
    )


def _compared(
    evidence: Evidence, measure: Measure, subject: str, chosen: Chosen, scale: Scale, margin: float | None
) -> dict[str, Any]:
    """Return the fields of a comparison that do not depend on where its values are from."""
    if margin is not None and not 0 < margin < (1 if scale.relative else float("inf")):
        raise ConfigError(f"--margin: must be above 0{' and below 1' if scale.relative else ''}, got {margin:g}.")
    count = len(evidence.models)
    family = count * (count - 1) // 2 if chosen == "best" else count - 1
    blocks, called = evidence.blocks()
    return {
        "measure": measure,
        "subject": subject,
        "chosen": chosen,
        "family": family,
        "relative": scale.relative,
        "margin": margin,
        "level": LEVEL,
        "pairs": pairs_of(evidence, evidence.models.index(subject), scale, family, margin, LEVEL),
        "ranks": rank_test(evidence.models, blocks, called, measure.better),
        "units": getattr(evidence, "units_called", "rows"),
    }


def _subject(
    evidence: Evidence, answers: Sequence[Answer], sources: Sequence[Source], asked: str, measure: Measure
) -> tuple[str, Chosen]:
    """Return the model that is held against the others, and why it."""
    if measure.better == "none":
        raise ConfigError(f"--metric: of '{short(measure.name)}' neither a low nor a high value is good.")
    if asked:
        label = next((label for label in evidence.models if asked in (label, label.rpartition("/")[2])), None)
        if label is None:
            raise ConfigError(f"--model: no model '{asked}' here{nearest(asked, evidence.models)}")
        return label, "asked"
    subjects = {answer.model for answer in answers if answer.label == answer.source.model}
    if len(subjects) == 1 and len({source.model for source in sources}) == 1:
        return subjects.pop(), "own"
    ahead = Scale.of(evidence.means, measure.better).ahead(evidence.means)
    return evidence.models[ahead.index(max(ahead))], "best"


def _refuse_few(answers: Sequence[Answer], missing: Sequence[str]) -> None:
    models = {answer.model for answer in answers}
    if len(models) < 2:
        dropped = f" {', '.join(missing)} were not asked of every dataset." if missing else ""
        raise DataError(f"compare: there must be two models to compare, got {', '.join(models) or 'none'}.{dropped}")


def pairs_of(evidence: Evidence, subject: int, scale: Scale, family: int, margin: float | None, level: float) -> pl.DataFrame:
    """Return the pairs of the subject, in the order of models; see `hwds.results.comparison.PAIRS`.

    Where the data chose the subject, the family is all pairs; those without the subject are taken to be the larger p-values.

    Args:
        evidence: Of all models.
        subject: Its number.
        scale: Of effects.
        family: How many tests are corrected for together.
        margin: A difference that does not matter; None where none was given.
        level: Of intervals and verdicts.
    """
    rivals = [place for place in range(len(evidence.models)) if place != subject]
    effects = evidence.effects([(subject, rival) for rival in rivals], scale)
    p_values = [effect.p_value for effect in effects]
    alike = [None if margin is None else effect.equivalence_p(*scale.bounds(margin)) for effect in effects]
    p_holm, alike_holm = holm(p_values, family), holm(alike, family)
    values = evidence.unit_values()
    rounded_values = None if values is None else rounded(values)
    rows = []
    for place, (rival, effect) in enumerate(zip(rivals, effects, strict=True)):
        interval = effect.difference(level)
        ends = (None, None) if interval is None else tuple(scale.as_share(end) for end in interval)
        wins = (
            (None,) * 4
            if rounded_values is None
            else _wins(rounded_values[:, subject], rounded_values[:, rival], scale, evidence.independent_units)
        )
        verdict = _verdict(effect, p_holm[place], alike_holm[place], 1 - level)
        rows.append(
            (
                evidence.models[subject],
                evidence.models[rival],
                scale.as_share(effect.value),
                *ends,
                p_values[place],
                p_holm[place],
                alike[place],
                alike_holm[place],
                *wins,
                effect.method,
                effect.clusters,
                effect.independent,
                verdict,
            )
        )
    return pl.DataFrame(rows, schema=PAIRS, orient="row").sort("effect", descending=True, maintain_order=True)


def _wins(own: np.ndarray, other: np.ndarray, scale: Scale, independent: bool) -> tuple[float | None, ...]:
    """Return the share of units won, and where units are independent its interval and Wilcoxon's p-value."""
    better = other - own if scale.low else own - other
    share, low, high = win_rate(better)
    return (share, low, high, wilcoxon_p(better)) if independent else (share, None, None, None)


def _verdict(effect: Effect, p_value: float | None, alike: float | None, alpha: float) -> str:
    sure = p_value is not None and p_value < alpha
    verdicts = ["better" if effect.value > 0 else "worse"] if sure else []
    verdicts += ["alike"] if alike is not None and alike < alpha else []
    return ", ".join(verdicts) or "unsure"
