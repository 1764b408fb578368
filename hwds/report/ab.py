"""The pictures and the page of an A/B test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import yaml

from hwds.frames.table import Table
from hwds.protocols.ab_rows import arm_counts
from hwds.report.ab_plot import effects_png
from hwds.report.ab_rates_plot import peeking_png
from hwds.report.ab_tables import decisive_grid, rates_grid
from hwds.report.ab_words import conclusion, page
from hwds.report.grid import Grid
from hwds.results.atomic import write_text
from hwds.results.tables import Tables


def draw(table: Table, tables: Tables, model: str, folder: Path) -> None:
    """The pictures, each where there is something to draw, and the page.

    `effects.png`: the effect of each arm by each rule, with its interval; `ab_peeking.png`: false winners against looks;
    `ab_test.md`: what they say; `prior.yaml` hands the counts of the first outcome to a bandit.
    """
    effects_png(tables, model, folder / "effects.png")
    peeking_png(tables, model, folder / "ab_peeking.png")
    write_text(folder / "ab_test.md", page(tables, model))
    counts = arm_counts(tables.predictions, model) if len(tables.predictions) else tables.predictions
    if len(counts):
        write_text(folder / "prior.yaml", prior_yaml(counts))


def sentence(table: Table, tables: Tables, model: str) -> str:
    """What the test shows, in a sentence or two."""
    return conclusion(tables, model)


def grids(tables: Tables, model: str) -> Iterator[Grid]:
    """For the terminal: the effects by the rule that each comparison decides by, and the rates of false winners."""
    yield from (grid for grid in (decisive_grid(tables, model), rates_grid(tables, model)) if len(grid))


def prior_yaml(counts: pl.DataFrame) -> str:
    """Conversions and refusals by arm as a policy's field `known`."""
    known = {arm: [int(wins), int(losses)] for arm, wins, losses in counts.iter_rows()}
    return yaml.safe_dump({"known": known}, sort_keys=False, allow_unicode=True, default_flow_style=None)
