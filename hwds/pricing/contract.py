"""A volume contract: tiers, terms, the law of the volume, and what each tier earns in draws."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from math import inf, log
from typing import Literal

import numpy as np
import polars as pl
from numpy import ndarray

from hwds.core.errors import ConfigError, nearest
from hwds.pricing.demand_draws import MOST_LOG_FACTOR, DemandDraws
from hwds.results.files import read_table
from hwds.results.folder import RunFolder
from hwds.stats.distributions import NORMAL, interpolate_quantiles, scores_of_levels

# Tiers of a volume contract: bills, dumping zones, tiers without one, floor prices and
# break-even uplifts.

TierKind = Literal["all_units", "incremental"]


@dataclass(frozen=True, slots=True)
class DumpingZone:
    """The quantities that a buyer needs and does better to exceed: the commitment costs less in
    all.

    Attributes:
        low: The least need that costs more than the commitment.
        high: The commitment.
    """

    low: float
    high: float

    @property
    def most_leak(self) -> float:
        """The most units that are bought and not needed."""
        return self.high - self.low


@dataclass(frozen=True)
class TierSchedule:
    """Tiers of discounts by quantity; the first, from 0, is the list price.

    Attributes:
        list_price: Without a discount.
        quantities: From which each tier counts, rising, the first 0.
        discounts: The discounts of the list price, rising, the first 0.
        kind: `all_units`: the discount of the tier reached is on all units. `incremental`: each
            unit has that of its own tier.

    Raises:
        ConfigError: Quantities or discounts do not rise.
    """

    list_price: float
    quantities: tuple[float, ...]
    discounts: tuple[float, ...]
    kind: TierKind = "all_units"

    def __post_init__(self) -> None:
        if len(self.quantities) != len(self.discounts):
            raise ConfigError(
                f"decision.discounts: must be one for each of {len(self.quantities) - 1} "
                f"quantities,"
                f" got {len(self.discounts) - 1}."
            )
        for name in ("quantities", "discounts"):
            values = getattr(self, name)
            equal = self.kind == "incremental" and name == "discounts"
            if values[0] != 0 or any(
                low > high or (low == high and not equal) for low, high in pairwise(values)
            ):
                raise ConfigError(
                    f"decision.{name}: must rise from above 0, got {list(values[1:])}."
                )

    @classmethod
    def of(
        cls,
        list_price: float,
        quantities: tuple[float, ...],
        discounts: tuple[float, ...],
        kind: TierKind = "all_units",
    ) -> TierSchedule:
        """Return the tiers above the list price."""
        return cls(list_price, (0.0, *quantities), (0.0, *discounts), kind)

    @property
    def prices(self) -> tuple[float, ...]:
        """The invoice price of each tier."""
        return tuple(self.list_price * (1 - discount) for discount in self.discounts)

    def __len__(self) -> int:
        return len(self.quantities)

    def reached(self, units: ndarray) -> ndarray:
        """Return the tier that each quantity reaches."""
        tiers: ndarray = np.searchsorted(self.quantities, units, side="right") - 1
        return np.maximum(tiers, 0)

    def bill(self, units: ndarray) -> ndarray:
        """Return what quantities cost in all."""
        units = np.asarray(units, float)
        if self.kind == "all_units":
            return np.asarray(np.array(self.prices)[self.reached(units)] * units)
        ends = np.array([*self.quantities[1:], inf])
        each = np.clip(
            units[..., None] - np.array(self.quantities), 0, ends - np.array(self.quantities)
        )
        summed: ndarray = (each * np.array(self.prices)).sum(-1)
        return summed

    def without_zones(self, last: float, most: float) -> TierSchedule:
        """Return incremental tiers, which have no dumping zone: at the end of each tier the bill is
        that of these.

        At the end of a tier, where the next one begins, p Q is billed; so the units of the tier
        cost (p Q - p' Q') / (Q - Q') each, with p' and Q' of the tier before. Where that takes a
        discount below the one before, or beyond the most, the tier has these, and the bill differs.

        Args:
            last: The end of the last tier.
            most: The most discount of any unit.
        """
        ends = (*self.quantities[1:], last)
        discounts = [0.0]
        for tier in range(1, len(self)):
            before, begun = self.prices[tier - 1], self.quantities[tier]
            price = (self.prices[tier] * ends[tier] - before * begun) / (ends[tier] - begun)
            discounts.append(min(max(1 - price / self.list_price, discounts[-1]), max(most, 0.0)))
        return TierSchedule(self.list_price, self.quantities, tuple(discounts), "incremental")


def break_even_uplift(margin: float, discount: float) -> float:
    """Return by how much units must rise for a discount to earn what no discount does: d / (m - d).

    Args:
        margin: Of the list price, m, as a share of it; after deductions where both prices bear
            them.
        discount: Of the list price, d; from m on there is no such uplift, and it is infinite.
    """
    return discount / (margin - discount) if discount < margin else inf


def needed_elasticity(margin: float, discount: float) -> float:
    """Return the least |elasticity| at which a discount earns what none does: ln(m / (m - d)) /
    -ln(1 - d).
    """
    if not discount:
        return 0.0
    return log(margin / (margin - discount)) / -log(1 - discount) if discount < margin else inf


# The terms of a volume contract, and what is settled for the units that are taken.

CONTRACT_SLACK = 1e-9
"""The share of a sum within which two are equal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractTerms:
    """The terms of a contract beside its tiers.

    Attributes:
        deductions: The share of the bill that is given back whatever happens: payment terms,
            ship-and-debit, price protection.
        retro_rebate: The share of the bill that is given back once the commitment is attained.
        retro_from: The share of the commitment from which that is.
        clawback: The share of the discount that was not earned which is charged again when less is
            taken than committed.
        shortfall_fee: What each unit committed and not taken costs the buyer, as a share of its
            price.
    """

    deductions: float = 0.0
    retro_rebate: float = 0.0
    retro_from: float = 1.0
    clawback: float = 1.0
    shortfall_fee: float = 0.0

    @property
    def most_given_back(self) -> float:
        """The largest share of the bill that is given back."""
        return self.deductions + self.retro_rebate


@dataclass(frozen=True, eq=False)
class Settlement:
    """The payments for the units of a contract, each of shape (n,).

    Attributes:
        units: That were taken.
        bill: At the prices of the tier that was committed to.
        clawback: Charged again for a discount that was not earned.
        fee: For units committed and not taken.
        retro: Given back for attaining the commitment.
        deductions: Given back whatever happens.
    """

    units: ndarray
    bill: ndarray
    clawback: ndarray
    fee: ndarray
    retro: ndarray
    deductions: ndarray

    @property
    def pocket(self) -> ndarray:
        """The amount that remains."""
        return self.bill + self.clawback + self.fee - self.retro - self.deductions


def settle_contract(
    schedule: TierSchedule,
    tier: int,
    units: ndarray,
    terms: ContractTerms,
    asked: ndarray | None = None,
) -> Settlement:
    """Return what is paid where a buyer commits to a tier and takes some units.

    All units are billed at the price of the tier committed to, also those beyond it (each at that
    of its own tier where tiers are incremental). Who takes less pays a share of the discount that
    the units taken do not earn, and a fee for each missing.

    Args:
        schedule: The tiers.
        tier: That is committed to.
        units: That are taken, shape (n,).
        terms: The other terms.
        asked: The units that are asked for, by which the commitment is attained; None for those
            that are taken.
    """
    committed = schedule.quantities[tier]
    attained = units if asked is None else asked
    earned = schedule.bill(units)
    bill = earned if schedule.kind == "incremental" and tier else schedule.prices[tier] * units
    short = np.maximum(committed - attained, 0.0)
    return Settlement(
        units=units,
        bill=bill,
        clawback=terms.clawback * np.where(short > 0, np.maximum(earned - bill, 0.0), 0.0),
        fee=terms.shortfall_fee * schedule.prices[tier] * short,
        retro=np.where(attained >= terms.retro_from * committed, terms.retro_rebate * bill, 0.0)
        if tier
        else 0.0 * bill,
        deductions=terms.deductions * bill,
    )


def pays_to_exceed(
    schedule: TierSchedule, tier: int, units: ndarray, terms: ContractTerms
) -> ndarray:
    """Return whether a buyer who is committed to a tier pays more for fewer units than for the
    commitment, shape (n,).

    Args:
        schedule: The tiers.
        tier: That is committed to.
        units: That the buyer needs, shape (n,).
        terms: With what falling short costs: a commitment without clawback and fee is never dearer
            to miss.
    """
    committed = np.array([schedule.quantities[tier]])
    total = settle_contract(schedule, tier, committed, terms).pocket
    dearer = settle_contract(schedule, tier, units, terms).pocket > total * (1 + CONTRACT_SLACK)
    return dearer & (units < committed)


def dumping_zone(schedule: TierSchedule, tier: int, terms: ContractTerms) -> DumpingZone | None:
    """Return the dumping zone below a tier, as it is settled.

    None where fewer units never cost more.

    What is paid is linear between the quantities of the tiers and that from which the retro rebate
    is.
    """
    committed = schedule.quantities[tier]
    total = float(settle_contract(schedule, tier, np.array([committed]), terms).pocket[0])
    for begin, end in pairwise(
        sorted({*schedule.quantities[: tier + 1], min(terms.retro_from, 1.0) * committed})
    ):
        ends = np.array([begin, np.nextafter(end, 0.0)])
        first, last = settle_contract(schedule, tier, ends, terms).pocket
        if max(first, last) > total * (1 + CONTRACT_SLACK):
            crossed = 0.0 if first > total else (total - first) / (last - first)
            return DumpingZone(float(begin + crossed * (end - begin)), committed)
    return None


# The law of the volume of a contract: from three quantiles, or from the run of a decision on
# volumes.

VOLUME_NAMES = ("committed", "base", "upside")


@dataclass(frozen=True, slots=True)
class VolumeLaw:
    """The volume that is ordered at today's price over the whole contract.

    Attributes:
        committed, base, upside: Its quantiles.
        levels: The levels of these.
        source: Where they are from, in words.
        deal: Whose volume that is, as a run names it; empty for none.
        most: The law of what can be delivered, at the same levels; None for any volume.
    """

    committed: float
    base: float
    upside: float
    levels: tuple[float, float, float] = (0.1, 0.5, 0.9)
    source: str = ""
    deal: str = ""
    most: VolumeLaw | None = None

    @property
    def volumes(self) -> tuple[tuple[float, float], ...]:
        """The levels with their quantiles."""
        return tuple(zip(self.levels, (self.committed, self.base, self.upside), strict=True))

    def at(self, scores: ndarray) -> ndarray:
        """Return the volumes at normal scores, never below 0: lines through the quantiles over the
        score.
        """
        values = np.array([self.committed, self.base, self.upside])
        return np.maximum(interpolate_quantiles(np.array(self.levels), values, scores), 0.0)

    def quantile(self, level: float) -> float:
        """Return the volume at a level."""
        return float(self.at(scores_of_levels(np.array([level])))[0])

    def deliverable(self, volumes: ndarray, scores: ndarray) -> ndarray:
        """Return volumes capped by what can be delivered, at normal scores of that."""
        return volumes if self.most is None else np.minimum(volumes, self.most.at(scores))

    @property
    def attainable(self) -> float:
        """The base volume, or what can be delivered of it."""
        return self.base if self.most is None else min(self.base, self.most.base)

    @classmethod
    def around(cls, base: float, spread: float, source: str) -> VolumeLaw:
        """Return a lognormal law by its median and the deviation of its logarithm.

        Quantiles at 10, 50 and 90 %.
        """
        ends = np.exp(spread * NORMAL.inv_cdf(0.9) * np.array([-1, 1]))
        return cls(base * float(ends[0]), base, base * float(ends[1]), source=source)

    @classmethod
    def of_mapping(cls, volumes: Mapping[str, float]) -> VolumeLaw:
        """Return the law of three volumes at 10, 50 and 90 %.

        Raises:
            ConfigError: One is missing, or they do not rise.
        """
        for name in volumes:
            if name not in VOLUME_NAMES:
                raise ConfigError(
                    f"decision.volumes: no volume '{name}'{nearest(name, VOLUME_NAMES)}"
                )
        missing = next((name for name in VOLUME_NAMES if name not in volumes), None)
        if missing:
            raise ConfigError(
                f"decision.volumes: needs {', '.join(VOLUME_NAMES)}; '{missing}' is missing."
            )
        low, middle, high = (volumes[name] for name in VOLUME_NAMES)
        if not low < middle < high:
            raise ConfigError(f"decision.volumes: must rise, got {low:g}, {middle:g}, {high:g}.")
        return cls(low, middle, high, source="volumes as given")


VOLUME_TABLES = ("volume_bands", "supply_volumes")
"""The tables of decisions on volumes: orders alone, and orders with deliveries."""

DEMAND_PREFIX, MOST_PREFIX = "demand_", "most_"
"""Before the names of volumes in the second: what is asked for, and what could be delivered were
more asked for.
"""


def law_of_run(name: str, deal: str | None) -> VolumeLaw:
    """Return the volumes of a deal as a run decided them last, those to come where it has any.

    The run has `decision=volume_bands`, or `decision=supply_plan`, where what can be delivered caps
    what is asked for.

    Args:
        name: The run, as `hwds show` takes it.
        deal: Which deal; None where there is one alone.

    Raises:
        ConfigError: There is no such run, decision or deal, or the deal is made in several plants.
        HwdsError: The run is damaged.
    """
    folder = RunFolder.find(name)
    files = [
        (prefix, folder.path / f"{prefix}{table}.parquet")
        for prefix in ("future_", "")
        for table in VOLUME_TABLES
    ]
    prefix, path = next((file for file in files if file[1].is_file()), ("", None))
    verdict = None if path is None else folder.read_verdict(prefix)
    if path is None or verdict is None:
        raise ConfigError(
            f"decision.volume_run: run {folder.title} has no volumes; run it with "
            f"decision=volume_bands."
        )
    deals = read_table(path)
    latest = pl.col("cutoff") == pl.col("cutoff").max()
    deals = deals.filter("latest" if "latest" in deals.columns else latest)
    names = deals["deal"].to_list()
    if deal is None and len(names) > 1:
        raise ConfigError(
            f"decision.deal: must be one of {len(names)} deals of run "
            f"{folder.title}{nearest('', names)}"
        )
    if deal is not None and deal not in names:
        raise ConfigError(
            f"decision.deal: run {folder.title} has no deal '{deal}'{nearest(deal, names)}"
        )
    row = deals.row(0 if deal is None else names.index(deal), named=True)
    if names.count(row["deal"]) > 1:
        raise ConfigError(
            f"decision.deal: '{row['deal']}' is made in {names.count(row['deal'])} plants of run "
            f"{folder.title}, which has no"
            f" law of their sum; run it without decision.plant, or with the plant in decision.deal."
        )
    planned = path.name.endswith(f"{VOLUME_TABLES[1]}.parquet")
    if planned and f"{MOST_PREFIX}base" not in row:
        raise ConfigError(
            f"decision.volume_run: run {folder.title} was decided by another version of hwds; run "
            f"it again."
        )
    volumes = [row[f"{DEMAND_PREFIX if planned else ''}{each}"] for each in VOLUME_NAMES]
    if any(each is None for each in volumes) or not volumes[0] < volumes[1] < volumes[2]:
        raise ConfigError(
            f"decision.deal: run {folder.title} has no volumes that rise for deal '{row['deal']}'."
        )
    low, middle, high = (float(verdict["levels"][each]) for each in VOLUME_NAMES)
    source, levels = f"run {folder.title}, deal {row['deal']}", (low, middle, high)
    ends = [row[f"{MOST_PREFIX}{each}"] for each in VOLUME_NAMES] if planned else None
    most = None if ends is None else VolumeLaw(ends[0], ends[1], ends[2], levels)
    return VolumeLaw(volumes[0], volumes[1], volumes[2], levels, source, row["deal"], most)


# Monte-Carlo over volume, elasticity, cost and currency: what each tier of a contract earns,
# and what moves it most.

RISK_DRIVERS = ("volume", "elasticity", "cost", "currency", "leak")
"""The uncertain quantities."""


@dataclass(frozen=True, eq=False)
class ContractRisks:
    """Draws of what nobody knows when a contract is signed, each of shape (n,).

    Attributes:
        score: The normal score of the volume that would be asked for at today's price.
        elasticity: The elasticity of the buyer's demand.
        cost: The cost of one unit.
        currency: What one unit of the contract's currency is worth, 1 today.
        leak: The share of units that are sold on where reselling pays.
        supply: The normal score of the volume that can be delivered.
    """

    score: ndarray
    elasticity: ndarray
    cost: ndarray
    currency: ndarray
    leak: ndarray
    supply: ndarray

    @classmethod
    def draw(
        cls,
        elasticity: ndarray,
        rng: np.random.Generator,
        *,
        cost: float,
        cost_spread: float,
        currency_spread: float,
        leak: float,
    ) -> ContractRisks:
        """Return a draw for each elasticity: normal costs and currencies, shares sold on between 0
        and twice the expected one.

        Args:
            elasticity: Draws, shape (n,).
            rng: The random generator of the other draws.
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
        return ContractRisks(
            **{name: np.median(draws, keepdims=True) for name, draws in vars(self).items()}
        )


@dataclass(frozen=True, eq=False)
class ContractWorld:
    """The circumstances in which a contract is signed.

    Attributes:
        schedule, terms: The contract.
        law: The law of the volume at today's price, with what can be delivered.
        price: Today's, of the buyer.
        demand: Of the buyer's cell, the first, and of all that answer to its price, a draw or one
            for each of the risks.
        periods: The number of periods of the demand in the contract.
        resale: The best price elsewhere less what reselling costs; a unit leaks where the
            contract's price is below it.
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

    def factor(self, elasticity: float | ndarray, price: float) -> ndarray:
        """Return by what the volume is multiplied at a price."""
        moved = elasticity * np.log(price / self.price)
        return np.asarray(np.exp(np.clip(moved, -MOST_LOG_FACTOR, MOST_LOG_FACTOR)))


@dataclass(frozen=True, eq=False)
class ContractOutcome:
    """The earnings of one tier, each of shape (n,).

    Attributes:
        settlement: What is paid.
        margin: The margin of the contract alone, in the own currency: what remains less the cost.
        share: That over what remains.
        cannibalised: What other cells lose by the price (negative where they gain).
        dumped: Units bought to reach the tier, and not needed.
        leaked: Units that are sold on, those dumped among them.
        leak_loss: What these take from other cells.
    """

    settlement: Settlement
    margin: ndarray
    share: ndarray
    cannibalised: ndarray
    dumped: ndarray
    leaked: ndarray
    leak_loss: ndarray

    @property
    def net(self) -> ndarray:
        """The margin less what other cells lose."""
        return self.margin - self.cannibalised - self.leak_loss


def tier_outcome(world: ContractWorld, tier: int, risks: ContractRisks) -> ContractOutcome:
    """Return what a tier earns where the buyer commits to it.

    The volume asked for at the tier's price is that at today's times (price / today's price) **
    elasticity; at the list price, without a contract, the share of it that is kept. Whoever pays
    more for what is needed than for the tier's quantity takes that, and sells on what is too much.
    Nobody takes more than can be delivered, and a buyer owes nothing for units that were asked for
    and are not.

    Args:
        world: The contract and its surroundings.
        tier: Which tier, 0 for the list price without any commitment.
        risks: Draws.
    """
    price = world.schedule.prices[tier]
    asked = (
        world.law.at(risks.score)
        * world.factor(risks.elasticity, price)
        * (1.0 if tier else world.kept)
    )
    needed = world.law.deliverable(asked, risks.supply)
    dumping = pays_to_exceed(world.schedule, tier, asked, world.terms)
    wanted = np.where(dumping, world.schedule.quantities[tier], asked)
    taken = world.law.deliverable(wanted, risks.supply)
    paid = settle_contract(world.schedule, tier, taken, world.terms, wanted)
    pocket = paid.pocket * risks.currency
    margin = pocket - risks.cost * taken
    dumped = taken - needed
    leaked = np.minimum(dumped + _sold_on(world, price, needed, risks), taken)
    return ContractOutcome(
        settlement=paid,
        margin=margin,
        share=margin / np.maximum(pocket, 1e-12),
        cannibalised=-_median_others(world, price, len(needed)),
        dumped=dumped,
        leaked=leaked,
        leak_loss=leaked * world.lost,
    )


def _sold_on(world: ContractWorld, price: float, needed: ndarray, risks: ContractRisks) -> ndarray:
    """Return the needed units that are sold on at a price, shape (n,)."""
    return risks.leak * needed if price < world.resale else np.zeros_like(needed)


def _median_others(world: ContractWorld, price: float, count: int) -> ndarray:
    """Return what all other cells gain over the contract where the buyer's price changes, shape
    (count,).
    """
    prices = world.demand.price.copy()
    prices[0] = price
    margin = world.demand.margin(prices)
    margin[0] = 0.0
    gained = (
        (world.demand.units_at(prices) - world.demand.units_at(world.demand.price))
        @ margin
        * world.periods
    )
    return gained if len(gained) == count else np.full(count, gained.mean())


def without_contract(world: ContractWorld, risks: ContractRisks) -> ndarray:
    """Return what the buyer's cell earns at today's price without a contract, less what units that
    are sold on take from others, shape (n,).

    Units are sold on as under a contract at that price, so that a tier at today's price and volume
    gains nothing.
    """
    units = world.law.deliverable(world.kept * world.law.at(risks.score), risks.supply)
    leaked = _sold_on(world, world.price, units, risks)
    earned = world.price * (1 - world.terms.deductions) * risks.currency - risks.cost
    return units * earned - leaked * world.lost


def contract_tornado(
    world: ContractWorld, tier: int, risks: ContractRisks
) -> Iterator[tuple[str, float, float, float]]:
    """Yield each driver with the net margin where it is at its 10 % and its 90 % quantile, and at
    the median of all.

    Args:
        world: The contract and its surroundings.
        tier: Which tier.
        risks: Draws, whose quantiles are taken.
    """
    middle = risks.middle()
    centre = float(tier_outcome(world, tier, middle).net[0])
    names = dict(
        zip(RISK_DRIVERS, ("score", "elasticity", "cost", "currency", "leak"), strict=True)
    )
    for driver, field in names.items():
        ends = np.quantile(getattr(risks, field), [0.1, 0.9])
        low, high = (
            float(tier_outcome(world, tier, replace(middle, **{field: np.array([end])})).net[0])
            for end in ends
        )
        yield driver, low, high, centre


def pocket_margins(
    world: ContractWorld, tier: int, elasticity: float, cost: float, levels: tuple[float, ...]
) -> dict[float, float]:
    """Return the pocket margin, as a share, where the volume attained is at each of some levels,
    all else as expected.

    Args:
        world: The contract and its surroundings.
        tier: Which tier.
        elasticity: The elasticity of the buyer's demand.
        cost: The cost of one unit.
        levels: The levels of the volume.
    """
    price = world.schedule.prices[tier]
    shares = {}
    for level in levels:
        asked = np.array([world.law.quantile(level) * world.factor(elasticity, price)])
        units = world.law.deliverable(asked, np.zeros(1))
        pocket = float(settle_contract(world.schedule, tier, units, world.terms, asked).pocket[0])
        shares[level] = (pocket - cost * float(units[0])) / pocket if pocket > 0 else -np.inf
    return shares
