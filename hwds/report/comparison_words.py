"""What a comparison shows, in a sentence: effects with their intervals, what is sure, and what cannot be told apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hwds.results.comparison import Comparison
from hwds.results.wording import chance, counted, reach

NAMED = 3
"""Rivals of one kind that a sentence names."""


def sentence(found: Comparison) -> str:
    """What the subject is worth against its rivals: `stack beats theta by 2.1 % (1.2 to 3.0), sure after correction ...`."""
    rows = found.pairs.to_dicts()
    better = [row for row in rows if row["verdict"].startswith("better")][::-1]
    worse = [row for row in rows if row["verdict"].startswith("worse")][::-1]
    parts = [*_beats(found, better, len(rows)), *_loses(found, worse)]
    sure = f", {_sure(found)}" if parts else ""
    alike = [row["rival"] for row in rows if row["verdict"] == "alike"]
    unsure = [row["rival"] for row in rows if row["verdict"] == "unsure"]
    rest = [f"is as good as {_listed(alike)} to within {_margin(found)}"] if alike else []
    rest += [f"cannot be told from {_listed(unsure)}"] if unsure else []
    head = f"{found.subject}{', the best here,' if found.chosen == 'best' else ''} "
    return f"{head}{' and '.join(parts)}{sure}{'; ' if parts and rest else ''}{'; '.join(rest)}."


def amount(found: Comparison, row: Mapping[str, Any], *, sign: bool = False) -> tuple[str, str]:
    """An effect and its interval: `2.1 %` and `1.2 to 3.0`; both turned around where it is below 0 and no sign is asked for."""
    return amount_in(row, relative=found.relative, unit=found.measure.measured_in, sign=sign)


def amount_in(row: Mapping[str, Any], *, relative: bool, unit: str, sign: bool = False) -> tuple[str, str]:
    """The same of a row with `effect`, `low` and `high`.

    Args:
        row: A contrast.
        relative: Whether it is a share.
        unit: Of an amount.
        sign: Whether to say the sign.
    """
    value, low, high = row["effect"], row["low"], row["high"]
    turn = -1 if value < 0 and not sign else 1
    ends = (value, value, value) if low is None else (value, low, high)
    value, low, high = (turn * end for end in ends)
    low, high = min(low, high), max(low, high)
    if not relative:
        said = reach(value, low, high, unit, sign=sign)
    else:
        places = 1 if high - low >= 0.002 or high == low else 2
        plus = "+z" if sign else "z"
        said = f"{100 * value:{plus}.{places}f} %", f"{100 * low:{plus}.{places}f} to {100 * high:{plus}.{places}f}"
    return said[0], "" if row["low"] is None else said[1]


def title(found: Comparison) -> str:
    """`5 models on m3_monthly by mase[m=12], 1,428 series`."""
    datasets = found.datasets[0] if len(found.datasets) == 1 else f"{len(found.datasets)} datasets"
    metric = found.measure.name if len(set(found.metrics.values())) == 1 else found.measure.short
    n = counted(int(found.leaderboard["n"][0]), found.units)
    seeds = f", {counted(len(found.seeds), 'seeds')}" if len(found.seeds) > 1 and found.units != "worlds" else ""
    models = counted(len(found.leaderboard), "models")
    return f"{models} on {datasets} by {metric} ({found.measure.better}er is better), {n}{seeds}"


def rank_sentence(found: Comparison) -> str:
    """What Friedman's test says; empty where it was not made."""
    test = found.ranks
    if test is None:
        return ""
    p = "< 0.0001" if test.p_value < 0.0001 else f"= {test.p_value:.4f}"
    said = "differ" if test.p_value < 1 - found.level else "cannot be told apart"
    return (
        f"Over {counted(test.blocks, test.called)} the ranks {said} (Friedman: chi-square {test.statistic:.1f}, p {p});"
        f" two mean ranks differ where they are {test.critical_difference:.2f} apart (Nemenyi, 5 %)."
    )


def _beats(found: Comparison, rows: Sequence[dict[str, Any]], rivals: int) -> list[str]:
    """Whom it beats, those by the least first."""
    if not rows:
        return []
    if len(rows) <= NAMED:
        return [f"beats {_with_amounts(found, rows)}"]
    whom = f"all {rivals} rivals" if len(rows) == rivals else f"{len(rows)} rivals"
    return [f"beats {whom}, the closest of them {_with_amounts(found, rows[:1])}"]


def _loses(found: Comparison, rows: Sequence[dict[str, Any]]) -> list[str]:
    """Whom it loses to, those by the most first."""
    if not rows:
        return []
    if len(rows) <= NAMED:
        return [f"is worse than {_with_amounts(found, rows)}"]
    return [f"is worse than {len(rows)} rivals, most of all {_with_amounts(found, rows[:1])}"]


def _with_amounts(found: Comparison, rows: Sequence[dict[str, Any]]) -> str:
    said = []
    for row in rows:
        value, interval = amount(found, row)
        small = f", which is within {_margin(found)}" if row["verdict"].endswith("alike") else ""
        p_value = "" if row["p_holm"] is None else f", p {chance(row['p_holm'])}"
        sure = f" ({100 * found.level:g} %: {interval}{p_value})" if interval else ""
        said.append(f"{row['rival']} by {value}{sure}{small}")
    return _listed(said, len(said))


def _sure(found: Comparison) -> str:
    if found.family == 1:
        return "sure"
    pairs = " of all pairs" if found.chosen == "best" else ""
    return f"sure after correction for {found.family} comparisons{pairs}"


def _margin(found: Comparison) -> str:
    margin = found.margin or 0.0
    return f"{100 * margin:g} %" if found.relative else f"{margin:g} {found.measure.measured_in}".strip()


def _listed(names: Sequence[str], most: int = NAMED) -> str:
    """`a`, `a and b`, `a, b and 3 more`."""
    shown = list(names[:most])
    if len(names) > most:
        return f"{', '.join(shown)} and {len(names) - most} more"
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
