"""Inputs of rows in a graph: numbers, and codes of texts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hwds.detection.models.inputs.matrix import OTHER, Inputs
from hwds.detection.models.inputs.scaling import Scaling
from hwds.production.graphs.writer import NUMBERS, TEXTS, Graph, NoGraph


class RowInputs:
    """The inputs of one scorer among all columns that a graph is given.

    Args:
        graph: The graph.
        inputs: What the scorer reads.
        numbers: All columns of numbers, in the order of the graph's input.
        texts: All columns of texts.
    """

    def __init__(self, graph: Graph, inputs: Inputs, numbers: Sequence[str], texts: Sequence[str]) -> None:
        self.graph, self.inputs = graph, inputs
        self._numbers, self._texts = list(numbers), list(texts)

    @property
    def matrix(self) -> str:
        """The numbers, NaN where there is none, shape (n, numbers)."""
        places = [self._numbers.index(name) for name in self.inputs.numbers]
        return self.graph.node("Gather", NUMBERS, self.graph.constant(places, np.int64), axis=1)

    def codes(self, place: int) -> str:
        """The codes of one text as whole numbers, shape (n,)."""
        at = self._texts.index(self.inputs.texts[place])
        column = self.graph.flat(self.graph.columns(TEXTS, at, at + 1))
        known = self.inputs.values[place]
        if not known:
            return self._encoded(column, ("",), [OTHER])
        return self._encoded(column, known, list(range(1, len(known) + 1)))

    def by_code(self, place: int, table: np.ndarray) -> str:
        """The row of a table at the code of one text, shape (n, columns)."""
        return self.graph.node("Gather", self.graph.constant(table), self.codes(place), axis=0)

    def coded(self) -> str:
        """Numbers, then the code of each text, shape (n, columns)."""
        codes = [np.arange(len(known) + 1.0)[:, None] for known in self.inputs.values]
        tables = [self.by_code(place, table) for place, table in enumerate(codes)]
        return self.graph.beside(*([self.matrix] if self.inputs.numbers or not tables else []), *tables)

    def _encoded(self, column: str, known: Sequence[str], codes: list[int]) -> str:
        attributes = {"keys_strings": list(known), "values_int64s": codes, "default_int64": OTHER}
        return self.graph.node("LabelEncoder", column, domain="ai.onnx.ml", **attributes)


def refuse_arrays(inputs: Inputs) -> None:
    """Refuse a scorer that reads columns of arrays.

    Raises:
        NoGraph: It does.
    """
    if inputs.arrays:
        raise NoGraph(f"it reads arrays ('{inputs.arrays[0]}'), which are no columns of numbers or texts")


def scaled(graph: Graph, matrix: str, scaling: Scaling, clip: float) -> str:
    """Return `Scaling.of` of a matrix."""
    logs, flat = scaling.unit > 0, np.isinf(scaling.spread)
    nonnegative = graph.node("Max", matrix, graph.constant(0.0))
    ratio = graph.node("Div", nonnegative, graph.constant(np.where(logs, scaling.unit, 1.0)))
    logged = graph.node("Log", graph.node("Add", ratio, graph.constant(1.0)))
    known = graph.node("IsNaN", matrix)
    logged = graph.node("Where", graph.constant(logs, bool), graph.node("Where", known, matrix, logged), matrix)
    centred = graph.node("Sub", logged, graph.constant(scaling.centre))
    on_scale = graph.node("Div", centred, graph.constant(np.where(flat, 1.0, scaling.spread)))
    still = graph.node("And", graph.constant(flat, bool), graph.node("Not", known))
    on_scale = graph.node("Where", still, graph.constant(0.0), on_scale)
    cut = graph.node("Min", graph.node("Max", on_scale, graph.constant(-clip)), graph.constant(clip))
    return graph.node("Where", known, matrix, cut)


def single(graph: Graph, matrix: str) -> str:
    """Return `matrix.single` of a matrix, still in double precision: cut at the largest single number, and rounded to one."""
    most = float(np.finfo(np.float32).max)
    cut = graph.node("Min", graph.node("Max", matrix, graph.constant(-most)), graph.constant(most))
    cut = graph.node("Where", graph.node("IsNaN", matrix), matrix, cut)
    return graph.doubles(graph.singles(cut))
