"""The choice before each test window: the multiplier of a wrong block's cost, and the floor of a review's gain."""

from __future__ import annotations

from itertools import product
from math import log
from statistics import NormalDist

import numpy as np
import polars as pl

from hwds.detection.decisions.alerts.rule import Days, act
from hwds.detection.decisions.alerts.terms import AlertTerms
from hwds.detection.decisions.alerts.verdict import Chosen

GridPoint = tuple[float, float]
"""A multiplier and a floor in money."""

FORMULA: GridPoint = (1.0, 0.0)

BY_CHANCE = 0.05
"""The chance of taking another cell than the formula where none is better."""


def choose(rows: pl.DataFrame, cutoff: str, terms: AlertTerms, seed: int) -> Chosen:
    """Choose the cell of the grid that would have cost least in the deciding windows, by the labels that had arrived.

    Each labelled row counts as often as it stands for others. The formula itself is taken where fewer than `least_positives`
    labelled rows are gray, and where no cell surely saves: a few rows that stand for many would choose by chance. Surely is
    by more than so many standard errors of what it saves that any of the cells does so by chance in 5 % at most (Bonferroni).

    Args:
        rows: Those of the deciding windows, their labels as far as they are known.
        cutoff: The beginning of the test window.
        terms: The rule and its grid.
        seed: Of the experiment.
    """
    positives = int((rows["label"] == 1).sum()) if len(rows) else 0
    if positives < terms.least_positives:
        return Chosen(cutoff=cutoff, multiplier=1.0, floor=0.0, positives=positives, formula_cost=None, chosen_cost=None)
    days, known = Days.of(rows, seed), rows["label"].is_not_null().to_numpy()
    gray, weight = rows["label"].to_numpy()[known], rows["weight"].to_numpy()[known]

    def costs(cell: GridPoint) -> np.ndarray:
        action = act(days, terms, *cell)  # all rows compete for the capacity
        return terms.cost(action[known], gray, days.loss[known]) * weight

    formula, cells = costs(FORMULA), grid(terms)
    best, saving, sure = FORMULA, 0.0, NormalDist().inv_cdf(1 - BY_CHANCE / max(len(cells), 2))
    for cell in cells:
        saved = formula - costs(cell)
        total = float(saved.sum())
        if total > max(saving, sure * standard_error(saved)):
            best, saving = cell, total
    before = float(formula.sum())
    return Chosen(
        cutoff=cutoff,
        multiplier=best[0],
        floor=best[1],
        positives=positives,
        formula_cost=before / days.count,
        chosen_cost=(before - saving) / days.count,
    )


def grid(terms: AlertTerms) -> list[GridPoint]:
    """Return the cells, those nearest to the formula first, so that of equal ones these are taken."""
    cells = product(terms.multipliers, (share * terms.review_cost for share in terms.floors))
    return sorted(cells, key=lambda cell: (abs(log(cell[0])), abs(cell[1]), cell))


def standard_error(values: np.ndarray) -> float:
    """Return the standard error of a sum of independent rows of a random number: the root of the sum of squares."""
    return float(np.sqrt(np.sum(values**2)))
