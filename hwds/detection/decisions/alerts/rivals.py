"""The actions of other policies on the same rows: today's fixed thresholds, z-scores, random reviews, nothing."""

from __future__ import annotations

import numpy as np
import polars as pl

from hwds.detection.decisions.alerts.rule import top_of_day, uniform_by_row
from hwds.detection.decisions.alerts.terms import BLOCK, PASS, REVIEW, AlertTerms
from hwds.detection.protocols.rows.codes import numbered

TO_DEVIATION = 1.4826
"""The standard deviation of a normal law over its median absolute deviation."""


def rivals_of(rows: pl.DataFrame, reference: pl.DataFrame, terms: AlertTerms, seed: int) -> dict[str, np.ndarray]:
    """Return the actions of each rival on the rows of one test window, all with the same capacity of reviews a day.

    Today's rule is given the calibrated probabilities, better ones than it has.

    Args:
        rows: Of the test window, by day.
        reference: Those of the deciding window of the same model, whose scores say what is usual; where there are none, the
            test rows' own do, which is more than a z-score may know.
        terms: Thresholds and capacity.
        seed: Of the experiment.
    """
    day = numbered(rows["day_id"])
    slots = np.full(int(day.max(initial=-1)) + 1, terms.capacity)
    probability, z = rows["probability"].to_numpy(), z_scores(rows["score"].to_numpy(), reference["score"].to_numpy())
    review_from, block_from = terms.today
    blocked = probability >= block_from
    today = _reviewed(top_of_day(day, probability, ~blocked & (probability >= review_from), slots))
    uniform = uniform_by_row(rows, seed, "random reviews")
    return {
        "today": np.where(blocked, np.int8(BLOCK), today),
        "z": _reviewed(top_of_day(day, z, z > terms.z, slots)),
        "random": _reviewed(top_of_day(day, -uniform, np.ones(len(day), bool), slots)),
        "nothing": np.full(len(day), PASS, np.int8),
    }


def z_scores(score: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Return scores less the median of the reference, over its median absolute deviation as a standard deviation.

    Without any spread whatever lies above the median is infinitely far.
    """
    usual = reference if len(reference) else score
    centre = float(np.median(usual)) if len(usual) else 0.0
    spread = TO_DEVIATION * float(np.median(np.abs(usual - centre))) if len(usual) else 0.0
    if spread == 0:
        return np.where(score > centre, np.inf, 0.0)
    return (score - centre) / spread


def _reviewed(which: np.ndarray) -> np.ndarray:
    return np.where(which, np.int8(REVIEW), np.int8(PASS))
