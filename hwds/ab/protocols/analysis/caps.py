"""Caps on the outcomes of units, as amounts or as quantiles: amounts with a heavy tail vary less."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from hwds.core.errors import ConfigError, DataError, nearest
from hwds.frames.table import Table


@dataclass(frozen=True, slots=True)
class Caps:
    """The most that an outcome of a unit counts, by its label or, of a single one, its column.

    Attributes:
        amounts: Caps in the outcome's own unit.
        shares: The share of the units of all arms together that are to count in full: the cap is that quantile of them, which
            knows nothing of the arms.
    """

    amounts: Mapping[str, float] = field(default_factory=dict)
    shares: Mapping[str, float] = field(default_factory=dict)

    def of(self, table: Table, outcomes: Mapping[str, np.ndarray]) -> dict[str, float]:
        """Return the caps by the labels of the outcomes.

        Raises:
            ConfigError: A cap is of no outcome, or an outcome has two.
            DataError: A quantile is not above 0.
        """
        labels = {label or table.roles["outcome"][0]: label for label in outcomes}
        for path, caps in (("caps", self.amounts), ("quantile_caps", self.shares)):
            for name in caps:
                if name not in labels:
                    raise ConfigError(f"protocol.{path}: no outcome '{name}'{nearest(name, labels)}")
        if twice := self.amounts.keys() & self.shares.keys():
            raise ConfigError(f"protocol.quantile_caps: '{min(twice)}' has a cap in protocol.caps; drop one of them.")
        quantiles = {name: float(np.quantile(outcomes[labels[name]], share)) for name, share in self.shares.items()}
        for name, cap in quantiles.items():
            if not cap > 0:
                raise DataError(
                    f"protocol.quantile_caps.{name}: the {self.shares[name]:g} quantile of '{name}' is {cap:g}, and a cap must"
                    " be above 0; take a higher share."
                )
        return {labels[name]: cap for name, cap in {**self.amounts, **quantiles}.items()}
