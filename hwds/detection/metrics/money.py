"""Metrics of detection in money: what blocking costs."""

from __future__ import annotations

import numpy as np

from hwds.detection.metrics.ranks import weights_of


def blocking_costs(label: np.ndarray, probability: np.ndarray, amount: np.ndarray, wrong_block: float) -> np.ndarray:
    """Return the cost of each row where a row is blocked if that is cheaper in expectation, shape (n,).

    Blocked where p x amount >= (1 - p) x wrong_block (Elkan 2001): then an honest row costs `wrong_block`, a row of label 1
    nothing; let pass, a row of label 1 costs its amount, an honest one nothing.

    Args:
        label: 1.0 or 0.0, shape (n,).
        probability: Of the label being 1, shape (n,).
        amount: Money at stake, shape (n,).
        wrong_block: What it costs to block an honest row, in the same unit.
    """
    blocked = probability * amount >= (1 - probability) * wrong_block
    return np.where(blocked, (1 - label) * wrong_block, label * amount)


def expected_cost(
    label: np.ndarray, probability: np.ndarray, amount: np.ndarray, wrong_block: float, weight: np.ndarray | None = None
) -> float:
    """Return the mean cost of a row; see `blocking_costs`. `weight`: how many rows each stands for, 1 where None."""
    costs = blocking_costs(label, probability, amount, wrong_block)
    base = weights_of(label, weight)
    total = float(base.sum())
    return float(base @ costs) / total if total > 0 else np.nan
