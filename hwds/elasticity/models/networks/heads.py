"""Predictions of the heads of gap and risk for the next period, and their scores on rows that were held out."""

from __future__ import annotations

import numpy as np
import polars as pl

from hwds.elasticity.design.rows import Design
from hwds.elasticity.models.networks.inputs import Market, Scaling
from hwds.elasticity.models.networks.shape import Answer, Goal


def head_notes(said: Answer, goal: Goal) -> dict[str, float]:
    """Return the share of the variance of gaps' changes, and of the deviance of wide gaps, that held-out rows explain.

    NaN without gaps, and where none or all are wide.
    """
    gap, wide = np.isfinite(goal.gap), np.isfinite(goal.risk)
    out = {"price_gap_r2": np.nan, "arbitrage_skill": np.nan}
    if gap.any() and (change := goal.gap[gap].astype(np.float64)).any():
        out["price_gap_r2"] = 1 - float(np.mean((said.gap[gap] - change) ** 2) / np.mean(change**2))
    if wide.any() and 0 < (mean := float(goal.risk[wide].mean())) < 1:
        odds, happened = said.risk[wide], goal.risk[wide].astype(np.float64)
        deviance = float(np.mean(np.logaddexp(0, odds) - happened * odds))
        out["arbitrage_skill"] = 1 + deviance / (mean * np.log(mean) + (1 - mean) * np.log(1 - mean))
    return out


def outlook(design: Design, said: Answer, scaling: Scaling) -> pl.DataFrame:
    """Return what is expected of each cell in the period after its last price; null where its product has no other channel.

    Args:
        design: The rows.
        said: The mean answer for every row of the panel, columns of shape (rows,).
        scaling: The unit of gaps.

    Returns:
        Columns `price_gap` (log price less the mean of the product's other channels) and `arbitrage_risk` (probability that
        it is beyond the cheapest of them by more than the threshold), a row a cell.
    """
    last = np.full(len(design), -1)
    priced = np.flatnonzero(np.isfinite(design.log_price))
    last[design.cell[priced]] = priced  # of equal places the last counts
    today = Market.of(design).gap[np.arange(len(design)), design.period[last]]
    known = (last >= 0) & np.isfinite(today)
    gap = np.where(known, today + said.gap[last] * scaling.gap, np.nan)
    risk = np.where(known, 1 / (1 + np.exp(-said.risk[last])), np.nan)
    return pl.DataFrame({"price_gap": gap, "arbitrage_risk": risk}).fill_nan(None)
