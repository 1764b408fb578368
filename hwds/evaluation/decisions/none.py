"""The absence of a decision."""

from __future__ import annotations

from typing import Any

from hwds.evaluation.decisions.base import Decision
from hwds.evaluation.protocol import Evaluation
from hwds.results.tables import Tables


class None_(Decision):
    """Decide nothing: the run ends with its tables."""

    def decide(
        self, tables: Tables, frame: Any, model: str, protocol: Evaluation[Any, Any]
    ) -> None:
        """Return nothing."""
        return
