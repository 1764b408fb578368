"""The conclusion of a comparison: effects with their intervals, sure differences, and rivals that cannot be told apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hwds.results.comparison import Comparison
from hwds.results.formatting import UNBOUNDED, chance, counted, interval

NAMED = 3
"""The most rivals of one kind that a sentence names."""


def sentence(result: Comparison) -> str:
    """Return the subject's result against its rivals: `stack beats theta by 2.1 % (1.2 to 3.0), sure after correction ...`."""
    rows = result.pairs.to_dicts()
    better = [row for row in rows if row["verdict"].startswith("better")][::-1]
    worse = [row for row in rows if row["verdict"].startswith("worse")][::-1]
    parts = [*_beats(result, better, len(rows)), *_loses(result, worse)]
    sure = f", {_sure(result)}" if parts else ""
    alike = [row["rival"] for row in rows if row["verdict"] == "alike"]
    unsure = [row["rival"] for row in rows if row["verdict"] == "unsure"]
    rest = [f"is as good as {_listed(alike)} to within {_margin(result)}"] if alike else []
    rest += [f"cannot be told from {_listed(unsure)}{_why(rows)}"] if unsure else []
    head = f"{result.subject}{', the best here,' if result.chosen == 'best' else ''} "
    return f"{head}{' and '.join(parts)}{sure}{'; ' if parts and rest else ''}{'; '.join(rest)}."


def _why(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the reason why nothing can be told; empty where something could be."""
    reasons = {row["method"] for row in rows}
    return f": {reasons.pop()}" if len(reasons) == 1 and all(reason.endswith("cannot tell") for reason in reasons) else ""


def amount(result: Comparison, row: Mapping[str, Any], *, sign: bool = False) -> tuple[str, str]:
    """Return an effect and its interval: `2.1 %` and `1.2 to 3.0`; both negated where it is below 0 and `sign` is false."""
    return amount_in(row, relative=result.relative, unit=result.measure.measured_in, sign=sign)


def amount_in(row: Mapping[str, Any], *, relative: bool, unit: str, sign: bool = False) -> tuple[str, str]:
    """Return the same for a row with `effect`, `low` and `high`.

    Args:
        row: A contrast.
        relative: Whether it is a share.
        unit: The unit of an amount.
        sign: Whether to show the sign.
    """
    value, low, high = row["effect"], row["low"], row["high"]
    turn = -1 if value < 0 and not sign else 1
    ends = (value, value, value) if low is None else (value, low, high)
    value, low, high = (turn * end for end in ends)
    low, high = min(low, high), max(low, high)
    if not relative:
        texts = interval(value, low, high, unit, sign=sign)
    else:
        places = 1 if high - low >= 0.002 or high == low else 2
        plus = "+z" if sign else "z"
        least, most = (f"{100 * end:{plus}.{places}f}" for end in (low, high))
        least = f"below -{100 * UNBOUNDED:.0f}" if low < -UNBOUNDED < value else least
        most = f"above {100 * UNBOUNDED:.0f}" if high > UNBOUNDED > value else most
        texts = f"{100 * value:{plus}.{places}f} %", f"{least} to {most}"
    return texts[0], "" if row["low"] is None else texts[1]


def title(result: Comparison) -> str:
    """Return `5 models on m3_monthly by mase[m=12], 1,428 series`."""
    datasets = result.datasets[0] if len(result.datasets) == 1 else f"{len(result.datasets)} datasets"
    metric = result.measure.name if len(set(result.metrics.values())) == 1 else result.measure.short
    n = counted(int(result.leaderboard["n"][0]), result.units)
    seeds = f", {counted(len(result.seeds), 'seeds')}" if len(result.seeds) > 1 and result.units != "worlds" else ""
    models = counted(len(result.leaderboard), "models")
    return f"{models} on {datasets} by {metric} ({result.measure.better}er is better), {n}{seeds}"


def rank_sentence(result: Comparison) -> str:
    """Return the result of Friedman's test; empty where it was not made."""
    test = result.ranks
    if test is None:
        return ""
    p = "< 0.0001" if test.p_value < 0.0001 else f"= {test.p_value:.4f}"
    said = "differ" if test.p_value < 1 - result.level else "cannot be told apart"
    return (
        f"Over {counted(test.blocks, test.called)} the ranks {said} (Friedman: chi-square {test.statistic:.1f}, p {p});"
        f" two mean ranks differ where they are {test.critical_difference:.2f} apart (Nemenyi, 5 %)."
    )


def _beats(result: Comparison, rows: Sequence[dict[str, Any]], rivals: int) -> list[str]:
    """Return the rivals that it beats, the closest first."""
    if not rows:
        return []
    if len(rows) <= NAMED:
        return [f"beats {_with_amounts(result, rows)}"]
    whom = f"all {rivals} rivals" if len(rows) == rivals else f"{len(rows)} rivals"
    return [f"beats {whom}, the closest of them {_with_amounts(result, rows[:1])}"]


def _loses(result: Comparison, rows: Sequence[dict[str, Any]]) -> list[str]:
    """Return the rivals that it loses to, the farthest first."""
    if not rows:
        return []
    if len(rows) <= NAMED:
        return [f"is worse than {_with_amounts(result, rows)}"]
    return [f"is worse than {len(rows)} rivals, most of all {_with_amounts(result, rows[:1])}"]


def _with_amounts(result: Comparison, rows: Sequence[dict[str, Any]]) -> str:
    parts = []
    for row in rows:
        value, ends = amount(result, row)
        small = f", which is within {_margin(result)}" if row["verdict"].endswith("alike") else ""
        p_value = "" if row["p_holm"] is None else f", p {chance(row['p_holm'])}"
        sure = f" ({100 * result.level:g} %: {ends}{p_value})" if ends else ""
        parts.append(f"{row['rival']} by {value}{sure}{small}")
    return _listed(parts, len(parts))


def _sure(result: Comparison) -> str:
    if result.family == 1:
        return "sure"
    pairs = " of all pairs" if result.chosen == "best" else ""
    return f"sure after correction for {result.family} comparisons{pairs}"


def _margin(result: Comparison) -> str:
    margin = result.margin or 0.0
    return f"{100 * margin:g} %" if result.relative else f"{margin:g} {result.measure.measured_in}".strip()


def _listed(names: Sequence[str], most: int = NAMED) -> str:
    """`a`, `a and b`, `a, b and 3 more`."""
    shown = list(names[:most])
    if len(names) > most:
        return f"{', '.join(shown)} and {len(names) - most} more"
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
