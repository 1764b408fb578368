"""Rules of a gate, from `conf/gate/*.yaml`: what a run must show before it goes on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le

from hwds.core.errors import ConfigError, nearest
from hwds.core.recipe import Amount, NonNegative, Positive, PositiveInt, Recipe, UnitInterval, ZeroDraws, ZeroFolds, construct
from hwds.core.registry import options
from hwds.core.yaml_text import read_yaml

GROUP = "gate"
Stage = Literal["development", "validation", "approval", "production", "ongoing"]


class Bound(Recipe):
    """A bound of a metric of the run's own model.

    Attributes:
        metric: The metric, by its short or full name.
        at_least: The least value that passes; null for none.
        at_most: The greatest value that passes; null for none.
        interval: Whether the worse end of the metric's interval must keep the bound, and not the value alone.
    """

    metric: str
    at_least: Amount | None = None
    at_most: Amount | None = None
    interval: bool = True


class GateRules(Recipe):
    """Demands on a run at a stage of its life; null asks for nothing.

    Attributes:
        stage: The stage that the gate stands before.
        bounds: Bounds of metrics, each with `metric`, `at_least` or `at_most`, and `interval`.
        champion: Whether the run must be compared with a champion, the model in use, on the same rows.
        champion_margin: The share by which it may be worse than the champion at the worse end of the interval.
        calibration_gap: The most by which probabilities may differ from shares of labels, as a mean over bins.
        coverage_gap: The most by which the coverage of forecasts' intervals may differ from what they promise.
        slice_gap: The share by which the headline of a slice may be worse than that of all rows, beyond its interval.
        slice_rows: Slices of fewer rows are not judged.
        seeds: Runs of other seeds, at least so many, that must be there.
        seed_range: The range of the headline over seeds, at most this share of its mean.
        latency_ms: Milliseconds within which 99 % of single answers come, by the proof of the bundle.
        leakage: Whether the canary must have found no leak.
        explained: The highest-scored test rows of each fold, so many, of which each must bear a reason.
        card: Whether every field of the card must be filled in.
        approver: Whether an approver must be named who is not the owner.
        failures: The most cells of the run that may have failed.
        drift: Whether the report of the monitor must be without violations.
    """

    stage: Stage
    bounds: tuple[Mapping[str, Any], ...] = ()
    champion: bool = False
    champion_margin: UnitInterval = 0.0
    calibration_gap: UnitInterval | None = None
    coverage_gap: UnitInterval | None = None
    slice_gap: NonNegative | None = None
    slice_rows: PositiveInt = 100
    seeds: ZeroFolds = 0
    seed_range: Annotated[float, Ge(0), Le(10)] = 0.2
    latency_ms: Positive | None = None
    leakage: bool = False
    explained: ZeroDraws = 0
    card: bool = False
    approver: bool = False
    failures: ZeroFolds = 0
    drift: bool = False

    @property
    def limits(self) -> tuple[Bound, ...]:
        """The bounds, typed.

        Raises:
            ConfigError: One has another field, or no bound at all.
        """
        made = tuple(construct(Bound, f"bounds[{place}]", dict(bound)) for place, bound in enumerate(self.bounds))
        for place, bound in enumerate(made):
            if bound.at_least is None and bound.at_most is None:
                raise ConfigError(f"bounds[{place}]: must have at_least or at_most.")
        return made


def rules_of(name: str, changes: Mapping[str, Any] | None = None) -> GateRules:
    """Return the rules of a gate.

    Args:
        name: An option of `conf/gate`.
        changes: Fields in place of those of its YAML.

    Raises:
        ConfigError: There is none of this name, or a field is wrong.
    """
    known = options(GROUP)
    if name not in known:
        raise ConfigError(f"gate: no option '{name}'{nearest(name, known)}")
    try:
        fields = read_yaml(known[name].read_text(encoding="utf-8"), known[name]) or {}
    except ValueError as error:
        raise ConfigError(f"gate: {error}.") from error
    rules = construct(GateRules, "gate", {"name": name, **fields, **(changes or {})})
    assert rules.limits is not None
    return rules
