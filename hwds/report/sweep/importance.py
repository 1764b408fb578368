"""The importance of a sweep's settings, in words and as a table; or the reason why it cannot be estimated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from hwds.report.grid import Grid, grid_of
from hwds.report.sweep.result import Runs, SweepResult, first_scores, numbers_of, varied
from hwds.results.formatting import counted
from hwds.statistics.functional_anova import LEVEL, Shares, setting_shares

LEAST = 10
"""The least number of trials with a score for an estimate."""
EACH = 4
"""The least number of trials for each setting."""


@dataclass(frozen=True, slots=True, eq=False)
class SettingsImportance:
    """The importance of each setting.

    Attributes:
        settings: Their names, the most important first.
        shares: Their shares in the spread of scores, in the same order; None where there is no estimate.
        windows: The number of windows after which trials were compared.
        refused: The reason why there is no estimate; empty where there is one.
    """

    settings: tuple[str, ...] = ()
    shares: Shares | None = None
    windows: int = 0
    refused: str = ""

    def as_dict(self) -> dict[str, object]:
        """Return the plain values for `sweep.json`."""
        if self.shares is None:
            return {"refused": self.refused}
        rows = zip(
            self.settings, *(values.tolist() for values in (self.shares.share, self.shares.low, self.shares.high)), strict=True
        )
        shares = {name: {"share": share, "low": low, "high": high} for name, share, low, high in rows}
        return {"settings": shares, "explained": self.shares.fit, "windows": self.windows}


def importance_of(result: SweepResult, runs: Runs) -> SettingsImportance:
    """Return the share of each setting in the spread of the scores after the first rung, which all trials have reached."""
    table = first_scores(result, runs).filter(pl.col("first").is_not_null())
    names = varied(table)
    if not names:
        return SettingsImportance(refused="No setting differs between the trials that have a score.")
    least = max(LEAST, EACH * len(names))
    if len(table) < least:
        needed = f"with {counted(len(names), 'settings')} at least {least} are needed to say which mattered"
        return SettingsImportance(refused=f"{counted(len(table), 'trials')} have a score; {needed}.")
    sign = -1.0 if result.better == "high" else 1.0
    shares = setting_shares(numbers_of(table, names), sign * table["first"].to_numpy())
    windows = int(table["compared"][0])
    if shares.fit <= 0:
        return SettingsImportance(
            refused=f"The settings do not foretell the scores after {windows} windows of trials that were left out of the fit"
            f" (R² {shares.fit:.2f}), so that none can be said to matter."
        )
    order = (-shares.share).argsort(kind="stable")
    sorted_shares = Shares(shares.share[order], shares.low[order], shares.high[order], shares.fit)
    return SettingsImportance(tuple(names[place] for place in order), sorted_shares, windows)


def importance_sentence(data: Mapping[str, Any]) -> str:
    """Return the importance in one sentence, from the values of `as_dict`."""
    if "settings" not in data:
        return str(data.get("refused", ""))
    shares = [
        f"{name} {100 * of['share']:.0f} % ({100 * of['low']:.0f} to {100 * of['high']:.0f})"
        for name, of in data["settings"].items()
    ]
    return f"Shares in the spread of scores: {', '.join(shares)}; a forest foretells {100 * data['explained']:.0f} % of it."


def importance_grid(importance: SettingsImportance) -> Grid:
    """Return the shares as a table."""
    assert importance.shares is not None
    of = zip(importance.settings, importance.shares.share, importance.shares.low, importance.shares.high, strict=True)
    rows = [[name, f"{100 * share:.0f} %", f"{100 * low:.0f} to {100 * high:.0f} %"] for name, share, low, high in of]
    titles = [("setting", "setting"), ("share of the spread", "share"), (f"{100 * LEVEL:.0f} % of the trees", "90 % of trees")]
    return grid_of(titles, rows)


def importance_page(importance: SettingsImportance) -> str:
    """Return the section of the Markdown page."""
    if importance.shares is None:
        return f"## What mattered\n\n{importance.refused}\n"
    left = max(1 - float(importance.shares.share.sum()), 0.0)
    windows = f"{importance.windows} windows" if importance.windows > 1 else "the first window"
    text = (
        f"Of the spread of scores after {windows}, by a forest that foretells {100 * importance.shares.fit:.0f} % of it for"
        f" trials it has not seen; {100 * left:.0f} % comes of several settings together."
    )
    return f"## What mattered\n\n{text}\n\n![importance](importance.png)\n\n{importance_grid(importance).markdown()}\n"
