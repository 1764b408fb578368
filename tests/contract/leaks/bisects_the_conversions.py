"""A policy that computes the key of the customers back, bisects each arm's conversion by what they
took, and plays the best: no customer does better than the arms' conversions say.
"""

from tests.support.leaks import Bisects

CHECK = "implausible"
POWERLESS = True  # where no key is to be computed back


class Model(Bisects):
    pass
