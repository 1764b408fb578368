"""hwds: declarative experiments for hardware demand, prices, fraud and factories."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hwds.report.notebook import Compared, Run

__version__ = "0.1.0"


def load_run(name: str | Path) -> Run:
    """A finished run for a notebook: its tables, its config, its figures; it shows itself.

    Args:
        name: A path, an id or its beginning, or an experiment for its latest run.

    Raises:
        ConfigError: There is none; the nearest is said.
    """
    from hwds.report import notebook

    return notebook.load_run(name)


def load_comparison(name: str | Path) -> Compared:
    """A comparison that `hwds compare` kept, by its path, its id or the beginning of it.

    Raises:
        ConfigError: There is none, and the nearest is said; or several begin so.
    """
    from hwds.report import notebook

    return notebook.load_comparison(name)
