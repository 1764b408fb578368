"""Purchases: the purchases of an entity in the days before each of its order lines."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import polars as pl
from annotated_types import MinLen

from hwds.core.errors import ConfigError
from hwds.core.numba_cache import compiled
from hwds.core.recipe import Days, Once, Positive
from hwds.detection.features.order_lines.arrays import new_book
from hwds.detection.features.order_lines.encoding import LineColumns, LineRules, LineWindows, arranged, lines_of
from hwds.detection.features.order_lines.events import PurchaseEvents
from hwds.detection.features.order_lines.windows import fill
from hwds.features.base import RowFeatures
from hwds.features.rows.columns import needs, never_negative, present, present_numbers
from hwds.features.rows.live import Live
from hwds.frames.table import Table

ORDER, SKU, STORE, CHANNEL, QUANTITY, UNIT_PRICE, PROMOTION, RETURNED_AT = (
    "order",
    "sku",
    "store",
    "channel",
    "quantity",
    "unit_price",
    "promotion",
    "returned_at",
)
"""The columns that are used where a table has them; any other name is the user's own and must be there."""


class Purchases(RowFeatures):
    """The purchases of an entity in the days up to each order line: units, orders, spread over stores, and habits.

    A window of W days ends with the line itself and has the lines of the same entity that happened less than W days before
    it and had arrived. Of each window: `quantity_30d`, `orders_30d` (different ones; each line is an order where there is no
    such column), `amount_30d`, `skus_30d`, `stores_30d`, `channels_30d` (different ones). Of the longest window:
    `cross_channel_90d` (1 if there is more than one channel), the shares of lines that were `promoted_share_90d`, of a
    `weekend_share_90d`, just over a tier `over_tier_share_90d`, in the last days of a quarter `quarter_end_share_90d`, and
    returned by then `return_rate_90d`; `sku_concentration_90d` (Herfindahl: the sum of squared shares of units, or of lines,
    by SKU); `quantity_ratio_90d` and `amount_ratio_90d`, the line's own over the median of the lines before it. Of all lines:
    `tenure_days` since the first one and `order_gap_days` since the order before. Null is what cannot be known.

    Attributes:
        days: The lengths of the windows, in days.
        order: The column of the order that a line is of; '' for none.
        sku: The column of what was bought; '' for none.
        store: The column of the store; '' for none.
        channel: The column of the channel; '' for none.
        quantity: The column of the units; '' for none.
        unit_price: The column of the price of a unit; '' for none.
        amount: The column of what a line cost; '' takes quantity times unit price, or where one of them is absent the column
            with the role `amount`.
        promotion: The column that says whether a line was promoted; '' for none.
        returned_at: The column that says when a line was returned; '' for none.
        tiers: Quantities from which on a unit costs less; a line is just over one if it exceeds it by less than a tenth.
        quarter_end: The number of last days of a quarter that count as its end.
    """

    days: Annotated[tuple[Days, ...], MinLen(1), Once] = (1, 7, 30, 90)
    order: str = ORDER
    sku: str = SKU
    store: str = STORE
    channel: str = CHANNEL
    quantity: str = QUANTITY
    unit_price: str = UNIT_PRICE
    amount: str = ""
    promotion: str = PROMOTION
    returned_at: str = RETURNED_AT
    tiers: Annotated[tuple[Positive, ...], Once] = (10, 50, 100)
    quarter_end: Days = 10

    def check(self, table: Table) -> None:
        """Refuse a table without entity and time, without a column that the user named, or with a quantity below 0."""
        needs(table, "purchases", "entity", "time")
        never_negative(table, "quantity", self.read_of(table).quantity)

    def absent(self, table: Table) -> tuple[str, ...]:
        """Return the columns of that name that the table lacks; what they would tell is not computed."""
        usual = (ORDER, SKU, STORE, CHANNEL, QUANTITY, UNIT_PRICE, PROMOTION, RETURNED_AT)
        return tuple(name for name in usual if getattr(self, name) == name and name not in table.data.columns)

    def live(self, schema: Table) -> Live:
        """Return the same for rows as they arrive."""
        self.check(schema)
        return PurchaseEvents(self.windows, self.read_of(schema), schema.name("entity"))

    def compute(self, table: Table) -> pl.DataFrame:
        """Return the columns that can be computed from the table.

        Raises:
            DataError: A row has no time.
        """
        self.check(table)
        columns, windows = self.read_of(table), self.windows
        order, bounds = arranged(table)
        lines, codes = lines_of(table, columns, windows.rules, order)
        book = new_book(len(order), int(np.diff(bounds).max()), codes, len(self.days))
        out = windows.room(len(order))
        compiled(fill)(lines, book, windows.spans, bounds, order, out)
        return windows.frame(columns, out)

    @property
    def windows(self) -> LineWindows:
        """The windows, and the rules that flag a line."""
        return LineWindows(self.days, LineRules(self.tiers, self.quarter_end))

    def read_of(self, table: Table) -> LineColumns:
        """Return the columns of a table that are read.

        Raises:
            ConfigError: A name that the user chose is absent, or holds what it must not.
        """
        quantity = present_numbers(table, "quantity", self.quantity, QUANTITY)
        unit_price = present_numbers(table, "unit_price", self.unit_price, UNIT_PRICE)
        amount = present_numbers(table, "amount", self.amount)
        if not amount and not (quantity and unit_price) and len(table.roles.get("amount", ())) == 1:
            amount = present_numbers(table, "amount", table.name("amount"))
        columns = LineColumns(
            order=present(table, "order", self.order, ORDER),
            sku=present(table, "sku", self.sku, SKU),
            store=present(table, "store", self.store, STORE),
            channel=present(table, "channel", self.channel, CHANNEL),
            quantity=quantity,
            unit_price=unit_price,
            amount=amount,
            promotion=present_numbers(table, "promotion", self.promotion, PROMOTION),
            returned_at=present(table, "returned_at", self.returned_at, RETURNED_AT),
        )
        _must_be_instants(table, columns.returned_at)
        return columns


def _must_be_instants(table: Table, name: str) -> None:
    kind = table.data.schema[name] if name else pl.Date()
    if not (kind == pl.Date or isinstance(kind, pl.Datetime)):
        raise ConfigError(f"features.returned_at: column '{name}' must hold dates or instants, it holds {kind}.")
