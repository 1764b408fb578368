"""A protocol that fits on all rows, and cuts them only when it asks."""

from hwds.forecast.models.base import Forecaster
from hwds.forecast.protocols.walk_forward import WalkForward
from tests.support.leaks import Knowing

CHECK = "future"


class Model(Forecaster):
    def learn(self, history, *, horizon, context):
        mean = float(history.target.mean())
        return Knowing(
            context.levels,
            {
                (name, str(at)): mean
                for name, at in history.table.select("series_id", "time").rows()
            },
        )


class Protocol(WalkForward):
    def evaluate_cell(self, model, frame, cell, context):
        fitted = model.learn(
            frame, horizon=self.steps(frame), context=self._context(context, frame)
        )

        class Given(Forecaster):
            def learn(self, history, *, horizon, context):
                return fitted

        return super().evaluate_cell(Given(), frame, cell, context)
