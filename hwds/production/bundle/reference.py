"""Reference statistics: how inputs and answers of a run are distributed, window by window, for a monitor to compare with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from hwds.production.bundle.reconstruction import NAME, components_of, distances_of

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


def column_reference(values: pl.Series, grid: int = GRID) -> dict[str, Any]:
    """Return the statistics of a column: its kind, the share that is missing, and quantiles or shares of values.

    Of a text `once` is the share of rows whose value stands nowhere else: as many of the rows to come are of a value that was
    never seen (Good 1953, "The population frequencies of species").

    Args:
        values: The column.
        grid: Quantiles of a number.
    """
    missing = values.null_count() + (int(values.is_nan().sum()) if values.dtype.is_float() else 0)
    stored: dict[str, Any] = {"n": len(values), "missing": missing / max(len(values), 1)}
    if values.dtype.is_numeric() or values.dtype == pl.Boolean:
        known = known_numbers(values)
        quantiles = np.quantile(known, np.linspace(0, 1, grid)) if len(known) else np.zeros(0)
        return stored | {"kind": "number", "quantiles": quantiles.tolist()}
    counts = values.cast(pl.String).drop_nulls().value_counts(sort=True, name="rows")
    named = counts.head(VALUES)
    total = max(int(counts["rows"].sum()), 1)
    shares = dict(zip(named[values.name].to_list(), (named["rows"] / total).to_list(), strict=True))
    return stored | {"kind": "text", "shares": shares, "once": int((counts["rows"] == 1).sum()) / total}


def known_numbers(values: pl.Series) -> np.ndarray:
    """Return the numbers of a column that are there, as doubles."""
    numbers = values.cast(pl.Float64).drop_nulls().to_numpy()
    return numbers[np.isfinite(numbers)]


def reference_of(rows: pl.DataFrame, columns: Sequence[str], predictions: Sequence[str], time: str = "") -> dict[str, Any]:
    """Return the reference statistics of a run.

    Args:
        rows: Inputs and answers, in the order of arrival.
        columns: The inputs among them.
        predictions: The answers among them.
        time: The column of time; empty where there is none.

    Returns:
        `columns` and `predictions` by name over all rows, and `windows`: the same of runs of `WINDOW_ROWS` rows, by which the
        spread between windows of a world that did not change, its seasons among it, is known. Of two numbers and more also
        their principal `components`, and the distance of rows from them as a column.
    """
    components = components_of(rows, columns)
    if components is not None:
        rows = rows.with_columns(pl.Series(NAME, distances_of(components, rows)))
        columns = [*columns, NAME]
    named = [*columns, *predictions]
    parts = [rows.slice(at, WINDOW_ROWS) for at in range(0, len(rows) - WINDOW_ROWS + 1, WINDOW_ROWS)]
    return {
        "rows": len(rows),
        "components": components,
        "columns": {name: column_reference(rows[name]) for name in columns},
        "predictions": {name: column_reference(rows[name]) for name in predictions},
        "windows": [
            {"begin": _instant(part, time), "columns": {name: column_reference(part[name], WINDOW_GRID) for name in named}}
            for part in parts
        ],
    }


def segments_of(
    rows: pl.DataFrame, columns: Sequence[str], predictions: Sequence[str], tested: pl.DataFrame, time: str = ""
) -> dict[str, dict[str, Any]]:
    """Return by column of few texts, and by each of these, the reference statistics of the answers to its rows.

    Args:
        rows: Inputs and answers, in the order of arrival.
        columns: The inputs among them.
        predictions: The answers among them.
        tested: Test rows with these columns, `probability` and `label`, by which they are calibrated; it may be empty.
        time: The column of time; empty where there is none.
    """
    segments: dict[str, dict[str, Any]] = {}
    for name in columns:
        texts = rows[name].dtype in (pl.String, pl.Categorical, pl.Enum)
        values = rows[name].drop_nulls().cast(pl.String).unique().sort().to_list() if texts else []
        if not 2 <= len(values) <= SEGMENTS:
            continue
        segments[name] = {}
        for value in values:
            own, checked = (table.filter(pl.col(name).cast(pl.String) == value) for table in (rows, tested))
            segments[name][value] = {
                **reference_of(own, (), predictions, time),
                "calibration": calibration_of(*chances_of(checked)),
            }
    return segments


def calibration_of(probability: np.ndarray, label: np.ndarray, bins: int = 10) -> dict[str, Any]:
    """Return how labels follow probabilities: by bin of equal counts their means, and the log loss.

    Args:
        probability: Shape (n,).
        label: 1.0 or 0.0, shape (n,).
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
            {"n": len(part), "probability": float(probability[part].mean()), "label": float(label[part].mean())}
            for part in parts
        ],
        "log_loss": float(loss.mean()),
        "log_loss_sd": float(loss.std(ddof=1)) if len(loss) > 1 else 0.0,
        "brier": float(np.mean((probability - label) ** 2)),
    }


def log_losses(probability: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Return the log loss of each row, shape (n,); probabilities of 0 and 1 are taken to be 1e-7 inside.

    Args:
        probability: Shape (n,).
        label: 1.0 or 0.0, shape (n,).
    """
    held = np.clip(probability, 1e-7, 1 - 1e-7)
    losses: np.ndarray = -(label * np.log(held) + (1 - label) * np.log(1 - held))
    return losses


def tested_rows(predictions: pl.DataFrame, model: str) -> pl.DataFrame | None:
    """Return a model's test rows with probability and label, from which it did not learn; None without probabilities.

    Args:
        predictions: The predictions of a run.
        model: The label of the model.
    """
    if not {"probability", "label", "model"} <= set(predictions.columns):
        return None
    own = predictions.filter(pl.col("model") == model, *([pl.col("part") == "test"] if "part" in predictions.columns else []))
    if own["probability"].null_count() == len(own):
        return None
    return own.filter(pl.col("probability").is_not_null() & pl.col("label").is_not_null())


def tested_chances(predictions: pl.DataFrame, model: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Return probabilities and known labels of `tested_rows`; None without probabilities."""
    known = tested_rows(predictions, model)
    return None if known is None else chances_of(known)


def chances_of(rows: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return the columns `probability` and `label` of rows as doubles."""
    return rows["probability"].to_numpy(), rows["label"].cast(pl.Float64).to_numpy()


def shares_below(quantiles: Sequence[float] | np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return the share of a column's numbers at or below each edge, by its kept quantiles."""
    grid = np.asarray(quantiles, float)
    return np.searchsorted(grid, edges, side="right") / max(len(grid), 1)


def _instant(rows: pl.DataFrame, time: str) -> str | None:
    return str(rows[time][0]) if time and len(rows) else None
