"""Monte-Carlo over volume, elasticity, cost and currency: what each tier of a contract earns, and what moves it most."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from hwds.pricing.contract.terms import ContractTerms, Settlement, pays_to_exceed, settle
from hwds.pricing.contract.tiers import TierSchedule
from hwds.pricing.contract.volumes import VolumeLaw
from hwds.pricing.optimum.draws import MOST_LOG, DemandDraws

DRIVERS = ("volume", "elasticity", "cost", "currency", "leak")
"""The uncertain quantities."""


@dataclass(frozen=True, eq=False)
class ContractRisks:
    """Draws of what nobody knows when a contract is signed, each of shape (n,).

    Attributes:
        score: The normal score of the volume that would be asked for at today's price.
        elasticity: Of the buyer's demand.
        cost: Of one unit.
        currency: What one unit of the contract's currency is worth, 1 today.
        leak: The share of units that are sold on where reselling pays.
        supply: The normal score of the volume that can be delivered.
    """

    score: np.ndarray
    elasticity: np.ndarray
    cost: np.ndarray
    currency: np.ndarray
    leak: np.ndarray
    supply: np.ndarray

    @classmethod
    def drawn(
        cls,
        elasticity: np.ndarray,
        rng: np.random.Generator,
        *,
        cost: float,
        cost_spread: float,
        currency_spread: float,
        leak: float,
    ) -> ContractRisks:
        """Return a draw for each elasticity: normal costs and currencies, shares sold on between 0 and twice the expected one.

        Args:
            elasticity: Draws, shape (n,).
            rng: Of the other draws.
            cost: Expected, of one unit.
            cost_spread: Its deviation, as a share of it.
            currency_spread: The deviation of the currency.
            leak: The expected share of units that are sold on where that pays.
        """
        count = len(elasticity)
        normal = rng.standard_normal((3, count))
        return cls(
            score=normal[0],
            elasticity=elasticity,
            cost=np.maximum(cost * (1 + cost_spread * normal[1]), 0.0),
            currency=np.maximum(1 + currency_spread * normal[2], 0.01),
            leak=leak * 2 * rng.random(count),
            supply=rng.standard_normal(count),
        )

    def middle(self) -> ContractRisks:
        """Return the median of each as one draw."""
        return ContractRisks(**{name: np.median(getattr(self, name), keepdims=True) for name in self.__dataclass_fields__})


@dataclass(frozen=True, eq=False)
class ContractWorld:
    """The circumstances in which a contract is signed.

    Attributes:
        schedule, terms: The contract.
        law: Of the volume at today's price, with what can be delivered.
        price: Today's, of the buyer.
        demand: Of the buyer's cell, the first, and of all that answer to its price, a draw or one for each of the risks.
        periods: Of the demand in the contract.
        resale: The best price elsewhere less what reselling costs; a unit leaks where the contract's price is below it.
        lost: What a unit that leaks takes from the margin of those it is sold in place of.
        kept: The share of the volume that the buyer would take without a contract.
    """

    schedule: TierSchedule
    terms: ContractTerms
    law: VolumeLaw
    price: float
    demand: DemandDraws
    periods: int
    resale: float
    lost: float
    kept: float = 1.0


@dataclass(frozen=True, eq=False)
class ContractOutcome:
    """The earnings of one tier, each of shape (n,).

    Attributes:
        settlement: What is paid.
        margin: Of the contract alone, in the own currency: what remains less the cost.
        share: That over what remains.
        cannibalised: What other cells lose by the price (negative where they gain).
        dumped: Units bought to reach the tier, and not needed.
        leaked: Units that are sold on, those dumped among them.
        leak_loss: What these take from other cells.
    """

    settlement: Settlement
    margin: np.ndarray
    share: np.ndarray
    cannibalised: np.ndarray
    dumped: np.ndarray
    leaked: np.ndarray
    leak_loss: np.ndarray

    @property
    def net(self) -> np.ndarray:
        """The margin less what other cells lose."""
        return self.margin - self.cannibalised - self.leak_loss


def outcome(world: ContractWorld, tier: int, risks: ContractRisks) -> ContractOutcome:
    """Return what a tier earns where the buyer commits to it.

    The volume asked for at the tier's price is that at today's times (price / today's price) ** elasticity; at the list price,
    without a contract, the share of it that is kept. Whoever pays more
    for what is needed than for the tier's quantity takes that, and sells on what is too much. Nobody takes more than can be
    delivered, and a buyer owes nothing for units that were asked for and are not.

    Args:
        world: The contract and its surroundings.
        tier: Which tier, 0 for the list price without any commitment.
        risks: Draws.
    """
    price = world.schedule.prices[tier]
    moved = np.clip(risks.elasticity * np.log(price / world.price), -MOST_LOG, MOST_LOG)
    asked = world.law.at(risks.score) * np.exp(moved) * (1.0 if tier else world.kept)
    needed = world.law.deliverable(asked, risks.supply)
    dumping = pays_to_exceed(world.schedule, tier, asked, world.terms)
    wanted = np.where(dumping, world.schedule.quantities[tier], asked)
    taken = world.law.deliverable(wanted, risks.supply)
    paid = settle(world.schedule, tier, taken, world.terms, wanted)
    pocket = paid.pocket * risks.currency
    margin = pocket - risks.cost * taken
    dumped = taken - needed
    sold_on = risks.leak * needed if price < world.resale else 0.0 * needed
    leaked = np.minimum(dumped + sold_on, taken)
    return ContractOutcome(
        settlement=paid,
        margin=margin,
        share=margin / np.maximum(pocket, 1e-12),
        cannibalised=-_others(world, price, len(needed)),
        dumped=dumped,
        leaked=leaked,
        leak_loss=leaked * world.lost,
    )


def _others(world: ContractWorld, price: float, count: int) -> np.ndarray:
    """Return what all other cells gain over the contract where the buyer's price changes, shape (count,)."""
    prices = world.demand.price.copy()
    prices[0] = price
    margin = world.demand.margin(prices)
    margin[0] = 0.0
    gained = (world.demand.units_at(prices) - world.demand.units_at(world.demand.price)) @ margin * world.periods
    return gained if len(gained) == count else np.full(count, gained.mean())


def without_contract(world: ContractWorld, risks: ContractRisks) -> np.ndarray:
    """Return what the buyer's cell earns at today's price without a contract, shape (n,)."""
    units = world.law.deliverable(world.kept * world.law.at(risks.score), risks.supply)
    return units * (world.price * (1 - world.terms.deductions) * risks.currency - risks.cost)


def tornado(world: ContractWorld, tier: int, risks: ContractRisks) -> Iterator[tuple[str, float, float, float]]:
    """Yield each driver with the net margin where it is at its 10 % and its 90 % quantile, and at the median of all.

    Args:
        world: The contract and its surroundings.
        tier: Which tier.
        risks: Draws, whose quantiles are taken.
    """
    middle = risks.middle()
    centre = float(outcome(world, tier, middle).net[0])
    names = dict(zip(DRIVERS, ("score", "elasticity", "cost", "currency", "leak"), strict=True))
    for driver, field in names.items():
        ends = np.quantile(getattr(risks, field), [0.1, 0.9])
        low, high = (float(outcome(world, tier, replace(middle, **{field: np.array([end])})).net[0]) for end in ends)
        yield driver, low, high, centre


def pocket_margins(
    world: ContractWorld, tier: int, elasticity: float, cost: float, levels: tuple[float, ...]
) -> dict[float, float]:
    """Return the pocket margin, as a share, where the volume attained is at each of some levels, all else as expected.

    Args:
        world: The contract and its surroundings.
        tier: Which tier.
        elasticity: Of the buyer's demand.
        cost: Of one unit.
        levels: Of the volume.
    """
    price = world.schedule.prices[tier]
    shares = {}
    for level in levels:
        moved = np.clip(elasticity * np.log(price / world.price), -MOST_LOG, MOST_LOG)
        asked = np.array([world.law.quantile(level) * np.exp(moved)])
        units = world.law.deliverable(asked, np.zeros(1))
        pocket = float(settle(world.schedule, tier, units, world.terms, asked).pocket[0])
        shares[level] = (pocket - cost * float(units[0])) / pocket if pocket > 0 else -np.inf
    return shares
