"""What serving asks of a line: the mean of a row, and whether the rows of a machine lie high."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hwds.core.onnx_graph import NUMBERS, OnnxGraph
from hwds.core.serialization import Serializable
from hwds.evaluation.serving import GraphOfRows, LiveScores, RowModel, StreamModel
from hwds.frames.runs import RowsOfRuns
from hwds.frames.table import RowReader, RowScores
from regression.models.base import Line

HIGHEST = 4.0
"""The prediction above which a row is anomalous."""


class ServedLine(RowModel):
    """The predictions of a line as scores, and its graph."""

    fitted: Line

    def score(self, rows: RowReader) -> RowScores:
        """Return the predictions."""
        return RowScores(self.fitted.predict(rows))

    def graph(self) -> GraphOfRows:
        """Return the weighted sum."""
        graph, weights = OnnxGraph(), self.fitted.weights
        known = graph.fill(NUMBERS, graph.constant(0.0))
        slopes = graph.row_sum(graph.node("Mul", known, graph.constant(weights[1:])))
        score = graph.node("Add", slopes, graph.constant(weights[0]))
        model = graph.model(len(self.fitted.inputs), 0, {"score": score})
        return GraphOfRows(model, self.fitted.inputs, (), 1e-9)


@dataclass(eq=False)
class HighRows(Serializable):
    """The number of rows that a machine has had."""

    rows: int = 0


class LineOfMachines(StreamModel):
    """The predictions of a line for the readings of machines."""

    def __init__(self, fitted: Line) -> None:
        self._line = fitted

    @property
    def names(self) -> tuple[str, ...]:
        """The inputs of the line."""
        return self._line.inputs

    @property
    def sensors(self) -> int:
        """All of them."""
        return len(self._line.inputs)

    def new_state(self) -> HighRows:
        """Return the state of a machine without rows."""
        return HighRows()

    def advance(self, states: Sequence[HighRows], rows: RowsOfRuns) -> LiveScores:
        """Return the predictions as shares of the highest."""
        for state, count in zip(states, rows.counts.tolist(), strict=True):
            state.rows += count
        weights = self._line.weights
        score = (weights[0] + (rows.sensors * weights[1:]).sum(axis=1)) / HIGHEST
        return LiveScores(score, [self.names[0] if each > 1 else None for each in score.tolist()])
