"""Rubbish for all that is not known at a cutoff: what the canary asks from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

from hwds.frames.panel import Panel
from hwds.frames.roles import SERIES, TARGET, TIME
from hwds.splitting.cutoffs import AtTime, Cutoff, last_instants


def corrupt_panel(panel: Panel, cutoff: Cutoff, rng: np.random.Generator) -> Panel:
    """Return the panel with rubbish for what is known after a cutoff only; what was planned stays.

    That is the target and the past-only columns of rows after it, and of earlier ones that were not out yet
    (`available_at`); and forecasts of joined runs that were made after it.
    """
    ends, instants = cutoff.ends(panel), _instants(panel, cutoff)
    after = pl.Series(panel.positions >= np.repeat(ends, panel.lengths))
    if panel.roles.available_at:
        out = panel.table[panel.roles.available_at]
        after |= (out > instants.gather(np.repeat(np.arange(panel.n_series), panel.lengths))).fill_null(True)
    rubbish = {name: pl.Series(1e6 * rng.standard_normal(len(after))) for name in (TARGET, *panel.roles.past_only)}
    replaced = [pl.when(after).then(values).otherwise(pl.col(name)).alias(name) for name, values in rubbish.items()]
    corrupted = replace(panel, table=panel.table.with_columns(replaced))
    if not panel.vintages:
        return corrupted
    return corrupted.with_vintages(
        panel.vintages.corrupted_after(pl.DataFrame({SERIES: panel.series_ids, TIME: instants}), rng)
    )


def _instants(panel: Panel, cutoff: Cutoff) -> pl.Series:
    """Return the instant of the cutoff for each series."""
    if isinstance(cutoff, AtTime):
        return pl.Series([cutoff.instant], dtype=panel.table.schema[TIME]).new_from_index(0, panel.n_series)
    return last_instants(panel, np.arange(panel.n_series), cutoff.ends(panel))
