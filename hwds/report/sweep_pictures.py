"""All pictures of a sweep, and how its page shows them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hwds.report.sweep import Found
from hwds.report.sweep_importance import Importance
from hwds.report.sweep_importance_plot import importance_png
from hwds.report.sweep_parallel_plot import parallel_png
from hwds.report.sweep_plot import sweep_png
from hwds.report.sweep_settings import Runs


def draw_sweep(
    found: Found, mattered: Importance, runs: Runs, took: Runs, logarithmic: Sequence[str], folder: Path
) -> list[str]:
    """Draw them.

    Args:
        found: What came of the sweep.
        mattered: Which settings did.
        runs: The running scores of each trial by the windows behind it.
        took: The seconds that each had taken by then.
        logarithmic: The settings that were drawn on the scale of their logarithm.
        folder: Where they go.

    Returns:
        What shows those that are not beside words of their own.
    """
    sweep_png(found, runs, took, logarithmic, folder / "sweep.png")
    parallel_png(found, runs, logarithmic, folder / "parallel.png")
    importance_png(found, mattered, folder / "importance.png")
    return [f"![{name}]({name}.png)" for name in ("sweep", "parallel") if (folder / f"{name}.png").is_file()]
