"""The evidence of a run's cells for decisions on prices."""

from __future__ import annotations

import numpy as np
import polars as pl

from hwds.elasticity.protocols.rows.cells import COMMON_DRAWS, CROSS_DRAWS, DRAWS, LAG_DRAWS
from hwds.frames.panel import Panel
from hwds.pricing.demand_evidence import DemandEstimates, DemandTruth
from hwds.results.formatting import is_money
from hwds.results.tables import TRUTH

PERIODS = {"1w": "week", "7d": "week", "1d": "day", "1mo": "month", "3mo": "quarter", "1q": "quarter", "1y": "year"}
"""The time in which units of a frequency are counted."""


def evidence_of(rows: pl.DataFrame, panel: Panel, model: str) -> DemandEstimates | None:
    """Return what a model says of every cell that has a price; None where the rows have none of this model.

    Args:
        rows: The predictions table of a run, a row a cell and model.
        panel: The data.
        model: Its label.
    """
    if "model" not in rows.columns:
        return None
    own = rows.filter((pl.col("model") == model) & pl.col("price").is_not_null())
    if own.is_empty():
        return None
    cells = own.select(
        pl.col("series_id").alias("cell"),
        pl.col("sku").alias("product"),
        "channel",
        "family",
        "price",
        "list_price",
        "cost",
        pl.col("units").fill_null(0.0),
        "low",
        "high",
        "elasticity",
        "stderr",
        "df",
        "lag",
        pl.col("lag_stderr").fill_null(0.0),
        "status",
        "reason",
    )
    unit = panel.unit if is_money(panel.unit) else ""
    cross, errors, own_errors = cross_of(own)
    return DemandEstimates(
        cells,
        unit=unit,
        period=PERIODS.get(panel.frequency.every, "period"),
        draws=_draws(own, DRAWS),
        draws_lag=_draws(own, LAG_DRAWS),
        draws_cross=_common_error(own),
        cross=cross,
        cross_stderr=errors,
        cross_own_stderr=own_errors,
        truth=_truth(rows, own),
    )


def _draws(own: pl.DataFrame, name: str) -> np.ndarray | None:
    """Return the draws of a column, shape (D, K), NaN where a cell has none; None where no cell has any."""
    if name not in own.columns or own[name].null_count() == len(own):
        return None
    count = int(own[name].list.len().max())  # type: ignore[arg-type]
    blank = [float("nan")] * count
    return np.array([values if values is not None else blank for values in own[name].to_list()]).T


def _common_error(own: pl.DataFrame) -> np.ndarray | None:
    """Return by how many standard errors the slope that cross elasticities share is off in each draw, shape (D,)."""
    drawn = _draws(own, COMMON_DRAWS)
    if drawn is None:
        drawn = _draws(own, CROSS_DRAWS)
    if drawn is None or np.isnan(drawn).any():
        return None
    away = drawn - drawn.mean(axis=0)
    spread = away.std(axis=0)
    place = int(spread.argmax())
    return np.asarray(away[:, place] / spread[place]) if spread[place] > 0 else None


Matrix = np.ndarray | None


def cross_of(own: pl.DataFrame) -> tuple[Matrix, Matrix, Matrix]:
    """Return the cross elasticities of pairs of cells, their standard errors and the part of these that is each pair's own.

    Each of shape (K, K); None without substitutes, the last one where all errors are those of one slope. Where a model has no
    elasticities of pairs, a cell's elasticity to the mean log price of its substitutes is spread evenly over them.
    """
    if "substitutes" in own.columns and own["substitutes"].null_count() < len(own):
        return _of_pairs(own)
    cross, errors = (own[name].fill_null(0.0).to_numpy() for name in ("cross", "cross_stderr"))
    if not cross.any():
        return None, None, None
    family, channel, sku = (own[name].to_numpy() for name in ("family", "channel", "sku"))
    beside = (family[:, None] == family) & (channel[:, None] == channel) & (sku[:, None] != sku)
    count = np.maximum(beside.sum(axis=1, keepdims=True), 1)
    return np.where(beside, cross[:, None] / count, 0.0), np.where(beside, errors[:, None] / count, 0.0), None


def _of_pairs(own: pl.DataFrame) -> tuple[Matrix, Matrix, Matrix]:
    """Return the matrices of the pairs that the rows list, of substitutes among the rows."""
    names = ["substitutes", "pair_cross", "pair_stderr", "pair_own_stderr"]
    listed = own.select(names).with_row_index("row").drop_nulls("substitutes").explode(names).drop_nulls("substitutes")
    place = pl.DataFrame({"substitutes": own["series_id"], "column": np.arange(len(own))})
    found = listed.join(place, "substitutes", maintain_order="left")
    rows, columns = found["row"].to_numpy(), found["column"].to_numpy()
    matrices = []
    for name in names[1:]:
        matrix = np.zeros((len(own),) * 2)
        matrix[rows, columns] = found[name].to_numpy()
        matrices.append(matrix)
    return matrices[0], matrices[1], matrices[2]


def _truth(rows: pl.DataFrame, own: pl.DataFrame) -> DemandTruth | None:
    """Return the true demand of the same cells, where the run knows it."""
    true = own.select("series_id").join(rows.filter(pl.col("model") == TRUTH), "series_id", "left", maintain_order="left")
    if not len(true) or true["elasticity"].null_count():
        return None
    cross, *_ = cross_of(true)
    elasticities = np.zeros((len(true),) * 2) if cross is None else cross.copy()
    np.fill_diagonal(elasticities, true["elasticity"].to_numpy())
    return DemandTruth(true["units"].to_numpy(), elasticities, true["lag"].to_numpy())
