"""The features of the Fraud Detection Handbook, as of each row's moment."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import polars as pl
from annotated_types import MinLen

from hwds.core.recipe import Days, Once
from hwds.detection.features.entity_risk import EntityRisk
from hwds.detection.features.kernels.handbook_windows import FRIDAY, NIGHT, trailing
from hwds.detection.features.live.handbook import LiveHandbook, PaymentColumns
from hwds.features.base import RowFeatures
from hwds.features.rows.columns import DAY, codes_of, entity_of, must_be_numbers, must_have, needs, numbers_of
from hwds.features.rows.live import Live
from hwds.features.rows.moments import moments_of
from hwds.frames.table import Table


class Handbook(RowFeatures):
    """The Fraud Detection Handbook's features: how often and how much the customer paid, how risky the terminal is.

    Over each of `days`: `customer_count_7d` and `customer_mean_7d` (of the amount) of the payments that end with this one;
    `terminal_count_7d` and `terminal_risk_7d` (the share that was fraud, 0 where there are none) of those payments at its
    terminal whose labels arrived in the days before it: where labels take exactly a week these are the handbook's own
    windows, moved back by a week. `weekend` and `night` (until 6:59) are 0 or 1. After Le Borgne, Siblini, Lebichot and
    Bontempi 2022, chapter 3.

    Attributes:
        days: The lengths of the windows, in days.
        amount: The column with what was paid; null takes the one with the role `amount`.
        customer: The column that says who paid; null takes the one with the role `entity`.
        terminal: The column that says where.
    """

    days: Annotated[tuple[Days, ...], MinLen(1), Once] = (1, 7, 30)
    amount: str | None = None
    customer: str | None = None
    terminal: str = "terminal"

    def check(self, table: Table) -> None:
        """Refuse columns that are not there."""
        needs(table, "handbook", "time", "label", *(() if self.amount else ("amount",)))
        must_have(table, "terminal", [self.terminal])
        must_be_numbers(table, "amount", [self.spent(table)])
        entity_of(table, "customer", self.customer)

    def live(self, schema: Table) -> Live:
        """Return the same for rows as they arrive."""
        self.check(schema)
        return LiveHandbook(self.payment(schema), self.days)

    def compute(self, table: Table) -> pl.DataFrame:
        """Return the columns; those of customers read no label."""
        self.check(table)
        moments, days = moments_of(table), sorted(self.days)
        time = pl.Series(moments.time).cast(pl.Datetime("us"))
        customer = codes_of(table.data[entity_of(table, "customer", self.customer)])
        paid = numbers_of(table, self.spent(table))
        count, mean = trailing(customer, paid, moments, np.array(days, np.int64) * DAY)
        risk = EntityRisk(by=(self.terminal,), days=self.days, shrink=0.0).compute(table)
        columns = {"weekend": (time.dt.weekday() > FRIDAY).cast(pl.Int8), "night": (time.dt.hour() <= NIGHT).cast(pl.Int8)}
        for place, each in enumerate(days):
            columns[f"customer_count_{each}d"] = pl.Series(count[:, place])
            columns[f"customer_mean_{each}d"] = pl.Series(mean[:, place]).fill_nan(None)
            columns[f"terminal_count_{each}d"] = risk[f"{self.terminal}_labels_{each}d"]
            columns[f"terminal_risk_{each}d"] = risk[f"{self.terminal}_risk_{each}d"]
        return pl.DataFrame(columns)

    def payment(self, table: Table) -> PaymentColumns:
        """Return the columns of who paid what, and where."""
        return PaymentColumns(entity_of(table, "customer", self.customer), self.terminal, self.spent(table))

    def spent(self, table: Table) -> str:
        """Return the column with what was paid."""
        return self.amount if self.amount is not None else table.column("amount").name
