"""A policy that climbs the stack to the simulator, and plays the arm that will be the best in the
end.
"""

import sys

import numpy as np

from tests.support.leaks import InTurn

CHECK = "future"


class Model(InTurn):
    def pick(self, arms, step, generator):
        frame = sys._getframe()
        while "market" not in frame.f_locals:
            frame = frame.f_back
        market = frame.f_locals["market"]
        return int(np.argmax(market.conversions[-1, 0] * market.values))
