"""ElasticityEstimate: fit once on all that is known, and report every cell."""

from __future__ import annotations

from hwds.elasticity.protocols.base import CellEvaluation


class ElasticityEstimate(CellEvaluation):
    """Fit once on the whole panel, and report every cell: its elasticity, interval, status and
    reason. No truth is needed.
    """
