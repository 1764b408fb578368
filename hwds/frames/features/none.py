"""No computed columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from hwds.frames.features.base import FeatureSet, Plan
from hwds.frames.panel import Panel
from hwds.frames.roles import Roles
from hwds.frames.table import Table

if TYPE_CHECKING:
    from hwds.frames.rows import Live


class None_(FeatureSet):
    """No added features: models use the columns of the table and what they compute themselves."""

    def columns(self, roles: Roles, horizon: int) -> Plan:
        """Return an empty plan."""
        return Plan(())

    def check(self, table: Table) -> None:
        """Accept any table."""

    def live(self, schema: Table) -> Live:
        """Return live features without columns."""
        from hwds.frames.rows import LiveNothing

        return LiveNothing()

    def compute(self, frame: Panel | Table) -> Any:
        """Return the panel as it is; no columns of a table."""
        return frame if isinstance(frame, Panel) else pl.DataFrame()
