"""The result of a bandit simulation in a few sentences: money lost, against whom, and who loses more than uniform play."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from hwds.results.formatting import brief, percent, percent_quoted, quoted
from hwds.results.tables import TRUTH, Tables

ENOUGH = 20
"""The fewest replications for which the worst 5 % are reported."""


@dataclass(frozen=True, slots=True)
class Loss:
    """The loss of a policy by the end.

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
    """Return what the experiment's own policy lost, beside its rivals.

    Args:
        tables: Of one run.
        model: The label of the experiment's own policy.
        unit: What is lost.
        against: What the loss is counted from (`the best arm of each moment`).
    """
    losses = {label: each for label in _labels(tables) if (each := _loss_of(tables, label)) is not None}
    loss = losses.get(model)
    if loss is None:
        return "Nothing was scored."
    of = _value(tables, TRUTH, "oracle_reward")
    share = f", {percent(loss.share, None)} of {brief(of, None, unit)}" if of and loss.share is not None else ""
    loses, ends = quoted(loss.mean, loss.low, loss.high, unit)
    text = f"{model} loses {loses}{ends} to {against}{share}{_late(tables, model, unit)}; {_against_uniform(loss)}"
    rest = _rivals(tables, loss, list(losses.values()), unit) + _traps(losses, model) + _lotteries(tables, losses, unit)
    return f"{text}{_tail(loss, _replications(tables, model), unit)}.{rest}"


def _against_uniform(loss: Loss) -> str:
    if loss.skill is None:
        return "uniform play loses nothing here"
    value, low, high = loss.skill
    if low is not None and high is not None and low <= 0 <= high:
        return "no difference from uniform play is shown"
    turned = (value, low, high) if value > 0 or low is None or high is None else (-value, -high, -low)
    size, ends = percent_quoted(*turned)
    return f"this is {size}{ends} {'less' if value > 0 else 'more'} than uniform play is expected to lose"


def _late(tables: Tables, model: str, unit: str) -> str:
    """Return what of the loss is that of outcomes that come late, by the same customers without a delay."""
    row = _row(tables, model, "delay_regret", "mean")
    if row is None or row["value"] is None:
        return ""
    size, ends = quoted(row["value"], row["ci_low"], row["ci_high"], unit)
    return f", of which {size}{ends} is the delay's"


def _tail(loss: Loss, many: int, unit: str) -> str:
    if loss.worst is None or many < ENOUGH:
        return ""
    return f"; in the worst 5 % of {many:,} replications it loses {brief(loss.worst, None, unit)} on average"


def _rivals(tables: Tables, loss: Loss, losses: list[Loss], unit: str) -> str:
    """Return the rival that loses least, by the paired difference."""
    rivals = [rival for rival in losses if rival.model != loss.model]
    if not rivals:
        return ""
    best = min(rivals, key=lambda rival: rival.mean)
    paired = tables.scores.filter(
        (pl.col("metric") == "difference") & (pl.col("model") == loss.model) & (pl.col("segment") == best.model)
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


def _traps(losses: dict[str, Loss], model: str) -> str:
    worse = [loss.model for loss in losses.values() if loss.skill and loss.skill[2] is not None and loss.skill[2] < 0]
    worse = [label for label in worse if label != model and not label.endswith("uniform_play")]
    return f" {' and '.join(worse)} {'loses' if len(worse) == 1 else 'lose'} more than uniform play." if worse else ""


def _lotteries(tables: Tables, losses: dict[str, Loss], unit: str) -> str:
    """Return the policies that are better than uniform play on average, and worse in their worst replications."""
    uniform = _value(tables, TRUTH, "uniform_regret")
    lotteries = [
        loss
        for label, loss in losses.items()
        if uniform and loss.worst_low and loss.mean < uniform < loss.worst_low and not label.endswith("uniform_play")
    ]
    if not lotteries:
        return ""
    names = " and ".join(f"{loss.model} ({brief(loss.worst or 0.0, None, unit)})" for loss in lotteries)
    many = "its" if len(lotteries) == 1 else "their"
    return f" Better on average, {names} lost more than uniform play in {many} worst 5 % of replications."


def _labels(tables: Tables) -> list[str]:
    return [label for label in tables.scores["model"].unique(maintain_order=True) if label != TRUTH]


def _loss_of(tables: Tables, label: str) -> Loss | None:
    row = _row(tables, label, "pseudo_regret", "mean")
    if row is None or row["value"] is None:
        return None
    worst, skill = _row(tables, label, "pseudo_regret", "cvar95"), _row(tables, label, "skill_pseudo_regret", "mean")
    skill_ends = None if skill is None or skill["value"] is None else (skill["value"], skill["ci_low"], skill["ci_high"])
    share = _value(tables, label, "regret_share")
    tail = (worst["value"], worst["ci_low"]) if worst else (None, None)
    return Loss(label, row["value"], row["ci_low"], row["ci_high"], *tail, share, skill_ends)


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
