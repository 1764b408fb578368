"""A policy that learns in the first replications what it plays in all that follow."""

from hwds.bandit.models.kernels.base import BatchKernel
from tests.support.leaks import InTurn

CHECK = "state"
ELSEWHERE = True
STATES = []


class Model(InTurn):
    def kernel(self, arms):
        honest = super().kernel(arms)

        def start(seed):
            STATES.append(STATES[0] if STATES else honest.start(seed))
            return STATES[0]

        def select(state, step, *rest):
            return honest.select(state, step if len(STATES) < 3 else 1000, *rest)

        return BatchKernel(start, select, honest.update)
