"""The features of the Fraud Detection Handbook, and more about the past of a payment's customer and
terminal.
"""

from __future__ import annotations

import polars as pl

from hwds.core.errors import ConfigError
from hwds.core.recipe import Days
from hwds.detection.features.handbook import Handbook, LiveHandbookPlus, WindowLengths
from hwds.detection.kernels.past import RUNS, USUAL, compute_runs, compute_usual
from hwds.frames.rows import (
    DAY_MICROSECONDS,
    Live,
    codes_of,
    column_floats,
    entity_of,
    instants_of,
    label_arrivals_of,
)
from hwds.frames.table import Table


class HandbookPlus(Handbook):
    """The handbook's features, what is usual for the customer, and how the latest known payments at
    the terminal turned out.

    Of the customer: `usual_ratio`, the amount over the mean of those of `habit_days` before;
    `usual_count`, how many these are; `highest_ratio`, the highest amount of `recent_days` before
    over that mean. For the terminal, from labels that had arrived of the payments of `run_days`
    before: `terminal_run`, frauds since the last honest one, and `terminal_run_age`, days since the
    first of these; `terminal_honest_age`, days since the last honest one; `terminal_first_age`,
    days since the first fraud, and `terminal_fraud_share`, the share of fraud from then on. Missing
    values are null; counts and shares are then 0.

    Attributes:
        habit_days: Days over which the usual amount is taken.
        recent_days: Days over which the highest amount is taken; no longer than `habit_days`.
        run_days: The largest age of a payment that counts for its terminal.
    """

    habit_days: Days = 90
    recent_days: Days = 14
    run_days: Days = 36

    def check(self, table: Table) -> None:
        """Refuse columns that are not there, and a window that is longer than the one around it."""
        super().check(table)
        if self.recent_days > self.habit_days:
            raise ConfigError(
                f"features.recent_days: must be <= habit_days ({self.habit_days}), got "
                f"{self.recent_days}."
            )

    def live(self, schema: Table) -> Live:
        """Return the same for rows as they arrive."""
        self.check(schema)
        reach = WindowLengths(
            self.habit_days * DAY_MICROSECONDS,
            self.recent_days * DAY_MICROSECONDS,
            self.run_days * DAY_MICROSECONDS,
        )
        return LiveHandbookPlus(self.payment(schema), self.days, reach)

    def compute(self, table: Table) -> pl.DataFrame:
        """Return the handbook's columns, then these."""
        moments = instants_of(table)
        customer = codes_of(table.data[entity_of(table, "customer", self.customer)])
        terminal = codes_of(table.data[self.terminal])
        paid = column_floats(table, self.spent(table))
        habits = compute_usual(
            customer,
            paid,
            moments,
            self.habit_days * DAY_MICROSECONDS,
            self.recent_days * DAY_MICROSECONDS,
        )
        there = compute_runs(
            terminal, label_arrivals_of(table, moments), moments, self.run_days * DAY_MICROSECONDS
        )
        more = dict(zip(USUAL, habits.T, strict=True)) | {
            f"terminal_{name}": there[:, at] for at, name in enumerate(RUNS)
        }
        return (
            super()
            .compute(table)
            .with_columns(pl.Series(name, values).fill_nan(None) for name, values in more.items())
        )
