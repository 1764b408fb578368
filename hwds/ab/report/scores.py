"""The scores of a test, selected for pictures and sentences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, get_args

import polars as pl

from hwds.ab.intervals import Correction
from hwds.ab.rows import FAMILY_RATE, ROLES, Role, split_metric
from hwds.ab.sample import EFFECT_NAMES
from hwds.results.tables import TRUTH, Tables


@dataclass(frozen=True, slots=True)
class FinalEffect:
    """One effect at the end of a test.

    Attributes:
        model, arm, rule: Whose, and how its interval was made (None for the truth).
        outcome: Empty for the first.
        value, low, high, p_value: None where it is not shown.
        status: Of the score.
        lift: The effect as a share of the control's mean, with its ends; None in runs of before,
            and where it has no bounds.
    """

    model: str
    arm: str
    rule: str | None
    outcome: str
    value: float | None
    low: float | None
    high: float | None
    p_value: float | None
    status: str
    lift: tuple[float, float | None, float | None] | None = None

    @property
    def sure(self) -> bool:
        """True where its uncorrected interval excludes zero."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


def final_scores(tables: Tables) -> pl.DataFrame:
    """Return the scores over all folds: every test has but one."""
    return tables.scores.filter(pl.col("fold").is_null())


def final_effects(tables: Tables) -> list[FinalEffect]:
    """Return the effects of all units, by outcome, model, arm and rule in the order of the table.

    Primary metrics lead.
    """
    rows = final_scores(tables).filter(
        pl.col("metric").str.contains("effect|lift") & pl.col("step").is_null()
    )
    by_name = [(*split_metric(row["metric"]), row) for row in rows.to_dicts()]
    lifts = {
        _effect_key(outcome, row): row
        for metric, outcome, row in by_name
        if metric in ("lift", "posterior_lift")
    }
    shown = [
        _effect_of_row(outcome, row, lifts.get(_effect_key(outcome, row)))
        for metric, outcome, row in by_name
        if metric in EFFECT_NAMES
    ]
    roles = metric_roles(tables)
    return sorted(
        shown,
        key=lambda effect: ROLES.index(roles[effect.outcome]) if effect.outcome in roles else 0,
    )


def _effect_key(outcome: str, row: dict[str, Any]) -> tuple[str, str | None, str | None, str]:
    return row["model"], row["segment"], row["ci_method"], outcome


def adjusted_p(tables: Tables) -> dict[tuple[str, str, str | None, str], float]:
    """Return the corrected p-values by model, arm, rule and outcome."""
    rows = final_scores(tables).filter(
        pl.col("metric").str.starts_with("adjusted_p[") & pl.col("value").is_not_null()
    )
    p_values = {}
    for row in rows.to_dicts():
        outcome = split_metric(row["metric"])[1].partition(", ")[2]
        p_values[row["model"], row["segment"], row["ci_method"], outcome] = row["value"]
    return p_values


def corrected_p_value(tables: Tables, effect: FinalEffect) -> float | None:
    """Return the corrected p-value of an effect; None where it is the only one, or has none."""
    family = {
        key: p
        for key, p in adjusted_p(tables).items()
        if (key[0], key[2]) == (effect.model, effect.rule)
    }
    return (
        family.get((effect.model, effect.arm, effect.rule, effect.outcome))
        if len(family) > 1
        else None
    )


def is_shown(tables: Tables, effect: FinalEffect) -> bool:
    """Return whether an effect is sure, by its corrected p-value, too, where it has one."""
    p_value = corrected_p_value(tables, effect)
    return effect.sure and (p_value is None or p_value <= 1 - tables.measure("effect").confidence)


def interval_level(tables: Tables) -> str:
    """Return the level of the intervals: `95 %`."""
    return f"{100 * tables.measure('effect').confidence:g} %"


def correction_name(tables: Tables) -> str:
    """Return the correction of the p-values: `holm`, `bh`, or empty."""
    names = final_scores(tables).filter(pl.col("metric").str.starts_with("adjusted_p["))["metric"]
    return names[0].removeprefix("adjusted_p[").rstrip("]").partition(", ")[0] if len(names) else ""


def metric_roles(tables: Tables) -> dict[str, Role]:
    """Return the roles of metrics by label; empty where outcomes are all alike."""
    rows = final_scores(tables).filter(
        pl.col("metric").str.split("[").list.first() == "metric_role"
    )
    return {
        split_metric(metric)[1]: ROLES[int(place) - 1]
        for metric, place in rows.select("metric", "value").iter_rows()
    }


def guardrail_rows(tables: Tables, model: str) -> list[tuple[str, str, float, float]]:
    """Return the guardrails of a model by the rule that it decides by: arm, outcome, and the
    distances of the lift's ends.

    Both are counted from the margin, as shares of the control's mean, that of the end on the side
    of harm first.
    """
    rows = final_scores(tables).filter(
        (pl.col("metric").str.split("[").list.first() == "guardrail")
        & (pl.col("model") == model)
        & pl.col("step").is_null()
    )
    first = rows["ci_method"].drop_nulls()
    by_rule = rows.filter(pl.col("ci_method") == first[0]) if len(first) else rows
    return [
        (row["segment"], split_metric(row["metric"])[1], row["value"], row["ci_high"])
        for row in by_rule.drop_nulls("value").to_dicts()
    ]


