"""Models against models: the leaderboard, the effects with intervals, and what is sure of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy import ndarray
from polars import DataFrame, Series

from hwds.core.errors import ConfigError, DataError, nearest
from hwds.core.study import AGAINST, Study
from hwds.results.comparison import (
    LEADERBOARD,
    PAIRS,
    STUDY_CONTRASTS,
    STUDY_RUNS,
    Chosen,
    Comparison,
)
from hwds.results.folder import RunFolder
from hwds.results.formatting import counted
from hwds.results.tables import TRUTH, WHOLE_RUN, Measure, short
from hwds.stats.contrasts import Matrix, Scale
from hwds.stats.effects import RESAMPLES, Effect, holm
from hwds.stats.evidence import (
    ComparisonEvidence,
    TaskComparison,
    UnitEvidence,
    comparison_of,
    scores_of_run,
    shares_of,
)
from hwds.stats.ranks import (
    confidence_set,
    rank_rows,
    rank_test,
    round_digits,
    wilcoxon_p,
    win_rate,
)
from hwds.stats.sources import (
    ModelRows,
    RunSource,
    all_model_rows,
    check_definitions,
    check_sources,
    check_tasks,
    data_remark,
    dataset_labels,
    look_note,
    look_number,
    looked_model,
    metric_to_compare,
    model_labels,
    model_rows_of,
    protocol_differences,
)

# The leaderboard of a comparison, and what is to be known before it is read.

COUNTED = ("n_undefined", "n_failed", "n_fallback")
"""The counts of the scores table that are added up over runs."""


def leaderboard(
    evidence: ComparisonEvidence,
    measure: Measure,
    predictions: Sequence[ModelRows],
    scale: Scale,
    metric: str,
) -> DataFrame:
    """Return one row a model, the best first; see `hwds.results.comparison.LEADERBOARD`."""
    values, means, errors = evidence.unit_values(), evidence.means, evidence.errors
    blocks, _ = evidence.blocks()
    ranks = rank_rows(blocks, measure.better).mean(axis=0)
    count = len(evidence.models)  # a rank is one and the models that are better, ties half
    wins = (
        None
        if values is None
        else (count - rank_rows(values, measure.better).mean(axis=0)) / (count - 1)
    )
    set_p = _set_p(evidence, scale)
    counts = _failure_counts(predictions, metric) if predictions else {}
    reference = (
        evidence.models.index(measure.reference) if measure.reference in evidence.models else None
    )
    n = len(values) if values is not None else _row_count(predictions)
    rows = []
    for place, model in enumerate(evidence.models):
        skill = None if reference is None else _skill(means, place, reference, scale)
        rows.append(
            (
                model,
                float(means[:, place].mean()),
                None if np.isnan(errors[place]) else float(errors[place]),
                None if values is None else float(np.median(values[:, place])),
                float(ranks[place]),
                None if wins is None else float(wins[place]),
                skill,
                None if set_p is None else float(set_p[place]),
                n,
                *counts.get(model, (0, 0, 0, None)),
            )
        )
    table = LEADERBOARD.frame(rows)
    order = Series(scale.gains(means))
    return (
        table.with_columns(order=order)
        .sort("order", descending=True, maintain_order=True)
        .drop("order")
    )


def _set_p(evidence: ComparisonEvidence, scale: Scale) -> ndarray | None:
    draws = evidence.draws()
    if draws is None or len(draws) < 2:
        return None
    sign = 1.0 if scale.low else -1.0
    return confidence_set(sign * shares_of(evidence.means), sign * draws)


def _skill(means: ndarray, place: int, reference: int, scale: Scale) -> float | None:
    return (
        scale.as_share(float(scale.between(means[:, place], means[:, reference]).mean()))
        if scale.relative
        else None
    )


def _row_count(predictions: Sequence[ModelRows]) -> int:
    first = predictions[0].model
    return sum(
        int((each.rows["part"] == "test").sum()) for each in predictions if each.model == first
    )


def _failure_counts(
    predictions: Sequence[ModelRows], metric: str
) -> dict[str, tuple[int, int, int, float]]:
    """Return the undefined units, failed predictions, fallbacks and seconds of each model in its
    runs.
    """
    sources = {
        source: place
        for place, source in enumerate(dict.fromkeys(one.source for one in predictions))
    }
    columns = [
        (each.model, sources[each.source], each.label, each.source.metric(metric))
        for each in predictions
    ]
    labels = DataFrame(columns, schema=["called", "source", "model", "metric"], orient="row")
    means = WHOLE_RUN & (pl.col("aggregate") == "mean")
    scores = _stack(
        [each.tables.scores.filter(means).select("model", "metric", *COUNTED) for each in sources]
    )
    once = scores.unique(["source", "model", "metric"], keep="first")
    seconds = _stack([each.tables.timings.select("model", "seconds") for each in sources])
    seconds_by_model = seconds.group_by("source", "model").agg(pl.sum("seconds"))
    joined = labels.join(once, on=["source", "model", "metric"], how="left").join(
        seconds_by_model, on=["source", "model"], how="left"
    )
    total = joined.group_by("called").agg(pl.sum(*COUNTED, "seconds"))
    return {model: tuple(counts) for model, *counts in total.iter_rows()}


def _stack(tables: Sequence[DataFrame]) -> DataFrame:
    """Return tables below each other, the number of each as `source`."""
    return pl.concat(tables).with_columns(
        source=Series(np.repeat(np.arange(len(tables)), [len(each) for each in tables]))
    )


def comparison_notes(
    evidence: ComparisonEvidence,
    missing: Sequence[str],
    left_out: int,
    metrics: Mapping[str, str],
    predictions: Sequence[ModelRows],
) -> Iterator[str]:
    """Yield the notes of a comparison, one sentence each."""
    if missing:
        yield f"Not asked of every dataset, and left out: {', '.join(missing)}."
    if left_out:
        yield f"{counted(left_out, 'rows')} left out: not answered by every model."
    if isinstance(evidence, UnitEvidence):
        yield from _matrix_notes(evidence)
    if evidence.few:
        yield evidence.few
    if len(set(metrics.values())) > 1:
        yield (
            f"Each dataset is scored by its own definition: "
            f"{', '.join(dict.fromkeys(metrics.values()))}."
        )
    silent = dict.fromkeys(
        label
        for each in predictions
        for label in each.source.configured
        if label not in each.source.models
    )
    if silent:
        yield f"Without any answer, and left out: {', '.join(silent)}."


MOST_DOUBTED = 3
"""The differences, the smallest first, that remarks are about."""


def _doubts(
    evidence: ComparisonEvidence, subject: str, scale: Scale, pairs: DataFrame
) -> Iterator[str]:
    """Yield what few that decide, breaks in time and families make of the differences."""
    if not isinstance(evidence, UnitEvidence):
        return
    own = evidence.models.index(subject)
    nearest = pairs.sort(pl.col("effect").abs()).head(MOST_DOUBTED)
    for row in nearest.iter_rows(named=True):
        sure = row["verdict"].startswith(("better", "worse"))
        yield from evidence.doubts((own, evidence.models.index(row["rival"])), scale, sure)


def _remarks_on_shocks(evidence: ComparisonEvidence, subject: str, scale: Scale) -> Iterator[str]:
    if not isinstance(evidence, UnitEvidence):
        return
    own = evidence.models.index(subject)
    pairs = [(own, rival) for rival in range(len(evidence.models)) if rival != own]
    remark = evidence.lasting(pairs, scale)
    if remark:
        yield remark


def _matrix_notes(evidence: UnitEvidence) -> Iterator[str]:
    matrix = evidence.matrix
    if matrix.left_out:
        yield (
            f"{counted(matrix.left_out, evidence.units_called)} left out: some model has no "
            f"value there."
        )
    if matrix.unshared_seeds:
        yield (
            f"Seeds left out, for not every model was run with them: "
            f"{', '.join(map(str, matrix.unshared_seeds))}."
        )


# Models against models: the leaderboard, the effects with their intervals, and what is sure of
# them.

COMPARISON_LEVEL = 0.95


def compare(
    sources: Sequence[RunSource],
    *,
    metric: str = "",
    model: str = "",
    margin: float | None = None,
    resamples: int = RESAMPLES,
    remember: bool = False,
    choices: int = 1,
) -> Comparison:
    """Compare the models of finished runs on the rows that all of them answered.

    Args:
        sources: The runs, in the order in which they were named.
        metric: Short or full name; the headline of the runs where empty.
        model: The model that is held against the others; where empty the own model of all runs, or
            else the best one.
        margin: A difference that does not matter: a share (0.01 for 1 %), or an amount where a mean
            is not above 0.
        resamples: The number of resamples of each bootstrap.
        remember: Whether this is a look, which is kept; from the second one on intervals and
            verdicts hold at all looks together.
        choices: The number of models of which the model was chosen on the same units.

    Raises:
        DataError: The runs were not evaluated in the same way, or share no row.
        ConfigError: The metric or the model is not there, or the task has no comparison.
    """
    datasets = dataset_labels(sources)
    check_tasks(sources)
    task = comparison_of(sources[0])
    if task.evidence is None or not (metric or _is_ranked(sources, task)):
        return show_together(sources, task, metric, model)
    check_sources(sources, datasets)
    name = metric_to_compare(sources, metric)
    check_definitions(sources, datasets, name)
    labels = model_labels(sources)
    predictions, missing = model_rows_of(sources, datasets, labels)
    _refuse_few(predictions, missing)
    evidence, left_out = task.evidence(predictions, name, resamples)
    measure = sources[0].tables.measure(sources[0].metric(name))
    subject, chosen = _subject(evidence, predictions, sources, model, measure)
    metrics = {
        dataset: source.metric(name) for source, dataset in zip(sources, datasets, strict=True)
    }
    along = task.along(evidence, subject, measure.better) if task.along else DataFrame()
    scale = Scale.of(evidence.means, measure.better)
    looks = Looks(evidence, predictions, measure, choices) if remember else None
    made = _comparison_fields(evidence, measure, subject, chosen, scale, margin, looks)
    return Comparison(
        **made,
        metrics=metrics,
        task=sources[0].task,
        leaderboard=leaderboard(evidence, measure, predictions, scale, name),
        along=along,
        datasets=tuple(dict.fromkeys(datasets)),
        seeds=tuple(sorted({each.seed for each in predictions})),
        sources=tuple(source.title for source in sources),
        notes=(
            *(looks.notes() if looks else ()),
            *_data_notes(sources, datasets),
            *_decided(sources),
            *comparison_notes(evidence, missing, left_out, metrics, predictions),
            *_remarks_on_shocks(evidence, subject, scale),
            *_doubts(evidence, subject, scale, made["pairs"]),
        ),
        conditions=task.conditions,
        trained=task.trained,
        specifications=_specifications(task, all_model_rows(sources, datasets, labels)),
    )


def _is_ranked(sources: Sequence[RunSource], task: TaskComparison) -> bool:
    """Return whether any run has its headline, or there is nothing else to show."""
    headlines = ((each, each.metric(str(each.config["protocol"]["headline"]))) for each in sources)
    return task.estimates is None or any(name in each.metrics for each, name in headlines)


def show_together(
    sources: Sequence[RunSource], task: TaskComparison, metric: str, model: str
) -> Comparison:
    """Return the specifications of runs whose models are no rivals, next to each other; nothing is
    tested.

    Raises:
        ConfigError: A metric is given, or there is no such model.
    """
    if metric:
        raise ConfigError(
            f"--metric: must be left out: models of task '{sources[0].task}' are shown next to "
            f"each other, and not ranked."
        )
    names = dataset_labels(sources)
    versions = {name: set[str]() for name in names}
    for name, source in zip(names, sources, strict=True):
        versions[name].add(source.data)
    datasets = [
        f"{name}[data={source.data[:6]}]" if len(versions[name]) > 1 else name
        for name, source in zip(names, sources, strict=True)
    ]
    predictions = all_model_rows(sources, datasets, model_labels(sources))
    measure = sources[0].tables.measure(str(sources[0].config["protocol"]["headline"]))
    models = list(dict.fromkeys(each.model for each in predictions))
    subject, chosen = _asked(models, model) if model else (models[0], "own")
    differing = [
        f"Protocols differ: {each}."
        for source in sources[1:]
        for each in protocol_differences(sources[0], source)
    ]
    return Comparison(
        measure=measure,
        metrics=dict.fromkeys(datasets, measure.name),
        task=sources[0].task,
        subject=subject,
        chosen=chosen,
        family=0,
        relative=False,
        margin=None,
        level=COMPARISON_LEVEL,
        leaderboard=LEADERBOARD.frame([]),
        pairs=PAIRS.frame([]),
        along=DataFrame(),
        ranks=None,
        datasets=tuple(dict.fromkeys(datasets)),
        seeds=tuple(sorted({each.seed for each in predictions})),
        units=measure.units,
        sources=tuple(source.title for source in sources),
        notes=tuple(filter(None, (data_remark(sources, names), *differing, *_decided(sources)))),
        conditions=task.conditions,
        trained=task.trained,
        specifications=_specifications(task, predictions),
    )


def _specifications(task: TaskComparison, predictions: Sequence[ModelRows]) -> DataFrame:
    """Return the numbers of each model, each on its data and under its seed if there are several;
    empty if the task has none.
    """
    if task.estimates is None:
        return DataFrame()
    several = {
        part: len({getattr(each, part) for each in predictions}) > 1 for part in ("dataset", "seed")
    }
    named = {
        ", ".join(
            [
                each.model,
                *[each.dataset] * several["dataset"],
                *[f"seed {each.seed}"] * several["seed"],
            ]
        ): each
        for each in predictions
    }
    return task.estimates.table(named)


def _decided(sources: Sequence[RunSource]) -> list[str]:
    """Return what runs have decided, if several have."""
    advice = [f"{each.title} says {each.advice}" for each in sources if each.advice]
    return [f"Decisions: {'; '.join(advice)}."] if len(advice) > 1 else []


def _data_notes(sources: Sequence[RunSource], datasets: Sequence[str]) -> list[str]:
    remark = data_remark(sources, datasets)
    return [f"{remark} Models of one label are averaged over them."] if remark else []


def compare_table(
    table: DataFrame,
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
        resamples: The number of resamples of each bootstrap.

    Raises:
        DataError: The models share no unit.
        ConfigError: There is no such model.
    """
    evidence = UnitEvidence(Matrix.of(table, nested=nested), units, resamples)
    subject, chosen = _subject(evidence, (), (), model, measure)
    scale = Scale.of(evidence.means, measure.better)
    datasets = evidence.matrix.datasets
    return Comparison(
        **_comparison_fields(evidence, measure, subject, chosen, scale, margin),
        metrics=dict.fromkeys(datasets, measure.name),
        task="",
        leaderboard=leaderboard(evidence, measure, (), scale, measure.name),
        along=DataFrame(),
        datasets=datasets,
        seeds=tuple(sorted(table["seed"].unique())),
        sources=(),
        notes=tuple(comparison_notes(evidence, (), 0, {}, ())),
        trained=False,
    )


