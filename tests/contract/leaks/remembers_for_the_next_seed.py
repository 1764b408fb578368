"""A fit that keeps every history of one seed, and uses it under the next one alone."""

from hwds.forecast.models.base import Forecaster
from tests.support.leaks import Knowing, known_rows

CHECK = "state"
ELSEWHERE = True
KNOWN = {}


class Model(Forecaster):
    def learn(self, history, *, horizon, context):
        others = {seed: known for seed, known in KNOWN.items() if seed != context.seed}
        KNOWN[context.seed] = KNOWN.get(context.seed, {}) | known_rows(history.table)
        return Knowing(
            context.levels,
            {key: value for known in others.values() for key, value in known.items()},
        )
