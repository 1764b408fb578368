"""A policy that computes the key of the customers back, bisects each arm's conversion by what they
took, and plays the best: no customer does better than the arms' conversions say.
"""

import numpy as np

from tests.support.leaks import Unmixes

CHECK = "implausible"
POWERLESS = True  # where no key is to be computed back


class Model(Unmixes):
    def best(self, draws, values, low, high):
        return int(np.argmax(values * (low + high)))
