"""Costs of reselling a unit elsewhere, and the columns of a table that say where it was bought."""

from __future__ import annotations

import numpy as np
import polars as pl

from hwds.core.errors import ConfigError, nearest
from hwds.core.recipe import Days, NonNegative, Recipe, UnitInterval
from hwds.frames.table import Table

NUMBERS = ("quantity", "unit_price", "street_price")
"""Fields that name columns of numbers."""


class Reselling(Recipe):
    """The costs of reselling, and the columns of prices.

    To resell a unit costs freight, and duty and a premium for the risk, both as shares of the price paid.

    Attributes:
        freight: The cost of moving one unit.
        duty: The share of the price paid that is due where a unit leaves its region.
        risk: The share of the price paid that a reseller asks for the risk.
        seen_days: The number of days for which a price is remembered.
        sku: The column of what was bought.
        channel: The column of the channel it was bought in.
        region: The column of the region; null where there is but one.
        quantity: The column of the units.
        unit_price: The column of the price paid.
        street_price: The column of the open-market price at that time.
    """

    freight: NonNegative = 10.0
    duty: UnitInterval = 0.05
    risk: UnitInterval = 0.05
    seen_days: Days = 28
    sku: str = "sku"
    channel: str = "channel"
    region: str | None = "region"
    quantity: str = "quantity"
    unit_price: str = "unit_price"
    street_price: str = "street_price"

    def check_columns(self, table: Table, path: str) -> None:
        """Refuse a table without a column that is named, or with one that holds no numbers.

        Args:
            table: The rows.
            path: Of these fields in the config (`features`).

        Raises:
            ConfigError: With the nearest right name, or what the column holds.
        """
        if not table.roles.get("time"):
            raise ConfigError(f"{path}: prices as of a time need the role 'time'; set dataset.roles.time.")
        for field in ("sku", "channel", "region", *NUMBERS):
            name = getattr(self, field)
            if name is None:
                continue
            if name not in table.data.columns:
                raise ConfigError(f"{path}.{field}: no column '{name}'{nearest(name, table.data.columns)}")
            kind = table.data.schema[name]
            if field in NUMBERS and not kind.is_numeric():
                raise ConfigError(f"{path}.{field}: column '{name}' must hold numbers, it holds {kind}.")

    def cost(self, paid: np.ndarray, *, abroad: bool) -> np.ndarray:
        """Return what a unit has cost once it is resold: price paid, freight, risk, and duty where that is abroad."""
        return paid * (1 + self.risk + (self.duty if abroad else 0.0)) + self.freight

    def lines(self, data: pl.DataFrame) -> pl.DataFrame:
        """Return the columns by one name each: sku, channel, region (empty where there is but one), and three of numbers."""
        numbers = [pl.col(getattr(self, name)).cast(pl.Float64).alias(name) for name in NUMBERS]
        region = pl.lit("") if self.region is None else pl.col(self.region).cast(pl.String).fill_null("")
        texts = [pl.col(getattr(self, name)).cast(pl.String).alias(name) for name in ("sku", "channel")]
        return data.select(*texts, region.alias("region"), *numbers)
