"""The effects that a test can find and the units that it needs: by its own errors, and for an effect named beforehand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
from annotated_types import Gt, Le
from pydantic import AfterValidator

from hwds.ab.metrics.power import minimum_effect, units_for_difference, units_for_price
from hwds.ab.metrics.sample import Arm, Moments, Sample
from hwds.ab.models.base import Comparison
from hwds.ab.models.rules.estimator import Estimator
from hwds.ab.protocols.analysis.measures import minimum_name
from hwds.ab.protocols.analysis.rows import Row, metric_of
from hwds.ab.protocols.analysis.simulation import as_counts
from hwds.core.recipe import MOST


def _not_zero(change: float) -> float:
    if not change:
        raise ValueError("must not be 0")
    return change


Change = Annotated[float, Gt(-1), Le(MOST), AfterValidator(_not_zero)]
"""A change as a share of what the control has."""


@dataclass(frozen=True, slots=True)
class PlanTerms:
    """The level, the power and the effect that a test is planned for.

    Attributes:
        alpha: One minus the level.
        power: The chance to find an effect.
        change: The minimum detectable effect on conversion, as a share of the control's; None asks for no units.
    """

    alpha: float
    power: float
    change: float | None


def planning_rows(final: Sequence[tuple[Row, Sample]], whole: Sample, plan: PlanTerms, simpler: bool) -> Iterator[Row]:
    """Yield the least effect that a test with these errors finds, the units that the seen effects need, and the planned one.

    Args:
        final: The effects, each with the sample that it is of; those of an arm by its first row.
        whole: All units.
        plan: The settings of the plan.
        simpler: Whether the model lacks what it is made for.
    """
    label = whole.label
    observed: dict[str | None, tuple[Row, Sample]] = {}
    for row, sample in final:
        if row.metric == metric_of("effect", label) and row.value is not None:
            observed.setdefault(row.arm, (row, sample))
    errors = [row.stderr for row, _ in observed.values() if row.stderr]
    if errors:
        least = float(np.mean([minimum_effect(stderr, alpha=plan.alpha, power=plan.power) for stderr in errors]))
        n = max(sum(int(arm.total.n) for arm in sample.arms) for _, sample in observed.values())
        yield Row(minimum_name(plan.power, label), value=least, n=n, n_fallback=n if simpler else 0)
    for arm in whole.others:
        yield from _planned(arm, whole, plan)
        if arm.name in observed:
            yield from _for_effect_seen(*observed[arm.name], plan)


def _planned(arm: Arm, whole: Sample, plan: PlanTerms) -> Iterator[Row]:
    """Yield the units for the planned change of conversion: at the prices of the two arms, where the outcome is money."""
    control = whole.control
    if plan.change is None or control.price is None or arm.price is None:
        return
    share = float(control.total.first) / control.price
    other = share * (1 + plan.change)
    if not (0 < share < 1 and 0 < other < 1) or np.isclose(arm.price * other, control.price * share, rtol=1e-9):
        return
    units = units_for_price((control.price, share), (arm.price, other), alpha=plan.alpha, power=plan.power)
    name = metric_of("units_for_minimum_detectable_effect", whole.label)
    yield Row(name, arm.name, value=units, n=int(control.total.n))


def _for_effect_seen(row: Row, sample: Sample, plan: PlanTerms) -> Iterator[Row]:
    control, arm = sample.control.total, next(arm.total for arm in sample.arms if arm.name == row.arm)
    plain = float(arm.error + control.error)
    if not row.value or not plain > 0:
        return
    gain = row.stderr**2 / plain if row.stderr else 1.0  # of an adjustment
    variances = gain * float(control.variance), gain * float(arm.variance)
    units = units_for_difference(row.value, *variances, alpha=plan.alpha, power=plan.power)
    yield Row(metric_of("units_for_effect_seen", sample.label), row.arm, value=units, n=int(arm.n))


def least_shift(model: Comparison, arms: tuple[Arm, Arm], alpha: float, power: float) -> float:
    """Return the shift of an outcome that a model's fixed comparison finds with this power, both arms else as the control."""
    control, other = arms
    control_variance, effect, price = float(control.total.variance), 0.0, control.price or 1.0
    gain, counted = _gain(model, control, other.total.n), as_counts(control)
    for _ in range(5):  # a conversion's variance changes with it, where it is simulated as one
        share = (float(control.total.first) + effect) / price
        arm_variance = price**2 * share * (1 - share) if counted and 0 < share < 1 else control_variance
        stderr = float(np.sqrt(gain * (control_variance / control.total.n + arm_variance / other.total.n)))
        effect = minimum_effect(stderr, alpha=alpha, power=power)
    return effect


def _gain(model: Comparison, control: Arm, n: np.ndarray) -> float:
    """Return the variance of a model's estimate as a share of that of the plain difference of means."""
    if not isinstance(model, Estimator):
        return 1.0
    strata = control.strata
    scaled = None if strata is None else replace(strata, n=strata.n / strata.n.sum() * n)
    own = replace(control, total=replace(control.total, n=n), strata=scaled)
    moved = replace(own, total=_shifted(own.total), strata=None if scaled is None else _shifted(scaled))
    found, plain = model.estimate(own, control), float(control.total.variance / n + control.total.error)
    slope = float(model.estimate(moved, control).value - found.value)  # of a ratio it is one over the denominator
    gain = float(found.stderr / slope) ** 2 / plain if plain > 0 and slope else 1.0
    return gain if np.isfinite(gain) else 1.0


def _shifted(moments: Moments) -> Moments:
    """Return the same with an outcome that is greater by one."""
    mean = moments.mean.copy()
    mean[..., 0] += 1
    return replace(moments, mean=mean)
