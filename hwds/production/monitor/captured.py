"""Captured requests as windows of rows: what `hwds serve --capture` has written, in the order of time."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwds.core.errors import DataError
from hwds.serving.ids import ID


@dataclass(frozen=True, slots=True)
class Captured:
    """A question with its answer.

    Attributes:
        at: When it was answered, as text of UTC that is in order.
        question: As it came.
        answer: As it went.
        request: The id of the request, which the arms of a server share; empty where it has one arm.
        bundle: The digest of the bundle that has answered; empty where it is not known.
    """

    at: str
    question: Mapping[str, Any]
    answer: Mapping[str, Any]
    request: str = ""
    bundle: str = ""

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield its rows by column: of a history each row, of which the last has the answer's first."""
        own, answered = self.question.get("rows"), self.answer.get("rows")
        if not isinstance(own, list):
            yield {**self.question, **{name: value for name, value in self.answer.items() if name != ID}}
            return
        yield from own[:-1]
        yield {**own[-1], **(answered[0] if answered else {})}


def read_captured(folder: Path, arm: str = "main") -> list[Captured]:
    """Return the questions that were captured in a folder and answered by an arm of the server, in the order of time.

    Args:
        folder: Of `hwds serve --capture`.
        arm: `main`, `canary` or `shadow`.

    Raises:
        DataError: There is nothing, or a line is damaged.
    """
    found = []
    for path in sorted(folder.rglob("*.jsonl")):
        *lines, _torn = path.read_text(encoding="utf-8").split("\n")  # who was killed may have left half a line
        for number, line in enumerate(lines, 1):
            try:
                found += _of_line(json.loads(line), arm)
            except (ValueError, KeyError, TypeError) as error:
                raise DataError(f"{path}: line {number} is no captured request ({type(error).__name__}).") from error
    if not found:
        of_arm = "" if arm == "main" else f" of the {arm}"
        raise DataError(f"{folder}: nothing{of_arm} was captured; `hwds serve FOLDER --http --capture {folder}` writes there.")
    return sorted(found, key=lambda each: each.at)


def _of_line(line: Mapping[str, Any], arm: str) -> list[Captured]:
    data, facts = line["captureData"], line["eventMetadata"]
    if facts.get("arm", "main") != arm:
        return []
    sides = (data[side]["data"].split("\n") for side in ("endpointInput", "endpointOutput"))
    pairs = zip(*([json.loads(text) for text in side] for side in sides), strict=True)
    at, *known = str(facts["inferenceTime"]), str(facts.get("inferenceId", "")), str(facts.get("bundle", ""))
    return [Captured(at, question, answer, *known) for question, answer in pairs if "of" not in question]


def read_labels(path: Path) -> dict[str, float]:
    """Return labels by the ids of their questions, from a CSV or JSON lines with `id` (or `of`) and `label`.

    Raises:
        DataError: It cannot be read, or a label is neither 0 nor 1.
    """
    try:
        text = path.read_text(encoding="utf-8")
        lines = [line for line in text.split("\n") if line.strip()]
        rows = [json.loads(line) for line in lines] if text.lstrip().startswith("{") else list(csv.DictReader(lines))
        labels = {str(row.get(ID) or row["of"]): float(row["label"]) for row in rows}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"--labels: {path} must have 'id' and 'label' in each row ({type(error).__name__}).") from error
    wrong = next((name for name, label in labels.items() if label not in (0.0, 1.0)), None)
    if wrong is not None:
        raise DataError(f"--labels: the label of '{wrong}' must be 0 or 1, got {labels[wrong]:g}.")
    return labels
