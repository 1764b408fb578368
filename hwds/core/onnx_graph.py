"""ONNX graphs: written node by node with onnx, and scored by numpy and onnxruntime alone."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

# Graph: an ONNX graph, written node by node.

OPSET, ML_OPSET, IR_VERSION = 18, 3, 9
"""Versions of the operators and of the format that every onnxruntime since 1.15 reads."""

NUMBERS, TEXTS = "numbers", "texts"
"""The inputs: doubles (n, columns), NaN where there is none, and texts (n, columns), `MISSING_TEXT`
where there is none.
"""

MISSING_TEXT = "\x00missing"
"""The text that stands for none: no column holds it."""


class NoGraph(Exception):
    """A model has no lawful graph, in words."""


class OnnxGraph:
    """The writer of a graph: each call adds a node and returns the name of its value."""

    def __init__(self) -> None:
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._count = 0

    def constant(self, value: Any, kind: Any = np.float64) -> str:
        """Add an array."""
        from onnx import numpy_helper

        name = self._name("constant")
        self._constants.append(
            numpy_helper.from_array(np.ascontiguousarray(np.asarray(value, kind)), name)
        )
        return name

    def node(self, operator: str, *inputs: Any, domain: str = "", **attributes: Any) -> str:
        """Add a node of one output.

        Args:
            operator: The name of an operator of ONNX.
            *inputs: Names of values; numbers and arrays of them become constants in double
                precision.
            domain: The operator's domain.
            **attributes: The operator's attributes.
        """
        from onnx import helper

        name = self._name(operator.lower())
        values = [each if isinstance(each, str) else self.constant(each) for each in inputs]
        self._nodes.append(
            helper.make_node(operator, values, [name], name=name, domain=domain, **attributes)
        )
        return name

    def name_output(self, value: str, name: str) -> None:
        """Give a value the name of an output."""
        from onnx import helper

        self._nodes.append(helper.make_node("Identity", [value], [name], name=name))

    def doubles(self, value: str) -> str:
        """Return a value in double precision."""
        from onnx import TensorProto

        return self.node("Cast", value, to=TensorProto.DOUBLE)

    def singles(self, value: str) -> str:
        """Return a value in single precision."""
        from onnx import TensorProto

        return self.node("Cast", value, to=TensorProto.FLOAT)

    def columns(self, value: str, begin: int, end: int) -> str:
        """Return some columns of a matrix."""
        ends = (self.constant([at], np.int64) for at in (begin, end, 1))
        return self.node("Slice", value, *ends)

    def concatenate(self, *values: str) -> str:
        """Return matrices beside each other."""
        return values[0] if len(values) == 1 else self.node("Concat", *values, axis=1)

    def clip(self, value: str, low: float, high: float) -> str:
        """Return a value cut at both ends."""
        return self.node("Min", self.node("Max", value, low), high)

    def column(self, value: str) -> str:
        """Return a vector as a matrix of one column."""
        return self.node("Reshape", value, self.constant([-1, 1], np.int64))

    def fill(self, value: str, fill: Any) -> str:
        """Return a matrix with others' numbers in place of those that are not there."""
        return self.node("Where", self.node("IsNaN", value), fill, value)

    def row_sum(self, value: str) -> str:
        """Return the sum of each row, shape (n,)."""
        return self.node("ReduceSum", value, self.constant([1], np.int64), keepdims=0)

    def largest(self, value: str, top: int) -> str:
        """Return the largest numbers of each row, shape (n, top)."""
        from onnx import helper

        values, places = self._name("largest"), self._name("places")
        inputs = [value, self.constant([top], np.int64)]
        self._nodes.append(helper.make_node("TopK", inputs, [values, places], name=values, axis=1))
        return values

    def flat(self, value: str) -> str:
        """Return a matrix of one column as a vector."""
        return self.node("Reshape", value, self.constant([-1], np.int64))

    def model(self, numbers: int, texts: int, outputs: dict[str, str]) -> Any:
        """Return the model, checked (`onnx.checker`).

        Args:
            numbers: Columns of the input `numbers`.
            texts: Columns of the input `texts`, which is left out where there is none.
            outputs: The values of the outputs by their names, vectors of doubles.
        """
        from onnx import TensorProto, checker, helper

        for name, value in outputs.items():
            self.name_output(value, name)
        inputs = [helper.make_tensor_value_info(NUMBERS, TensorProto.DOUBLE, ["n", numbers])]
        if texts:
            inputs.append(helper.make_tensor_value_info(TEXTS, TensorProto.STRING, ["n", texts]))
        results = [
            helper.make_tensor_value_info(name, TensorProto.DOUBLE, ["n"]) for name in outputs
        ]
        graph = helper.make_graph(self._nodes, "hwds", inputs, results, self._constants)
        versions = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
        model = helper.make_model(
            graph, opset_imports=versions, ir_version=IR_VERSION, producer_name="hwds"
        )
        checker.check_model(model, full_check=True)
        return model

    def _name(self, kind: str) -> str:
        self._count += 1
        return f"{kind}_{self._count}"


# GraphScorer: scores of rows by an ONNX graph; it needs numpy and onnxruntime alone.


class GraphScorer:
    """A graph and the columns that it reads.

    Args:
        graph: The bytes of a bundle's `model.onnx`.
        numbers: The columns of numbers, in order.
        texts: The columns of texts, in order.
    """

    def __init__(self, graph: bytes, numbers: Sequence[str], texts: Sequence[str]) -> None:
        os.environ.setdefault(
            "ORT_DISABLE_TELEMETRY", "1"
        )  # it would keep an id of this machine and send events to its maker
        from onnxruntime import InferenceSession, SessionOptions

        options = SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        self._outputs = [output.name for output in self._session.get_outputs()]
        self._numbers, self._texts = tuple(numbers), tuple(texts)

    def score(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
        """Return `score` and, where there is one, `probability` of rows, each of shape (n,)."""
        given: dict[str, np.ndarray] = {
            NUMBERS: np.array([[*map(row.get, self._numbers)] for row in rows], float).reshape(
                len(rows), len(self._numbers)
            )
        }
        if self._texts:
            texts = [
                [MISSING_TEXT if (text := row.get(name)) is None else text for name in self._texts]
                for row in rows
            ]
            given[TEXTS] = np.array(texts, object).reshape(len(rows), len(self._texts))
        return dict(zip(self._outputs, self._session.run(self._outputs, given), strict=True))
