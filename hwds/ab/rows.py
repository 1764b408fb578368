"""The rows of a test: metrics as a team counts them, a line for each number, and measures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

import numpy as np
import polars as pl
from numpy import ndarray
from polars import DataFrame, col
from pydantic import BeforeValidator, model_validator

from hwds.ab.intervals import Correction, adjust_p_values
from hwds.ab.sample import EFFECT_NAMES, Finding
from hwds.core.recipe import Level, Positive, Recipe
from hwds.evaluation.protocol import Score
from hwds.results.tables import Better, Measure

# TestMetric: an outcome as a team counts it, its role in the verdict, and its value in each
# unit.

Role = Literal["primary", "secondary", "guardrail"]

ROLES: tuple[Role, ...] = ("primary", "secondary", "guardrail")
"""The roles; a run's table has the place of a metric's role in it, counted from 1."""

ROWS_OF_UNIT = "rows"
"""The number of events of a unit, where rows are events."""


class TestMetric(Recipe):
    """A metric of a test; a word alone is its role.

    Attributes:
        role: The part that the metric has in the verdict. `primary` ones decide, `secondary` ones
            are corrected among themselves and decide nothing, a `guardrail` must be no worse than
            its margin allows.
        outcome: The outcome that the metric is made of, `revenue` and `margin` among them; null
            takes the metric's own name.
        per: The column under the outcome, which makes the metric a ratio of sums such as revenue
            per session; `rows` is the number of a unit's events.
        quantile: The share of units below the value that is compared; null compares means.
        of_nonzero: Whether a quantile is that of the outcomes that are not zero: of baskets rather
            than of visitors.
        good: The side that is better.
        margin: The most that a guardrail may be worse, as a share of the control's.

    Example:
        protocol.metrics={revenue: primary, refunds: {role: guardrail, good: low, margin: .02}}
    """

    __test__ = False

    role: Role = "secondary"
    outcome: str | None = None
    per: str | None = None
    quantile: Level | None = None
    of_nonzero: bool = False
    good: Literal["high", "low"] = "high"
    margin: Positive | None = None

    @model_validator(mode="after")
    def fits(self) -> TestMetric:
        """Refuse a margin without its guardrail, and a guardrail without its margin.

        And a quantile of a ratio.
        """
        if (self.role == "guardrail") != (self.margin is not None):
            raise ValueError("must have a margin if its role is guardrail, and only then")
        if self.per is not None and self.quantile is not None:
            raise ValueError("must have one of per and quantile")
        if self.of_nonzero and self.quantile is None:
            raise ValueError("must have a quantile if of_nonzero is true")
        return self

    @property
    def derived(self) -> bool:
        """True where it is no plain mean of an outcome."""
        return self.per is not None or self.quantile is not None

    def values(self, outcome: ndarray, below: ndarray | None) -> ndarray:
        """Return the value of each unit of one arm, shape (n,): their mean is what is compared.

        Args:
            outcome: Of each unit.
            below: What a ratio has under it; None for others.
        """
        if below is not None:
            return ratio_values(outcome, below)
        if self.quantile is None:
            return outcome
        return quantile_values(outcome, self.quantile, of_nonzero=self.of_nonzero)


def _by_role(value: Any) -> Any:
    """Return the mapping of a metric that is written as its role alone."""
    if not isinstance(value, Mapping):
        return value
    return {
        name: {"role": metric} if isinstance(metric, str) else metric
        for name, metric in value.items()
    }


TestMetrics = Annotated[dict[str, TestMetric], BeforeValidator(_by_role)]
"""Metrics by name."""


def ratio_values(above: ndarray, below: ndarray) -> ndarray:
    """Return values whose mean is a ratio of sums and whose variance over n is that of the ratio by
    the delta method.

    A unit's value is r + (y - r x) / mean(x): Deng, Knoblich and Lu, Applying the delta method in
    metric analytics (KDD 2018).

    Args:
        above: The numbers that are summed above, shape (n,).
        below: The numbers that are summed below, shape (n,); NaN is returned where it sums to 0.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = above.sum() / below.sum()
        return ratio + (above - ratio * below) / below.mean()


def quantile_values(values: ndarray, share: float, *, of_nonzero: bool = False) -> ndarray:
    """Return values whose mean is a quantile and whose variance over n is that of the quantile.

    A unit's value is the quantile plus its influence on it, whose scale is that of the order
    statistics which bracket the quantile with 95 % (Deng, Knoblich and Lu 2018, section 4; Woodruff
    1952), so that no density is estimated; of positive ones in logs, for amounts have long tails.
    Constant where these are equal, as in a crowd of zeros: then nothing is known of the error.

    Args:
        values: The values of the units, shape (n,).
        share: The share of the units below the quantile.
        of_nonzero: Whether the units are those whose value is not zero; the others have no
            influence.
    """
    counted = values != 0 if of_nonzero else np.ones(len(values), bool)
    ranked = np.sort(values[counted])
    n = len(ranked)
    if n < 2:
        return np.full(len(values), ranked[0] if n else np.nan)
    quantile = _ranked_at(ranked, share)
    half = 1.959964 * np.sqrt(share * (1 - share) / n)
    low, high = (
        _ranked_at(ranked, min(max(end, 0.0), 1.0)) for end in (share - half, share + half)
    )
    stderr = (quantile * np.log(high / low) if low > 0 else high - low) / (2 * 1.959964)
    influence = np.where(counted, share - (values <= quantile), 0.0)
    influence -= influence.mean()
    spread = np.sqrt(np.sum(influence**2) / (len(values) - 1) / len(values))
    return quantile + influence * (stderr / spread if spread > 0 else 0.0)


