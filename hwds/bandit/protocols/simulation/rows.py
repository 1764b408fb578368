"""The rows of a bandit simulation: one a replication, with what it was at every checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from hwds.bandit.protocols.simulation.arm_estimates import METHODS
from hwds.bandit.protocols.simulation.arrays import Tally
from hwds.bandit.protocols.simulation.play import Game
from hwds.frames.world import World

MOST_KEPT = 100_000
"""Replications of each model that the predictions table keeps."""

REGRETS = ("pseudo_regret", "fixed_regret", "realised_regret")
COUNTS = ("wins", "closed", "closed_wins")


def rows_of(tally: Tally, world: World, game: Game, first: int) -> pl.DataFrame:
    """Return a tally as a table.

    Columns: `replication`; `steps`, `pseudo_regret`, `fixed_regret`, `realised_regret` and `oracle` (what the best arms are
    expected to earn), lists over the checkpoints; `chosen` and `ideal`, the number of the arm of that very step and whether
    none was better then, too; `pulls`, a list over the checkpoints for each arm; `wins`, `values` and `segment_regret`, a
    number for each arm or segment; `closed` and `closed_wins`, the pulls and wins of which nothing more was to come, where
    others are open at the end; `best_arm`, the best fixed one; `uniform`, what uniform play is expected to lose by the end.
    """
    n = len(tally.wrong)
    count = len(game.checkpoints)
    oracle, uniform = expected_by(world, game)
    counts = {"wins": tally.wins}
    if world.delay or game.horizon % game.batch:
        counts |= {"closed": tally.closed, "closed_wins": tally.closed_wins}
    columns = [
        pl.Series("replication", np.arange(first, first + n)),
        _same("steps", np.array(game.checkpoints), n),
        *(_lists(name, values) for name, values in zip(REGRETS, (tally.pseudo, tally.fixed, tally.realised), strict=True)),
        _same("oracle", oracle, n),
        _lists("chosen", tally.chosen),
        _lists("ideal", tally.ideal.view(np.uint8)),
        _struct("pulls", {arm: _lists(arm, tally.pulls[:, :, i]) for i, arm in enumerate(world.arms)}),
        *(_struct(name, {arm: pl.Series(arm, own[:, i]) for i, arm in enumerate(world.arms)}) for name, own in counts.items()),
        _struct("values", {arm: pl.Series(arm, np.full(n, world.worth[i])) for i, arm in enumerate(world.arms)}),
        _struct("segment_regret", {name: pl.Series(name, tally.by_segment[:, i]) for i, name in enumerate(world.segments)}),
        pl.Series("best_arm", [world.arms[world.fixed(game.horizon)]] * n),
        pl.Series("uniform", np.full(n, uniform)),
    ]
    assert count == tally.pseudo.shape[1]
    return pl.DataFrame(columns)


def with_estimates(rows: pl.DataFrame, estimates: np.ndarray, arms: tuple[str, ...], wanted: str) -> pl.DataFrame:
    """Return the rows with `value[method]` and `stderr[method]`, a number for each arm, of the methods that were asked for."""
    methods = {"none": (), "ipw": METHODS[:1], "aipw": METHODS}[wanted]
    columns = [
        _struct(f"{kind}[{method}]", {arm: pl.Series(arm, estimates[:, place, i, part]) for i, arm in enumerate(arms)})
        for place, method in enumerate(methods)
        for part, kind in enumerate(("value", "stderr"))
    ]
    return rows.with_columns(columns)


def expected_by(world: World, game: Game) -> tuple[np.ndarray, float]:
    """Return the expected reward of the best arms by each checkpoint, and the expected loss of uniform play by the last."""
    best = world.best @ world.shares
    present = world.present[:, None, :]
    mean = np.where(present, world.conversions * world.worth, 0.0).sum(axis=2) / world.present.sum(axis=1)[:, None]
    oracle = np.array([world.moments(step) @ best for step in game.checkpoints])
    return oracle, float(oracle[-1] - world.moments(game.horizon) @ (mean @ world.shares))


def stored_rows(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the rows that the predictions table keeps: as each replication ended, `MOST_KEPT` of them at most."""
    ends = rows.head(MOST_KEPT)
    last = [pl.col(name).arr.last() for name in REGRETS]
    arms = [pl.col("pulls").struct.field(arm).arr.last().alias(f"pulls[{arm}]") for arm in ends["pulls"].struct.fields]
    wins = [
        pl.col(name).struct.field(arm).alias(f"{name}[{arm}]")
        for name in COUNTS
        if name in ends.columns
        for arm in ends[name].struct.fields
    ]
    keys = [name for name in ("model", "fold") if name in rows.columns]
    return ends.select(*keys, "replication", *last, pl.col("oracle").arr.last(), *arms, *wins)


def seen_counts(row: Mapping[str, Any], arm: str) -> tuple[int, int]:
    """Return an arm's offers of which nothing more was to come and their conversions, of a row that `stored_rows` made."""
    pair = ("closed", "closed_wins") if f"closed[{arm}]" in row else ("pulls", "wins")
    offered, wins = (int(row[f"{name}[{arm}]"]) for name in pair)
    return offered, wins


def _lists(name: str, values: np.ndarray) -> pl.Series:
    return pl.Series(name, np.ascontiguousarray(values), dtype=pl.Array(_kind(values), values.shape[1]))


def _same(name: str, values: np.ndarray, n: int) -> pl.Series:
    return _lists(name, np.broadcast_to(values, (n, len(values))))


def _kind(values: np.ndarray) -> type[pl.DataType]:
    return {"uint8": pl.UInt8, "uint32": pl.UInt32, "int64": pl.Int64}.get(values.dtype.name, pl.Float64)


def _struct(name: str, columns: dict[str, pl.Series]) -> pl.Series:
    return pl.DataFrame(list(columns.values())).to_struct(name)
