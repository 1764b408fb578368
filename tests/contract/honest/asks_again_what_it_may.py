"""A model that back-tests itself on its own history, through the cache that a run gives."""

from tests.support.leaks import Knowing
from tests.support.panels import LastValue


class Model(LastValue):
    def learn(self, history, *, horizon, context):
        windows = LastValue().backtest(history, 2, horizon=horizon, context=context)
        return Knowing(context.levels, {("none", "none"): float(windows["actual"].mean())})
