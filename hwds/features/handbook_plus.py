"""The features of the Fraud Detection Handbook, and more of what a payment's past tells."""

from __future__ import annotations

import polars as pl

from hwds.errors import ConfigError
from hwds.features.handbook import Handbook
from hwds.features.handbook_runs import RUNS, USUAL, runs, usual
from hwds.features.live import Live
from hwds.features.moments import labels_of, moments_of
from hwds.features.row_columns import DAY, codes_of, entity_of, numbers_of
from hwds.frames.table import Table
from hwds.recipe import Count


class HandbookPlus(Handbook):
    """The handbook's features, what is usual for the customer, and how the latest known payments at the terminal turned out.

    Of the customer: `usual_ratio`, the amount over the mean of those of `habit_days` before; `usual_count`, how many these are;
    `highest_ratio`, the highest amount of `recent_days` before over that mean. Of the terminal, by the labels that had arrived
    of payments of `run_days` before: `terminal_run`, frauds since the last honest one, and `terminal_run_age`, days since the
    first of these; `terminal_honest_age`, days since the last honest one; `terminal_first_age`, days since the first fraud, and
    `terminal_fraud_share`, the share of fraud from then on. What there is none of is null; counts and shares are 0.

    Attributes:
        habit_days: Over which it is found what is usual.
        recent_days: In which the highest amount is sought; no longer than `habit_days`.
        run_days: How old a payment may be that tells of its terminal.

    Example:
        python -m hwds +experiment=fraud_handbook_weeks
    """

    habit_days: Count = 90
    recent_days: Count = 14
    run_days: Count = 36

    def check(self, table: Table) -> None:
        """Refuse columns that are not there, and a window that is longer than the one around it."""
        super().check(table)
        if self.recent_days > self.habit_days:
            raise ConfigError(f"features.recent_days: must be <= habit_days ({self.habit_days}), got {self.recent_days}.")

    def live(self, schema: Table) -> Live:
        """The same for rows as they arrive."""
        from hwds.features.handbook_live import LiveHandbookPlus

        self.check(schema)
        return LiveHandbookPlus(self, schema)

    def compute(self, table: Table) -> pl.DataFrame:
        """The handbook's columns, then these."""
        moments = moments_of(table)
        customer = codes_of(table.data[entity_of(table, "customer", self.customer)])
        terminal, paid = codes_of(table.data[self.terminal]), numbers_of(table, self.spent(table))
        own = usual(customer, paid, moments, self.habit_days * DAY, self.recent_days * DAY)
        there = runs(terminal, labels_of(table, moments), moments, self.run_days * DAY)
        more = dict(zip(USUAL, own.T, strict=True)) | {f"terminal_{name}": there[:, at] for at, name in enumerate(RUNS)}
        return super().compute(table).with_columns(pl.Series(name, values).fill_nan(None) for name, values in more.items())
