"""What a bundle keeps of its run to compare with: statistics of rows and answers, real
questions.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy import ndarray
from polars import DataFrame, Series, col

from hwds.core.errors import DataError
from hwds.core.files import Readable, write_text
from hwds.core.questions import Fields, Json
from hwds.evaluation.serving import Case

# Reconstruction: how far a row lies from the planes that the numbers of a reference lie near,
# by principal components.
# The distribution of this distance changes where columns cease to hang together as they did,
# though each alone stays as it was.

RECONSTRUCTION = "(reconstruction)"
"""The name under which the distance stands among the columns."""

EXPLAINED = 0.9
"""The share of the variance that the components explain at least, one column's worth left out at
least.
"""

Components = Fields


def components_of(rows: DataFrame, columns: Sequence[str]) -> Json | None:
    """Return the principal components of the numbers among columns, each scaled to variance 1.

    None of fewer than two.

    Args:
        rows: The rows of the reference.
        columns: The columns, of which those of numbers that vary are taken.
    """
    names = [name for name in columns if rows[name].dtype.is_numeric() and _has_spread(rows[name])]
    if len(names) < 2 or len(rows) <= len(names):
        return None
    values = _matrix(rows, names)
    centre = np.nanmean(values, axis=0)
    scale = np.nanstd(values, axis=0)
    _, size, axes = np.linalg.svd(_scale(values, centre, scale), full_matrices=False)
    share = np.cumsum(size**2) / np.sum(size**2)
    kept = min(int(np.searchsorted(share, EXPLAINED)) + 1, len(names) - 1)
    return {
        "columns": names,
        "centre": centre.tolist(),
        "scale": scale.tolist(),
        "axes": axes[:kept].tolist(),
    }


def distances_of(components: Components, rows: DataFrame | Sequence[Fields]) -> ndarray:
    """Return the mean squared distance of each row from its projection, shape (n,).

    What is not known is taken to be usual.

    Args:
        components: The components of a reference.
        rows: A table, or values by column.
    """
    names = components["columns"]
    if isinstance(rows, DataFrame):
        values = _matrix(rows, names)
    else:
        values = np.array([[_number(row.get(name)) for name in names] for row in rows]).reshape(
            len(rows), len(names)
        )
    scaled = _scale(values, np.asarray(components["centre"]), np.asarray(components["scale"]))
    axes = np.asarray(components["axes"])
    rest: ndarray = scaled - scaled @ axes.T @ axes
    return np.mean(rest**2, axis=1)


def _has_spread(values: Series) -> bool:
    present = values.cast(pl.Float64).fill_nan(None).drop_nulls()
    return len(present) > 1 and bool(present.is_finite().all()) and float(present.std() or 0.0) > 0  # type: ignore[arg-type]


def _matrix(rows: DataFrame, names: Sequence[str]) -> ndarray:
    return rows.select(col(name).cast(pl.Float64).fill_null(np.nan) for name in names).to_numpy()


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else np.nan


def _scale(values: ndarray, centre: ndarray, scale: ndarray) -> ndarray:
    return np.nan_to_num((values - centre) / scale, nan=0.0)


# Reference statistics: how inputs and answers of a run are distributed, window by window, for a
# monitor to compare with.

GRID = 257
"""Quantiles of a number that are kept; a distance from them is exact to 1 / 256."""

WINDOW_GRID = 33
"""Quantiles of a number in a window."""

VALUES = 200
"""Values of a text that are kept by name, the most frequent ones."""

WINDOW_ROWS = 500
"""Rows of a reference window, in the order of arrival."""


SEGMENTS = 12
"""Texts of a column at most by which its rows are watched apart."""


def column_reference(values: Series, grid: int = GRID) -> Json:
    """Return the statistics of a column: its kind, the share that is missing, and quantiles or
    shares of values.

    Of a text `once` is the share of rows whose value stands nowhere else: as many of the rows to
    come are of a value that was never seen (Good 1953, "The population frequencies of species").

    Args:
        values: The column.
        grid: Quantiles of a number.
    """
    missing = values.null_count() + (int(values.is_nan().sum()) if values.dtype.is_float() else 0)
    stored: Json = {"n": len(values), "missing": missing / max(len(values), 1)}
    if values.dtype.is_numeric() or values.dtype == pl.Boolean:
        numbers = known_numbers(values)
        quantiles = np.quantile(numbers, np.linspace(0, 1, grid)) if len(numbers) else np.zeros(0)
        return stored | {"kind": "number", "quantiles": quantiles.tolist()}
    counts = values.cast(pl.String).drop_nulls().value_counts(sort=True, name="rows")
    named = counts.head(VALUES)
    total = max(int(counts["rows"].sum()), 1)
    shares = dict(zip(named[values.name].to_list(), (named["rows"] / total).to_list(), strict=True))
    return stored | {
        "kind": "text",
        "shares": shares,
        "once": int((counts["rows"] == 1).sum()) / total,
    }


def known_numbers(values: Series) -> ndarray:
    """Return the numbers of a column that are there, as doubles."""
    numbers = values.cast(pl.Float64).drop_nulls().to_numpy()
    return numbers[np.isfinite(numbers)]


def reference_of(
    rows: DataFrame, columns: Sequence[str], predictions: Sequence[str], time: str = ""
) -> Json:
    """Return the reference statistics of a run.

    Args:
        rows: Inputs and answers, in the order of arrival.
        columns: The inputs among them.
        predictions: The answers among them.
        time: The column of time; empty where there is none.

    Returns:
        `columns` and `predictions` by name over all rows, and `windows`: the same of runs of
        `WINDOW_ROWS` rows, by which the spread between windows of a world that did not change, its
        seasons among it, is known. Of two numbers and more also their principal `components`, and
        the distance of rows from them as a column.
    """
    components = components_of(rows, columns)
    if components is not None:
        rows = rows.with_columns(Series(RECONSTRUCTION, distances_of(components, rows)))
        columns = [*columns, RECONSTRUCTION]
    named = [*columns, *predictions]
    parts = [
        rows.slice(at, WINDOW_ROWS) for at in range(0, len(rows) - WINDOW_ROWS + 1, WINDOW_ROWS)
    ]
    return {
        "rows": len(rows),
        "components": components,
        "columns": {name: column_reference(rows[name]) for name in columns},
        "predictions": {name: column_reference(rows[name]) for name in predictions},
        "windows": [
            {
                "begin": _instant(part, time),
                "columns": {name: column_reference(part[name], WINDOW_GRID) for name in named},
            }
            for part in parts
        ],
    }


def segments_of(
    rows: DataFrame,
    columns: Sequence[str],
    predictions: Sequence[str],
    tested: DataFrame,
    time: str = "",
) -> dict[str, Json]:
    """Return by column of few texts, and by each of these, the reference statistics of the answers
    to its rows.

    Args:
        rows: Inputs and answers, in the order of arrival.
        columns: The inputs among them.
        predictions: The answers among them.
        tested: Test rows with these columns, `probability` and `label`, by which they are
            calibrated; it may be empty.
        time: The column of time; empty where there is none.
    """
    segments: dict[str, Json] = {}
    for name in columns:
        texts = rows[name].dtype in (pl.String, pl.Categorical, pl.Enum)
        values = rows[name].drop_nulls().cast(pl.String).unique().sort().to_list() if texts else []
        if not 2 <= len(values) <= SEGMENTS:
            continue
        segments[name] = {}
        for value in values:
            in_segment, tested_in_segment = (
                table.filter(col(name).cast(pl.String) == value) for table in (rows, tested)
            )
            segments[name][value] = {
                **reference_of(in_segment, (), predictions, time),
                "calibration": calibration_of(*chances_of(tested_in_segment)),
            }
    return segments


def calibration_of(probability: ndarray, label: ndarray, bins: int = 10) -> Json:
    """Return how labels follow probabilities: by bin of equal counts their means, and the log loss.

    Args:
        probability: The probability of each row, shape (n,).
        label: The label of each row, 1.0 or 0.0, shape (n,).
        bins: Bins of equal counts.
    """
    if not len(label):
        return {"n": 0}
    order = np.argsort(probability, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    loss = log_losses(probability, label)
    return {
        "n": len(label),
        "bins": [
            {
                "n": len(part),
                "probability": float(probability[part].mean()),
                "label": float(label[part].mean()),
            }
            for part in parts
        ],
        "log_loss": float(loss.mean()),
        "log_loss_sd": float(loss.std(ddof=1)) if len(loss) > 1 else 0.0,
        "brier": float(np.mean((probability - label) ** 2)),
    }


def log_losses(probability: ndarray, label: ndarray) -> ndarray:
    """Return the log loss of each row, shape (n,).

    Probabilities of 0 and 1 are taken to be 1e-7 inside.

    Args:
        probability: The probability of each row, shape (n,).
        label: The label of each row, 1.0 or 0.0, shape (n,).
    """
    clipped = np.clip(probability, 1e-7, 1 - 1e-7)
    losses: ndarray = -(label * np.log(clipped) + (1 - label) * np.log(1 - clipped))
    return losses


def tested_rows(predictions: DataFrame, model: str) -> DataFrame | None:
    """Return a model's test rows with probability and label, from which it did not learn.

    None without probabilities.

    Args:
        predictions: The predictions of a run.
        model: The label of the model.
    """
    if not {"probability", "label", "model"} <= set(predictions.columns):
        return None
    tested = predictions.filter(
        col("model") == model,
        *([col("part") == "test"] if "part" in predictions.columns else []),
    )
    if tested["probability"].null_count() == len(tested):
        return None
    return tested.filter(col("probability").is_not_null() & col("label").is_not_null())


def tested_chances(predictions: DataFrame, model: str) -> tuple[ndarray, ndarray] | None:
    """Return probabilities and known labels of `tested_rows`; None without probabilities."""
    tested = tested_rows(predictions, model)
    return None if tested is None else chances_of(tested)


def chances_of(rows: DataFrame) -> tuple[ndarray, ndarray]:
    """Return the columns `probability` and `label` of rows as doubles."""
    return rows["probability"].to_numpy(), rows["label"].cast(pl.Float64).to_numpy()


def shares_below(quantiles: Sequence[float] | ndarray, edges: ndarray) -> ndarray:
    """Return the share of a column's numbers at or below each edge, by its kept quantiles."""
    grid = np.asarray(quantiles, float)
    return np.searchsorted(grid, edges, side="right") / max(len(grid), 1)


