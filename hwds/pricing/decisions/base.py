"""DemandDecision: the base of decisions that read a model of demand."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from annotated_types import Ge, Le, Lt
from pydantic import AfterValidator

from hwds.core.errors import ConfigError
from hwds.decisions.base import Decision
from hwds.evaluation.base import Evaluation
from hwds.pricing.demand_evidence import DemandEstimates, DemandEvidence
from hwds.results.formatting import is_money
from hwds.results.tables import Tables

Share = Annotated[float, Ge(0), Lt(1)]
"""A share of a price that leaves something of it."""

Step = Annotated[float, Ge(0), Le(0.9)]
"""A change of a price, as a share of it."""


def _currency(unit: str) -> str:
    if unit and not is_money(unit):
        raise ValueError("must be a currency, such as EUR")
    return unit


class DemandDecision(Decision):
    """A decision that reads the evidence of a protocol of demand (`DemandEvidence`).

    Attributes:
        currency: Of prices and costs, where the data names none: a sign or a code in capitals.
    """

    currency: Annotated[str, AfterValidator(_currency)] = ""

    def check_protocol(self, protocol: Evaluation[Any, Any]) -> None:
        """Refuse a protocol that estimates no demand.

        Raises:
            ConfigError: It has no such evidence.
        """
        if not isinstance(protocol, DemandEvidence):
            raise ConfigError(
                f"decision: '{self.name}' decides from a task of demand by price;"
                f" protocol '{protocol.name}' is of {protocol.task or 'none'}."
            )
        protocol.check_demand(self.name)

    def evidence(self, tables: Tables, frame: Any, model: str, protocol: Evaluation[Any, Any]) -> DemandEstimates | None:
        """Return what a run says of demand, with the currency; None where the model answered nothing."""
        assert isinstance(protocol, DemandEvidence)
        found = protocol.demand_evidence(tables, frame, model)
        return found if found is None or found.unit else replace(found, unit=self.currency)
