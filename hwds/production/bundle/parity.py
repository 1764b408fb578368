"""Parity: real questions with the run's own answers, which a process that knows nothing else must give alike."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwds.core.atomic import write_text
from hwds.core.errors import DataError

CASES = "cases.jsonl"

NATIVE, SINGLE = 1e-9, 1e-4
"""Largest differences of an answer from that of the run, as shares of 1 + the largest number of their column: of models in
double precision, and of networks and trees in single precision, whose last bits depend on what stands beside a row."""

LEAST = 256
"""Real rows that are compared, where the data has so many."""


@dataclass(frozen=True)
class Case:
    """A question and the run's answer, as far as it is compared."""

    question: Mapping[str, Any]
    answer: Mapping[str, Any]


class Difference(DataError):
    """An answer is another than that of the run."""


def write_cases(folder: Path, cases: list[Case], tolerance: float) -> None:
    """Write the cases of a bundle into a folder, with how far an answer may be off, as a share of 1 + its size."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps({"tolerance": tolerance})]
    lines += [json.dumps({"question": case.question, "answer": case.answer}, ensure_ascii=False) for case in cases]
    write_text(folder / CASES, "\n".join(lines) + "\n")


def read_cases(folder: Path) -> tuple[list[Case], float]:
    """Return the cases of a bundle and how far an answer may be off."""
    first, *lines = (folder / CASES).read_text(encoding="utf-8").rstrip("\n").split("\n")
    return [Case(**json.loads(line)) for line in lines], float(json.loads(first)["tolerance"])


def worst_difference(wanted: Any, got: Any, tolerance: float, place: str) -> float:
    """Return the largest difference of numbers in two answers, as a share of 1 + the largest number of their column.

    A quantile near 0 has the unit, and the noise of single precision, of a series that sells thousands.

    Args:
        wanted: The run's answer; what it does not have is not compared.
        got: The answer.
        tolerance: The largest difference that is let through.
        place: The name of the question, for the refusal.

    Raises:
        Difference: One is larger, or something that is no number is another.
    """
    worst, leaves, size = 0.0, list(_leaves(wanted, "")), dict[str, float]()
    for path, value in leaves:
        if isinstance(value, float):
            size[_column(path)] = max(size.get(_column(path), 0.0), abs(value))
    for path, value in leaves:
        other = _at(got, path)
        if isinstance(value, float) and isinstance(other, int | float) and not isinstance(other, bool):
            gap = abs(value - other) / (1 + size[_column(path)])
            if not gap <= tolerance:
                raise Difference(f"{place}: '{path}' is {other!r} and was {value!r} in the run, which is off by {gap:.2g}.")
            worst = max(worst, gap)
        elif value != other and not (value is None and isinstance(other, float) and math.isnan(other)):
            raise Difference(f"{place}: '{path}' is {other!r} and was {value!r} in the run.")
    return worst


def _leaves(node: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(node, Mapping):
        for name, value in node.items():
            yield from _leaves(value, f"{path}/{name}" if path else str(name))
    elif isinstance(node, list):
        yield f"{path}/#", len(node)
        for place, value in enumerate(node):
            yield from _leaves(value, f"{path}/{place}")
    else:
        yield path, node


def _column(path: str) -> str:
    """Return the name of a number without the places in lists; the mean and all quantiles of a forecast are one column."""
    name = "/".join(step for step in path.split("/") if not step.isdigit())
    return re.sub(r"(?<=/)(mean|q_[\d.]+)$", "predicted", name)


def _at(node: Any, path: str) -> Any:
    for step in path.split("/"):
        if step == "#":
            return len(node) if isinstance(node, list) else None
        try:
            node = node[int(step)] if isinstance(node, list) else node[step]
        except (KeyError, IndexError, TypeError):
            return None
    return node


def rows_of(answer: Mapping[str, Any]) -> int:
    """Return how many rows of predictions an answer has; a decision is one."""
    return len(answer["rows"]) if "rows" in answer else int("score" in answer or "decision" in answer)
