"""The scores of a test, selected for pictures and sentences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, get_args

from polars import DataFrame, col

from hwds.ab.intervals import Correction
from hwds.ab.rows import FAMILY_RATE, ROLES, Role
from hwds.ab.sample import EFFECT_NAMES
from hwds.results.tables import TRUTH, Tables
from hwds.stats.evidence import Estimates, TaskComparison

Ends = tuple[float, float | None, float | None]
"""A number, and the ends of its interval where they are known."""


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
    lift: Ends | None = None

    @property
    def sure(self) -> bool:
        """True where its uncorrected interval excludes zero."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


def final_scores(tables: Tables, *names: str) -> DataFrame:
    """Return the scores over all folds, for every test has but one, with the `name` of each metric
    and the `outcome` that it is of, empty for the first.

    Args:
        tables: Of one run.
        names: Of the metrics; none for all.
    """
    metric = col("metric")
    scores = tables.scores.filter(col("fold").is_null()).with_columns(
        name=metric.str.extract(r"^([^\[]*)"),
        outcome=metric.str.extract(r"\[(.*)\]$").fill_null(""),
    )
    return scores.filter(col("name").is_in(names)) if names else scores


def whole_scores(tables: Tables, *names: str) -> DataFrame:
    """Return the final scores of all units that have a value, those of looks and days left out."""
    return final_scores(tables, *names).filter(col("step").is_null() & col("value").is_not_null())


def ends_of(row: dict[str, Any] | None) -> Ends | None:
    """Return the value of a score and the ends of its interval; None where it has no value."""
    if row is None or row["value"] is None:
        return None
    return row["value"], row["ci_low"], row["ci_high"]


def final_effects(tables: Tables) -> list[FinalEffect]:
    """Return the effects of all units, by outcome, model, arm and rule in the order of the table.

    Primary metrics lead.
    """
    effects, lifts = (
        final_scores(tables, *names).filter(col("step").is_null()).to_dicts()
        for names in (EFFECT_NAMES, ("lift", "posterior_lift"))
    )
    by_key = {_key(row): ends_of(row) for row in lifts}
    shown = [
        FinalEffect(
            *_key(row),
            row["value"],
            row["ci_low"],
            row["ci_high"],
            row["p_value"],
            row["status"],
            by_key.get(_key(row)),
        )
        for row in effects
    ]
    roles = metric_roles(tables)
    return sorted(
        shown,
        key=lambda effect: ROLES.index(roles[effect.outcome]) if effect.outcome in roles else 0,
    )


def _key(row: dict[str, Any]) -> tuple[str, str, str | None, str]:
    """Return the model, the arm, the rule and the outcome of a score."""
    return row["model"], row["segment"], row["ci_method"], row["outcome"]


def adjusted_p(tables: Tables) -> dict[tuple[str, str, str | None, str], float]:
    """Return the corrected p-values by model, arm, rule and outcome."""
    rows = final_scores(tables, "adjusted_p").drop_nulls("value").to_dicts()
    return {(*_key(row)[:3], row["outcome"].partition(", ")[2]): row["value"] for row in rows}


def corrected_p_value(tables: Tables, effect: FinalEffect) -> float | None:
    """Return the corrected p-value of an effect; None where it is the only one, or has none."""
    family = {
        key: p
        for key, p in adjusted_p(tables).items()
        if (key[0], key[2]) == (effect.model, effect.rule)
    }
    own = family.get((effect.model, effect.arm, effect.rule, effect.outcome))
    return own if len(family) > 1 else None


def is_shown(tables: Tables, effect: FinalEffect) -> bool:
    """Return whether an effect is sure, by its corrected p-value, too, where it has one."""
    p_value = corrected_p_value(tables, effect)
    return effect.sure and (p_value is None or p_value <= 1 - tables.measure("effect").confidence)


def interval_level(tables: Tables) -> str:
    """Return the level of the intervals: `95 %`."""
    return f"{100 * tables.measure('effect').confidence:g} %"


def correction_name(tables: Tables) -> str:
    """Return the correction of the p-values: `holm`, `bh`, or empty."""
    outcomes = final_scores(tables, "adjusted_p")["outcome"]
    return outcomes[0].partition(", ")[0] if len(outcomes) else ""


def metric_roles(tables: Tables) -> dict[str, Role]:
    """Return the roles of metrics by label; empty where outcomes are all alike."""
    places = final_scores(tables, "metric_role").select("outcome", "value")
    return {outcome: ROLES[int(place) - 1] for outcome, place in places.iter_rows()}