def _ranked_at(ranked: ndarray, share: float) -> float:
    """Return the quantile of sorted values, linear between them."""
    return float(np.interp(share * (len(ranked) - 1), np.arange(len(ranked)), ranked))


# The rows of a test: a line for each number, with all that scoring needs; they are the
# predictions of the run.

GUARDRAIL_PLACE = float(1 + ROLES.index("guardrail"))
"""The place of guardrails among the roles of metrics."""

ROW_COLUMNS = {
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
class AnalysisRow:
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

    @property
    def name(self) -> str:
        """The metric without its outcome."""
        return split_metric(self.metric)[0]

    @property
    def outcome(self) -> str:
        """The outcome of the metric, empty for the first."""
        return split_metric(self.metric)[1]

    @classmethod
    def of(cls, finding: Finding, label: str, *, n: int, status: str = "ok") -> AnalysisRow:
        """Return the row of a finding about an outcome."""
        numbers = {
            name: getattr(finding, name)
            for name in ("arm", "rule", "value", "stderr", "low", "high", "p_value")
        }
        return cls(outcome_metric(finding.metric, label), **numbers, n=n, status=status)

    def hidden(self, status: str) -> AnalysisRow:
        """Return the row without its numbers."""
        place = (self.metric, self.arm, self.rule, self.look, self.time)
        return AnalysisRow(*place, n=self.n, n_fallback=self.n_fallback, status=status)


def outcome_metric(metric: str, label: str) -> str:
    """Return the metric of an outcome: `effect[revenue]`; `effect` alone for the first one."""
    return f"{metric}[{label}]" if label else metric


def split_metric(metric: str) -> tuple[str, str]:
    """Return the name and the outcome of a metric: `effect` and `revenue` of `effect[revenue]`."""
    name, _, label = metric.partition("[")
    return name, label.removesuffix("]")


def rows_as_table(rows: Sequence[AnalysisRow]) -> DataFrame:
    """Return the rows as a table."""
    return DataFrame([asdict(row) for row in rows], schema=ROW_COLUMNS)


def rows_as_scores(rows: DataFrame, correction: Correction) -> list[Score]:
    """Return a score for each row, and p-values corrected for the number of arms and outcomes that
    were compared.
    """
    table = [AnalysisRow(**row) for row in rows.select(*ROW_COLUMNS).to_dicts()]
    return [
        Score(
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
        for row in [*table, *_correct_rows(table, correction)]
    ]


def _correct_rows(rows: Sequence[AnalysisRow], correction: Correction) -> list[AnalysisRow]:
    """Return for each rule the p-values of all final effects, those of metrics of one role adjusted
    together.
    """
    if correction == "none":
        return []
    roles = {row.outcome: row.value for row in rows if row.name == "metric_role"}
    families: dict[tuple[str | None, float | None], list[AnalysisRow]] = {}
    for row in rows:
        if row.name == "effect" and row.look is None and row.p_value is not None:
            families.setdefault((row.rule, roles.get(row.outcome)), []).append(row)
    corrected = []
    for (_, role), family in families.items():
        if role == GUARDRAIL_PLACE:  # all of them must hold, so that none is a chance to ship
            continue
        values = adjust_p_values([row.p_value or 0.0 for row in family], correction)
        for row, value in zip(family, values, strict=True):
            name = f"adjusted_p[{correction}{f', {row.outcome}' if row.outcome else ''}]"
            corrected.append(
                AnalysisRow(name, row.arm, row.rule, value=value, n=row.n, status=row.status)
            )
    return corrected


def arm_counts(predictions: DataFrame, model: str) -> DataFrame:
    """Return a bandit's prior from a test: `arm, successes, failures` of the first outcome, where
    it is 0 or 1.
    """
    own = col("model") == model
    counted = predictions.filter(own & col("look").is_null(), metric="arm_mean")
    return counted.drop_nulls("successes").select("arm", "successes", "failures")


# The measures of a test.

ARM_MEANINGS = {
    "arm_mean": "mean of the outcome over the units of an arm",
    "effect": "mean of an arm less that of the control",
    "lift": "mean of an arm over that of the control, less 1",
    "posterior_lift": "posterior mean of an arm's mean over the control's, less 1, with the "
    "credible interval of the ratio",
    "effect_by_day": "mean of an arm less that of the control, of all units until the end of a day",
    "lift_by_day": "mean of an arm over that of the control, less 1, of all units until the end "
    "of a day",
    "posterior_effect": "posterior mean of an arm's mean less the control's, with its credible "
    "interval",
    "effect_of_buyers": "part of the effect on revenue that comes from more or fewer buyers",
    "effect_of_order_value": "part of the effect on revenue that comes from what an order is worth",
    "probability_better": "posterior probability that an arm's mean is above the control's",
    "probability_best": "posterior probability that an arm's mean is the highest",
    "expected_loss": "what is lost on average by choosing an arm that is not the best",
    "guardrail": "end of the lift's interval on the side of harm, counted from the margin; above "
    "0 no worse than allowed",
    "metric_role": "1 for a primary metric, 2 for a secondary one, 3 for a guardrail",
    "segment_effect": "mean of an arm less that of the control in one segment, p-value corrected "
    "for arms and segments",
    "segment_lift": "mean of an arm over that of the control, less 1, in one segment",
    "segment_spread": "Cochran's Q of an arm's effects over the segments of a column",
    "diluted_effect": "effect on exposed units times their share of all units",
    "effect_by_age": "mean of an arm less that of the control, in the day so long after a unit's "
    "first event",
    "novelty": "effect on the later half of the days since first exposure less that on the first "
    "half",
    "units_for_minimum_detectable_effect": "units per arm at which the planned change of "
    "conversion is found in this outcome",
    "units_for_effect_seen": "units per arm at which an effect as large as the one seen is found",
}
"""The meaning of each number of an arm; none of them is good or bad by itself."""

WITHOUT_UNIT = (
    *("lift", "lift_by_day", "posterior_lift", "probability_better", "probability_best"),
    *("units_for_minimum_detectable_effect", "units_for_effect_seen"),
    *("guardrail", "metric_role", "segment_lift", "segment_spread"),
)
"""The metrics that are not in the unit of the outcome."""

FAMILY_RATE = "family_false_positive_rate"
"""The rate of false winners among all arms of a test that has several."""

RATE_MEANINGS: tuple[tuple[str, str, Better], ...] = (
    ("false_positive_rate", "there is no effect", "low"),
    ("power", "the minimum effect is true", "high"),
)


def minimum_name(power: float, label: str) -> str:
    """Return `minimum_effect[power=0.8]`.

    Of another outcome `minimum_effect_revenue[power=0.8]`.
    """
    return f"minimum_effect{f'_{label}' if label else ''}[power={power:g}]"


def rate_name(metric: str, looks: int, correction: str = "") -> str:
    """Return `false_positive_rate[looks=20]`.

    Of all arms `family_false_positive_rate[holm, looks=20]`.
    """
    return f"{metric}[{f'{correction}, ' if correction else ''}looks={looks}]"


def ab_measures(
    outcomes: Mapping[str, tuple[str, str]],
    power: float,
    looks: int,
    correction: Correction,
    confidence: float,
    family: bool,
    good: Mapping[str, Better],
) -> tuple[Measure, ...]:
    """Return all measures of a test.

    Args:
        outcomes: By label, what an outcome is called where its label is empty, and what it is
            counted in.
        power: The power of the minimum effect.
        looks: The number of looks of the rates that stand beside the headline.
        correction: The correction of p-values.
        confidence: The level of the intervals.
        family: Whether there are several arms beside the control.
        good: The better side of each metric, by label.
    """
    least = "least effect that is found with this power at a fixed size, mean over arms"
    measures = [
        Measure(
            minimum_name(power, label),
            meaning=least,
            beside="page" if label else "no",
            subject=subject,
            measured_in=unit,
        )
        for label, (subject, unit) in outcomes.items()
    ]
    measures += [
        Measure(
            outcome_metric(name, label),
            meaning=meaning,
            better=good.get(label, "none") if name in EFFECT_NAMES else "none",
            subject=subject,
            measured_in="" if name in WITHOUT_UNIT else unit,
            confidence=confidence,
        )
        for label, (subject, unit) in outcomes.items()
        for name, meaning in ARM_MEANINGS.items()
    ]
    of_all = {
        "sample_ratio": "chi-square of the arms' units against planned shares",
        f"adjusted_p[{correction}]": "p-value corrected for all arms and outcomes",
    }
    share = (
        "share with a winner by the model's first rule, at any look, of simulated tests of one arm "
        "against the control, where"
    )
    how = "as they are" if correction == "none" else f"corrected by {correction}"
    of_family = (
        f"share with a winner among all arms by the model's first rule, at any look, of simulated "
        f"tests where no arm has an effect: one outcome, p-values {how}, a posterior as it is"
    )
    rates: list[tuple[str, str, Better]] = [
        (rate_name(metric, looks), f"{share} {where}", better)
        for metric, where, better in RATE_MEANINGS
    ]
    if family:
        rates.append((rate_name(FAMILY_RATE, looks, correction), of_family, "low"))
    return (
        *measures,
        *(Measure(name, meaning=meaning, better="none") for name, meaning in of_all.items()),
        *(
            Measure(name, meaning=what, better=better, units="replications", beside="always")
            for name, what, better in rates
        ),
    )
