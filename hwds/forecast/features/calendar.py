"""Columns that are known ahead: the calendar, the life of a device, changes of price, events."""

from __future__ import annotations

from typing import Annotated

from hwds.core.recipe import Once, ZeroSteps
from hwds.features.base import PanelFeatures
from hwds.forecast.features.columns.cycles import Cycle, cycles
from hwds.forecast.features.columns.device import since_launch, to_the_end
from hwds.forecast.features.columns.feature_checks import distinct, has
from hwds.forecast.features.columns.known_ahead import changes, events
from hwds.forecast.features.columns.source import Column, FeatureSource
from hwds.frames.feature_plan import Plan
from hwds.frames.panel import Panel
from hwds.frames.roles import Roles

LAUNCH, PLANNED_END, PRICE = "launch", "planned_end", "price"
"""The columns that are used where a panel has them; any other name is the user's own and must be there."""


class Calendar(PanelFeatures):
    """The calendar, the age of a device and the change of its price: known ahead, for models that see the past themselves.

    All are read at the step that is forecast. What the panel has already as a known-future column of the same name
    (`device_age`, say) is left as it is.

    Attributes:
        cycles: Sine and cosine of the place in the `year`, the `week` and the `day`, null where the frequency has none.
        launch: The static column with the date of launch, for `device_age` and `launch_flag`; '' for none.
        planned_end: The static column with the planned end, for `months_to_end`; '' for none.
        price: Known-future columns whose log change is taken, against the row before and against the same season a year before.
        events: Known-future columns that are 0 but in an event (a promotion, a successor's launch, a competitor's move): their
            value in the row before, and the rows since the event began.
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
            ConfigError: A column that a field names is absent or plays a role that does not allow it, a lag is not known at
                every step where it is read, or a name is taken.
        """
        return Plan(tuple(column.feature for column in self._allowed(roles, horizon)))

    def compute(self, panel: Panel) -> Panel:
        """Return the panel with the plan's columns added, null where the rows or values for it are missing."""
        return panel.widened(FeatureSource(panel, self.season).with_columns(self._allowed(panel.roles, horizon=1)))

    def _allowed(self, roles: Roles, horizon: int) -> list[Column]:
        columns = [*self._from_past(roles, horizon), *self._known_ahead(roles)]
        distinct(columns, roles)
        return columns

    def _from_past(self, roles: Roles, horizon: int) -> list[Column]:
        return []

    def _known_ahead(self, roles: Roles) -> list[Column]:
        columns = cycles(self.cycles)
        if has("launch", self.launch, LAUNCH, "static", roles):
            columns += since_launch(self.launch)
        if has("planned_end", self.planned_end, PLANNED_END, "static", roles):
            columns += to_the_end(self.planned_end)
        for name in self.price:
            if has("price", name, PRICE, "known_future", roles):
                columns += changes(name)
        for name in self.events:
            if has("events", name, "", "known_future", roles):
                columns += events(name)
        return [column for column in columns if column.feature.name not in roles.known_future]
