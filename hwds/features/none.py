"""No computed columns."""

from __future__ import annotations

from typing import Any

import polars as pl

from hwds.features.base import FeatureSet
from hwds.features.live import Live, LiveNothing
from hwds.frames.features import Plan
from hwds.frames.panel import Panel
from hwds.frames.roles import PanelRoles
from hwds.frames.table import Table


class None_(FeatureSet):
    """No features but what the model makes for itself, or the table has already."""

    def columns(self, roles: PanelRoles, horizon: int) -> Plan:
        """An empty plan."""
        return Plan(())

    def check(self, table: Table) -> None:
        """Any table will do."""

    def live(self, schema: Table) -> Live:
        """No columns."""
        return LiveNothing()

    def compute(self, frame: Panel | Table) -> Any:
        """The panel as it is; no columns of a table."""
        return frame if isinstance(frame, Panel) else pl.DataFrame()
