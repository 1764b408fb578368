"""A sweep as tables: for the terminal, and as a Markdown page."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from hwds.report.grid import Grid, grid_of
from hwds.report.leaderboard import print_grids
from hwds.report.sweep.result import OWN, SweepResult, ordered
from hwds.report.sweep.sentence import conclusion
from hwds.results.formatting import column, counted, duration

SHOWN = 10
"""The most trials of the terminal's table."""

NAMED = 6
"""The most trials that a row of failures names."""


def trials_grid(result: SweepResult, most: int | None = None) -> Grid:
    """Return the trials as a table; their settings in columns of their own."""
    table = ordered(result).head(most) if most else ordered(result)
    settings = [name for name in table.columns if name not in OWN]
    reused = bool((table["source"] != "").any())
    scores, errors = column(table["score"].to_list()), column(table["stderr"].to_list())
    rows = [
        [
            str(row["trial"]),
            row["status"],
            f"{row['windows']}/{result.windows}",
            f"{score} ± {error}" if error else score,
            *("" if row[name] is None else _text(row[name]) for name in settings),
            *([row["source"]] if reused else []),
            duration(row["seconds"]),
        ]
        for row, score, error in zip(table.to_dicts(), scores, errors, strict=True)
    ]
    score = f"{result.measure.name} ± s.e.", f"{result.measure.short}\n± s.e."
    titles = [("trial", "#"), ("status", "status"), ("windows", "of"), score]
    titles += [(name, name.rpartition(".")[2].replace("_", "\n")) for name in settings]
    titles += [("from", "from")] if reused else []
    titles.append(("time", "time"))
    return grid_of(titles, rows, own=str(result.best), names=2)


def _text(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def print_trials(result: SweepResult) -> None:
    """Print the best trials."""
    left = len(result.trials) - SHOWN
    notes = [f"{counted(left, 'trials')} more in trials.csv."] if left > 0 else []
    print_grids((trials_grid(result, SHOWN),), notes, "")


def failures_grid(trials: pl.DataFrame) -> Grid:
    """Return one row for each error, whatever the window: the number of trials that it ended, and their numbers.

    Args:
        trials: The trials table.
    """
    what = pl.col("error").str.replace(r"^window [^:]*: ", "").alias("what")
    failed = trials.filter(pl.col("status").is_in(["failed", "refused"])).sort("trial")
    groups = failed.group_by(what, "status", maintain_order=True).agg(pl.col("trial"))
    rows = [[row["what"], row["status"], str(len(row["trial"])), _listed(row["trial"])] for row in groups.to_dicts()]
    titles = [("what went wrong", "what went wrong"), ("status", "status"), ("trials", "trials"), ("numbers", "numbers")]
    return grid_of(titles, rows, names=2)


def _listed(numbers: list[int]) -> str:
    shown = ", ".join(map(str, numbers[:NAMED]))
    return shown if len(numbers) <= NAMED else f"{shown}, ..."


def print_failures(trials: pl.DataFrame) -> None:
    """Print the table of failures, where there are any; the sweep's page has each with its window."""
    grid = failures_grid(trials)
    if len(grid):
        print_grids((grid,), (), "")


def as_page(result: SweepResult, title: str, command: str, parts: Sequence[str] = ()) -> str:
    """Return the sweep as a Markdown page.

    Args:
        result: The result of the sweep.
        title: The title of the page.
        command: The command that runs the best settings.
        parts: Sections or sentences between the pictures and the table of trials.
    """
    failed = result.trials.filter(pl.col("error") != "")
    lines = "".join(f"- trial {row['trial']}: {row['error']}\n" for row in failed.to_dicts())
    failures = f"\n## Failures\n\n{lines}" if lines else ""
    best = f"The best settings are in `best.yaml`; `{command}` runs them."
    between = "".join(f"{part}\n\n" for part in parts if part)
    trials = f"## Trials\n\n{trials_grid(result).markdown()}\n"
    return f"# {title}\n\n{conclusion(result)}\n\n{best}\n\n{between}{trials}{failures}"
