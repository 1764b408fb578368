"""Columns that give the label away: what was filled in once the label was known, and is not known before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import polars as pl

from hwds.core.errors import DataError
from hwds.core.seeds import stream
from hwds.detection.metrics.ranks import average_precision

MOST = 0.95
"""The share of the way from chance to a perfect order that one column alone may go."""

MOST_IN_ORDER = 0.95
"""The share of pairs of unlike labels at one instant that may stand in the order of their labels."""

SUSPECT = 0.6
"""The same share from which on a column is remarked: it may be filled in once the label is known, or be a copy of it."""

UNIQUE = 0.95
"""The share of different values from which on a text, or a whole number, names rows."""

FEWEST = 50
"""Rows below which all values may well be different."""

LEAST = 8
"""Rows of each label below which a column may part them by chance."""


def refuse_leaking_inputs(data: pl.DataFrame, label: str, columns: Iterable[str]) -> None:
    """Refuse an input that alone gives the label away; see `leaking_inputs`.

    Raises:
        DataError: With the column and what gives the label away.
    """
    for name, leak in leaking_inputs(data, label, columns):
        raise DataError(
            f"dataset.roles.ignore: column '{name}' alone gives the label away: {leak}; name it there, or in dataset.trust"
            " where it is known before the label."
        )


def refuse_order_of_labels(data: pl.DataFrame, label: str, time: str) -> None:
    """Refuse rows of one instant that stand in the order of their labels; see `order_of_labels`.

    Raises:
        DataError: With the column and how far the order goes.
    """
    reason = order_of_labels(data, label, time)
    if reason:
        raise DataError(
            f"dataset.roles.time: {reason}: whoever counts earlier rows knows the label; order them by something else, or name"
            f" '{time}' in dataset.trust where they happened in this order."
        )


def order_of_labels(data: pl.DataFrame, label: str, time: str) -> str:
    """Return how far rows of one instant stand in the order of their labels, empty where they do not."""
    known = data.select(pl.col(time).alias("time"), pl.col(label).cast(pl.Float64, strict=False).alias("label")).filter(
        pl.col("label").is_in([0.0, 1.0])
    )
    bad = pl.col("label") == 1
    own = known.with_columns(place=pl.int_range(pl.len()).over("time"), bad=bad)
    groups = (
        own.group_by("time")
        .agg(
            bad=pl.col("bad").sum(),
            good=(~pl.col("bad")).sum(),
            places=pl.col("place").filter(pl.col("bad")).sum(),
        )
        .filter((pl.col("bad") > 0) & (pl.col("good") > 0))
        .cast({"bad": pl.Float64, "good": pl.Float64, "places": pl.Float64})
    )
    if min(groups["bad"].sum(), groups["good"].sum()) < LEAST:
        return ""
    behind = groups["places"] - groups["bad"] * (groups["bad"] - 1) / 2
    share = float(behind.sum()) / float((groups["bad"] * groups["good"]).sum())
    if MOST_IN_ORDER > share > 1 - MOST_IN_ORDER:
        return ""
    first = "first" if share < 0.5 else "last"
    return (
        f"rows of one '{time}' stand in the order of '{label}', those of label 1 {first} ({max(share, 1 - share):.1%} of pairs)"
    )


def leaking_inputs(data: pl.DataFrame, label: str, columns: Iterable[str], most: float = MOST) -> Iterator[tuple[str, str]]:
    """Yield each input that alone gives the label away, and how.

    Its average precision, of its values rising or falling or of the mean label that other rows of the same value have, lies
    over .95 (and where the label is common, as far above chance); or it is null exactly where the label is 0, or 1.

    Args:
        data: The table.
        label: The column of labels; what is no 0 or 1 is left to others to refuse.
        columns: The inputs to look at.
        most: The share of the way from chance to a perfect order that one may go.
    """
    kind = data.schema[label]
    known = data.filter(pl.col(label).is_not_null())
    if not (kind.is_numeric() or kind == pl.Boolean) or not known[label].cast(pl.Float64).is_in([0.0, 1.0]).all():
        return
    truth = known[label].cast(pl.Float64).to_numpy()
    if min(truth.sum(), (1 - truth).sum()) < LEAST:
        return
    half = stream(0, "giveaways").permutation(len(truth)) % 2
    for name in columns:
        leak = _leak(known[name], truth, half, label, most)
        if leak:
            yield name, leak


def naming_inputs(data: pl.DataFrame, columns: Iterable[str]) -> Iterator[tuple[str, float]]:
    """Yield each input that names rows, and its share of different values: texts and whole numbers alone can."""
    for name in columns:
        known = data[name].drop_nulls()
        kind = known.dtype
        if len(known) >= FEWEST and (kind.is_integer() or kind in (pl.String, pl.Categorical)):
            share = known.n_unique() / len(known)
            if share >= UNIQUE:
                yield name, share


def _leak(values: pl.Series, truth: np.ndarray, half: np.ndarray, label: str, most: float) -> str:
    """Return what of a column gives the label away, empty where nothing does."""
    missing = values.is_null().to_numpy()
    for side in (0, 1):
        if np.array_equal(missing, truth == side):
            return f"it is null exactly where '{label}' is {side}"
    scores = {"of the mean label of its values": _means(values, truth, half)}
    if values.dtype.is_numeric() or values.dtype.is_temporal() or values.dtype == pl.Boolean:
        numbers = values.to_physical().cast(pl.Float64).fill_nan(None)
        scores |= {"of its values": _filled(numbers), "of its falling values": _filled(-numbers)}
    for what, score in scores.items():
        precision = average_precision(truth, score)
        if precision - truth.mean() > most * (1 - truth.mean()):
            return f"average precision {precision:.3f} {what}"
    return ""


def _filled(numbers: pl.Series) -> np.ndarray:
    """Return the numbers with missing ones below all others."""
    return numbers.fill_null(-np.inf).to_numpy()


def _means(values: pl.Series, truth: np.ndarray, half: np.ndarray) -> np.ndarray:
    """Return the mean label of rows of the same value in the other half, that of all rows where there are none."""
    if values.dtype.is_nested():
        return np.zeros(len(truth))
    rows = pl.DataFrame({"value": values, "half": half, "label": truth})
    means = rows.group_by("value", (1 - pl.col("half")).alias("half")).agg(pl.col("label").mean().alias("mean"))
    joined = rows.join(means, on=["value", "half"], how="left", maintain_order="left", nulls_equal=True)
    return joined["mean"].fill_null(float(truth.mean())).to_numpy()
