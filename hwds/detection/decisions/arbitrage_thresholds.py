"""ArbitrageThresholds: in which channels a unit is so cheap that reselling it elsewhere pays."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl
from polars import DataFrame, Series, col

from hwds.core.errors import ConfigError, DataError, nearest
from hwds.core.recipe import PositiveInt
from hwds.detection.reselling import (
    STREET,
    ArbitrageVerdict,
    Reselling,
    Reviewed,
    resale_thresholds,
    route_name,
)
from hwds.evaluation.decisions.base import Decision
from hwds.evaluation.protocol import Evaluation
from hwds.frames.files import Decimal, TextFormat, read_files
from hwds.frames.table import Table
from hwds.report.words import spoken
from hwds.results.tables import Tables

# Price tables and costs by pairs of channels that a user gives, as files.

PRICES = ("sku", "channel", "price")
PAIRS = ("bought_in", "sold_in")
SHARES = ("duty", "risk")


def listed_prices(path: str, last: Any, form: TextFormat) -> DataFrame:
    """Return the prices of a table that hold on a day, in the columns of `Reselling.lines`: one
    line a price.

    Args:
        path: The path of the file; see `ArbitrageThresholds.prices`.
        last: The day.
        form: The form of a text file.

    Raises:
        DataError: The file cannot be read, lacks a column, or has a price that is none.
    """
    table = _read("prices", path, form, PRICES, ("price",))
    if "since" in table.columns:
        day = last.date() if hasattr(last, "date") else last
        begun = table.with_columns(_days(table["since"], path)).filter(col("since") <= day)
        table = begun.sort("since", maintain_order=True)
    cell = [name for name in ("sku", "channel", "region") if name in table.columns]
    now = table.group_by(cell, maintain_order=True).agg(col("price").last())
    region = col("region").cast(pl.String).fill_null("") if "region" in cell else pl.lit("")
    return now.select(
        col("sku").cast(pl.String),
        col("channel").cast(pl.String),
        region=region,
        quantity=pl.lit(0.0),
        unit_price=col("price"),
        street_price=pl.lit(None, pl.Float64),
    )


def _days(since: Series, path: str) -> Series:
    days = since.str.to_date("%Y-%m-%d", strict=False) if since.dtype == pl.String else since
    bad = days.is_null().arg_true()
    if not days.dtype.is_temporal() or len(bad):
        shown = since[bad[0]] if len(bad) else since[0]
        raise DataError(
            f"decision.prices: 'since' of '{path}' must be a day such as 2024-03-01, got {shown}."
        )
    return days.cast(pl.Date)


def pair_costs(path: str, form: TextFormat) -> DataFrame:
    """Return what reselling between two channels costs: `bought_in, sold_in` and any of `freight,
    duty, risk`.

    Raises:
        DataError: The file cannot be read, lacks a column, has a cost that is none, or a pair
            twice.
    """
    table = _read("pair_costs", path, form, PAIRS, ("freight", *SHARES))
    again = table.filter(pl.struct(PAIRS).is_duplicated())
    if len(again):
        pair = " to ".join(str(again[name][0]) for name in PAIRS)
        raise DataError(f"decision.pair_costs: '{path}' has {pair} more than once.")
    return table


def _file(field: str, path: str, form: TextFormat) -> DataFrame:
    """Return the rows of a file as `dataset=file` reads them.

    Refusals name the field of the decision.
    """
    try:
        return read_files(path, form=form).table
    except (ConfigError, DataError) as error:
        words = str(error).replace("dataset.path", f"decision.{field}")
        raise type(error)(words.replace("dataset.", "decision.")) from error


def _read(
    field: str, path: str, form: TextFormat, names: tuple[str, ...], numbers: tuple[str, ...]
) -> DataFrame:
    table = _file(field, path, form)
    for name in names:
        if name not in table.columns:
            raise DataError(
                f"decision.{field}: '{path}' has no column '{name}'{nearest(name, table.columns)}"
            )
    for name in (name for name in numbers if name in table.columns):
        most = 1.0 if name in SHARES else np.finfo(float).max
        values = table[name].cast(pl.Float64, strict=False)
        bad = (~values.is_between(0.0, most)).fill_null(True).arg_true()
        if len(bad):
            wanted = "a share from 0 to 1" if name in SHARES else "a number >= 0"
            raise DataError(
                f"decision.{field}: '{name}' in row {bad[0] + 1} of '{path}' must be {wanted}, got "
                f"{table[name][bad[0]]}."
            )
        table = table.with_columns(values)
    return table


# ArbitrageThresholds: in which channels a unit is so cheap that reselling it elsewhere pays.


class ArbitrageThresholds(Reselling, Decision):
    """The difference of prices above which reselling pays, for each SKU and pair of channels, and
    where it does.

    Prices are medians of the lines of the last `seen_days` in a channel and region, shrunk to the
    effects of SKU and market if lines are few; or they come from a price table. The best of all
    routes between two regions counts, and the street is one more place to sell in. WATCH where any
    pair pays. Are lines gray more often if the street price is above all costs? Labels answer that:
    those from random reviews (role `label_propensity`) if the data has them. The model of the run
    plays no part.

    Attributes:
        least_lines: The number of lines below which a price, and each route that it is an end of,
            is called weak.
        prices: A price table that replaces the lines' prices: columns `sku`, `channel`, `price` and
            optionally `region` and `since` (the first day of a price); null for none.
        pair_costs: The costs of reselling between two channels, if they differ from `freight`,
            `duty` and `risk`: columns `bought_in`, `sold_in` and any of these three; null for none.
        separator: The sign between the fields of these files, as of `dataset=file`; null goes by
            their suffix.
        decimal: The sign before the decimals of these files, as of `dataset=file`.

    Example:
        python -m hwds +experiment=arbitrage_thresholds decision.freight=15
    """

    tasks = ("detection",)

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

    def decide(
        self, tables: Tables, frame: Table, model: str, protocol: Evaluation[Any, Any]
    ) -> ArbitrageVerdict:
        """Decide from the table alone; see `Decision.decide`."""
        time = frame.column("time")
        last: Any = time.max()
        lines = self.lines(frame.data.filter(time > last - timedelta(days=self.seen_days)))
        costs = None if self.pair_costs is None else pair_costs(self.pair_costs, self._form)
        if self.prices is not None:
            lines = pl.concat(
                [
                    listed_prices(self.prices, last, self._form),
                    lines.with_columns(unit_price=pl.lit(None, pl.Float64)),
                ]
            )
        pairs = resale_thresholds(lines, self, self.least_lines, costs, shrink=self.prices is None)
        offers = pairs.group_by("sku", "bought_in").agg(col("pays").any())
        above, below = self._review_shares(frame)
        paying = int(pairs["pays"].sum())
        verdict = ArbitrageVerdict(
            decision=self.name,
            action="WATCH" if paying else "NONE",
            rule="none",
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
            unit=frame.unit,
            thresholds=pairs,
        )
        return spoken(verdict, route=route_name, street=STREET)

    def _review_shares(self, frame: Table) -> tuple[Reviewed, Reviewed]:
        """Return the lines that were bought where the street paid more than all costs, and all
        others.
        """
        lines = self.lines(frame.data)
        costs = self.cost(lines["unit_price"].to_numpy(), abroad=True)
        name = frame.name("label_propensity")
        chance = frame.data[name].cast(pl.Float64) if name else pl.lit(1.0)
        reviewed = lines.select(
            above=col("street_price") > Series(costs, nan_to_null=True),
            label=frame.column("label").cast(pl.Float64),
            weight=1 / chance,
        ).drop_nulls()
        return (
            _reviewed_share(reviewed.filter("above")),
            _reviewed_share(reviewed.filter(~col("above"))),
        )


def _reviewed_share(lines: DataFrame) -> Reviewed:
    whole = float(lines["weight"].sum())
    return Reviewed(
        lines=len(lines),
        share=float((lines["label"] * lines["weight"]).sum()) / whole if whole else None,
    )
