"""Panels whose sums have a known law, and the tables of a run on them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import polars as pl

from hwds.evaluation.protocol import Cell, RunContext
from hwds.forecast.models.base import ForecastContext, Forecaster, normal_bands
from hwds.forecast.protocols.walk_forward import WalkForward
from hwds.frames.frequency import Frequency
from hwds.frames.panel import Forecasts, Panel
from hwds.frames.roles import Roles
from hwds.results.tables import SCORES, TIMINGS, Tables

STEPS = 6
LEVEL = 20.0
TIMES = pl.date_range(date(2000, 1, 1), date(2040, 1, 1), "1mo", eager=True)


def panel_of(
    values: np.ndarray, horizon: int = STEPS, static: dict[str, list[str]] | None = None
) -> Panel:
    """Monthly series, one a row of `values`."""
    n, rows = values.shape
    ids = np.repeat([f"s{i:03d}" for i in range(n)], rows)
    columns = {"series_id": ids, "time": pl.concat([TIMES[:rows]] * n), "target": values.ravel()}
    columns |= {name: np.repeat(each, rows) for name, each in (static or {}).items()}
    roles = Roles(static=tuple(static or ()))
    return Panel.build(
        pl.DataFrame(columns), Frequency("1mo"), roles=roles, season=12, horizon=horizon
    )


def autoregressions(n: int, rows: int, phi: float, seed: int, shared: float = 0.0) -> np.ndarray:
    """Series of y(t) = phi y(t-1) + e(t), e standard normal correlated by `shared` between series.

    A random walk for phi 1.
    """
    rng = np.random.default_rng(seed)
    shocks = np.sqrt(shared) * rng.normal(size=rows) + np.sqrt(1 - shared) * rng.normal(
        size=(n, rows)
    )
    values = np.zeros((n, rows))
    values[:, 0] = shocks[:, 0] / np.sqrt(1 - phi**2) if phi < 1 else shocks[:, 0]
    for t in range(1, rows):
        values[:, t] = phi * values[:, t - 1] + shocks[:, t]
    return values


def psi_sums(phi: float, steps: int) -> np.ndarray:
    """What each later innovation adds to the sum over the steps, shape (steps,)."""
    return np.array([sum(phi**j for j in range(steps - k)) for k in range(steps)])


class Autoregression(Forecaster):
    """The true conditional law of an autoregression with a standard normal innovation."""

    local = True
    phi: float = 0.5

    def learn(
        self, history: Panel, *, horizon: int, context: ForecastContext
    ) -> FittedAutoregression:
        return FittedAutoregression(self.phi, context.levels)


@dataclass(frozen=True)
class FittedAutoregression:
    phi: float
    levels: tuple[float, ...]

    def predict(self, history: Panel, future: Panel) -> Forecasts:
        steps = np.arange(1, future.lengths[0] + 1)
        mean = history.target[history.offsets[1:] - 1][:, None] * self.phi**steps
        spread = np.sqrt(np.cumsum(self.phi ** (2.0 * (steps - 1))))
        return normal_bands(mean, np.broadcast_to(spread, mean.shape), self.levels)


class Demand(Autoregression):
    """The true law of an autoregression around a level."""

    def learn(self, history, *, horizon, context):
        return FittedDemand(self.phi, context.levels)


@dataclass(frozen=True)
class FittedDemand(FittedAutoregression):
    def predict(self, history, future):
        steps = np.arange(1, future.lengths[0] + 1)
        mean = LEVEL + (history.target[history.offsets[1:] - 1][:, None] - LEVEL) * self.phi**steps
        spread = np.sqrt(np.cumsum(self.phi ** (2.0 * (steps - 1))))
        return normal_bands(mean, np.broadcast_to(spread, mean.shape), self.levels)


def run(
    panel: Panel, model: Forecaster, protocol: WalkForward, label: str = "own", seed: int = 3
) -> Tables:
    """The tables of a run, without scores but for the seed."""
    rows = []
    for fold in protocol.split(panel):
        asked = protocol.evaluate_cell(
            model, panel, Cell(label, fold, 0, fold.units), RunContext(seed, fold.name)
        ).sort(protocol.keys)
        rows.append(
            asked.select(
                pl.lit(label).alias("model"), pl.lit(fold.index, pl.Int32).alias("fold"), pl.all()
            )
        )
    scores = pl.DataFrame([{"seed": seed}], schema=SCORES)
    return Tables(scores, pl.concat(rows), pl.DataFrame(schema=TIMINGS))


def told(tables: Tables, panel: Panel, protocol: WalkForward, decision, **changes):
    """The verdict of a run's own model."""
    return replace(decision, **changes).decide(tables, panel, "own", protocol)
