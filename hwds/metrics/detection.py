"""Metrics of scores and probabilities for a rare binary label: ranks, probabilities, a daily capacity, money."""

from __future__ import annotations

from hwds.metrics.detection_days import card_precision, caught_value, flagged
from hwds.metrics.detection_money import expected_cost
from hwds.metrics.detection_probabilities import brier, calibration, ece, log_loss, observed_to_expected
from hwds.metrics.detection_ranks import auroc, average_precision, precision_at_recall, recall_at_precision

__all__ = [
    "auroc",
    "average_precision",
    "brier",
    "calibration",
    "card_precision",
    "caught_value",
    "ece",
    "expected_cost",
    "flagged",
    "log_loss",
    "observed_to_expected",
    "precision_at_recall",
    "recall_at_precision",
]
