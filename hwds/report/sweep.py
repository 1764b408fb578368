"""What a sweep found, as a page and for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from hwds.metrics.base import Measure
from hwds.report.grid import Grid, grid_of
from hwds.report.leaderboard import print_grids
from hwds.report.standings import Number
from hwds.results.wording import column, counted, duration, quoted, signed

UNKNOWN = Number()

SHOWN = 10
"""Trials of the terminal's table."""

ENDS = {"value": "", "stderr": "_stderr", "low": "_low", "high": "_high"}
"""What of a number is kept, and how that is called behind the number's name."""

OWN = ("trial", "status", "windows", "score", "stderr", "error", "seconds", "cached", "host")
"""The columns of the trials table that are no settings."""


@dataclass(frozen=True, slots=True)
class Found:
    """What came of a sweep.

    Attributes:
        trials: The trials table.
        measure: What trials are compared by.
        better: `low` or `high`.
        windows: Inner windows.
        best: The number of the best trial.
        model: The label of the model that is tuned.
        inner: Its score on the inner windows.
        final: Its score on the final ones.
        own_inner: That of the experiment as it stood, on the inner windows; no value where it was not tried.
        own_final: The same on the final ones.
    """

    trials: pl.DataFrame
    measure: Measure
    better: str
    windows: int
    best: int
    model: str
    inner: Number = UNKNOWN
    final: Number = UNKNOWN
    own_inner: Number = UNKNOWN
    own_final: Number = UNKNOWN

    @property
    def optimism(self) -> float | None:
        """The inner score less the final one."""
        return None if self.inner.value is None or self.final.value is None else self.inner.value - self.final.value

    @property
    def gain(self) -> float | None:
        """By what share of the untuned score the tuned one is better on the final windows; None where nothing was tuned."""
        if self.best == 0 or self.own_final.value in (None, 0) or self.final.value is None:
            return None
        assert self.own_final.value is not None
        change = (self.own_final.value - self.final.value) / abs(self.own_final.value)
        return -change if self.better == "high" else change


def ordered(found: Found) -> pl.DataFrame:
    """The trials, best first; then those that were stopped, the furthest first; then those that failed."""
    rank = pl.col("status").replace_strict({"finished": 0, "stopped": 1, "unfinished": 2}, default=3)
    score = pl.col("score") if found.better == "low" else -pl.col("score")
    return found.trials.sort(rank, -pl.col("windows"), score, "trial", nulls_last=True)


def trials_grid(found: Found, most: int | None = None) -> Grid:
    """The trials as a table; their settings in columns of their own."""
    table = ordered(found).head(most) if most else ordered(found)
    settings = [name for name in table.columns if name not in OWN]
    scores, errors = column(table["score"].to_list()), column(table["stderr"].to_list())
    rows = [
        [
            str(row["trial"]),
            row["status"],
            f"{row['windows']}/{found.windows}",
            f"{score} ± {error}" if error else score,
            *("" if row[name] is None else _text(row[name]) for name in settings),
            duration(row["seconds"]),
        ]
        for row, score, error in zip(table.to_dicts(), scores, errors, strict=True)
    ]
    score = f"{found.measure.name} ± s.e.", f"{found.measure.short}\n± s.e."
    titles = [("trial", "#"), ("status", "status"), ("windows", "of"), score]
    titles += [(name, name.rpartition(".")[2].replace("_", "\n")) for name in settings]
    titles.append(("time", "time"))
    return grid_of(titles, rows, own=str(found.best), names=2)


def _text(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def conclusion(found: Found) -> str:
    """What the sweep shows, in a few sentences."""
    done = int((found.trials["status"] == "finished").sum())
    stopped = int((found.trials["status"] == "stopped").sum())
    also = f" ({counted(stopped, 'trials')} stopped on the way)" if stopped else ""
    name = found.measure.short
    said = [f"Trial {found.best} is the best of {counted(done, 'trials')} on {counted(found.windows, 'inner windows')}{also}"]
    said[0] += f": {name} {_number(found.inner)}."
    if found.final.value is not None and found.optimism is not None:
        said.append(
            f"On the final windows, which no trial has seen, it has {_number(found.final)}: optimism (inner less final)"
            f" {signed(found.optimism)}."
        )
    if found.best == 0:
        said.append("It is the experiment as it stood: tuning found nothing better.")
    elif found.gain is not None:
        word = "better" if found.gain > 0 else "worse"
        said.append(
            f"{found.model} as it stood has {_number(found.own_inner)} on the inner and {_number(found.own_final)} on the final"
            f" windows; tuned it is {100 * abs(found.gain):.1f} % {word} there."
        )
    return " ".join(said)


def _number(number: Number) -> str:
    return "none" if number.value is None else "".join(quoted(number.value, number.low, number.high))


def print_trials(found: Found) -> None:
    """The best trials in the terminal, and what failed."""
    left = len(found.trials) - SHOWN
    notes = [f"{counted(left, 'trials')} more in trials.csv."] if left > 0 else []
    print_grids((trials_grid(found, SHOWN),), notes, "")


def as_dict(found: Found) -> dict[str, dict[str, Any]]:
    """What `sweep.json` says of the end."""
    best = {"trial": found.best, **_ends(found.inner, found.final), "optimism": found.optimism}
    return {"best": best, "untuned": _ends(found.own_inner, found.own_final)}


def _ends(inner: Number, final: Number) -> dict[str, float | None]:
    return {f"{name}{end}": getattr(of, key) for name, of in (("inner", inner), ("final", final)) for key, end in ENDS.items()}


def from_dict(trials: pl.DataFrame, told: Mapping[str, Any], measure: Measure) -> Found:
    """What came of a sweep, from its trials table and its `sweep.json`.

    Args:
        trials: The table.
        told: What `sweep.json` says.
        measure: What trials were compared by.
    """
    best, own = told["best"], told["untuned"]
    kept = [(of, name) for of in (best, own) for name in ("inner", "final")]
    numbers = [Number(**{key: of.get(f"{name}{end}") for key, end in ENDS.items()}) for of, name in kept]
    model, windows = str(told["config"]["model"]["name"]), len(told["windows"])
    found = Found(trials, measure, str(told["better"]), windows, int(best["trial"]), model)
    return replace(found, inner=numbers[0], final=numbers[1], own_inner=numbers[2], own_final=numbers[3])


def as_page(found: Found, title: str, command: str, parts: Sequence[str] = ()) -> str:
    """The sweep as a Markdown page.

    Args:
        found: What came of it.
        title: Of the page.
        command: What runs the best settings.
        parts: What stands between the pictures and the table of trials: sections, or sentences.
    """
    failed = found.trials.filter(pl.col("error") != "")
    lines = "".join(f"- trial {row['trial']}: {row['error']}\n" for row in failed.to_dicts())
    failures = f"\n## Failures\n\n{lines}" if lines else ""
    best = f"The best settings are in `best.yaml`; `{command}` runs them."
    between = "".join(f"{part}\n\n" for part in parts if part)
    trials = f"## Trials\n\n{trials_grid(found).markdown()}\n"
    return f"# {title}\n\n{conclusion(found)}\n\n{best}\n\n{between}{trials}{failures}"
