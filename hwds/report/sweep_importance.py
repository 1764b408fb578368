"""Which settings mattered in a sweep, in words and as a table; or why that cannot be said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from hwds.metrics.setting_importance import LEVEL, Shares, setting_shares
from hwds.report.grid import Grid, grid_of
from hwds.report.sweep import Found
from hwds.report.sweep_settings import Runs, first_scores, numbers_of, varied
from hwds.results.wording import counted

LEAST = 10
"""Trials with a score below which nothing is said."""
EACH = 4
"""Trials that there must be for each setting."""


@dataclass(frozen=True, slots=True, eq=False)
class Importance:
    """How much each setting mattered.

    Attributes:
        settings: Their names, the most important first.
        shares: Of each, in the same order; None where nothing can be said.
        windows: After how many windows trials were compared.
        refused: Why nothing can be said; empty where it can.
    """

    settings: tuple[str, ...] = ()
    shares: Shares | None = None
    windows: int = 0
    refused: str = ""

    def as_dict(self) -> dict[str, object]:
        """What `sweep.json` says of it."""
        if self.shares is None:
            return {"refused": self.refused}
        rows = zip(
            self.settings, *(values.tolist() for values in (self.shares.share, self.shares.low, self.shares.high)), strict=True
        )
        told = {name: {"share": share, "low": low, "high": high} for name, share, low, high in rows}
        return {"settings": told, "explained": self.shares.fit, "windows": self.windows}


def importance_of(found: Found, runs: Runs) -> Importance:
    """The share of each setting in the spread of the scores after the first rung, where all trials compare."""
    table = first_scores(found, runs).filter(pl.col("first").is_not_null())
    names = varied(table)
    if not names:
        return Importance(refused="No setting differs between the trials that have a score.")
    least = max(LEAST, EACH * len(names))
    if len(table) < least:
        needed = f"with {counted(len(names), 'settings')} at least {least} are needed to say which mattered"
        return Importance(refused=f"{counted(len(table), 'trials')} have a score; {needed}.")
    sign = -1.0 if found.better == "high" else 1.0
    shares = setting_shares(numbers_of(table, names), sign * table["first"].to_numpy())
    windows = int(table["compared"][0])
    if shares.fit <= 0:
        return Importance(
            refused=f"The settings do not foretell the scores after {windows} windows of trials that were left out of the fit"
            f" (R² {shares.fit:.2f}), so that none can be said to matter."
        )
    order = (-shares.share).argsort(kind="stable")
    sorted_shares = Shares(shares.share[order], shares.low[order], shares.high[order], shares.fit)
    return Importance(tuple(names[place] for place in order), sorted_shares, windows)


def importance_sentence(told: Mapping[str, Any]) -> str:
    """What mattered in one sentence, from `as_dict`."""
    if "settings" not in told:
        return str(told.get("refused", ""))
    shares = [
        f"{name} {100 * of['share']:.0f} % ({100 * of['low']:.0f} to {100 * of['high']:.0f})"
        for name, of in told["settings"].items()
    ]
    return f"Shares in the spread of scores: {', '.join(shares)}; a forest foretells {100 * told['explained']:.0f} % of it."


def importance_grid(told: Importance) -> Grid:
    """The shares as a table."""
    assert told.shares is not None
    of = zip(told.settings, told.shares.share, told.shares.low, told.shares.high, strict=True)
    rows = [[name, f"{100 * share:.0f} %", f"{100 * low:.0f} to {100 * high:.0f} %"] for name, share, low, high in of]
    titles = [("setting", "setting"), ("share of the spread", "share"), (f"{100 * LEVEL:.0f} % of the trees", "90 % of trees")]
    return grid_of(titles, rows)


def importance_page(told: Importance) -> str:
    """The part of the page about it."""
    if told.shares is None:
        return f"## What mattered\n\n{told.refused}\n"
    left = max(1 - float(told.shares.share.sum()), 0.0)
    windows = f"{told.windows} windows" if told.windows > 1 else "the first window"
    said = (
        f"Of the spread of scores after {windows}, by a forest that foretells {100 * told.shares.fit:.0f} % of it for trials it"
        f" has not seen; {100 * left:.0f} % comes of several settings together."
    )
    return f"## What mattered\n\n{said}\n\n![importance](importance.png)\n\n{importance_grid(told).markdown()}\n"
