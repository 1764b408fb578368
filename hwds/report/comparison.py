"""A comparison as tables: for the terminal, and as a Markdown page."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from hwds.report.comparison_words import amount, rank_sentence, sentence, title
from hwds.report.grid import Grid, grid_of
from hwds.results.comparison import Comparison
from hwds.results.wording import chance, column, duration, with_errors

VERDICTS = {"unsure": "not told apart"}
"""How a verdict is called where people read, if otherwise."""


def board_grid(found: Comparison) -> Grid:
    """The leaderboard on shared rows."""
    board = found.leaderboard
    metric = found.measure.name if len(set(found.metrics.values())) == 1 else found.measure.short
    several = len(found.datasets) > 1
    columns = {
        ("model", "model"): board["model"].to_list(),
        (f"{metric}, mean ± s.e.", f"{_two_lines(metric)} ±"): with_errors(board["mean"].to_list(), board["stderr"].to_list()),
        ("median", ""): column(board["median"].to_list()),
        (f"mean rank over {found.ranks.called if found.ranks else found.units}", "rank"): _fixed(board["rank"], 2),
        (f"wins against the others, % of {found.units}", "wins\n%"): _fixed(100 * board["win_rate"], 0),
        (f"skill against {found.measure.rival}, %", "skill\n%"): _fixed(100 * board["skill"], 1, "+"),
        ("model confidence set, p", ""): [_p(p) for p in board["set_p"]],
        ("may be the best", "may be\nbest"): [_may_be_best(p, found.level) for p in board["set_p"]],
        (found.units, found.units): [f"{n:,}" for n in board["n"]],
        ("undefined", "undefined" if board["n_undefined"].sum() else ""): _counts(board["n_undefined"]),
        ("failed", "failed" if board["n_failed"].sum() else ""): _counts(board["n_failed"]),
        ("fallback", "fallback" if board["n_fallback"].sum() else ""): _counts(board["n_fallback"]),
        ("time", "time"): [duration(seconds) for seconds in board["seconds"]],
    }
    rows = list(zip(*columns.values(), strict=True))
    caption = f"{title(found)}{'; means are over datasets' if several else ''}:"
    return grid_of(list(columns), rows, own=found.subject, caption=caption)


def pairs_grid(found: Comparison) -> Grid:
    """The subject against each rival: effect first, then interval, then p."""
    rows = []
    for row in found.pairs.to_dicts():
        value, interval = amount(found, row, sign=True)
        alike = [_p(row["alike_holm"])] if found.margin is not None else []
        wins = "" if row["wins"] is None else f"{100 * row['wins']:.0f}"
        told = VERDICTS.get(row["verdict"], row["verdict"])
        rows.append(
            [
                row["rival"], value, interval, _p(row["p_holm"]), _p(row["p_value"]), *alike, wins, _p(row["wilcoxon_p"]),
                row["method"], told,
            ]
        )  # fmt: skip
    level = f"{100 * found.level:g} %"
    titles = [
        ("rival", "rival"),
        ("better by", "better by"),
        (f"{level} interval", f"{level} interval"),
        ("p, Holm", "p\nHolm"),
    ]
    titles += [("p, alone", "")]
    titles += [("p of a difference that matters, Holm", "")] if found.margin is not None else []
    titles += [(f"wins, % of {found.units}", "wins\n%"), ("p, Wilcoxon", ""), ("interval by", ""), ("verdict", "verdict")]
    caption = f"{found.subject} against each rival (above 0: it is better):"
    return grid_of(titles, rows, caption=caption)


def along_grid(found: Comparison) -> Grid | None:
    """Diebold-Mariano tests counted by rival; None where no series had origins enough."""
    if found.along.is_empty():
        return None
    alpha, rows = 1 - found.level, []
    for (rival,), part in found.along.group_by(["rival"], maintain_order=True):
        origins = dict.fromkeys((part["origins"].min(), part["origins"].max()))
        counts = [_sides(part.filter(pl.col(p) < alpha)) for p in ("p_holm", "p_value")]
        rows.append([str(rival), f"{len(part):,}", " to ".join(map(str, origins)), *counts[0], *counts[1]])
    titles = [(name, name) for name in ("rival", "series", "origins")]
    titles += [("better, Holm", "better"), ("worse, Holm", "worse"), ("better, each alone", ""), ("worse, each alone", "")]
    caption = f"Series in which {found.subject} is surely better or worse over time (Diebold-Mariano, Holm):"
    return grid_of(titles, rows, caption=caption)


def _sides(sure: pl.DataFrame) -> tuple[str, str]:
    """In how many series the subject is better, and in how many worse."""
    return f"{int((sure['statistic'] < 0).sum()):,}", f"{int((sure['statistic'] > 0).sum()):,}"


def grids(found: Comparison) -> Iterator[Grid]:
    """All tables, in the order in which they are read."""
    yield from (board_grid(found), pairs_grid(found))
    along = along_grid(found)
    if along is not None:
        yield along


def page(found: Comparison, command: str) -> str:
    """The comparison as a Markdown page: conclusion, tables, what the columns mean, how to have it again."""
    sections = [f"# {title(found)}", sentence(found), *(f"_{note}_" for note in found.notes)]
    for place, grid in enumerate(grids(found)):
        sections += [f"## {grid.caption.rstrip(':')}" if place else "## Leaderboard", grid.markdown()]
    picture = "![Mean ranks and the critical difference](critical_difference.png)"
    sections += ["## Ranks", rank_sentence(found), picture] if found.ranks else []
    sections += ["## What the columns mean", "\n".join(f"- {line}" for line in legend(found))]
    sections += ["## How to have it again", f"`{command}`", f"Runs: {', '.join(found.sources)}."]
    return "\n\n".join(sections) + "\n"


def legend(found: Comparison) -> Iterator[str]:
    """What the columns mean, and what the numbers do not say."""
    if found.measure.explained:
        yield f"`{found.measure.name}`: {found.measure.explained}."
    shares = "the share by which the subject's mean is better than the rival's"
    yield f"better by: {shares if found.relative else 'the difference of the means'}, on the rows that all models answered."
    yield f"interval: {100 * found.level:g} %, by {_reach(found)}; in sentences it stands behind the effect, and p behind it."
    yield "±: one standard error of the mean of one model alone, which says little of a difference."
    yield f"p, Holm: of no difference, corrected for {found.family} comparisons; the interval is of one comparison."
    if found.margin is not None:
        yield "p of a difference that matters: of one of the margin or more (two one-sided tests), corrected too; small: alike."
    if len(found.along):
        held = "p, Holm: of equal-weighted cosines (Coroneo and Iacone 2020), which hold their level with few origins too"
        yield f"Diebold-Mariano: with the correction of Harvey, Leybourne and Newbold; {held}."
    yield f"wins: the share of {found.units} in which the model is the better one, ties half."
    yield "may be best: in the model confidence set (Hansen, Lunde and Nason 2011): no other is surely better."
    if found.ranks:
        yield f"rank: the mean over {found.ranks.called}, 1 the best; ranks say nothing of how much better."


def _reach(found: Comparison) -> str:
    """How the intervals were made, and of what they speak."""
    made = list(dict.fromkeys(found.pairs["method"]))
    if all("origins" in method for method in made):
        return f"{', '.join(made)}; it speaks of other moments of the same series"
    of = [f"other {found.units} like these"] if found.units != "rows" else ["other customers and days like these"]
    of += ["other seeds"] if any("seeds" in method for method in made) else []
    same = ", at the same cutoffs" if found.task == "forecast" else ""
    luck = (
        "; the luck of the training is not in it, for there is one seed"
        if len(found.seeds) == 1 and found.task != "bandit"
        else ""
    )
    return f"{', '.join(made)}; it speaks of {' and '.join(of)}{same}{luck}"


def _fixed(values: pl.Series, places: int, sign: str = "") -> list[str]:
    return ["" if value is None else f"{value:{sign}.{places}f}" for value in values]


def _counts(values: pl.Series) -> list[str]:
    return [f"{value:,}" for value in values]


def _p(value: float | None) -> str:
    return "" if value is None else chance(value)


def _may_be_best(p: float | None, level: float) -> str:
    return "" if p is None else "yes" if p > 1 - level else "no"


def _two_lines(metric: str) -> str:
    """`mase` above `[m=12]`."""
    return metric.replace("[", "\n[", 1).replace("@", "\n@", 1)
