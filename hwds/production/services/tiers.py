"""The tiers of a bundle: the rule of a run's alert policy as `decision.json` has it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from hwds.core.errors import ConfigError
from hwds.detection.decisions.alert_policy import AlertPolicy
from hwds.detection.decisions.alerts.live import AlertTiers
from hwds.experiment.spec import Experiment


def stored_tiers(experiment: Experiment, verdict: dict[str, Any] | None, amount: str) -> dict[str, Any] | None:
    """Return the thresholds and costs of a run that decides on alerts; None where it decides something else, or nothing.

    Args:
        experiment: The run's.
        verdict: The run's `decision.json`.
        amount: The column of what is at stake; empty where rows have none.

    Raises:
        ConfigError: Rows have no amount.
    """
    decision = experiment.decision
    if not isinstance(decision, AlertPolicy) or not verdict:
        return None
    if not amount:
        raise ConfigError("dataset.roles.amount: must be given for a bundle that decides on alerts.")
    terms = decision.terms(getattr(experiment.protocol, "wrong_block", None), kinds=False)
    tiers = AlertTiers.chosen(terms, verdict, experiment.seed, amount)
    said = {"decision": decision.name, "action": verdict["action"], "sentence": verdict["sentence"]}
    return {"kind": "alerts", **said, "tiers": asdict(tiers)}
