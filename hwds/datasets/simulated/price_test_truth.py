"""The true effects of a simulated price test."""

from __future__ import annotations

from typing import ClassVar

from hwds.datasets.base import Truth
from hwds.metrics.ab_sample import Design, Finding, Needs, Roles, Rule, Sample


def arm_name(prices: tuple[float, ...], number: int) -> str:
    """`control`, then `price_199`."""
    return "control" if number == 0 else f"price_{prices[number]:g}"


class PriceTestTruth(Truth):
    """What each price of `price_test` truly does to conversion and to revenue per visitor.

    Attributes:
        prices: Of the arms, the control first.
        conversions: Of the arms.
    """

    task: ClassVar[str] = "ab"
    name: str = "truth"
    prices: tuple[float, ...]
    conversions: tuple[float, ...]

    def needs(self, roles: Roles) -> Needs:
        """Nothing."""
        return Needs()

    def rules_used(self) -> tuple[Rule, ...]:
        """None: the truth has no interval."""
        return ()

    def compare(self, sample: Sample, design: Design) -> list[Finding]:
        """The true effects, whatever was seen."""
        money = sample.label == "revenue"
        means = [q * price if money else q for price, q in zip(self.prices, self.conversions, strict=True)]
        numbers = {arm_name(self.prices, number): number for number in range(len(self.prices))}
        base = means[numbers[sample.control.name]]
        return [Finding("effect", arm.name, means[numbers[arm.name]] - base) for arm in sample.others]
