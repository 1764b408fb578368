"""Columns that are known ahead: the calendar, the life of a device, changes of price, events."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import polars as pl
from polars import col

from hwds.core.errors import ConfigError
from hwds.core.recipe import Once, ZeroSteps
from hwds.forecast.columns import (
    POSITION,
    Cycle,
    FeatureColumn,
    FeatureSource,
    check_distinct,
    cycles,
    earlier_value,
    has_column,
    in_months,
)
from hwds.frames.features.base import Feature, PanelFeatures, Plan
from hwds.frames.panel import Panel
from hwds.frames.roles import TIME, Roles

# A device's place in its life: months since its launch, the row of the launch, months to its
# planned end.


def launch_columns(launch: str) -> list[FeatureColumn]:
    """Return `device_age`, in months (negative before the launch), and `launch_flag`, 1 in the row
    whose period has the launch.

    Time that is whole numbers is counted in its own unit.
    """

    def age(source: FeatureSource) -> pl.Expr:
        launched = _instant(source.panel, "launch", launch)
        return _months(col(TIME), source.panel) - _months(launched, source.panel)

    return [
        FeatureColumn(Feature("device_age", "step"), age),
        FeatureColumn(Feature("launch_flag", "step"), partial(_launch_flag, column=launch)),
    ]


def end_columns(planned_end: str) -> list[FeatureColumn]:
    """Return `months_to_end`, negative once the planned end has passed."""

    def left(source: FeatureSource) -> pl.Expr:
        end = _instant(source.panel, "planned_end", planned_end)
        return _months(end, source.panel) - _months(col(TIME), source.panel)

    return [FeatureColumn(Feature("months_to_end", "step"), left)]


def _launch_flag(source: FeatureSource, column: str) -> pl.Expr:
    """Return a row's period ends at its time where dates stand on the last day of a month.

    Elsewhere it begins there.
    """
    panel, launch = source.panel, _instant(source.panel, "launch", column)
    at = _comparable_instant(col(TIME), panel)
    ends_at = panel.frequency.month_end
    after = panel.frequency.after(panel.table[TIME], -1 if ends_at else 1)
    other = _comparable_instant(pl.lit(after), panel)
    if ends_at:
        return (launch > other) & (launch <= at)
    return (launch >= at) & (launch < other)


def _months(instant: pl.Expr, panel: Panel) -> pl.Expr:
    if not panel.table.schema[TIME].is_temporal():
        return instant.cast(pl.Float64)
    whole = instant.dt.year().cast(pl.Int32) * 12 + instant.dt.month()
    if in_months(panel.frequency.every):
        return whole
    return whole + (instant.dt.day() - 1) / instant.dt.days_in_month()


def _comparable_instant(instant: pl.Expr, panel: Panel) -> pl.Expr:
    """Return dates and times of any type as comparable instants; whole numbers as they are."""
    if not panel.table.schema[TIME].is_temporal():
        return instant
    return instant.cast(pl.Datetime("us")).dt.replace_time_zone(None)


def _instant(panel: Panel, field: str, column: str) -> pl.Expr:
    """Return a static column as instants like the panel's time; text is read as ISO dates."""
    calendar, kind = panel.table.schema[TIME].is_temporal(), panel.table.schema[column]
    if kind == pl.Null:
        return pl.lit(None, pl.Datetime("us") if calendar else pl.Float64)
    if not calendar and kind.is_numeric():
        return col(column)
    if calendar and kind in (pl.Date, pl.Datetime):
        return _comparable_instant(col(column), panel)
    if calendar and kind == pl.String:
        texts = panel.table[column]
        dates = texts.str.to_date("%Y-%m-%d", strict=False)
        if dates.null_count() == texts.null_count():
            return _comparable_instant(pl.lit(dates), panel)
    wanted = "dates" if calendar else "whole numbers like time"
    raise ConfigError(
        f"features.{field}: column '{column}' holds {kind}, must hold {wanted}; "
        f"features.{field}='' leaves it out."
    )


# Columns made of what is known ahead: how a price has changed, and how long ago an event began.