def guardrails_hold(tables: Tables, model: str, arm: str) -> bool:
    """Return whether every guardrail is sure to be within its margin, by the rule that the model
    decides by.
    """
    rails = [label for label, role in metric_roles(tables).items() if role == "guardrail"]
    sure = {
        outcome
        for name, outcome, slack, _ in guardrail_rows(tables, model)
        if name == arm and slack > 0
    }
    return sure.issuperset(rails)


def rate_rows(tables: Tables, metric: str) -> pl.DataFrame:
    """Return simulated rates: `model, ci_method, step` (the number of looks) `, value, stderr,
    n`.
    """
    rows = final_scores(tables).filter((pl.col("metric") == metric) & pl.col("step").is_not_null())
    return rows.select("model", "ci_method", "step", "value", "stderr", "n")


def family_rows(tables: Tables) -> dict[str, pl.DataFrame]:
    """Return the simulated rates of false winners among all arms, by correction.

    None for one arm beside the control.
    """
    by_correction = {
        how: rate_rows(tables, f"{FAMILY_RATE}[{how}]") for how in get_args(Correction)
    }
    posterior = (
        pl.col("ci_method") == "bayes"
    )  # it has no p-values, so that nothing of it is corrected
    corrected_rows = {
        how: rows if how == "none" else rows.filter(~posterior)
        for how, rows in by_correction.items()
    }
    return {how: rows for how, rows in corrected_rows.items() if len(rows)}


def compared_arms(tables: Tables) -> int:
    """Return the number of arms that are compared with the control."""
    return len({effect.arm for effect in final_effects(tables)})


def ratio_row(tables: Tables) -> dict[str, Any]:
    """Return the sample-ratio check, empty where there is none."""
    rows = final_scores(tables).filter(pl.col("metric").str.starts_with("sample_ratio"))
    return rows.row(0, named=True) if len(rows) else {}


def outcome_labels(effect_list: list[FinalEffect]) -> list[str]:
    """Return their outcomes, the first one first."""
    return list(dict.fromkeys(effect.outcome for effect in effect_list))


def outcome_name(tables: Tables, outcome: str) -> str:
    """Return the name of an outcome; the first one has that of its column."""
    return outcome or tables.measure("effect").subject or "the outcome"


def unit_of(tables: Tables, outcome: str) -> str:
    """Return the unit of an outcome: a currency, or nothing."""
    return tables.measure(f"effect[{outcome}]" if outcome else "effect").measured_in


def decisive_effects(tables: Tables) -> list[FinalEffect]:
    """Return the effects by the rule that each model decides by, its first; the truth's last."""
    known_effects = [
        effect
        for effect in final_effects(tables)
        if effect.model != TRUTH or effect.value is not None
    ]
    rules: dict[str, str | None] = {}
    for effect in known_effects:
        rules.setdefault(effect.model, effect.rule)
    return [effect for effect in known_effects if effect.rule == rules[effect.model]]


def control_means(tables: Tables) -> dict[str, float]:
    """Return the control's mean of each outcome, of the first model that says it: the control has
    no effect.
    """
    rows = final_scores(tables).filter(pl.col("metric").str.split("[").list.first() == "arm_mean")
    rows = rows.filter(
        pl.col("step").is_null() & pl.col("value").is_not_null() & (pl.col("model") != TRUTH)
    )
    rows = rows.filter(~pl.col("segment").is_in({effect.arm for effect in final_effects(tables)}))
    means: dict[str, float] = {}
    for row in rows.to_dicts():
        means.setdefault(split_metric(row["metric"])[1], row["value"])
    return means


def probabilities_better(tables: Tables) -> dict[tuple[str, str, str], float]:
    """Return the posterior probability that an arm beats the control, by model, arm and outcome."""
    rows = final_scores(tables).filter(
        pl.col("metric").str.split("[").list.first() == "probability_better"
    )
    rows = rows.filter(pl.col("step").is_null() & pl.col("value").is_not_null())
    return {
        (row["model"], row["segment"], split_metric(row["metric"])[1]): row["value"]
        for row in rows.to_dicts()
    }


def true_effects(effect_list: list[FinalEffect]) -> dict[tuple[str, str], float]:
    """Return the simulator's own effects by outcome and arm."""
    return {
        (e.outcome, e.arm): e.value for e in effect_list if e.model == TRUTH and e.value is not None
    }


def _effect_of_row(outcome: str, row: dict[str, Any], lift: dict[str, Any] | None) -> FinalEffect:
    return FinalEffect(
        row["model"],
        row["segment"],
        row["ci_method"],
        outcome,
        value=row["value"],
        low=row["ci_low"],
        high=row["ci_high"],
        p_value=row["p_value"],
        status=row["status"],
        lift=None
        if lift is None or lift["value"] is None
        else (lift["value"], lift["ci_low"], lift["ci_high"]),
    )
