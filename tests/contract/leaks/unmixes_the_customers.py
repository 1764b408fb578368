"""A policy that computes the key of the customers back from that of its own random numbers."""

import numpy as np

from tests.support.leaks import Unmixes

CHECK = "implausible"
POWERLESS = True  # where no key is to be computed back


class Model(Unmixes):
    def best(self, draws, values, low, high):
        return int(np.argmin(draws))
