"""A forecaster that sees series without the effects of columns that are known ahead."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np
import polars as pl
from pydantic import AfterValidator

from hwds.core.serialization import Serializable
from hwds.forecast.context import ForecastContext
from hwds.forecast.models.base import FittedForecaster, Forecaster
from hwds.forecast.models.effects.columns import Effects, sizes
from hwds.forecast.models.since_break import alone
from hwds.frames.forecasts import Forecasts
from hwds.frames.panel import Panel
from hwds.frames.roles import TARGET, Roles


class Adjusted(Forecaster):
    """A forecaster of each series alone, shown the series without the effects of prices, promotions and other known columns.

    Effects are learned from all series together: regressions with errors of exponential smoothing, whose coefficients differ
    from series to series as far as the data say so (empirical Bayes), so that a young product has those of the others. They
    multiply where no value is below 0, and positive columns count by their log: the effect of a price is an elasticity, and
    never above 0. The member forecasts what is left, and the effects of the planned columns are put back. It is not shown
    these columns, so that none counts twice. One that moves on at every row (the age of a device) tells the time: it has no
    effect, and the member may read it. Without columns the member's answer is unchanged.

    Attributes:
        member: Any forecaster that fits each series alone.

    Example:
        python -m hwds dataset=weekly_sales model=forecast/adjusted model.member=forecast/ets
    """

    member: Annotated[Forecaster, AfterValidator(alone)]

    def learn(self, history: Panel, *, horizon: int, context: ForecastContext) -> FittedAdjusted:
        """Learn effects from all series, and fit the member to what they leave."""
        effects = Effects.learn(history)
        fitted = self.member.learn(shown(effects, history), horizon=horizon, context=context)
        return FittedAdjusted(fitted, effects)


@dataclass(frozen=True, eq=False)
class FittedAdjusted(Serializable):
    """The member as it was fitted, and the effects that series are freed of."""

    member: Any
    effects: Effects

    def predict(self, history: Panel, future: Panel) -> Forecasts:
        """Return the member's forecasts of the series without effects, with those of the planned columns."""
        fitted: FittedForecaster = self.member
        said = fitted.predict(shown(self.effects, history), _bare(self.effects, future))
        steps = int(future.lengths[0])
        whole = history.followed_by(future)
        last = whole.offsets[1:, None] - steps + np.arange(steps)
        effect, size = self.effects.of(whole, history.lengths)[last], sizes(history)[:, None]
        mean = self.effects.into(said.mean, effect, size)
        quantiles = self.effects.into(said.quantiles, effect[..., None], size[..., None])
        return replace(Forecasts.of(mean, quantiles, said.fallback), diagnostics=said.diagnostics)


def shown(effects: Effects, history: Panel) -> Panel:
    """Return a history without the effects of its columns, which play no role in it."""
    size = np.repeat(sizes(history), history.lengths)
    values = effects.out_of(history.target, effects.of(history, history.lengths), size)
    table = history.table.with_columns(pl.Series(TARGET, values, nan_to_null=True))
    return _bare(effects, replace(history, table=table))


def _bare(effects: Effects, panel: Panel) -> Panel:
    taken = {column.name for column in effects.columns}
    roles = {role: tuple(name for name in names if name not in taken) for role, names in panel.roles.items()}
    return replace(panel, roles=Roles(roles))