def _instant(rows: DataFrame, time: str) -> str | None:
    return str(rows[time][0]) if time and len(rows) else None


# Parity: real questions with the run's own answers, which a process that knows nothing else
# must give alike.

CASES = "cases.jsonl"

LEAST_CASES = 256
"""Real rows that are compared, where the data has so many."""


class ParityError(DataError):
    """An answer is another than that of the run."""


def write_cases(folder: Path, cases: list[Case], tolerance: float) -> None:
    """Write the cases of a bundle into a folder, with how far an answer may be off, as a share of 1
    + its size.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps({"tolerance": tolerance})]
    lines += [
        json.dumps({"question": case.question, "answer": case.answer}, ensure_ascii=False)
        for case in cases
    ]
    write_text(folder / CASES, "\n".join(lines) + "\n")


def read_cases(folder: Readable) -> tuple[list[Case], float]:
    """Return the cases of a bundle and how far an answer may be off."""
    first, *lines = (folder / CASES).read_bytes().decode().rstrip("\n").split("\n")
    return [Case(**json.loads(line)) for line in lines], float(json.loads(first)["tolerance"])


def worst_difference(wanted: Any, got: Any, tolerance: float, place: str) -> float:
    """Return the largest difference of numbers in two answers, as a share of 1 + the largest number
    of their column.

    A quantile near 0 has the unit, and the noise of single precision, of a series that sells
    thousands.

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
            size[_number_column(path)] = max(size.get(_number_column(path), 0.0), abs(value))
    for path, value in leaves:
        other = _value_at(got, path)
        if (
            isinstance(value, float)
            and isinstance(other, int | float)
            and not isinstance(other, bool)
        ):
            difference = abs(value - other) / (1 + size[_number_column(path)])
            if not difference <= tolerance:
                raise ParityError(
                    f"{place}: '{path}' is {other!r} and was {value!r} in the run, which is off "
                    f"by {difference:.2g}."
                )
            worst = max(worst, difference)
        elif value != other and not (
            value is None and isinstance(other, float) and math.isnan(other)
        ):
            raise ParityError(f"{place}: '{path}' is {other!r} and was {value!r} in the run.")
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


def _number_column(path: str) -> str:
    """Return the name of a number without the places in lists.

    The mean and all quantiles of a forecast are one column.
    """
    name = "/".join(step for step in path.split("/") if not step.isdigit())
    return re.sub(r"(?<=/)(mean|q_[\d.]+)$", "predicted", name)


def _value_at(node: Any, path: str) -> Any:
    for step in path.split("/"):
        if step == "#":
            return len(node) if isinstance(node, list) else None
        try:
            node = node[int(step)] if isinstance(node, list) else node[step]
        except (KeyError, IndexError, TypeError):
            return None
    return node


def answer_rows(answer: Fields) -> int:
    """Return how many rows of predictions an answer has; a decision is one."""
    return (
        len(answer["rows"]) if "rows" in answer else int("score" in answer or "decision" in answer)
    )
