"""Scored: what anything with result tables shows in Python."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import polars as pl

from hwds.report.standings import Standings, standings
from hwds.results.tables import Tables


class Scored:
    """Result tables and what is read from them; a subclass has `tables`, `headline` and `model`."""

    if TYPE_CHECKING:

        @property
        def tables(self) -> Tables:
            """The tables that a run writes."""

        @property
        def headline(self) -> str:
            """The metric that orders the leaderboard."""

        @property
        def model(self) -> str:
            """The label of the experiment's own model."""

    @property
    def scores(self) -> pl.DataFrame:
        """The long table of scores."""
        return self.tables.scores

    @property
    def predictions(self) -> pl.DataFrame:
        """The long table of predictions."""
        return self.tables.predictions

    @cached_property
    def standings(self) -> Standings:
        """The scores of each model, best first."""
        return standings(self.tables, self.headline, model=self.model)

    @property
    def leaderboard(self) -> pl.DataFrame:
        """One row a model, best first: the headline with its error and interval, and how many units have no value."""
        return self.standings.as_table()
