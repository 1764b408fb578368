"""GraphScorer: scores of rows by an ONNX graph; it needs numpy and onnxruntime alone."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hwds.production.graphs.writer import MISSING, NUMBERS, TEXTS


class GraphScorer:
    """A graph and the columns that it reads.

    Args:
        path: The `model.onnx` of a bundle.
        numbers: The columns of numbers, in order.
        texts: The columns of texts, in order.
    """

    def __init__(self, path: Path, numbers: Sequence[str], texts: Sequence[str]) -> None:
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # it would keep an id of this machine and send events to its maker
        from onnxruntime import InferenceSession, SessionOptions

        options = SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
        self._outputs = [output.name for output in self._session.get_outputs()]
        self._numbers, self._texts = tuple(numbers), tuple(texts)

    def score(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
        """Return `score` and, where there is one, `probability` of rows, each of shape (n,)."""
        given: dict[str, np.ndarray] = {
            NUMBERS: np.array([[*map(row.get, self._numbers)] for row in rows], float).reshape(len(rows), len(self._numbers))
        }
        if self._texts:
            texts = [[MISSING if (text := row.get(name)) is None else text for name in self._texts] for row in rows]
            given[TEXTS] = np.array(texts, object).reshape(len(rows), len(self._texts))
        return dict(zip(self._outputs, self._session.run(self._outputs, given), strict=True))
