"""Random search."""

from __future__ import annotations

from hwds.tuning.search_settings import Searching


class Random(Searching):
    """Settings at random, every trial on all windows; the yardstick of any other search (Bergstra and Bengio 2012)."""
