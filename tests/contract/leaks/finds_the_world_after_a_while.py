"""A policy that climbs the stack to the simulator, and begins to play the best arm after twenty
customers.
"""

import sys

import numpy as np

from tests.support.leaks import InTurn

CHECK = "twins"


class Model(InTurn):
    def pick(self, arms, step, generator):
        if step < 20:
            return None
        frame = sys._getframe()
        while "market" not in frame.f_locals:
            frame = frame.f_back
        market = frame.f_locals["market"]
        return int(np.argmax(market.conversions[0, 0] * market.values))
