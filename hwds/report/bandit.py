"""The pictures of a bandit simulation."""

from __future__ import annotations

from pathlib import Path

from hwds.frames.world import World
from hwds.report.bandit_plot import allocation_png, regret_png
from hwds.results.tables import Tables


def draw(world: World, tables: Tables, model: str, folder: Path) -> None:
    """`regret.png`: every policy's regret as it grows; `allocation.png`: which arms the experiment's own model chose."""
    regret_png(tables, model, world.unit, folder / "regret.png")
    allocation_png(tables, model, folder / "allocation.png")
