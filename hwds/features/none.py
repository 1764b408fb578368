"""No computed columns."""

from __future__ import annotations

from hwds.features.base import FeatureSet
from hwds.frames.features import Plan
from hwds.frames.panel import Panel
from hwds.frames.roles import PanelRoles


class None_(FeatureSet):
    """No features but what the model makes for itself."""

    def columns(self, roles: PanelRoles, horizon: int) -> Plan:
        """An empty plan."""
        return Plan(())

    def compute(self, panel: Panel) -> Panel:
        """The panel as it is."""
        return panel
