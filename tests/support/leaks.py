"""What the gallery of leaks is made of: forecasters that know more than their history, and a policy
in plain numpy.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import polars as pl

from hwds.bandit.models.base import Policy
from hwds.bandit.models.kernels.base import BatchKernel
from hwds.bandit.simulation.play import as_uniforms, word_keys
from hwds.forecast.models.base import Forecaster
from hwds.frames.panel import Forecasts
from tests.support.panels import FittedLastValue, monthly_panel
from tests.support.rows import toy_rows

PANEL = monthly_panel(n_series=3, months=40, horizon=3)


def known_rows(table: pl.DataFrame) -> dict[tuple[str, str], float]:
    """The target by series and time."""
    names, times, values = (table[name].to_list() for name in ("series_id", "time", "target"))
    return {(name, str(at)): value for name, at, value in zip(names, times, values, strict=True)}


@dataclass(frozen=True)
class Knowing(FittedLastValue):
    """Forecasts what it knows, and the last value where it knows nothing."""

    known: dict

    def predict(self, history, future):
        plain = super().predict(history, future)
        keys = zip(future.table["series_id"].to_list(), future.table["time"].to_list(), strict=True)
        told = np.array([self.known.get((name, str(at)), np.nan) for name, at in keys]).reshape(
            plain.mean.shape
        )
        mean = np.where(np.isnan(told), plain.mean, told)
        return Forecasts.of(mean, np.repeat(mean[..., None], len(self.levels), axis=2))


class Reads(Forecaster):
    """Forecasts what it reads somewhere: `read` returns a table with the future in it."""

    def learn(self, history, *, horizon, context):
        return Knowing(context.levels, known_rows(self.read()))


class Remembers(Forecaster):
    """Forecasts what other fits were given: `recall` and `keep` say where it lies meanwhile."""

    def learn(self, history, *, horizon, context):
        known = self.recall() | known_rows(history.table)
        self.keep(known)
        return Knowing(context.levels, known)


class InTurn(Policy):
    """Plays arms in turn at first, then the one that earned most a step; `pick` may do better than
    it can.
    """

    def kernel(self, arms):
        values = np.asarray(arms.values, float)

        def start(seed):
            return np.zeros((2, arms.count))

        def select(state, step, segments, contexts, active, generator):
            picked = self.pick(arms, step, generator)
            if picked is not None:
                return np.full(len(segments), picked)
            seen, won = state
            best = (
                step % arms.count
                if step < 10 * arms.count
                else int(np.argmax(won * values / np.maximum(seen, 1)))
            )
            return np.full(len(segments), best)

        def update(state, steps, segments, contexts, arms, outcomes):
            np.add.at(state[0], arms, 1)
            np.add.at(state[1], arms, outcomes)
            return state

        return BatchKernel(start, select, update)

    def pick(self, arms, step, generator):
        return None


WORD = 1 << 64


def unmixed(word):
    """SplitMix64 backwards."""
    for shift, factor in ((31, 0x94D049BB133111EB), (27, 0xBF58476D1CE4E5B9), (30, 1)):
        word ^= (word >> shift) ^ (word >> 2 * shift)
        word = word * pow(factor, -1, WORD) % WORD
    return word


class Unmixes(InTurn):
    """Computes the key of the customers back from that of its own random numbers, and goes by it
    after some steps, as long as what customers did agrees; `best` says how.
    """

    def kernel(self, arms):
        honest, values = super().kernel(arms), np.asarray(arms.values, float)

        def start(seed):
            ends = np.zeros(arms.count), np.ones(arms.count)
            return SimpleNamespace(own=honest.start(seed), key=None, ends=ends)

        def select(state, step, segments, contexts, active, generator):
            if state.key is None:
                state.key = self.key(generator)
            low, high = state.ends
            if step < 4 * arms.count or (low >= high).any():
                return honest.select(state.own, step, segments, contexts, active, generator)
            draws = as_uniforms(word_keys(word_keys(state.key, step), np.arange(arms.count)))
            return np.full(len(segments), self.best(draws, values, low, high))

        def update(state, steps, segments, contexts, arms, outcomes):
            draws = as_uniforms(word_keys(word_keys(state.key, steps), arms))
            taken = outcomes > 0
            np.maximum.at(state.ends[0], arms[taken], draws[taken])
            np.minimum.at(state.ends[1], arms[~taken], draws[~taken])
            honest.update(state.own, steps, segments, contexts, arms, outcomes)
            return state

        return BatchKernel(start, select, update)

    def key(self, generator):
        return np.uint64(unmixed(int(generator.bit_generator.state["state"]["key"][0])))


class Bisects(Unmixes):
    """Bisects each arm's conversion where a customer's draw lies between what is known of it, and
    plays the best.
    """

    def best(self, draws, values, low, high):
        tells = (values * high > (values * low).max()) & (low < draws) & (draws < high)
        return int(np.argmax(tells * (high - low) if tells.any() else values * (low + high)))


def panel_with(column: pl.Expr, role: str):
    """Sixteen series, some rows of which are 0, with one more column in a role."""
    panel = monthly_panel(n_series=16)
    quiet = (
        pl.when((pl.int_range(pl.len()) * 7) % 11 == 0)
        .then(0.0)
        .otherwise(pl.col("target"))
        .alias("target")
    )
    table = (
        panel.table
        if "log" in str(column) or role != "known_future"
        else panel.table.with_columns(quiet)
    )
    made = table.with_columns(column.over("series_id").alias("given"))
    return replace(
        panel, table=made, roles=panel.roles | {role: (*panel.roles.get(role, ()), "given")}
    )


def table_with(column: pl.Expr):
    """Small rows with one more input."""
    rows = toy_rows(400)
    made = rows.data.with_columns(column.alias("given"))
    return replace(rows, data=made, roles=rows.roles | {"covariate": (*rows.inputs, "given")})


def _labelled_at_once():
    rows = toy_rows(500, days=24)
    return replace(
        rows,
        data=rows.data.with_columns(found_at=pl.col("time")),
        roles=rows.roles | {"label_time": ("found_at",)},
    )


LABELLED_AT_ONCE = _labelled_at_once()
