"""The verdict on a review queue: as plain values, as tables of cases, and in words."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal

import polars as pl

from hwds.detection.cases.table import heading
from hwds.results.formatting import brief, counted
from hwds.results.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueVerdict(Verdict):
    """The cases to look into.

    Attributes:
        action: `REVIEW`, or `NONE` where there is no case.
        capacity: The number of cases that can be reviewed.
        unit: Of money.
        cases: One row a case; see `hwds.detection.cases.table.Cases`.
        case_rows: The rows of all cases.
        to_review: The form to fill in: a row of each chosen case, whose `label` is empty.
    """

    action: Literal["REVIEW", "NONE"]
    capacity: int
    unit: str
    cases: pl.DataFrame
    case_rows: pl.DataFrame
    to_review: pl.DataFrame

    def as_dict(self) -> dict[str, Any]:
        """Plain values; the tables are beside them."""
        return {each.name: getattr(self, each.name) for each in fields(self) if each.name not in self.tables()}

    def tables(self) -> dict[str, pl.DataFrame]:
        """Return the cases, their rows and the form."""
        return {"cases": self.cases, "case_rows": self.case_rows, "to_review": self.to_review}


def sentence(cases: pl.DataFrame, listed: pl.DataFrame, unit: str) -> str:
    """Return how many cases are to be reviewed, the first of them and why, and what becomes of the labels.

    Args:
        cases: All of them.
        listed: The cases that are to be reviewed.
        unit: Of money.
    """
    if cases.is_empty():
        return "NONE: no row is left to be reviewed."
    first = cases.row(0, named=True)
    stake = float(cases.filter(pl.col("case").is_in(listed["case"].implode()))["at_stake"].sum())
    money = f"; {brief(stake, None, unit)} are at stake in {'it' if len(listed) == 1 else 'them'}" if stake else ""
    drawn = int((listed["chosen"] == "drawn").sum())
    how = f", {drawn} of them drawn to learn from" if drawn else ""
    if len(cases) == 1:
        which, begin = "the one case", ""
    else:
        which, begin = f"{len(listed)} of {counted(len(cases), 'cases')}", "First "
    alike = " All have the same score: the model sees no difference between them." if _alike(cases) else ""
    return (
        f"REVIEW: {which}{how}{money}.{alike} {begin}{': '.join(filter(None, (heading(first), first['reasons'])))}."
        " Fill in the label (1 or 0) of each row of to_review.csv and give the file back as dataset.reviewed."
    )


def _alike(cases: pl.DataFrame) -> bool:
    return len(cases) > 1 and cases["score"].n_unique() == 1
