"""What a bandit simulation shows, in a few sentences: money lost, against whom, and who loses more than uniform play."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from hwds.results.tables import TRUTH, Tables
from hwds.results.wording import brief, percent, percent_quoted, quoted

ENOUGH = 20
"""Replications from which the worst 5 % of them are told."""


@dataclass(frozen=True, slots=True)
class Lost:
    """What a policy lost by the end.

    Attributes:
        model: Its label.
        mean, low, high: Over replications, in currency, with its interval.
        worst: The mean of the worst 5 % of the replications.
        worst_low: The lower end of its interval.
        share: Of what the best arms earn.
        skill: 1 - mean / what uniform play loses, with its interval.
    """

    model: str
    mean: float
    low: float | None
    high: float | None
    worst: float | None
    worst_low: float | None
    share: float | None
    skill: tuple[float, float | None, float | None] | None


def conclusion(tables: Tables, model: str, unit: str, against: str) -> str:
    """What the experiment's own policy lost, beside its rivals.

    Args:
        tables: Of one run.
        model: The label of the experiment's own policy.
        unit: What is lost.
        against: What the loss is counted from (`the best arm of each moment`).
    """
    found = {label: lost for label in _labels(tables) if (lost := _lost(tables, label)) is not None}
    own = found.get(model)
    if own is None:
        return "Nothing was scored."
    of = _value(tables, TRUTH, "oracle_reward")
    share = f", {percent(own.share, None)} of {brief(of, None, unit)}" if of and own.share is not None else ""
    loses, ends = quoted(own.mean, own.low, own.high, unit)
    said = f"{model} loses {loses}{ends} to {against}{share}; {_against_uniform(own)}"
    beside = _rivals(tables, own, list(found.values()), unit) + _traps(found, model) + _lotteries(tables, found, unit)
    return f"{said}{_tail(own, _replications(tables, model), unit)}.{beside}"


def _against_uniform(own: Lost) -> str:
    if own.skill is None:
        return "uniform play loses nothing here"
    value, low, high = own.skill
    if low is not None and high is not None and low <= 0 <= high:
        return "no difference from uniform play is shown"
    turned = (value, low, high) if value > 0 or low is None or high is None else (-value, -high, -low)
    size, ends = percent_quoted(*turned)
    return f"this is {size}{ends} {'less' if value > 0 else 'more'} than uniform play is expected to lose"


def _tail(own: Lost, many: int, unit: str) -> str:
    if own.worst is None or many < ENOUGH:
        return ""
    return f"; in the worst 5 % of {many:,} replications it loses {brief(own.worst, None, unit)} on average"


def _rivals(tables: Tables, own: Lost, found: list[Lost], unit: str) -> str:
    """The rival that loses least, by the paired difference."""
    rivals = [lost for lost in found if lost.model != own.model]
    if not rivals:
        return ""
    best = min(rivals, key=lambda lost: lost.mean)
    paired = tables.scores.filter(
        (pl.col("metric") == "difference") & (pl.col("model") == own.model) & (pl.col("segment") == best.model)
        & pl.col("step").is_null()
    )  # fmt: skip
    if paired.is_empty() or paired["ci_low"][0] is None:
        return ""
    row = paired.row(0, named=True)
    turn = -1 if row["value"] < 0 else 1
    low, high = sorted((turn * row["ci_low"], turn * row["ci_high"]))
    size, ends = quoted(turn * row["value"], low, high, unit)
    if row["ci_low"] <= 0 <= row["ci_high"]:
        return f" No difference from {best.model}, the rival that loses least, is shown."
    side = "less" if row["value"] < 0 else "more"
    return f" It loses {size}{ends} {side} than {best.model}, the rival that loses least, with the same customers."


def _traps(found: dict[str, Lost], model: str) -> str:
    worse = [lost.model for lost in found.values() if lost.skill and lost.skill[2] is not None and lost.skill[2] < 0]
    worse = [label for label in worse if label != model and not label.endswith("uniform_play")]
    return f" {' and '.join(worse)} {'loses' if len(worse) == 1 else 'lose'} more than uniform play." if worse else ""


def _lotteries(tables: Tables, found: dict[str, Lost], unit: str) -> str:
    """Policies that are better than uniform play on average, and worse in their worst replications."""
    uniform = _value(tables, TRUTH, "uniform_regret")
    luck = [
        lost
        for label, lost in found.items()
        if uniform and lost.worst_low and lost.mean < uniform < lost.worst_low and not label.endswith("uniform_play")
    ]
    if not luck:
        return ""
    told = " and ".join(f"{lost.model} ({brief(lost.worst or 0.0, None, unit)})" for lost in luck)
    many = "its" if len(luck) == 1 else "their"
    return f" Better on average, {told} lost more than uniform play in {many} worst 5 % of replications."


def _labels(tables: Tables) -> list[str]:
    return [label for label in tables.scores["model"].unique(maintain_order=True) if label != TRUTH]


def _lost(tables: Tables, label: str) -> Lost | None:
    row = _row(tables, label, "pseudo_regret", "mean")
    if row is None or row["value"] is None:
        return None
    worst, skill = _row(tables, label, "pseudo_regret", "cvar95"), _row(tables, label, "skill_pseudo_regret", "mean")
    held = None if skill is None or skill["value"] is None else (skill["value"], skill["ci_low"], skill["ci_high"])
    share = _value(tables, label, "regret_share")
    tail = (worst["value"], worst["ci_low"]) if worst else (None, None)
    return Lost(label, row["value"], row["ci_low"], row["ci_high"], *tail, share, held)


def _row(tables: Tables, label: str, metric: str, aggregate: str) -> dict[str, float | None] | None:
    rows = tables.scores.filter(
        (pl.col("model") == label) & (pl.col("metric") == metric) & (pl.col("aggregate") == aggregate)
        & pl.col("fold").is_null() & pl.col("step").is_null() & pl.col("segment").is_null()
    )  # fmt: skip
    return rows.row(0, named=True) if len(rows) else None


def _value(tables: Tables, label: str, metric: str) -> float | None:
    row = _row(tables, label, metric, "mean")
    return row["value"] if row else None


def _replications(tables: Tables, model: str) -> int:
    row = _row(tables, model, "pseudo_regret", "mean")
    return int(row["n"] or 0) if row else 0
