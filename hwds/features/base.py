"""FeatureSet: the recipe of columns computed from a panel."""

from __future__ import annotations

from hwds.frames.features import Plan
from hwds.frames.panel import Panel
from hwds.frames.roles import PanelRoles
from hwds.recipe import Recipe


class FeatureSet(Recipe):
    """What `features=` chooses: causal columns of a panel, proven causal by the canary."""

    def columns(self, roles: PanelRoles, horizon: int) -> Plan:
        """The columns that `compute` will add for a panel with these roles.

        Raises:
            ConfigError: A feature reads a column at steps where its role does not allow it.
        """
        raise NotImplementedError(f"{type(self).__name__}.columns")

    def compute(self, panel: Panel) -> Panel:
        """The panel with the plan's columns added, all floats.

        Row t may use the target and past-only columns of rows before t, and known-future and static columns up to t.
        Rows after the history have a null target.
        """
        raise NotImplementedError(f"{type(self).__name__}.compute")
