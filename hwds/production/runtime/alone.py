"""A bundle's graph answered by numpy and onnxruntime alone: the answers of `RowService`, in a file of some kilobytes.

`python -m hwds.production.runtime.pack hwds-runtime.pyz` makes the file. `python hwds-runtime.pyz FOLDER TRUSTED` answers lines
of JSON; where the file is on Python's path, `from hwds.production.runtime.alone import GraphModel` imports the model.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hwds.core.errors import DataError, HwdsError, nearest
from hwds.detection.decisions.alerts.live import AlertTiers
from hwds.production.bundle.keys import trusted_keys
from hwds.production.bundle.manifest import CONFORMAL, DECISION, GRAPH, SCHEMA, Manifest
from hwds.production.graphs.session import GraphScorer
from hwds.production.services.json_text import parsed_json
from hwds.serving.ids import ID, id_of


class NoGraphAlone(DataError):
    """A bundle that a graph alone does not answer."""


class GraphModel:
    """The model of a bundle of rows that stand alone, by its graph.

    Args:
        folder: The bundle.
        trust: A file or a folder of trusted public keys; None for the default place.

    Raises:
        DataError: The bundle was changed, or is of a signer who is not trusted.
        NoGraphAlone: It has no graph that answers all.
    """

    def __init__(self, folder: Path | str, trust: str | None = None) -> None:
        path = Path(folder).resolve()
        self.manifest = Manifest.read(path, trusted_keys(trust))
        columns = self.manifest.graph
        if self.manifest.kind != "rows" or "numbers" not in columns:
            why = columns.get("why", f"it answers {self.manifest.kind}")
            raise NoGraphAlone(f"{path}: has no graph for rows that stand alone ({why}); `hwds serve` answers by it.")
        if json.loads((path / CONFORMAL).read_bytes())["normals"]:
            raise NoGraphAlone(f"{path}: ranks rows among held-out ones, which no graph does; `hwds serve` answers by it.")
        self._fields: dict[str, Any] = json.loads((path / SCHEMA).read_bytes())["properties"]
        self._graph = GraphScorer(path / GRAPH, columns["numbers"], columns["texts"])
        decision = path / DECISION
        self._tiers = AlertTiers.stored(json.loads(decision.read_bytes())) if decision.is_file() else None

    def answer(self, questions: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Return an answer to each question, in their order; all or none.

        Raises:
            DataError: One is no question, with its id.
        """
        ids = [id_of(question, place) for place, question in enumerate(questions)]
        rows = [self._row(id, question) for id, question in zip(ids, questions, strict=True)]
        if not rows:
            return []
        said = self._graph.score(rows)
        score, chance = said["score"].tolist(), said.get("probability")
        chances = [None] * len(rows) if chance is None else chance.tolist()
        answers: list[dict[str, Any]] = [
            {ID: id, "score": score[place], "probability": chances[place], "p_value": None} for place, id in enumerate(ids)
        ]
        if self._tiers is not None:
            stakes = [row.get(self._tiers.amount) for row in rows]
            for answer, tier in zip(answers, self._tiers.tiers(ids, chance, stakes), strict=True):
                answer.update({"tier": None, "expected_gain": None} if tier is None else tier._asdict())
        return answers

    def _row(self, id: str, question: Mapping[str, Any]) -> dict[str, Any]:
        row = {}
        for name, value in question.items():
            if name not in self._fields:
                raise DataError(f"event '{id}': no column '{name}'{nearest(name, self._fields)}")
            if name != ID and value is not None:
                row[name] = _checked(id, name, value, self._fields[name])
        return row


def _checked(id: str, name: str, value: Any, schema: Mapping[str, Any]) -> Any:
    """Return a value of a field, by the JSON Schema of this.

    Raises:
        DataError: It is none.
    """
    if "enum" in schema:
        if value not in schema["enum"]:
            raise DataError(
                f"event '{id}': '{name}' must be one of {', '.join(map(str, schema['enum'][:8]))}, got {value!r:.80}."
            )
        return value
    kind, number = schema["type"][0], _is_number(value)
    fits = {"boolean": isinstance(value, bool), "string": isinstance(value, str), "number": number}
    if not fits.get(kind, number and value == int(value)):
        wanted = {"boolean": "true or false", "string": "a text", "number": "a finite number"}.get(kind, "a whole number")
        raise DataError(f"event '{id}': '{name}' must be {wanted}, got {value!r:.80}.")
    if value < schema.get("minimum", value):
        raise DataError(f"event '{id}': '{name}' must be >= {schema['minimum']}, got {value}.")
    if value > schema.get("maximum", value):
        raise DataError(f"event '{id}': '{name}' must be <= {schema['maximum']}, got {value!r:.80}.")
    return float(value) if kind == "number" else value


def _is_number(value: Any) -> bool:
    """Return whether a value is a number that a double can hold."""
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:
        return False


def main(words: Sequence[str]) -> int:
    """Answer the lines of the standard input by a bundle; a line that is no question is answered with the reason."""
    if not 1 <= len(words) <= 2:
        sys.stderr.write("usage: hwds-runtime.pyz FOLDER [TRUSTED]\n")
        return 2
    try:
        model = GraphModel(*words)
    except HwdsError as error:
        sys.stderr.write(f"hwds-runtime: {error}\n")
        return error.exit_code
    for line in sys.stdin.buffer:
        try:
            answer = model.answer([parsed_json(line.decode())])[0]
        except (HwdsError, UnicodeDecodeError) as error:
            answer = {"error": str(error)}
        sys.stdout.buffer.write(json.dumps(answer, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n")
        sys.stdout.buffer.flush()
    return 0