def _comparison_fields(
    evidence: ComparisonEvidence,
    measure: Measure,
    subject: str,
    chosen: Chosen,
    scale: Scale,
    margin: float | None,
    looks: Looks | None = None,
) -> dict[str, Any]:
    """Return the fields of a comparison that do not depend on where its values are from."""
    if margin is not None and not 0 < margin < (1 if scale.relative else float("inf")):
        raise ConfigError(
            f"--margin: must be above 0{' and below 1' if scale.relative else ''}, got {margin:g}."
        )
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
        "level": COMPARISON_LEVEL,
        "pairs": pairs_of(
            evidence, evidence.models.index(subject), scale, family, margin, COMPARISON_LEVEL, looks
        ),
        "ranks": rank_test(evidence.models, blocks, called, measure.better),
        "units": getattr(evidence, "units_called", "rows"),
    }


def _subject(
    evidence: ComparisonEvidence,
    predictions: Sequence[ModelRows],
    sources: Sequence[RunSource],
    model: str,
    measure: Measure,
) -> tuple[str, Chosen]:
    """Return the model that is held against the others, and why it."""
    if measure.better == "none":
        raise ConfigError(
            f"--metric: of '{short(measure.name)}' neither a low nor a high value is good."
        )
    if model:
        return _asked(evidence.models, model)
    subjects = {each.model for each in predictions if each.label == each.source.model}
    if len(subjects) == 1 and len({source.model for source in sources}) == 1:
        return subjects.pop(), "own"
    ahead = Scale.of(evidence.means, measure.better).gains(evidence.means)
    return evidence.models[ahead.index(max(ahead))], "best"


