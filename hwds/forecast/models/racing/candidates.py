"""The candidates on a panel, in order: those that won most often on panels of its kind, cheap ones first.

The order was measured by `python -m bench.candidates` on simulated panels that stand in no reported table: `weekly_sales` and
`hardware_demand` with seed 900, and series drawn from smooth, hourly and intermittent laws (`bench/candidates.txt`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwds.core.recipe import construct
from hwds.forecast.models.base import Forecaster
from hwds.forecast.models.long_season import DAYS, Longer, LongSeason
from hwds.frames.panel import Panel

MANY_ZEROS = 0.35
"""The share of zeros from which demand counts as intermittent."""

FEW_ZEROS = 0.01
"""The share of zeros from which logarithms and lgt are not tried: neither has an own answer for a series with a zero."""

YOUNG = 0.05
"""The share of series with no season behind them from which a panel has young ones."""

HOURS = 24
"""A season of so many rows, or of a multiple, is a day, beyond which there may be a week; seven times as many are a week."""

WEEKS, LOOKED = 0.5, 64
"""The share of series with a week, of so many looked at, from which a panel has weeks."""


@dataclass(frozen=True, slots=True)
class Look:
    """The traits of a panel.

    Attributes:
        series: The number of series.
        length: The median number of their rows.
        season: Rows in a season.
        zeros: The share of known values that are 0.
        young: The share of series with no season behind them.
        covariates: Columns that are known ahead.
        negative: Whether some value is below 0.
        weeks: Whether a season is a day, and most series have a week beside it.
    """

    series: int
    length: int
    season: int
    zeros: float
    young: float
    covariates: int
    negative: bool
    weeks: bool = False

    @classmethod
    def of(cls, history: Panel, season: int) -> Look:
        """Return the traits of a history."""
        known = history.target[~np.isnan(history.target)]
        return cls(
            series=history.n_series,
            length=int(np.median(history.lengths)),
            season=season,
            zeros=float((known == 0).mean()) if len(known) else 0.0,
            young=float((history.lengths <= season).mean()),
            covariates=len(history.roles.known_future),
            negative=bool((known < 0).any()),
            weeks=season % HOURS == 0 and season % (HOURS * DAYS) > 0 and _share_with_weeks(history, season) >= WEEKS,
        )

    @property
    def kind(self) -> str:
        """`intermittent`, `covariates` or `smooth`."""
        if self.zeros >= MANY_ZEROS and not self.negative:
            return "intermittent"
        return "covariates" if self.covariates else "smooth"

    def __str__(self) -> str:
        parts = [f"{self.series:,} series of some {self.length} rows", f"season {self.season}"]
        parts += ["weeks of days"] if self.weeks else []
        parts += [f"{self.covariates} column{'s' * (self.covariates > 1)} known ahead"] if self.covariates else []
        rare = " (intermittent)" if self.kind == "intermittent" else ""
        parts += [f"{100 * self.zeros:.0f} % zeros{rare}"] if self.zeros >= 0.01 else []
        parts += [f"{100 * self.young:.0f} % with no season behind them"] if self.young else []
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A forecaster to race.

    Attributes:
        model: Its recipe.
        after: The name of a lighter one of its kind, without whose help it is not tried; empty for none.
    """

    model: Forecaster
    after: str = ""

    @property
    def name(self) -> str:
        """The name of its option and what it changes."""
        return self.model.name


def candidates(look: Look, own: Sequence[Forecaster] = ()) -> tuple[Candidate, ...]:
    """Return the candidates in order, without the seasonal naive; those of the user's own where there are some."""
    if own:
        return tuple(Candidate(model) for model in own)
    return tuple(_without_weeks(each) for each in _usual(look)) if look.weeks else _usual(look)


