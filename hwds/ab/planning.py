"""The units that a test needs and the effects that it can find, by its own errors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
from annotated_types import Gt, Le
from pydantic import AfterValidator

from hwds.ab.models.base import Comparison, EffectEstimator
from hwds.ab.rows import AnalysisRow, minimum_name, outcome_metric
from hwds.ab.sample import Sample, SampleArm, UnitMoments
from hwds.ab.simulation import as_counts
from hwds.core.recipe import MOST

# The units that a test needs, and the effects that it can find, for conversion and for revenue:
# they may differ elevenfold.


def both_quantiles(alpha: float, power: float) -> float:
    """Return the sum of the normal quantiles of a two-sided level and a power: 2.80 for .05 and
    .8.
    """
    from scipy.special import ndtri

    return float(ndtri(1 - alpha / 2) + ndtri(power))


def units_for_difference(
    difference: float,
    control_variance: float,
    variance: float,
    *,
    alpha: float = 0.05,
    power: float = 0.8,
) -> float:
    """Return units per arm at which a difference of means is found.

    Not rounded: take the next whole number.

    Cohen, Statistical Power Analysis, 2.4; for conversions, `variance` is p (1 - p).
    """
    return both_quantiles(alpha, power) ** 2 * (control_variance + variance) / difference**2


def units_for_price(
    control: tuple[float, float],
    other: tuple[float, float],
    *,
    alpha: float = 0.05,
    power: float = 0.8,
) -> float:
    """Return units per arm at which a difference in revenue per visitor is found; not rounded.

    The revenue of a visitor is the price or nothing, with the variance price^2 q (1 - q); at a
    price of 1, its conversion.

    Args:
        control: The price and the conversion of the control.
        other: Those of the other arm.
        alpha: The two-sided level.
        power: The chance to find it.
    """
    (price, q), (other_price, other_q) = control, other
    variances = price**2 * q * (1 - q), other_price**2 * other_q * (1 - other_q)
    return units_for_difference(
        other_price * other_q - price * q, *variances, alpha=alpha, power=power
    )


def minimum_effect(stderr: float, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """Return the least effect that is found with so much power by an estimate with this standard
    error.
    """
    return both_quantiles(alpha, power) * stderr


def power_beyond(shift: float, bound: float) -> float:
    """Return the chance that |z| exceeds a bound, where z is normal around `shift`."""
    from scipy.special import ndtr

    return float(ndtr(shift - bound) + ndtr(-shift - bound))


# The effects that a test can find and the units that it needs: by its own errors, and for an
# effect named beforehand.


def _not_zero(change: float) -> float:
    if not change:
        raise ValueError("must not be 0")
    return change


PlannedChange = Annotated[float, Gt(-1), Le(MOST), AfterValidator(_not_zero)]
"""A change as a share of what the control has."""


@dataclass(frozen=True, slots=True)
class PlanningTerms:
    """The level, the power and the effect that a test is planned for.

    Attributes:
        alpha: One minus the level.
        power: The chance to find an effect.
        change: The minimum detectable effect on conversion, as a share of the control's; None asks
            for no units.
    """

    alpha: float
    power: float
    change: float | None


def planning_rows(
    final: Sequence[tuple[AnalysisRow, Sample]], whole: Sample, plan: PlanningTerms, simpler: bool
) -> Iterator[AnalysisRow]:
    """Yield the least effect that a test with these errors finds, the units that the seen effects
    need, and the planned one.

    Args:
        final: The effects, each with the sample that it is of; those of an arm by its first row.
        whole: All units.
        plan: The settings of the plan.
        simpler: Whether the model lacks what it is made for.
    """
    label = whole.label
    observed: dict[str | None, tuple[AnalysisRow, Sample]] = {}
    for row, sample in final:
        if row.metric == outcome_metric("effect", label) and row.value is not None:
            observed.setdefault(row.arm, (row, sample))
    errors = [row.stderr for row, _ in observed.values() if row.stderr]
    if errors:
        effects = [minimum_effect(each, alpha=plan.alpha, power=plan.power) for each in errors]
        least = float(np.mean(effects))
        n = max(sum(int(arm.total.n) for arm in sample.arms) for _, sample in observed.values())
        yield AnalysisRow(
            minimum_name(plan.power, label), value=least, n=n, n_fallback=n if simpler else 0
        )
    for arm in whole.others:
        yield from _units_for_change(arm, whole, plan)
        if arm.name in observed:
            yield from _units_for_effect_seen(*observed[arm.name], plan)


def _units_for_change(arm: SampleArm, whole: Sample, plan: PlanningTerms) -> Iterator[AnalysisRow]:
    """Yield the units for the planned change of conversion: at the prices of the two arms, where
    the outcome is money.
    """
    control = whole.control
    if plan.change is None or control.price is None or arm.price is None:
        return
    share = float(control.total.first) / control.price
    other = share * (1 + plan.change)
    if not (0 < share < 1 and 0 < other < 1) or np.isclose(
        arm.price * other, control.price * share, rtol=1e-9
    ):
        return
    units = units_for_price(
        (control.price, share), (arm.price, other), alpha=plan.alpha, power=plan.power
    )
    name = outcome_metric("units_for_minimum_detectable_effect", whole.label)
    yield AnalysisRow(name, arm.name, value=units, n=int(control.total.n))


def _units_for_effect_seen(
    row: AnalysisRow, sample: Sample, plan: PlanningTerms
) -> Iterator[AnalysisRow]:
    control = sample.control.total
    arm = next(arm.total for arm in sample.arms if arm.name == row.arm)
    plain = float(arm.error + control.error)
    if not row.value or not plain > 0:
        return
    gain = row.stderr**2 / plain if row.stderr else 1.0  # of an adjustment
    variances = gain * float(control.variance), gain * float(arm.variance)
    units = units_for_difference(row.value, *variances, alpha=plan.alpha, power=plan.power)
    yield AnalysisRow(
        outcome_metric("units_for_effect_seen", sample.label), row.arm, value=units, n=int(arm.n)
    )


def least_shift(
    model: Comparison, arms: tuple[SampleArm, SampleArm], alpha: float, power: float
) -> float:
    """Return the shift of an outcome that a model's fixed comparison finds with this power, both
    arms else as the control.
    """
    control, other = arms
    control_variance, effect, price = float(control.total.variance), 0.0, control.price or 1.0
    gain, counted = _variance_share(model, control, other.total.n), as_counts(control)
    for _ in range(5):  # a conversion's variance changes with it, where it is simulated as one
        share = (float(control.total.first) + effect) / price
        varies = counted and 0 < share < 1
        arm_variance = price**2 * share * (1 - share) if varies else control_variance
        both = control_variance / control.total.n + arm_variance / other.total.n
        effect = minimum_effect(float(np.sqrt(gain * both)), alpha=alpha, power=power)
    return effect


def _variance_share(model: Comparison, control: SampleArm, n: np.ndarray) -> float:
    """Return the variance of a model's estimate as a share of that of the plain difference of
    means.
    """
    if not isinstance(model, EffectEstimator):
        return 1.0
    own = replace(control, total=replace(control.total, n=n))
    moved = replace(own, total=_shift_outcome(own.total))
    if control.strata is not None:
        units = control.strata.n
        scaled = replace(control.strata, n=units / units.sum() * n)
        own, moved = replace(own, strata=scaled), replace(moved, strata=_shift_outcome(scaled))
    found = model.estimate(own, control)
    plain = float(control.total.variance / n + control.total.error)
    # of a ratio it is one over the denominator
    slope = float(model.estimate(moved, control).value - found.value)
    gain = float(found.stderr / slope) ** 2 / plain if plain > 0 and slope else 1.0
    return gain if np.isfinite(gain) else 1.0


def _shift_outcome(moments: UnitMoments) -> UnitMoments:
    """Return the same with an outcome that is greater by one."""
    mean = moments.mean.copy()
    mean[..., 0] += 1
    return replace(moments, mean=mean)
