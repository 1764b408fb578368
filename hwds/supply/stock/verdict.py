"""The verdict on stock, as plain values, a table of levels and the record of models."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import polars as pl

from hwds.results.verdict import Verdict
from hwds.supply.stock.terms import StockPolicy

LEVELS = {
    "series": pl.String,
    "cutoff": pl.String,
    "upto": pl.Float64,
    "reorder": pl.Float64,
    "store": pl.Float64,
    "covered": pl.Float64,
    "safety": pl.Float64,
    "fill": pl.Float64,
    "cost": pl.Float64,
    "upto_last": pl.Float64,
    "source": pl.String,
}
"""The columns of levels: the first order's level, reorder point and store's level, the mean demand that the first covers, the
stock beyond that, the expected share of demand served and cost of a period, the level of the last order, and what couples the
months."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StockVerdict(Verdict):
    """The stock of each series, and whether the record allows it.

    Attributes:
        action: `STOCK` or `HOLD`.
        model: The experiment's own.
        base: The model that savings are counted from; None for none.
        policy: The rule of replenishment.
        holding, shortage, order, lead: What stock costs, and the periods to an arrival.
        target: The share of periods that should end without a shortage.
        error_cost: What a period of a series costs more than with the true law where that is known, else than with foresight.
        error_of: `law` or `foresight`.
        cutoff: At which the levels are.
        n_series: How many levels there are.
        units: The sum of the levels.
        when: `back-test`, or `future` for the periods to come.
        unit: What volumes are counted in.
        levels: See `LEVELS`.
        record: See `hwds.supply.stock.record.RECORD`.
    """

    action: Literal["STOCK", "HOLD"]
    model: str
    base: str | None
    policy: StockPolicy
    holding: float
    shortage: float
    order: float
    lead: int
    target: float
    error_cost: float | None
    error_of: Literal["law", "foresight"]
    cutoff: str
    n_series: int
    units: float
    when: Literal["back-test", "future"]
    unit: str
    levels: pl.DataFrame
    record: pl.DataFrame

    def as_dict(self) -> dict[str, Any]:
        """Return plain values; levels and record are tables beside them."""
        return {name: value for name, value in asdict(self).items() if name not in ("levels", "record")}

    def tables(self) -> dict[str, pl.DataFrame]:
        """Return the record and the levels."""
        return {"stock_record": self.record, "stock_levels": self.levels}

    def of(self, model: str) -> dict[str, Any] | None:
        """Return the record of a model; None where it has none."""
        rows = self.record.filter(pl.col("model") == model)
        return rows.row(0, named=True) if len(rows) else None
