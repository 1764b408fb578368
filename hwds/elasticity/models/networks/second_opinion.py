"""The pooled model as a second opinion: which answers its intervals exclude."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

from hwds.elasticity.fitted import Estimates


def second_opinion(own: Estimates, beside: Estimates, identification: pl.DataFrame) -> Estimates:
    """Return the estimates with a status and a reason in words where another model's interval excludes an answer.

    Args:
        own: Of all cells.
        beside: Those of the pooled model.
        identification: The status of each cell by its own prices.
    """
    below, above = beside.both_sides * beside.stderr
    low, high = beside.slopes - below, beside.slopes + above
    outside = (own.slopes < low) | (own.slopes > high)
    statuses = list(zip(identification["status"].to_list(), identification["reason"].to_list(), strict=True))
    for cell in np.flatnonzero(outside).tolist():
        status, reason = statuses[cell]
        said = f"the interval of elasticity/pooled, {low[cell]:.2f} to {high[cell]:.2f}, excludes the network's answer"
        statuses[cell] = ("weak" if status == "identified" else status, f"{reason}; {said}" if reason else said)
    known = np.isfinite(own.slopes) & np.isfinite(beside.slopes)
    share = float(outside[known].mean()) if known.any() else np.nan
    error = float(np.sqrt(beside.covariance[np.ix_(known, known)].mean())) if beside.covariance is not None else np.nan
    apart = float((own.slopes[known] - beside.slopes[known]).mean()) / error if known.any() and error > 0 else np.nan
    doubt = own.doubt
    if abs(apart) > float(own.critical[0]):
        doubt = f"its mean elasticity is {abs(apart):.1f} standard errors from that of elasticity/pooled"
    return replace(own, statuses=statuses, doubt=doubt, notes=own.notes | {"outside_pooled": share, "mean_apart": apart})