def _asked(models: Sequence[str], model: str) -> tuple[str, Chosen]:
    label = next((label for label in models if model in (label, label.rpartition("/")[2])), None)
    if label is None:
        raise ConfigError(f"--model: no model '{model}' here{nearest(model, models)}")
    return label, "asked"


def _refuse_few(predictions: Sequence[ModelRows], missing: Sequence[str]) -> None:
    models = {each.model for each in predictions}
    if len(models) < 2:
        dropped = f" {', '.join(missing)} were not asked of every dataset." if missing else ""
        raise DataError(
            f"compare: there must be two models to compare, got "
            f"{', '.join(models) or 'none'}.{dropped}"
        )


def pairs_of(
    evidence: ComparisonEvidence,
    subject: int,
    scale: Scale,
    family: int,
    margin: float | None,
    level: float,
    looks: Looks | None = None,
) -> DataFrame:
    """Return the pairs of the subject, in the order of models; see `hwds.results.comparison.PAIRS`.

    Where the data chose the subject, the family is all pairs; those without the subject are taken
    to be the larger p-values.

    Args:
        evidence: The evidence of all models.
        subject: The number of the subject among the models.
        scale: The scale of effects.
        family: The number of tests that are corrected for together.
        margin: A difference that does not matter; None where none was given.
        level: The confidence level of intervals and verdicts.
        looks: The looks at the models; None where they are not counted.
    """
    rivals = [place for place in range(len(evidence.models)) if place != subject]
    once = evidence.effects([(subject, rival) for rival in rivals], scale)
    pairs = zip(rivals, once, strict=True)
    effects = [looks.effect(subject, *pair) for pair in pairs] if looks else once
    p_values = [effect.p_value for effect in effects]
    alike = [
        None if margin is None else effect.equivalence_p(*scale.bounds(margin))
        for effect in effects
    ]
    p_holm, alike_holm = holm(p_values, family), holm(alike, family)
    values = evidence.unit_values()
    rounded_values = None if values is None else round_digits(values)
    rows = []
    for place, (rival, effect) in enumerate(zip(rivals, effects, strict=True)):
        ends = _ends(effect, scale, level)
        fixed = (None, None) if effect is once[place] else _ends(once[place], scale, level)
        wins = (
            (None,) * 4
            if rounded_values is None
            else _units_won(
                rounded_values[:, subject],
                rounded_values[:, rival],
                scale,
                evidence.independent_units,
            )
        )
        verdict = _pair_verdict(effect, p_holm[place], alike_holm[place], 1 - level)
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
                *fixed,
            )
        )
    return PAIRS.frame(rows).sort("effect", descending=True, maintain_order=True)


