"""The rows of a test: a line for each number, with all that scoring needs; they are the predictions of the run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import polars as pl

from hwds.ab.metrics.checks import Correction, adjusted
from hwds.ab.metrics.sample import Finding
from hwds.ab.protocols.analysis.metrics import ROLES
from hwds.evaluation.base import Score

GUARDRAIL = float(1 + ROLES.index("guardrail"))
"""The place of guardrails among the roles of metrics."""

ROWS = {
    "metric": pl.String,
    "arm": pl.String,
    "rule": pl.String,
    "look": pl.Int32,
    "time": pl.String,
    "value": pl.Float64,
    "stderr": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "p_value": pl.Float64,
    "n": pl.Int64,
    "n_fallback": pl.Int64,
    "successes": pl.Int64,
    "failures": pl.Int64,
    "status": pl.String,
}
"""The columns of the rows; a null look means all units, a null arm all arms."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line; what is None does not apply.

    Attributes:
        metric: With the outcome where it is not the first (`effect[revenue]`).
        arm, rule, value, stderr, low, high, p_value: As in a finding.
        look: The planned look, counted from 1; None for all units.
        time: When the last of these units came.
        n: Units, of the arm and the control where it compares them.
        n_fallback: Those of them that were answered by something simpler than the model.
        successes, failures: The counts of an arm, by which a bandit's prior takes over from a test.
        status: `ok`, or why the number is not to be relied on, or not shown.
    """

    metric: str
    arm: str | None = None
    rule: str | None = None
    look: int | None = None
    time: str | None = None
    value: float | None = None
    stderr: float | None = None
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    n: int = 0
    n_fallback: int = 0
    successes: int | None = None
    failures: int | None = None
    status: str = "ok"

    @classmethod
    def of(cls, finding: Finding, label: str, *, n: int, status: str = "ok") -> Row:
        """Return the row of a finding about an outcome."""
        numbers = {name: getattr(finding, name) for name in ("arm", "rule", "value", "stderr", "low", "high", "p_value")}
        return cls(metric_of(finding.metric, label), **numbers, n=n, status=status)

    def hidden(self, status: str) -> Row:
        """Return the row without its numbers."""
        return Row(self.metric, self.arm, self.rule, self.look, self.time, n=self.n, n_fallback=self.n_fallback, status=status)


def metric_of(metric: str, label: str) -> str:
    """Return the metric of an outcome: `effect[revenue]`; `effect` alone for the first one."""
    return f"{metric}[{label}]" if label else metric


def parted(metric: str) -> tuple[str, str]:
    """Return the name and the outcome of a metric: `effect` and `revenue` of `effect[revenue]`."""
    name, _, label = metric.partition("[")
    return name, label.removesuffix("]")


def as_table(rows: Sequence[Row]) -> pl.DataFrame:
    """Return the rows as a table."""
    return pl.DataFrame([asdict(row) for row in rows], schema=ROWS)


def as_scores(rows: pl.DataFrame, correction: Correction) -> list[Score]:
    """Return a score for each row, and p-values corrected for the number of arms and outcomes that were compared."""
    table = [Row(**row) for row in rows.select(*ROWS).to_dicts()]
    return [_score(row) for row in [*table, *_corrected(table, correction)]]


def _score(row: Row) -> Score:
    return Score(
        row.metric,
        "mean",
        row.value,
        stderr=row.stderr,
        ci_low=row.low,
        ci_high=row.high,
        ci_method=row.rule,
        p_value=row.p_value,
        n=row.n,
        n_fallback=row.n_fallback,
        cutoff=row.time if row.look else None,
        segment_by="arm" if row.arm is not None else None,
        segment=row.arm,
        step=row.look,
        status=row.status,
    )


def _corrected(rows: Sequence[Row], correction: Correction) -> list[Row]:
    """Return for each rule the p-values of all final effects, those of metrics of one role adjusted together."""
    corrected = []
    roles = {parted(row.metric)[1]: row.value for row in rows if parted(row.metric)[0] == "metric_role"}
    effects = [row for row in rows if parted(row.metric)[0] == "effect" and row.look is None and row.p_value is not None]
    for rule, role in dict.fromkeys((row.rule, roles.get(parted(row.metric)[1])) for row in effects):
        if role == GUARDRAIL:  # all of them must hold, so that none is a chance to ship
            continue
        family = [row for row in effects if (row.rule, roles.get(parted(row.metric)[1])) == (rule, role)]
        values = adjusted([row.p_value or 0.0 for row in family], correction)
        for row, value in zip(family, values, strict=True):
            label = parted(row.metric)[1]
            name = f"adjusted_p[{correction}{f', {label}' if label else ''}]"
            corrected.append(Row(name, row.arm, row.rule, value=value, n=row.n, status=row.status))
    return corrected if correction != "none" else []


def arm_counts(predictions: pl.DataFrame, model: str) -> pl.DataFrame:
    """Return a bandit's prior from a test: `arm, successes, failures` of the first outcome, where it is 0 or 1."""
    own = pl.col("model") == model
    counted = predictions.filter(own & (pl.col("metric") == "arm_mean") & pl.col("look").is_null())
    return counted.drop_nulls("successes").select("arm", "successes", "failures")
