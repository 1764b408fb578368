"""A comparison as tables: for the terminal, and as a Markdown page."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from hwds.report.comparison.sentence import amount, rank_sentence, sentence, title
from hwds.report.grid import Grid, grid_of
from hwds.results.comparison import Comparison
from hwds.results.formatting import chance, column, duration, with_errors

VERDICTS = {"unsure": "not told apart"}
"""The displayed words for verdicts, where they differ."""


def board_grid(result: Comparison) -> Grid:
    """Return the leaderboard on shared rows."""
    board = result.leaderboard
    metric = result.measure.name if len(set(result.metrics.values())) == 1 else result.measure.short
    several = len(result.datasets) > 1
    columns = {
        ("model", "model"): board["model"].to_list(),
        (f"{metric}, mean ± s.e.", f"{_two_lines(metric)} ±"): with_errors(board["mean"].to_list(), board["stderr"].to_list()),
        ("median", ""): column(board["median"].to_list()),
        (f"mean rank over {result.ranks.called if result.ranks else result.units}", "rank"): _fixed(board["rank"], 2),
        (f"wins against the others, % of {result.units}", "wins\n%"): _fixed(100 * board["win_rate"], 0),
        (f"skill against {result.measure.rival}, %", "skill\n%"): _fixed(100 * board["skill"], 1, "+"),
        ("model confidence set, p", ""): [_p(p) for p in board["set_p"]],
        ("may be the best", "may be\nbest"): [_may_be_best(p, result.level) for p in board["set_p"]],
        (result.units, result.units): [f"{n:,}" for n in board["n"]],
        ("undefined", "undefined" if board["n_undefined"].sum() else ""): _counts(board["n_undefined"]),
        ("failed", "failed" if board["n_failed"].sum() else ""): _counts(board["n_failed"]),
        ("fallback", "fallback" if board["n_fallback"].sum() else ""): _counts(board["n_fallback"]),
        ("time", "time"): [duration(seconds) for seconds in board["seconds"]],
    }
    rows = list(zip(*columns.values(), strict=True))
    caption = f"{title(result)}{'; means are over datasets' if several else ''}:"
    return grid_of(list(columns), rows, own=result.subject, caption=caption)


def pairs_grid(result: Comparison) -> Grid:
    """Return the table of the subject against each rival: effect first, then interval, then p."""
    rows = []
    for row in result.pairs.to_dicts():
        value, interval = amount(result, row, sign=True)
        alike = [_p(row["alike_holm"])] if result.margin is not None else []
        wins = "" if row["wins"] is None else f"{100 * row['wins']:.0f}"
        verdict = VERDICTS.get(row["verdict"], row["verdict"])
        rows.append(
            [
                row["rival"], value, interval, _p(row["p_holm"]), _p(row["p_value"]), *alike, wins, _p(row["wilcoxon_p"]),
                _worth(row.get("independent")), row["method"], verdict,
            ]
        )  # fmt: skip
    level = f"{100 * result.level:g} %"
    titles = [
        ("rival", "rival"),
        ("better by", "better by"),
        (f"{level} interval", f"{level} interval"),
        ("p, Holm", "p\nHolm"),
    ]
    titles += [("p, alone", "")]
    titles += [("p of a difference that matters, Holm", "")] if result.margin is not None else []
    titles += [
        (f"wins, % of {result.units}", "wins\n%"),
        ("p, Wilcoxon", ""),
        ("worth", ""),
        ("interval by", ""),
        ("verdict", "verdict"),
    ]
    caption = f"{result.subject} against each rival (above 0: it is better):"
    return grid_of(titles, rows, caption=caption)


def _worth(independent: float | None) -> str:
    return "" if independent is None else f"{independent:,.0f}"


def along_grid(result: Comparison) -> Grid | None:
    """Return the counts of Diebold-Mariano tests by rival; None where no series had enough origins."""
    if result.along.is_empty():
        return None
    alpha, rows = 1 - result.level, []
    for (rival,), part in result.along.group_by(["rival"], maintain_order=True):
        origins = dict.fromkeys((part["origins"].min(), part["origins"].max()))
        counts = [_sides(part.filter(pl.col(p) < alpha)) for p in ("p_holm", "p_value")]
        rows.append([str(rival), f"{len(part):,}", " to ".join(map(str, origins)), *counts[0], *counts[1]])
    titles = [(name, name) for name in ("rival", "series", "origins")]
    titles += [("better, Holm", "better"), ("worse, Holm", "worse"), ("better, each alone", ""), ("worse, each alone", "")]
    caption = f"Series in which {result.subject} is surely better or worse over time (Diebold-Mariano, Holm):"
    return grid_of(titles, rows, caption=caption)


def _sides(sure: pl.DataFrame) -> tuple[str, str]:
    """Return the numbers of series in which the subject is better, and worse."""
    return f"{int((sure['statistic'] < 0).sum()):,}", f"{int((sure['statistic'] > 0).sum()):,}"


def grids(result: Comparison) -> Iterator[Grid]:
    """Yield all tables, in reading order."""
    yield from (board_grid(result), pairs_grid(result))
    along = along_grid(result)
    if along is not None:
        yield along


def page(result: Comparison, command: str) -> str:
    """Return the comparison as a Markdown page: conclusion, tables, legend, and the command to repeat it."""
    sections = [f"# {title(result)}", sentence(result), *(f"_{note}_" for note in result.notes)]
    for place, grid in enumerate(grids(result)):
        sections += [f"## {grid.caption.rstrip(':')}" if place else "## Leaderboard", grid.markdown()]
        sections += ["![Effects against each rival](forest.png)"] if place == 1 else []
    picture = "![Mean ranks and the critical difference](critical_difference.png)"
    sections += ["## Ranks", rank_sentence(result), picture] if result.ranks else []
    sections += ["## What the columns mean", "\n".join(f"- {line}" for line in legend(result))]
    sections += ["## How to have it again", f"`{command}`", f"Runs: {', '.join(result.sources)}."]
    return "\n\n".join(sections) + "\n"


def legend(result: Comparison) -> Iterator[str]:
    """Yield the meaning of the columns, and the limits of the numbers."""
    if result.measure.explained:
        yield f"`{result.measure.name}`: {result.measure.explained}."
    shares = "the share by which the subject's mean is better than the rival's"
    yield f"better by: {shares if result.relative else 'the difference of the means'}, on the rows that all models answered."
    yield f"interval: {100 * result.level:g} %, by {_scope(result)}; in sentences it stands behind the effect, and p behind it."
    yield "±: one standard error of the mean of one model alone, which says little of a difference."
    yield f"p, Holm: of no difference, corrected for {result.family} comparisons; the interval is of one comparison."
    if result.margin is not None:
        yield "p of a difference that matters: of one of the margin or more (two one-sided tests), corrected too; small: alike."
    if len(result.along):
        cosines = "p, Holm: of equal-weighted cosines (Coroneo and Iacone 2020), which hold their level with few origins too"
        yield f"Diebold-Mariano: with the correction of Harvey, Leybourne and Newbold; {cosines}."
    if "independent" in result.pairs.columns and result.pairs["independent"].count():
        times = "customers and days" if result.units == "rows" else "times"
        shared = f"{result.units} share their {times}, so that a shock of one hits many of them"
        yield f"worth: how many independent observations would tell as much; {shared}, and their ranks are not tested."
    yield f"wins: the share of {result.units} in which the model is the better one, ties half."
    yield "may be best: in the model confidence set (Hansen, Lunde and Nason 2011): no other is surely better."
    if result.ranks:
        yield f"rank: the mean over {result.ranks.called}, 1 the best; ranks say nothing of how much better."


def _scope(result: Comparison) -> str:
    """Return the methods of the intervals, and the population that they speak of."""
    made = list(dict.fromkeys(result.pairs["method"]))
    if all("over" in method and "origins" in method and result.units not in method for method in made):
        return f"{', '.join(made)}; it speaks of other moments of the same series"
    of = [f"other {result.units} like these"] if result.units != "rows" else ["other customers and days like these"]
    of += ["other times like these"] if any("origins" in method for method in made) else []
    of += ["other seeds"] if any("seeds" in method for method in made) else []
    same = f", {result.conditions}" if result.conditions else ""
    if result.trained is None:
        same += "; an earlier version made it, and without its runs nothing says what they share"
    training = (
        "; the chance of training is not in it, for there is one seed" if len(result.seeds) == 1 and result.trained else ""
    )
    return f"{', '.join(made)}; it speaks of {' and '.join(of)}{same}{training}"


def _fixed(values: pl.Series, places: int, sign: str = "") -> list[str]:
    return ["" if value is None else f"{value:{sign}.{places}f}" for value in values]


def _counts(values: pl.Series) -> list[str]:
    return [f"{value:,}" for value in values]


def _p(value: float | None) -> str:
    return "" if value is None else chance(value)


def _may_be_best(p: float | None, level: float) -> str:
    return "" if p is None else "yes" if p > 1 - level else "no"


def _two_lines(metric: str) -> str:
    """Return a title of two lines: `mase` above `[m=12]`."""
    return metric.replace("[", "\n[", 1).replace("@", "\n@", 1)
