"""What a user would want to know of a table of rows before anything is learned from it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from hwds.frames.table import Table
from hwds.protocols.judging import truth_of
from hwds.results.wording import brief, counted, percent


def remarks(table: Table) -> Iterator[str]:
    """How many labels there are; where a simulator knows it, how many rows they should have found, and what those lose."""
    label = _numbers(table, "label")
    known = np.isfinite(label)
    rows = counted(len(label), "rows")
    if not known.all():
        yield f"{percent(float(known.mean()))} of {rows} have a label, {int((label == 1).sum()):,} of them label 1."
    truth = truth_of(table)
    if not truth:
        return
    true = table.data[truth].cast(pl.Float64).to_numpy() == 1
    found = int((label[true] == 1).sum())
    share, count = percent(float(true.mean())), int(true.sum())
    yield f"By the truth {share} of {rows} are of label 1 ({count:,}); {found:,} of those were found out."
    if table.roles.get("amount"):
        stake = np.nan_to_num(_numbers(table, "amount"))
        lost, whole = (brief(float(total), unit=table.unit) for total in (stake[true].sum(), stake.sum()))
        yield f"They have {lost} at stake, of {whole} in all rows."


def _numbers(table: Table, role: str) -> np.ndarray:
    return table.column(role).cast(pl.Float64).to_numpy()