def _ends(effect: Effect, scale: Scale, level: float) -> tuple[float | None, float | None]:
    """Return the ends of the interval of a difference as shares; None where there is none."""
    ends = effect.difference(level)
    return (None, None) if ends is None else (scale.as_share(ends[0]), scale.as_share(ends[1]))


class Looks:
    """The looks at the models of a comparison: each pair is kept, and its effect is one that holds
    at all looks.

    Attributes:
        most: The most looks at a pair.
    """

    def __init__(
        self,
        evidence: ComparisonEvidence,
        predictions: Sequence[ModelRows],
        measure: Measure,
        choices: int,
    ) -> None:
        self._config = predictions[0].source.config
        first = {each.model: each for each in reversed(predictions)}
        rows = [first[model] for model in evidence.models]
        self._models = [
            looked_model(
                each.source.config, each.label, each.source.settings(each.label), measure.reference
            )
            for each in rows
        ]
        self._metric, self._choices, self.most = measure.name, choices, 1

    def effect(self, subject: int, rival: int, effect: Effect) -> Effect:
        """Return the effect of a pair for this look at it."""
        models = [self._models[subject], self._models[rival]]
        seen = (effect.value, effect.clusters, effect.periods or 0)
        number = look_number(self._config, self._metric, models, seen)
        self.most = max(self.most, number)
        return effect.at_all_looks(again=number > 1, choices=self._choices)

    def notes(self) -> Iterator[str]:
        """Yield what the intervals hold for, a sentence each."""
        if self._choices > 1:
            yield f"It is the best of {self._choices} on these units; the interval allows for that."
        if self.most > 1:
            yield look_note(self.most)


