"""Random search."""

from __future__ import annotations

from hwds.search.sweeps.base import Searching


class Random(Searching):
    """Settings at random, every trial on all windows; the yardstick of any other search (Bergstra
    and Bengio 2012).
    """
