"""The floor price: the lowest price at which a margin holds."""

from __future__ import annotations

from typing import TypeVar

import numpy as np

Money = TypeVar("Money", float, np.ndarray)


def floor_price(cost: Money, floor: float, given_back: float = 0.0) -> Money:
    """Return the price at which the pocket margin is the floor: cost / (1 - floor) / (1 - share given back).

    Args:
        cost: Of one unit.
        floor: The least pocket margin, as a share of the pocket price.
        given_back: The share of the price that is given back after the invoice.
    """
    return cost / ((1 - floor) * (1 - given_back))