def _units_won(
    subject: ndarray, other: ndarray, scale: Scale, independent: bool
) -> tuple[float | None, ...]:
    """Return the share of units won, and where units are independent its interval and Wilcoxon's
    p-value.
    """
    better = other - subject if scale.low else subject - other
    share, low, high = win_rate(better)
    return (share, low, high, wilcoxon_p(better)) if independent else (share, None, None, None)


def _pair_verdict(effect: Effect, p_value: float | None, alike: float | None, alpha: float) -> str:
    sure = p_value is not None and p_value < alpha
    verdicts = ["better" if effect.value > 0 else "worse"] if sure else []
    verdicts += ["alike"] if alike is not None and alike < alpha else []
    return ", ".join(verdicts) or "unsure"


# Stored comparisons, those of earlier versions too.


def stored_comparison(folder: Path) -> tuple[Comparison, str]:
    """Return the comparison that lies in a folder, and the command that made it.

    What an earlier version did not store follows from the task of its runs; where they are gone, it
    stays unknown.

    Raises:
        HwdsError: A run is damaged, or its task has no comparison any more.
    """
    comparison, command = Comparison.read(folder)
    run = RunFolder.of_title(comparison.sources[0]) if comparison.sources else None
    if comparison.trained is None and run is not None and (run.path / "provenance.json").is_file():
        task = comparison_of(RunSource.read([run])[0])
        comparison = replace(comparison, conditions=task.conditions, trained=task.trained)
    return comparison, command


# The experiments of a study: each compared alone, then every contrast of them corrected together.

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
    """Return the verdict; `alike` of a difference within the margin, however sure it is."""
    if row["alike_holm"] is not None and row["alike_holm"] < alpha:
        return "alike"
    sure = row["p_holm"] is not None and row["p_holm"] < alpha
    return ("better" if row["effect"] > 0 else "worse") if sure else "unsure"
