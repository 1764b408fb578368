"""importance.png: the share of each setting in the spread of scores, with its interval."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hwds.metrics.setting_importance import LEVEL
from hwds.report.style import INK, OWN, drawable, new_figure, save_png, tidy
from hwds.report.sweep import Found
from hwds.report.sweep_importance import Importance

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def importance_png(found: Found, told: Importance, path: Path) -> None:
    """Draw what mattered; where nothing can be said there is no picture, and one of before goes."""
    path.unlink(missing_ok=True)
    save_png(importance_figure(found, told), path)


def importance_figure(found: Found, told: Importance) -> Figure | None:
    """The figure that `importance_png` writes."""
    if told.shares is None:
        return None
    share, places = 100 * told.shares.share, np.arange(len(told.settings))
    whiskers = np.abs(100 * np.stack([told.shares.low, told.shares.high]) - share)
    figure = new_figure(8, 1.6 + 0.42 * len(places))
    axes = figure.add_subplot()
    axes.barh(places, share, height=0.6, color=OWN)
    axes.errorbar(share, places, xerr=whiskers, fmt="none", ecolor=INK, elinewidth=1.1, capsize=3)
    axes.set_yticks(places, [drawable(name, 40) for name in told.settings])
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    tidy(axes, grid="x")
    axes.set_xlabel(
        f"share of the spread of scores, %; whiskers: {100 * LEVEL:.0f} % of the forest's trees", fontsize=9.5, color=INK
    )
    title = f"What mattered for {found.measure.name}: {found.model}"
    figure.suptitle(drawable(title, 80), x=0.01, ha="left", fontsize=13, fontweight="bold", color=INK)
    return figure
