"""The verdict on a review queue, as plain values and tables of cases."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal

import polars as pl

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
