"""What a test can find and the units that it needs: from its own errors, and for an effect that was named before the start."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
from annotated_types import Gt
from pydantic import AfterValidator

from hwds.metrics.ab_power import minimum_effect, units_for_difference, units_for_price
from hwds.metrics.ab_sample import Arm, Moments, Sample
from hwds.models.ab.base import Comparison
from hwds.models.ab.estimating import Estimator
from hwds.protocols.ab_measures import minimum_name
from hwds.protocols.ab_rows import Row, named
from hwds.protocols.ab_simulation import as_counts


def _not_zero(change: float) -> float:
    if not change:
        raise ValueError("must not be 0")
    return change


Change = Annotated[float, Gt(-1), AfterValidator(_not_zero)]
"""A change as a share of what the control has."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked of a test.

    Attributes:
        alpha: One minus the level.
        power: The chance to find an effect.
        change: The minimum detectable effect on conversion, as a share of the control's; None asks for no units.
    """

    alpha: float
    power: float
    change: float | None


def planning_rows(final: Sequence[tuple[Row, Sample]], whole: Sample, plan: Plan, simpler: bool) -> Iterator[Row]:
    """The least effect that a test with these errors finds, the units that the seen effects need, and the planned one.

    Args:
        final: The effects, each with the sample that it is of; those of an arm by its first row.
        whole: All units.
        plan: What is asked.
        simpler: Whether the model lacks what it is made for.
    """
    label = whole.label
    seen: dict[str | None, tuple[Row, Sample]] = {}
    for row, sample in final:
        if row.metric == named("effect", label) and row.value is not None:
            seen.setdefault(row.arm, (row, sample))
    errors = [row.stderr for row, _ in seen.values() if row.stderr]
    if errors:
        least = float(np.mean([minimum_effect(stderr, alpha=plan.alpha, power=plan.power) for stderr in errors]))
        n = max(sum(int(arm.total.n) for arm in sample.arms) for _, sample in seen.values())
        yield Row(minimum_name(plan.power, label), value=least, n=n, n_fallback=n if simpler else 0)
    for arm in whole.others:
        yield from _planned(arm, whole, plan)
        if arm.name in seen:
            yield from _for_effect_seen(*seen[arm.name], plan)


def _planned(arm: Arm, whole: Sample, plan: Plan) -> Iterator[Row]:
    """The units for the planned change of conversion: at the prices of the two arms, where the outcome is money."""
    control = whole.control
    if plan.change is None or control.price is None or arm.price is None:
        return
    share = float(control.total.first) / control.price
    other = share * (1 + plan.change)
    if not (0 < share < 1 and 0 < other < 1) or np.isclose(arm.price * other, control.price * share, rtol=1e-9):
        return
    needed = units_for_price((control.price, share), (arm.price, other), alpha=plan.alpha, power=plan.power)
    name = named("units_for_minimum_detectable_effect", whole.label)
    yield Row(name, arm.name, value=needed, n=int(control.total.n))


def _for_effect_seen(row: Row, sample: Sample, plan: Plan) -> Iterator[Row]:
    held, own = sample.control.total, next(arm.total for arm in sample.arms if arm.name == row.arm)
    plain = float(own.error + held.error)
    if not row.value or not plain > 0:
        return
    gain = row.stderr**2 / plain if row.stderr else 1.0  # of an adjustment
    variances = gain * float(held.variance), gain * float(own.variance)
    needed = units_for_difference(row.value, *variances, alpha=plan.alpha, power=plan.power)
    yield Row(named("units_for_effect_seen", sample.label), row.arm, value=needed, n=int(own.n))


def least_shift(model: Comparison, arms: tuple[Arm, Arm], alpha: float, power: float) -> float:
    """What to add to an outcome so that a model's fixed comparison finds it with this power, both arms else as the control."""
    control, other = arms
    held, effect, price = float(control.total.variance), 0.0, control.price or 1.0
    gain, counted = _gain(model, control, other.total.n), as_counts(control)
    for _ in range(5):  # a conversion's variance changes with it, where it is simulated as one
        share = (float(control.total.first) + effect) / price
        own = price**2 * share * (1 - share) if counted and 0 < share < 1 else held
        stderr = float(np.sqrt(gain * (held / control.total.n + own / other.total.n)))
        effect = minimum_effect(stderr, alpha=alpha, power=power)
    return effect


def _gain(model: Comparison, control: Arm, n: np.ndarray) -> float:
    """The variance of a model's estimate, in units of the outcome, as a share of that of the plain difference of means."""
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
    """The same with an outcome that is greater by one."""
    mean = moments.mean.copy()
    mean[..., 0] += 1
    return replace(moments, mean=mean)
