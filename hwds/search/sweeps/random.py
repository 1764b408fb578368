"""Random search."""

from __future__ import annotations

from hwds.search.sweeps.base import Searching


class Random(Searching):
    """Draw settings at random and score each on all windows: the yardstick of any search (Bergstra
    and Bengio 2012).
    """
