"""The pictures and the words of a bandit simulation."""

from __future__ import annotations

from pathlib import Path

from hwds.frames.world import World
from hwds.report.allocation_plot import allocation_png
from hwds.report.arms_table import arms_grid
from hwds.report.bandit_words import conclusion
from hwds.report.best_arms import against
from hwds.report.grid import Grid
from hwds.report.posterior_plot import posterior_png
from hwds.report.regret_plot import regret_png
from hwds.results.tables import Tables


def draw(world: World, tables: Tables, model: str, folder: Path) -> None:
    """The pictures, each where there is something to draw.

    `regret.png`: every policy's regret as it grows; `allocation.png`: how customers were shared out among the arms, below the
    arms that were truly the best; `posterior.png`: what the experiment's own policy believes of each arm in the end.
    """
    regret_png(tables, model, world.unit, against(world), folder / "regret.png")
    allocation_png(world, tables, model, folder / "allocation.png")
    posterior_png(world, tables, model, folder / "posterior.png")


def page_grids(tables: Tables, model: str) -> list[Grid]:
    """The arms of the experiment's own policy."""
    return [arms_grid(tables, model)]


def sentence(world: World, tables: Tables, model: str) -> str:
    """What the experiment's own policy lost, beside its rivals."""
    return conclusion(tables, model, world.unit, against(world))
