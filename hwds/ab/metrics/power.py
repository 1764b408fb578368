"""The units that a test needs, and the effects that it can find, for conversion and for revenue: they may differ elevenfold."""

from __future__ import annotations


def both_quantiles(alpha: float, power: float) -> float:
    """Return the sum of the normal quantiles of a two-sided level and a power: 2.80 for .05 and .8."""
    from scipy.special import ndtri

    return float(ndtri(1 - alpha / 2) + ndtri(power))


def units_for_difference(
    difference: float, control_variance: float, variance: float, *, alpha: float = 0.05, power: float = 0.8
) -> float:
    """Return units per arm at which a difference of means is found; not rounded: take the next whole number.

    Cohen, Statistical Power Analysis, 2.4; for conversions, `variance` is p (1 - p).
    """
    return both_quantiles(alpha, power) ** 2 * (control_variance + variance) / difference**2


def units_for_price(
    control: tuple[float, float], other: tuple[float, float], *, alpha: float = 0.05, power: float = 0.8
) -> float:
    """Return units per arm at which a difference in revenue per visitor is found; not rounded.

    The revenue of a visitor is the price or nothing, with the variance price^2 q (1 - q); at a price of 1, its conversion.

    Args:
        control: The price and the conversion of the control.
        other: Those of the other arm.
        alpha: The two-sided level.
        power: The chance to find it.
    """
    (price, q), (other_price, other_q) = control, other
    variances = price**2 * q * (1 - q), other_price**2 * other_q * (1 - other_q)
    return units_for_difference(other_price * other_q - price * q, *variances, alpha=alpha, power=power)


def minimum_effect(stderr: float, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """Return the least effect that is found with so much power by an estimate with this standard error."""
    return both_quantiles(alpha, power) * stderr


def power_beyond(shift: float, bound: float) -> float:
    """Return the chance that |z| exceeds a bound, where z is normal around `shift`."""
    from scipy.special import ndtr

    return float(ndtr(shift - bound) + ndtr(-shift - bound))