def _share_with_weeks(history: Panel, season: int) -> float:
    """Return the share of series that have a week beside the day, of some that lie evenly in the panel."""
    week, step = Longer(season, DAYS), -(-history.n_series // LOOKED)
    return float(np.mean([bool(week.of(history.series(i))) for i in range(0, history.n_series, step)]))


def _without_weeks(each: Candidate) -> Candidate:
    """Return a candidate that sees series without their weeks; a model of intermittent demand sees them as they are."""
    if _of_demand(each.model):
        return each
    return _named(LongSeason, _week_name(each.name), after=each.after and _week_name(each.after), member=each.model)


def _of_demand(model: Forecaster) -> bool:
    """Return whether a model is one of intermittent demand, which has no answer to what a week leaves below zero."""
    objective = getattr(model, "objective", "quantile")
    return model.name == "forecast/zero" or getattr(model, "of_demand", False) or objective != "quantile"


def _week_name(name: str) -> str:
    return f"forecast/long_season(member={name.removeprefix('forecast/')})"


def _usual(look: Look) -> tuple[Candidate, ...]:
    """Return the candidates for a panel of its kind."""
    from hwds.forecast.models.adida import ADIDA
    from hwds.forecast.models.adjusted import Adjusted
    from hwds.forecast.models.analog import Analog
    from hwds.forecast.models.ces import CES
    from hwds.forecast.models.croston import Croston
    from hwds.forecast.models.damped import Damped
    from hwds.forecast.models.ets import ETS
    from hwds.forecast.models.lgt import LGT
    from hwds.forecast.models.lstm import LSTM
    from hwds.forecast.models.mlp import MLP
    from hwds.forecast.models.sarima import Sarima
    from hwds.forecast.models.theta import Theta
    from hwds.forecast.models.tsb import TSB
    from hwds.forecast.models.xgboost import XGBoost
    from hwds.forecast.models.zero import Zero

    quick: dict[str, Any] = {"trees": 60, "patience": 0, "learning_rate": 0.1, "max_rows": 20_000}
    light = "forecast/xgboost(trees=60,patience=0,max_rows=20000)"
    network = "forecast/lstm(units=24,seeds=1)"
    analog, trees = _named(Analog, "forecast/analog"), _named(XGBoost, light, **quick)
    forest = _named(XGBoost, "forecast/xgboost", after=light)
    lined = _named(XGBoost, "forecast/xgboost(base=lines)", base="lines")
    theta = _named(Theta, "forecast/theta(origins=0)", origins=0)
    damped = _named(Damped, "forecast/damped(origins=0)", origins=0)
    ets, ces = _named(ETS, "forecast/ets"), _named(CES, "forecast/ces")
    small, large = _named(LSTM, network, units=24, seeds=1), _named(LSTM, "forecast/lstm", after=network)
    wide = _named(MLP, "forecast/mlp(max_windows=60000)", after="forecast/mlp", max_windows=60_000)
    mlp, sarima = _named(MLP, "forecast/mlp"), _named(Sarima, "forecast/sarima")
    if look.kind == "intermittent":
        counts = _named(XGBoost, light.replace("(", "(objective=tweedie,"), objective="tweedie", **quick)
        simple = (_named(Zero, "forecast/zero"), _named(TSB, "forecast/tsb"), _named(Croston, "forecast/croston"))
        return (*simple, _named(ADIDA, "forecast/adida"), theta, trees, counts, ets, forest, small)
    if look.kind == "covariates":
        smooth = _named(Adjusted, "forecast/adjusted(member=theta)", member=theta.model)
        searched = _named(
            Adjusted, "forecast/adjusted(member=sarima)", member=construct(Sarima, "model", {"covariates": False})
        )
        return (analog, smooth, trees, searched, forest, mlp, small, large, ets)
    first = (analog, theta, damped) if look.young >= YOUNG else (theta, damped)
    positive = look.zeros < FEW_ZEROS and not look.negative
    rates, growing = (_in_logarithms(), (_named(LGT, "forecast/lgt"),)) if positive else ((), ())
    networks = (mlp, wide, small, large) if look.series * look.length > MLP.max_windows else (mlp, small, large)
    return (*first, *rates, trees, lined, forest, *networks, *growing, sarima, ets, ces)


def _in_logarithms() -> tuple[Candidate, ...]:
    """Return what is cheap and may forecast series above 0 in logarithms."""
    from hwds.forecast.models.damped import Damped
    from hwds.forecast.models.theta import Theta

    theta = _named(Theta, "forecast/theta(logs=true,origins=0)", origins=0, logs=True)
    return theta, _named(Damped, "forecast/damped(logs=true,origins=0)", origins=0, logs=True)


def _named(kind: type[Forecaster], name: str, after: str = "", **settings: Any) -> Candidate:
    return Candidate(construct(kind, "model", {"name": name, **settings}), after)
