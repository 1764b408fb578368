"""The report of a plan of a test: a table in the terminal and on a page, and the sentence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from hwds.ab.report.tables import RULES
from hwds.frames.table import Table
from hwds.report.grid import Grid, grid_of
from hwds.report.hooks import TaskReport
from hwds.results.formatting import brief, fixed, signed
from hwds.results.markdown import write_markdown
from hwds.results.tables import Tables

OUTCOMES = {"": "conversion", "_revenue": "revenue"}
"""The name of an outcome, by the suffix of its metrics."""

LEAST_RATIO = 1.1
"""Times that one outcome needs the units of the other, below which this is not reported."""


def draw(table: Table, tables: Tables, model: str, folder: Path) -> None:
    """Write `ab_plan.md`: the plan by arm, outcome and rule."""
    write_markdown(
        folder / "ab_plan.md",
        f"# Plan of an A/B test\n\n{sentence(table, tables, model)}\n\n{_grid(tables, model).markdown()}\n",
    )


def grids(tables: Tables, model: str) -> Iterator[Grid]:
    """Yield the table of the plan for the terminal."""
    yield replace(_grid(tables, model), caption=f"{tables.measure('size').meaning.capitalize()}:")


def sentence(table: Table, tables: Tables, model: str) -> str:
    """Return the units by the model's first rule, for conversion and for revenue."""
    overall = tables.overall("size").filter(pl.col("model") == model)
    if overall.is_empty():
        return "Nothing was planned."
    rule = overall["ci_method"][0]
    of_rule = [line for line in _lines(tables) if (line["model"], line["rule"]) == (model, rule)]
    needs = "; ".join(_need_sentence(line, tables) for line in of_rule)
    return f"By the {RULES.get(rule, rule)} rule {needs}.{_times(of_rule)}"


def _need_sentence(line: dict[str, Any], tables: Tables) -> str:
    what = OUTCOMES[line["outcome"]]
    if line["units"] is None:
        return f"{line['arm']} has no change of {what} to find"
    return f"{line['arm']} takes {line['units_of_arm']:,.0f} units of its own to find {_change(line, tables)} in {what}"


def _times(of_rule: list[dict[str, Any]]) -> str:
    """Return how much more the one outcome needs than the other, for the first arm."""
    units = {line["outcome"]: line["units"] for line in of_rule if line["arm"] == of_rule[0]["arm"] and line["units"]}
    if len(units) < len(OUTCOMES):
        return ""
    ratio = units["_revenue"] / units[""]
    if max(ratio, 1 / ratio) < LEAST_RATIO:
        return ""
    more, less = ("Revenue", "conversion") if ratio > 1 else ("Conversion", "revenue")
    return f" {more} needs {max(ratio, 1 / ratio):.1f} times the units of {less} there."


def _change(line: dict[str, Any], tables: Tables) -> str:
    unit = tables.measure(f"effect{line['outcome']}").measured_in
    return f"{signed(line['effect'], unit)} ({100 * line['change']:+.3g} %)"


def _grid(tables: Tables, model: str) -> Grid:
    lines = _lines(tables)
    several = len({line["model"] for line in lines}) > 1
    titles = [("model", "model" if several else ""), *((name, name) for name in ("arm", "outcome", "rule", "change"))]
    titles += [("units of the arm", "units of\nthe arm"), ("units in all", "units\nin all"), ("power at the size", "power")]
    titles += [("least change at the size", ""), ("least change, %", "least\nchange, %")]
    return grid_of(titles, [_cells(line, tables) for line in lines], own=model if several else "", names=4)


def _cells(line: dict[str, Any], tables: Tables) -> list[str]:
    least, unit = line.get("least_effect"), tables.measure(f"effect{line['outcome']}").measured_in
    return [
        *(line["model"], line["arm"], OUTCOMES[line["outcome"]], RULES.get(line["rule"], line["rule"]), _change(line, tables)),
        fixed(line["units_of_arm"], 0),
        fixed(line["units"], 0),
        "" if least is None else f"{100 * line['power']:.1f} %",
        "" if least is None else brief(least, None, unit),
        "" if least is None else f"{100 * line['least_change']:.3g}",
    ]


def _lines(tables: Tables) -> list[dict[str, Any]]:
    """Return a line for each model, arm, outcome and rule, with all of its numbers."""
    rows = tables.scores.filter(pl.col("fold").is_null() & pl.col("segment").is_not_null())
    lines: dict[tuple[str, str, str, str], dict[str, Any]] = {}
    for row in rows.to_dicts():
        name, outcome = row["metric"].removesuffix("_revenue"), "_revenue" if row["metric"].endswith("_revenue") else ""
        key = row["model"], row["segment"], outcome, row["ci_method"]
        line = lines.setdefault(key, dict(zip(("model", "arm", "outcome", "rule"), key, strict=True)))
        line[name] = row["value"]
    models = list(dict.fromkeys(line["model"] for line in lines.values()))
    order = list(RULES)
    return sorted(
        lines.values(), key=lambda line: (models.index(line["model"]), line["arm"], line["outcome"], order.index(line["rule"]))
    )


REPORT = TaskReport(sentence=sentence, grids=grids, draw=draw)
