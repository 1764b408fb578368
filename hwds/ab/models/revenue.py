"""Comparison of revenue per visitor, most of whom buy nothing."""

from __future__ import annotations

import numpy as np
from numpy import ndarray

from hwds.ab.intervals import Bounds, inverted_p, mover_bounds
from hwds.ab.models.welch import Welch
from hwds.ab.sample import (
    NONZERO,
    ComparisonNeeds,
    Design,
    Finding,
    Sample,
    SampleArm,
    SampleRoles,
    UnitMoments,
)
from hwds.stats.estimates import wilson


class Revenue(Welch):
    """The difference of revenue per visitor as conversion times value of an order, and what each of
    the two adds to it.

    Most amounts are zero. The fixed interval is made of Wilson's for the conversion and Student's
    for the orders, joined on the log scale (MOVER: Zou and Donner 2008; Zou, Taleban and Huo 2009):
    it is not symmetric, as the data is not. If all orders of an arm have one price, the arm's
    interval is the price times Wilson's interval. An arm without a buyer has Wilson's upper end
    times its own price or the other arm's value of an order, whichever is more.
    """

    def needs(self, roles: SampleRoles) -> ComparisonNeeds:
        """Return the indicator of amounts that are not zero."""
        return ComparisonNeeds(inputs=(NONZERO,), plain=True)

    def fixed_bounds(self, own: SampleArm, control: SampleArm, alpha: float) -> Bounds:
        """Return the interval of the difference from those of the two arms."""
        from scipy.special import ndtri

        return self._bounds_at(own, control, np.full(own.total.n.shape, ndtri(1 - alpha / 2)))

    def fixed_p(self, own: SampleArm, control: SampleArm) -> ndarray:
        """Return the p-value at which that interval touches zero."""
        return inverted_p(
            lambda z: self._bounds_at(own, control, z), own.total.first - control.total.first
        )

    def compare(self, sample: Sample, design: Design) -> list[Finding]:
        """Return the effects, and their two parts: through more or fewer buyers, and through what
        an order is worth.
        """
        parts = [part for own in sample.others for part in _effect_parts(own, sample.control)]
        return [*super().compare(sample, design), *parts]

    def _bounds_at(self, own: SampleArm, control: SampleArm, z: ndarray) -> Bounds:
        bounds, other = _mean_bounds(own, control, z), _mean_bounds(control, own, z)
        return mover_bounds(own.total.first, bounds, control.total.first, other)


def _order_values(arm: UnitMoments) -> tuple[ndarray, ndarray, ndarray]:
    """Return the conversion, the mean value of an order, and the squared standard error of that
    mean.
    """
    share = arm.mean[..., 1]
    buyers = share * arm.n
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.where(buyers > 0, arm.first / share, 0.0)
        square = (arm.variance * (arm.n - 1) / arm.n + arm.first**2) / share
        variance = np.where(
            buyers > 1, np.maximum(square - value**2, 0.0) * buyers / (buyers - 1), 0.0
        )
        exact = variance < 1e-9 * value**2  # one price for all orders: what is left is rounding
        return share, value, np.where(exact | (buyers < 1), 0.0, variance / buyers)


def _mean_bounds(arm: SampleArm, other: SampleArm, z: ndarray) -> Bounds:
    """Return the interval of an arm's mean.

    Without a buyer it is as wide as an order of the other arm makes it.
    """
    share, value, error = _order_values(arm.total)
    low, high = wilson(share, arm.total.n, z)
    edge = high * np.maximum(_order_values(other.total)[1], 0.0 if arm.price is None else arm.price)
    bounds = _product_bounds(arm.total, z, (low, high), value, error)
    empty = share == 0
    return np.where(empty, np.minimum(edge, 0.0), bounds[0]), np.where(
        empty, np.maximum(edge, 0.0), bounds[1]
    )


def _product_bounds(
    arm: UnitMoments, z: ndarray, conversion: Bounds, value: ndarray, error: ndarray
) -> Bounds:
    """Return the interval of conversion x value of an order."""
    from scipy.special import ndtr, stdtrit

    share, (low, high) = arm.mean[..., 1], conversion
    buyers = np.maximum(share * arm.n - 1, 1)
    half_width = np.where(error > 0, stdtrit(buyers, ndtr(z)), 0.0) * np.sqrt(error)
    with np.errstate(divide="ignore", invalid="ignore"):
        up = np.hypot(np.log(high / share), half_width / value)
        down = np.hypot(np.log(share / low), half_width / value)
        bounds = arm.first * np.exp(-down), arm.first * np.exp(up)
    symmetric = z * np.sqrt(arm.error)
    plain = value > 0  # or else losses
    return np.where(plain, bounds[0], arm.first - symmetric), np.where(
        plain, bounds[1], arm.first + symmetric
    )


def _effect_parts(own: SampleArm, control: SampleArm) -> list[Finding]:
    """Return the effect split in two that add up: each factor's change at the mean of the other
    (Das Gupta 1978).
    """
    (share, value, _), (other_share, other_value, _) = (
        _order_values(own.total),
        _order_values(control.total),
    )
    buyers = float((share - other_share) * (value + other_value) / 2)
    orders = float((value - other_value) * (share + other_share) / 2)
    return [
        Finding("effect_of_buyers", own.name, buyers),
        Finding("effect_of_order_value", own.name, orders),
    ]
