"""The pictures and the words of a bandit simulation."""

from __future__ import annotations

from pathlib import Path

from hwds.bandit.report.allocation import allocation_figure
from hwds.bandit.report.arms import arms_grid
from hwds.bandit.report.best_arms import against
from hwds.bandit.report.posterior import posterior_figure
from hwds.bandit.report.regret import regret_figure
from hwds.bandit.report.sentence import conclusion
from hwds.frames.world import World
from hwds.report.grid import Grid
from hwds.report.hooks import TaskReport
from hwds.report.pictures.style import save_png
from hwds.results.tables import Tables


def draw(world: World, tables: Tables, model: str, folder: Path) -> None:
    """Draw the pictures that have something to show.

    `regret.png`: every policy's regret as it grows; `allocation.png`: how customers were shared out among the arms, below the
    arms that were truly the best; `posterior.png`: what the experiment's own policy believes of each arm in the end.
    """
    save_png(regret_figure(tables, model, world.unit, against(world)), folder / "regret.png")
    save_png(allocation_figure(world, tables, model), folder / "allocation.png")
    save_png(posterior_figure(world, tables, model), folder / "posterior.png")


def page_grids(tables: Tables, model: str) -> list[Grid]:
    """Return the arms of the experiment's own policy."""
    return [arms_grid(tables, model)]


def sentence(world: World, tables: Tables, model: str) -> str:
    """Return what the experiment's own policy lost, beside its rivals."""
    return conclusion(tables, model, world.unit, against(world))


REPORT = TaskReport(sentence=sentence, page_grids=page_grids, draw=draw)