def change_columns(column: str) -> list[FeatureColumn]:
    """Return the log of the ratio to the row before, and to the same season a year before.

    Null unless both are above 0.
    """
    return [
        FeatureColumn(
            Feature(f"{column}_{name}", "step"), partial(_change, column=column, seasonal=seasonal)
        )
        for name, seasonal in (("change", False), ("change_season", True))
    ]


def _change(source: FeatureSource, column: str, seasonal: bool) -> pl.Expr:
    now, then = col(column), earlier_value(col(column), source.season if seasonal else 1)
    return pl.when((now > 0) & (then > 0)).then((now / then).log())


def event_columns(column: str) -> list[FeatureColumn]:
    """Return `..._before`, the value of the row before, and `..._since`, rows since the column last
    rose from 0.

    The dip after a promotion is in the first; the second is 0 in the row where the event begins,
    and null before there was one. A series whose first row is not 0 begins with an event.
    """

    def since(source: FeatureSource) -> pl.Expr:
        now, row = col(column) != 0, col(POSITION)
        begins = now & ~earlier_value(now, 1).fill_null(False)
        return row - pl.when(begins).then(row).forward_fill().over(source.codes)

    return [
        FeatureColumn(
            Feature(f"{column}_before", "step"), lambda source: earlier_value(col(column), 1)
        ),
        FeatureColumn(Feature(f"{column}_since", "step"), since),
    ]


# Columns that are known ahead: the calendar, the life of a device, changes of price, events.

LAUNCH, PLANNED_END, PRICE = "launch", "planned_end", "price"
"""The columns that are used where a panel has them; any other name is the user's own and must be
there.
"""


class Calendar(PanelFeatures):
    """The calendar, the age of a device and the change of its price: known ahead, for models that
    see the past themselves.

    All are read at the step that is forecast. A known-future column that the panel has already
    (`device_age`, for example) stays as it is.

    Attributes:
        cycles: Sine and cosine of the place in the `year`, the `week` and the `day`, null where the
            frequency has none.
        launch: The static column with the date of launch, for `device_age` and `launch_flag`; ''
            for none.
        planned_end: The static column with the planned end, for `months_to_end`; '' for none.
        price: Known-future columns whose log change is taken, against the row before and against
            the same season a year before.
        events: Known-future columns that are 0 except in an event (a promotion, a successor's
            launch, a competitor's move). The features are their value in the row before, and the
            rows since the event began.
        season: Rows in a season; 0 takes the dataset's.
    """

    cycles: Annotated[tuple[Cycle, ...], Once] = ("year", "week", "day")
    launch: str = LAUNCH
    planned_end: str = PLANNED_END
    price: Annotated[tuple[str, ...], Once] = (PRICE,)
    events: Annotated[tuple[str, ...], Once] = ()
    season: ZeroSteps = 0

    def columns(self, roles: Roles, horizon: int) -> Plan:
        """Return the columns for a panel with these roles.

        Raises:
            ConfigError: A column that a field names is absent or plays a role that does not allow
                it, a lag is not known at every step where it is read, or a name is taken.
        """
        return Plan(tuple(column.feature for column in self._checked_columns(roles, horizon)))

    def compute(self, panel: Panel) -> Panel:
        """Return the panel with the plan's columns added, null where the rows or values for it are
        missing.
        """
        return panel.with_table(
            FeatureSource(panel, self.season).with_columns(
                self._checked_columns(panel.roles, horizon=1)
            )
        )

    def _checked_columns(self, roles: Roles, horizon: int) -> list[FeatureColumn]:
        columns = [*self._from_past(roles, horizon), *self._known_ahead(roles)]
        check_distinct(columns, roles)
        return columns

    def _from_past(self, roles: Roles, horizon: int) -> list[FeatureColumn]:
        return []

    def _known_ahead(self, roles: Roles) -> list[FeatureColumn]:
        columns = cycles(self.cycles)
        if has_column("launch", self.launch, LAUNCH, "static", roles):
            columns += launch_columns(self.launch)
        if has_column("planned_end", self.planned_end, PLANNED_END, "static", roles):
            columns += end_columns(self.planned_end)
        for name in self.price:
            if has_column("price", name, PRICE, "known_future", roles):
                columns += change_columns(name)
        for name in self.events:
            if has_column("events", name, "", "known_future", roles):
                columns += event_columns(name)
        return [column for column in columns if column.feature.name not in roles.known_future]