def guardrail_rows(tables: Tables, model: str) -> list[tuple[str, str, float, float]]:
    """Return the guardrails of a model by the rule that it decides by: arm, outcome, and the
    distances of the lift's ends.

    Both are counted from the margin, as shares of the control's mean, that of the end on the side
    of harm first.
    """
    rows = final_scores(tables, "guardrail").filter(col("step").is_null(), model=model)
    first = rows["ci_method"].drop_nulls()
    by_rule = rows.filter(ci_method=first[0]) if len(first) else rows
    return list(by_rule.drop_nulls("value").select("segment", "outcome", "value", "ci_high").rows())


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


def rate_rows(tables: Tables, metric: str, outcome: str = "") -> DataFrame:
    """Return simulated rates: `model, ci_method, step` (the number of looks) `, value, stderr,
    n`.
    """
    rows = final_scores(tables, metric).filter(col("step").is_not_null(), outcome=outcome)
    return rows.select("model", "ci_method", "step", "value", "stderr", "n")


def family_rows(tables: Tables) -> dict[str, DataFrame]:
    """Return the simulated rates of false winners among all arms, by correction.

    None for one arm beside the control.
    """
    rates = {how: rate_rows(tables, FAMILY_RATE, how) for how in get_args(Correction)}
    has_p_values = col("ci_method") != "bayes"  # of a posterior nothing is corrected
    corrected = {
        how: rows if how == "none" else rows.filter(has_p_values) for how, rows in rates.items()
    }
    return {how: rows for how, rows in corrected.items() if len(rows)}


def compared_arms(tables: Tables) -> int:
    """Return the number of arms that are compared with the control."""
    return len({effect.arm for effect in final_effects(tables)})


def ratio_row(tables: Tables) -> dict[str, Any]:
    """Return the sample-ratio check, empty where there is none."""
    return next(final_scores(tables, "sample_ratio").iter_rows(named=True), {})


def outcome_labels(effects: list[FinalEffect]) -> list[str]:
    """Return their outcomes, the first one first."""
    return list(dict.fromkeys(effect.outcome for effect in effects))


def outcome_name(tables: Tables, outcome: str) -> str:
    """Return the name of an outcome; the first one has that of its column."""
    return outcome or tables.measure("effect").subject or "the outcome"


def unit_of(tables: Tables, outcome: str) -> str:
    """Return the unit of an outcome: a currency, or nothing."""
    return tables.measure(f"effect[{outcome}]" if outcome else "effect").measured_in


def outcome_title(tables: Tables, outcome: str) -> str:
    """Return the name of an outcome with its unit: `revenue, USD`."""
    return ", ".join(filter(None, (outcome_name(tables, outcome), unit_of(tables, outcome))))


def decisive_effects(tables: Tables) -> list[FinalEffect]:
    """Return the effects by the rule that each model decides by, its first; the truth's last."""
    known = known_effects(tables)
    rules: dict[str, str | None] = {}
    for effect in known:
        rules.setdefault(effect.model, effect.rule)
    return [effect for effect in known if effect.rule == rules[effect.model]]


def known_effects(tables: Tables) -> list[FinalEffect]:
    """Return the effects of all models, and of the truth those that have a value."""
    return [each for each in final_effects(tables) if each.model != TRUTH or each.value is not None]


def control_means(tables: Tables) -> dict[str, float]:
    """Return the control's mean of each outcome, of the first model that says it: the control has
    no effect.
    """
    compared = {effect.arm for effect in final_effects(tables)}
    rows = whole_scores(tables, "arm_mean").filter(
        col("model") != TRUTH, ~col("segment").is_in(compared)
    )
    first = rows.unique("outcome", keep="first", maintain_order=True)
    return dict(first.select("outcome", "value").iter_rows())


def probabilities_better(tables: Tables) -> dict[tuple[str, str, str], float]:
    """Return the posterior probability that an arm beats the control, by model, arm and outcome."""
    rows = whole_scores(tables, "probability_better").to_dicts()
    return {(row["model"], row["segment"], row["outcome"]): row["value"] for row in rows}


def true_effects(effects: list[FinalEffect]) -> dict[tuple[str, str], float]:
    """Return the simulator's own effects by outcome and arm."""
    return {
        (e.outcome, e.arm): e.value for e in effects if e.model == TRUTH and e.value is not None
    }


COMPARISON = TaskComparison(
    evidence=None,
    estimates=Estimates(
        coefficients=("lift", "effect", "posterior_lift", "posterior_effect"),
        fit=("probability_better", "minimum_effect", "arm_mean", "sample_ratio", "power"),
        by="arm",
    ),
    conditions="of the same test",
)
"""The numbers of specifications of a test: its models are no rivals, and are shown together."""
