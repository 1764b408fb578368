"""The verdict on recommended prices, as plain values, a table of cells and the curves of some."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import polars as pl

from hwds.pricing.optimum.draws import Objective
from hwds.pricing.optimum.reached import GainReached
from hwds.results.verdict import Verdict

PRICES = {
    "cell": pl.String,
    "product": pl.String,
    "channel": pl.String,
    "status": pl.String,
    "rule": pl.String,
    "price": pl.Float64,
    "recommended": pl.Float64,
    "change": pl.Float64,
    "lowest": pl.Float64,
    "highest": pl.Float64,
    "trail": pl.String,
    "price_cost_ratio": pl.Float64,
    "elasticity": pl.Float64,
    "stderr": pl.Float64,
    "units": pl.Float64,
    "units_then": pl.Float64,
    "gain": pl.Float64,
    "gain_low": pl.Float64,
    "gain_high": pl.Float64,
    "probability_gain": pl.Float64,
    "value_of_knowing": pl.Float64,
    "value_of_test": pl.Float64,
    "evidence": pl.String,
    "reason": pl.String,
}
"""Columns of the recommended prices, a row a cell.

`status` is `interior`, `corner`, `undefined_inelastic` or `HOLD`; `rule` is what bound the price, or why it stays. `lowest`
and `highest` are the bounds of the price alone. `trail` is what each guardrail made of the price that would earn most without
any. `price_cost_ratio` is e / (1 + e), null where demand is inelastic. `units` are those of a period today, `units_then` at
all recommended prices. `gain` is what this cell's change adds to those of all others in a period, optimism not taken off,
with an equal-tailed interval and the probability that it is above 0. The values of information are of a period, see
`InformationValue`. `evidence` is the status of the estimate, with its reason.
"""

CURVES = {
    "cell": pl.String,
    "price": pl.Float64,
    **{f"{name}{end}": pl.Float64 for name in ("units", "objective") for end in ("", "_low", "_high")},
    "today": pl.Float64,
    "recommended": pl.Float64,
    "lowest": pl.Float64,
    "highest": pl.Float64,
}
"""Columns of the curves of some cells by their price: units of a period, and the objective of the cell and its substitutes,
which stay as recommended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimalPriceVerdict(Verdict):
    """Recommended prices; money is of a period unless it says otherwise.

    Attributes:
        action: `CHANGE` where any price changes, else `HOLD`.
        objective: `profit` or `revenue`.
        unit, period: Of money, and what is a period.
        cells, changed: How many cells there are, and how many of them change.
        now: The objective at today's prices, posterior mean.
        gain, gain_low, gain_high: What all changes gain: posterior mean and equal-tailed interval, less `optimism`.
        optimism: What prices that were chosen by uncertain shared slopes are expected to gain less than their draws say.
        probability_gain: That they gain anything.
        confidence: The least probability for a product to change.
        level: Of the intervals.
        statuses, rules: How many cells have each.
        periods: How long the prices are to stand.
        test_stderr: Of an elasticity in the test whose value is reported.
        value_of_knowing, value_of_test: Of each cell's elasticity by itself, others as recommended, and of a test of each;
            summed over all cells and those periods. With substitutes, to know all at once may be worth more than the sum.
        reached: What the prices truly gain, where the truth is known.
        prices: See `PRICES`.
        curves: See `CURVES`.
    """

    action: Literal["CHANGE", "HOLD"]
    objective: Objective
    unit: str
    period: str
    cells: int
    changed: int
    now: float
    gain: float
    gain_low: float
    gain_high: float
    optimism: float
    probability_gain: float
    confidence: float
    level: float
    statuses: Mapping[str, int]
    rules: Mapping[str, int]
    periods: int
    test_stderr: float
    value_of_knowing: float
    value_of_test: float
    reached: GainReached | None
    prices: pl.DataFrame
    curves: pl.DataFrame

    def as_dict(self) -> dict[str, Any]:
        """Return plain values; prices and curves are tables beside them."""
        plain = {name: value for name, value in asdict(self).items() if name not in ("prices", "curves")}
        if self.reached is not None:
            plain["reached"] |= {"share": self.reached.share, "share_identified": self.reached.share_identified}
        return plain

    def tables(self) -> dict[str, pl.DataFrame]:
        """Return the recommended prices, and the curves of some."""
        return {"optimal_price": self.prices, "price_curves": self.curves}
