"""The objectives of a sweep beside its metric, and the trials that no other beats in all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from hwds.evaluation.score import headline_score
from hwds.results.measure import Measure
from hwds.tuning.rungs import FINISHED, TrialRecord
from hwds.tuning.search import Search
from hwds.tuning.search_settings import SECONDS
from hwds.tuning.trial_scores import as_minimised, value_of

TIME = Measure(SECONDS, meaning="what the cells of a trial took to fit and to answer")


def front_of(search: Search, records: Sequence[TrialRecord]) -> dict[str, Any]:
    """Return the objectives, and of each finished trial its values and whether it is in the front; empty for one objective.

    The metric of the sweep comes first. A trial without a value of one of them is left out.
    """
    measures = [search.measure, *map(_measure_of(search).__getitem__, search.sweep.objectives)]
    if len(measures) == 1:
        return {}
    done = [record for record in records if record.status == FINISHED]
    rows = [(record.trial.number, list(_values(record, measures))) for record in done]
    known = [(number, values) for number, values in rows if len(values) == len(measures)]
    better = [search.better, *(each.better for each in measures[1:])]
    low = [[as_minimised(value, side) for value, side in zip(values, better, strict=True)] for _, values in known]
    inside = pareto_front(np.array(low, float).reshape(len(known), len(measures)))
    trials = [
        {"trial": number, "values": values, "front": bool(here)} for (number, values), here in zip(known, inside, strict=True)
    ]
    named = [{"name": each.with_unit, "better": side} for each, side in zip(measures, better, strict=True)]
    return {"objectives": named, "trials": trials}


def _measure_of(search: Search) -> Mapping[str, Measure]:
    """Return the measures that an objective may name, by short name: of several (`pinball`) the first, whose value it is."""
    known = search.tuning_split.protocol.measures(search.tuning_split.frame)
    return {each.short: each for each in reversed(known)} | {SECONDS: TIME}


def _values(record: TrialRecord, measures: Sequence[Measure]) -> Iterator[float]:
    """Yield the values of a trial, but for those that are undefined."""
    for measure in measures:
        score = headline_score(record.scores, measure.short)
        value = record.seconds if measure is TIME else value_of(score)
        if value is not None:
            yield value


def pareto_front(values: np.ndarray) -> np.ndarray:
    """Return which rows no other row beats: none is at least as low in every column and lower in one, shape (rows,).

    Args:
        values: The lower the better, shape (rows, objectives).
    """
    below = (values[:, None] <= values).all(axis=2) & (values[:, None] < values).any(axis=2)
    return np.asarray(~below.any(axis=0))
