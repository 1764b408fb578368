"""The pictures and the page of an A/B test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import yaml

from hwds.ab.protocols.analysis.rows import arm_counts
from hwds.ab.report.by_day import by_day_figure, by_day_grid
from hwds.ab.report.effects import effects_figure
from hwds.ab.report.false_winners import peeking_figure
from hwds.ab.report.parts import ages_grid, segments_grid
from hwds.ab.report.sentence import conclusion, page
from hwds.ab.report.tables import decisive_grid, rates_grid
from hwds.core.atomic import write_text
from hwds.frames.table import Table
from hwds.report.grid import Grid
from hwds.report.hooks import TaskReport
from hwds.report.pictures.style import save_png
from hwds.results.markdown import write_markdown
from hwds.results.tables import Tables


def draw(table: Table, tables: Tables, model: str, folder: Path) -> None:
    """Draw the pictures that have something to show, and write the page.

    `effects.png`: the effect of each arm by each rule, with its interval; `by_day.png`: the lift of all units until each day,
    with the interval that holds on any of them; `ab_peeking.png`: false winners against looks;
    `ab_test.md`: what they say; `prior.yaml` hands the counts of the first outcome to a bandit.
    """
    save_png(effects_figure(tables, model), folder / "effects.png")
    save_png(by_day_figure(tables, model), folder / "by_day.png")
    save_png(peeking_figure(tables, model), folder / "ab_peeking.png")
    write_markdown(folder / "ab_test.md", page(tables, model))
    counts = arm_counts(tables.predictions, model) if len(tables.predictions) else tables.predictions
    if len(counts):
        write_text(folder / "prior.yaml", prior_yaml(counts))


def sentence(table: Table, tables: Tables, model: str) -> str:
    """Return what the test shows, in a sentence or two."""
    return conclusion(tables, model)


def grids(tables: Tables, model: str) -> Iterator[Grid]:
    """Yield, for the terminal, the effects by the rule that each comparison decides by, and the rates of false winners."""
    yield from (grid for grid in (decisive_grid(tables, model), rates_grid(tables, model)) if len(grid))


def prior_yaml(counts: pl.DataFrame) -> str:
    """Return conversions and refusals by arm as a policy's field `known`."""
    known = {arm: [int(wins), int(losses)] for arm, wins, losses in counts.iter_rows()}
    return yaml.safe_dump({"known": known}, sort_keys=False, allow_unicode=True, default_flow_style=None)


def page_grids(tables: Tables, model: str) -> Iterator[Grid]:
    """Yield, for pages, the effects by day, by segment, and by days since first exposure."""
    yield from (grid(tables, model) for grid in (by_day_grid, segments_grid, ages_grid))


REPORT = TaskReport(sentence=sentence, grids=grids, page_grids=page_grids, draw=draw, ranks=False)
