"""The verdict on price tests, as plain values and tables of cells and arms."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import polars as pl

from hwds.pricing.trial.design import Randomised
from hwds.results.verdict import Verdict

TRIALS = {
    "cell": pl.String,
    "product": pl.String,
    "channel": pl.String,
    "verdict": pl.String,
    "elasticity": pl.Float64,
    "stderr": pl.Float64,
    "arms": pl.Int64,
    "lowest": pl.Float64,
    "highest": pl.Float64,
    "periods": pl.Int64,
    "test_stderr": pl.Float64,
    "customers": pl.Float64,
    "value": pl.Float64,
    "cost": pl.Float64,
    "net": pl.Float64,
    "ab_plan": pl.String,
    "bandit": pl.String,
}
"""Columns of the tests, a row a cell with an estimate, the largest net value first.

`verdict` is `test`, or why not: `no_room` (no two allowed prices), `too_long` (each arm once takes more than the longest),
`no_value`, or `later` where enough others come first. `periods` is the length with the largest net value, after which the
elasticity is measured to `test_stderr`. `value` is what the test adds to the prices charged afterwards, `cost` what the arms
earn less than the recommended price while it lasts, `net` the difference. `ab_plan` and `bandit` are commands that take the
test from here.
"""

ARMS = {
    "cell": pl.String,
    "arm": pl.String,
    "price": pl.Float64,
    "share": pl.Float64,
    "conversion": pl.Float64,
    "units": pl.Float64,
    "prior_conversions": pl.Float64,
    "prior_refusals": pl.Float64,
}
"""Columns of the arms of the cells that are tested: units of a period at that price, the prior as a bandit's `known` has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialVerdict(Verdict):
    """The prices to test, how and how long; money over the test and the periods that follow.

    Attributes:
        action: `TEST` where any test is worth more than it costs, else `HOLD`.
        tested: How many cells are tested.
        cells: How many have an estimate.
        design: `switchback` or `cluster`.
        block, washout, clusters: Of the design.
        periods: How long prices stand after it.
        longest: The periods of the longest of the tests.
        value, cost, net: Of all tests together.
        unit, period: Of money, and what is a period.
        trials, arms: See `TRIALS` and `ARMS`.
    """

    action: Literal["TEST", "HOLD"]
    tested: int
    cells: int
    design: Randomised
    block: int
    washout: int
    clusters: int
    periods: int
    longest: int
    value: float
    cost: float
    net: float
    unit: str
    period: str
    trials: pl.DataFrame
    arms: pl.DataFrame

    def as_dict(self) -> dict[str, Any]:
        """Return plain values; tests and arms are tables beside them."""
        return {name: value for name, value in asdict(self).items() if name not in ("trials", "arms")}

    def tables(self) -> dict[str, pl.DataFrame]:
        """Return the tests and their arms."""
        return {"price_tests": self.trials, "price_test_arms": self.arms}
