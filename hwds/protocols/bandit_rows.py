"""The rows of a bandit simulation: one a replication, with what it was at every checkpoint."""

from __future__ import annotations

import numpy as np
import polars as pl

from hwds.frames.world import World
from hwds.protocols.arm_estimates import METHODS
from hwds.protocols.simulating import Game
from hwds.protocols.simulating_loop import Tally

MOST_KEPT = 100_000
"""Replications of each model that the predictions table keeps."""

REGRETS = ("pseudo_regret", "fixed_regret", "realised_regret")


def rows_of(tally: Tally, world: World, game: Game, first: int) -> pl.DataFrame:
    """A tally as a table.

    Columns: `replication`; `steps`, `pseudo_regret`, `fixed_regret`, `realised_regret` and `oracle` (what the best arms are
    expected to earn), lists over the checkpoints; `pulls`, a list over the checkpoints for each arm; `wins`, `values` and
    `segment_regret`, a number for each arm or segment; `best_arm`, the best fixed one; `uniform`, what uniform play is
    expected to lose by the end.
    """
    n = len(tally.wrong)
    count = len(game.checkpoints)
    oracle, uniform = expected_by(world, game)
    columns = [
        pl.Series("replication", np.arange(first, first + n)),
        _same("steps", np.array(game.checkpoints), n),
        *(_lists(name, values) for name, values in zip(REGRETS, (tally.pseudo, tally.fixed, tally.realised), strict=True)),
        _same("oracle", oracle, n),
        _struct("pulls", {arm: _lists(arm, tally.pulls[:, :, i]) for i, arm in enumerate(world.arms)}),
        _struct("wins", {arm: pl.Series(arm, tally.wins[:, i]) for i, arm in enumerate(world.arms)}),
        _struct("values", {arm: pl.Series(arm, np.full(n, world.values[i])) for i, arm in enumerate(world.arms)}),
        _struct("segment_regret", {name: pl.Series(name, tally.by_segment[:, i]) for i, name in enumerate(world.segments)}),
        pl.Series("best_arm", [world.arms[world.fixed(game.horizon)]] * n),
        pl.Series("uniform", np.full(n, uniform)),
    ]
    assert count == tally.pseudo.shape[1]
    return pl.DataFrame(columns)


def with_estimates(rows: pl.DataFrame, estimates: np.ndarray, arms: tuple[str, ...], wanted: str) -> pl.DataFrame:
    """The rows with `value[method]` and `stderr[method]`, a number for each arm, of the methods that were asked for."""
    methods = {"none": (), "ipw": METHODS[:1], "aipw": METHODS}[wanted]
    columns = [
        _struct(f"{kind}[{method}]", {arm: pl.Series(arm, estimates[:, place, i, part]) for i, arm in enumerate(arms)})
        for place, method in enumerate(methods)
        for part, kind in enumerate(("value", "stderr"))
    ]
    return rows.with_columns(columns)


def expected_by(world: World, game: Game) -> tuple[np.ndarray, float]:
    """What the best arms are expected to earn by each checkpoint, and what uniform play is expected to lose by the last."""
    best = world.best @ world.shares
    present = world.present[:, None, :]
    mean = np.where(present, world.conversions * world.values, 0.0).sum(axis=2) / world.present.sum(axis=1)[:, None]
    oracle = np.array([world.moments(step) @ best for step in game.checkpoints])
    return oracle, float(oracle[-1] - world.moments(game.horizon) @ (mean @ world.shares))


def kept_rows(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows that the predictions table keeps: as each replication ended, `MOST_KEPT` of them at most."""
    ends = rows.head(MOST_KEPT)
    last = [pl.col(name).arr.last() for name in REGRETS]
    arms = [pl.col("pulls").struct.field(arm).arr.last().alias(f"pulls[{arm}]") for arm in ends["pulls"].struct.fields]
    wins = [pl.col("wins").struct.field(arm).alias(f"wins[{arm}]") for arm in ends["wins"].struct.fields]
    keys = [name for name in ("model", "fold") if name in rows.columns]
    return ends.select(*keys, "replication", *last, pl.col("oracle").arr.last(), *arms, *wins)


def _lists(name: str, values: np.ndarray) -> pl.Series:
    return pl.Series(name, np.ascontiguousarray(values), dtype=pl.Array(_kind(values), values.shape[1]))


def _same(name: str, values: np.ndarray, n: int) -> pl.Series:
    return _lists(name, np.broadcast_to(values, (n, len(values))))


def _kind(values: np.ndarray) -> type[pl.DataType]:
    return {"u": pl.UInt32, "i": pl.Int64}.get(values.dtype.kind, pl.Float64)


def _struct(name: str, columns: dict[str, pl.Series]) -> pl.Series:
    return pl.DataFrame(list(columns.values())).to_struct(name)
