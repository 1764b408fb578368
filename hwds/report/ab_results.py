"""What the scores table says of a test, picked out for pictures and words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, get_args

import polars as pl

from hwds.metrics.ab_checks import Correction
from hwds.protocols.ab_measures import FAMILY
from hwds.results.tables import TRUTH, Tables


@dataclass(frozen=True, slots=True)
class Effect:
    """One effect at the end of a test.

    Attributes:
        model, arm, rule: Whose, and how its interval was made (None for the truth).
        outcome: Empty for the first.
        value, low, high, p_value: None where it is not shown.
        status: Of the score.
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

    @property
    def sure(self) -> bool:
        """Whether its interval, which no correction knows of, excludes zero."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


def final_scores(tables: Tables) -> pl.DataFrame:
    """The scores over all folds: every test has but one."""
    return tables.scores.filter(pl.col("fold").is_null())


def effects(tables: Tables) -> list[Effect]:
    """All effects of all units, by outcome, model, arm and rule as they stand in the table."""
    rows = final_scores(tables).filter(pl.col("metric").str.contains("effect") & pl.col("step").is_null())
    named = [(*_split(row["metric"]), row) for row in rows.to_dicts()]
    return [_effect(outcome, row) for metric, outcome, row in named if metric in ("effect", "posterior_effect")]


def adjusted_p(tables: Tables) -> dict[tuple[str, str, str | None, str], float]:
    """The corrected p-values by model, arm, rule and outcome."""
    rows = final_scores(tables).filter(pl.col("metric").str.starts_with("adjusted_p[") & pl.col("value").is_not_null())
    found = {}
    for row in rows.to_dicts():
        outcome = row["metric"].partition("[")[2].rstrip("]").partition(", ")[2]
        found[row["model"], row["segment"], row["ci_method"], outcome] = row["value"]
    return found


def corrected(tables: Tables, effect: Effect) -> float | None:
    """The corrected p-value of an effect; None where it is the only one, or has none."""
    family = {key: p for key, p in adjusted_p(tables).items() if (key[0], key[2]) == (effect.model, effect.rule)}
    return family.get((effect.model, effect.arm, effect.rule, effect.outcome)) if len(family) > 1 else None


def correction_of(tables: Tables) -> str:
    """How p-values were corrected: `holm`, `bh`, or empty."""
    names = final_scores(tables).filter(pl.col("metric").str.starts_with("adjusted_p["))["metric"]
    return names[0].removeprefix("adjusted_p[").rstrip("]").partition(", ")[0] if len(names) else ""


def guardrail_rows(tables: Tables, model: str) -> list[tuple[str, str, float]]:
    """The guardrails of a model by the rule that it decides by: arm, outcome, and how far the harm stays from the margin."""
    rows = final_scores(tables).filter(
        (pl.col("metric").str.split("[").list.first() == "guardrail") & (pl.col("model") == model) & pl.col("step").is_null()
    )
    first = rows["ci_method"].drop_nulls()
    own = rows.filter(pl.col("ci_method") == first[0]) if len(first) else rows
    return [
        (row["segment"], row["metric"].partition("[")[2].rstrip("]"), row["value"])
        for row in own.drop_nulls("value").to_dicts()
    ]


def rate_rows(tables: Tables, metric: str) -> pl.DataFrame:
    """Simulated rates: `model, ci_method, step` (the number of looks) `, value, stderr, n`."""
    rows = final_scores(tables).filter((pl.col("metric") == metric) & pl.col("step").is_not_null())
    return rows.select("model", "ci_method", "step", "value", "stderr", "n")


def family_rows(tables: Tables) -> dict[str, pl.DataFrame]:
    """The simulated rates of false winners among all arms, by correction; none where there is one arm beside the control."""
    found = {how: rate_rows(tables, f"{FAMILY}[{how}]") for how in get_args(Correction)}
    posterior = pl.col("ci_method") == "bayes"  # it has no p-values, so that nothing of it is corrected
    kept = {how: rows if how == "none" else rows.filter(~posterior) for how, rows in found.items()}
    return {how: rows for how, rows in kept.items() if len(rows)}


def arms_of(tables: Tables) -> int:
    """How many arms are held against the control."""
    return len({effect.arm for effect in effects(tables)})


def ratio_row(tables: Tables) -> dict[str, Any]:
    """The sample-ratio check, empty where there is none."""
    rows = final_scores(tables).filter(pl.col("metric").str.starts_with("sample_ratio"))
    return rows.row(0, named=True) if len(rows) else {}


def outcomes(found: list[Effect]) -> list[str]:
    """Their outcomes, the first one first."""
    return list(dict.fromkeys(effect.outcome for effect in found))


def called(tables: Tables, outcome: str) -> str:
    """What an outcome is called: the first one by its column."""
    return outcome or tables.measure("effect").subject or "the outcome"


def unit_of(tables: Tables, outcome: str) -> str:
    """What an outcome is counted in: a currency, or nothing."""
    return tables.measure(f"effect[{outcome}]" if outcome else "effect").measured_in


def decisive(tables: Tables) -> list[Effect]:
    """The effects by the rule that each model decides by, its first; the truth's last."""
    found = [effect for effect in effects(tables) if effect.model != TRUTH or effect.value is not None]
    rules: dict[str, str | None] = {}
    for effect in found:
        rules.setdefault(effect.model, effect.rule)
    return [effect for effect in found if effect.rule == rules[effect.model]]


def control_means(tables: Tables) -> dict[str, float]:
    """The control's mean of each outcome: the first arm of the first model that says it."""
    rows = final_scores(tables).filter(pl.col("metric").str.split("[").list.first() == "arm_mean")
    rows = rows.filter(pl.col("step").is_null() & pl.col("value").is_not_null() & (pl.col("model") != TRUTH))
    found: dict[str, float] = {}
    for row in rows.to_dicts():
        found.setdefault(_split(row["metric"])[1], row["value"])
    return found


def probabilities_better(tables: Tables) -> dict[tuple[str, str, str], float]:
    """The posterior probability that an arm beats the control, by model, arm and outcome."""
    rows = final_scores(tables).filter(pl.col("metric").str.split("[").list.first() == "probability_better")
    rows = rows.filter(pl.col("step").is_null() & pl.col("value").is_not_null())
    return {(row["model"], row["segment"], _split(row["metric"])[1]): row["value"] for row in rows.to_dicts()}


def true_effects(found: list[Effect]) -> dict[tuple[str, str], float]:
    """The simulator's own effects by outcome and arm."""
    return {(e.outcome, e.arm): e.value for e in found if e.model == TRUTH and e.value is not None}


def _split(metric: str) -> tuple[str, str]:
    """`effect[revenue]` as `effect` and `revenue`."""
    name, _, outcome = metric.partition("[")
    return name, outcome.rstrip("]")


def _effect(outcome: str, row: dict[str, Any]) -> Effect:
    return Effect(
        row["model"],
        row["segment"],
        row["ci_method"],
        outcome,
        value=row["value"],
        low=row["ci_low"],
        high=row["ci_high"],
        p_value=row["p_value"],
        status=row["status"],
    )
