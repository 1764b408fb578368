"""ArbitrageThresholds: in which channels a unit is so cheap that reselling it elsewhere pays."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

import polars as pl

from hwds.core.recipe import PositiveInt
from hwds.decisions.base import Decision
from hwds.detection.decisions.arbitrage.sentence import sentence
from hwds.detection.decisions.arbitrage.verdict import ArbitrageVerdict, Reviewed
from hwds.detection.metrics.arbitrage import thresholds
from hwds.detection.metrics.price_tables import listed_prices, pair_costs
from hwds.detection.metrics.reselling import Reselling
from hwds.evaluation.base import Evaluation
from hwds.frames.reading.text import Decimal, TextFormat
from hwds.frames.table import Table
from hwds.results.tables import Tables


class ArbitrageThresholds(Reselling, Decision):
    """The difference of prices above which reselling pays, for each SKU and pair of channels, and where it does.

    Prices are medians of the lines of the last `seen_days` in a channel and region, drawn to what SKU and market say as far as
    few lines leave them open, or those of a price table; of all routes between two regions the best one counts, and the street
    is one more place to sell in. WATCH where any pair pays. Whether lines that were bought where
    the street paid more than all costs are gray more often is estimated from labels: those of random reviews (role
    `label_propensity`) where the data has them. The model of the run plays no part.

    Attributes:
        least_lines: The number of lines below which a price, and each route that it is an end of, is called weak.
        prices: A price table in the place of the lines' prices: columns `sku`, `channel`, `price` and, if there are any,
            `region` and `since`, the day from which a price holds; null for none.
        pair_costs: What reselling between two channels costs where that differs from `freight`, `duty` and `risk`: columns
            `bought_in`, `sold_in` and any of these three; null for none.
        separator: The sign between the fields of these files, as of `dataset=file`; null goes by their suffix.
        decimal: The sign before the decimals of these files, as of `dataset=file`.

    Example:
        python -m hwds +experiment=arbitrage_thresholds decision.freight=15
    """

    tasks: ClassVar[tuple[str, ...]] = ("detection",)

    least_lines: PositiveInt = 3
    prices: str | None = None
    pair_costs: str | None = None
    separator: str | None = None
    decimal: Decimal = "point"

    def check_data(self, frame: Table, protocol: Evaluation[Any, Any]) -> None:
        """Refuse a table without the columns.

        Raises:
            ConfigError: With the nearest right name.
        """
        self.check_columns(frame, "decision")
        if self.prices is not None:
            listed_prices(self.prices, frame.column("time").max(), self._form)
        if self.pair_costs is not None:
            pair_costs(self.pair_costs, self._form)

    @property
    def _form(self) -> TextFormat:
        return TextFormat(separator=self.separator, decimal=self.decimal)

    def decide(self, tables: Tables, frame: Table, model: str, protocol: Evaluation[Any, Any]) -> ArbitrageVerdict:
        """Decide from the table alone; see `Decision.decide`."""
        time = frame.column("time")
        last: Any = time.max()
        lines = self.lines(frame.data.filter(time > last - timedelta(days=self.seen_days)))
        costs = None if self.pair_costs is None else pair_costs(self.pair_costs, self._form)
        if self.prices is not None:
            lines = pl.concat(
                [listed_prices(self.prices, last, self._form), lines.with_columns(unit_price=pl.lit(None, pl.Float64))]
            )
        pairs = thresholds(lines, self, self.least_lines, costs, shrink=self.prices is None)
        offers = pairs.group_by("sku", "bought_in").agg(pl.col("pays").any())
        above, below = self._reviewed(frame)
        paying, unit = int(pairs["pays"].sum()), frame.unit
        return ArbitrageVerdict(
            decision=self.name,
            action="WATCH" if paying else "NONE",
            rule="none",
            excluded={},
            sentence=sentence(pairs, above, below, unit),
            until=str(last.date() if hasattr(last, "date") else last),
            days=self.seen_days,
            pairs=len(pairs),
            paying=paying,
            offers=len(offers),
            leaking=int(offers["pays"].sum()),
            above=above,
            below=below,
            freight=self.freight,
            duty=self.duty,
            risk=self.risk,
            unit=unit,
            thresholds=pairs,
        )

    def _reviewed(self, frame: Table) -> tuple[Reviewed, Reviewed]:
        """Return the lines that were bought where the street paid more than all costs, and all others."""
        lines = self.lines(frame.data)
        costs = self.cost(lines["unit_price"].to_numpy(), abroad=True)
        name = frame.name("label_propensity")
        chance = frame.data[name].cast(pl.Float64) if name else pl.Series([1.0]).new_from_index(0, len(lines))
        reviewed = lines.select(
            (pl.col("street_price") > pl.Series(costs, nan_to_null=True)).alias("above"),
            frame.column("label").cast(pl.Float64).alias("label"),
            (1 / chance).alias("weight"),
        ).drop_nulls()
        return _share(reviewed.filter("above")), _share(reviewed.filter(~pl.col("above")))


def _share(lines: pl.DataFrame) -> Reviewed:
    whole = float(lines["weight"].sum())
    return Reviewed(lines=len(lines), share=float((lines["label"] * lines["weight"]).sum()) / whole if whole else None)
