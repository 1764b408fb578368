"""Graph: an ONNX graph, written node by node."""

from __future__ import annotations

from typing import Any

import numpy as np

OPSET, ML_OPSET, IR = 18, 3, 9
"""Versions of the operators and of the format that every onnxruntime since 1.15 reads."""

NUMBERS, TEXTS = "numbers", "texts"
"""The inputs: doubles (n, columns), NaN where there is none, and texts (n, columns), `MISSING` where there is none."""

MISSING = "\x00missing"
"""The text that stands for none: no column holds it."""


class NoGraph(Exception):
    """A model has no lawful graph, in words."""


class Graph:
    """The writer of a graph: each call adds a node and returns the name of its value."""

    def __init__(self) -> None:
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._count = 0

    def constant(self, value: Any, kind: Any = np.float64) -> str:
        """Add an array."""
        from onnx import numpy_helper

        name = self._name("constant")
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(np.asarray(value, kind)), name))
        return name

    def node(self, operator: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """Add a node of one output."""
        from onnx import helper

        name = self._name(operator.lower())
        self._nodes.append(helper.make_node(operator, list(inputs), [name], name=name, domain=domain, **attributes))
        return name

    def named(self, value: str, name: str) -> None:
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

    def beside(self, *values: str) -> str:
        """Return matrices beside each other."""
        return values[0] if len(values) == 1 else self.node("Concat", *values, axis=1)

    def filled(self, value: str, fill: str) -> str:
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
            outputs: By name their values, vectors of doubles.
        """
        from onnx import TensorProto, checker, helper

        for name, value in outputs.items():
            self.named(value, name)
        inputs = [helper.make_tensor_value_info(NUMBERS, TensorProto.DOUBLE, ["n", numbers])]
        if texts:
            inputs.append(helper.make_tensor_value_info(TEXTS, TensorProto.STRING, ["n", texts]))
        results = [helper.make_tensor_value_info(name, TensorProto.DOUBLE, ["n"]) for name in outputs]
        graph = helper.make_graph(self._nodes, "hwds", inputs, results, self._constants)
        versions = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
        model = helper.make_model(graph, opset_imports=versions, ir_version=IR, producer_name="hwds")
        checker.check_model(model, full_check=True)
        return model

    def _name(self, kind: str) -> str:
        self._count += 1
        return f"{kind}_{self._count}"
