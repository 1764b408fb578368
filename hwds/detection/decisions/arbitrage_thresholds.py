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
from hwds.detection.metrics.reselling import Reselling
from hwds.evaluation.base import Evaluation
from hwds.frames.table import Table
from hwds.results.tables import Tables


class ArbitrageThresholds(Reselling, Decision):
    """Of each SKU and each pair of channels the difference of prices above which reselling pays, and where it does.

    Prices are medians of the lines of the last `seen_days` in a channel and region; of all routes between two regions the best
    one counts, and the street is one more place to sell in. WATCH where any pair pays. Whether lines that were bought where
    the street paid more than all costs are gray more often is estimated from labels: those of random reviews (role
    `label_propensity`) where the data has them. The model of the run plays no part.

    Attributes:
        least_lines: Prices of fewer lines are not believed.

    Example:
        python -m hwds +experiment=arbitrage_thresholds decision.freight=15
    """

    tasks: ClassVar[tuple[str, ...]] = ("detection",)

    least_lines: PositiveInt = 3

    def check_data(self, frame: Table, protocol: Evaluation[Any, Any]) -> None:
        """Refuse a table without the columns.

        Raises:
            ConfigError: With the nearest right name.
        """
        self.check_columns(frame, "decision")

    def decide(self, tables: Tables, frame: Table, model: str, protocol: Evaluation[Any, Any]) -> ArbitrageVerdict:
        """Decide from the table alone; see `Decision.decide`."""
        time = frame.column("time")
        last: Any = time.max()
        late = frame.data.filter(time > last - timedelta(days=self.seen_days))
        pairs = thresholds(self.lines(late), self, self.least_lines)
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
