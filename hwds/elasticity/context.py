"""ElasticityContext: what a model of demand is given besides the history."""

from __future__ import annotations

from dataclasses import dataclass

from hwds.evaluation.context import RunContext


@dataclass(frozen=True, slots=True)
class ElasticityContext(RunContext):
    """The settings of a run, and what a protocol asks of a model beside its own settings.

    Attributes:
        level: Of the intervals.
        controls: Columns of the panel to take beside the model's own, each with a slope that all cells share.
    """

    level: float = 0.95
    controls: tuple[str, ...] = ()
