"""The terms of a volume contract, and what is settled for the units that are taken."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from hwds.pricing.contract.tiers import DumpingZone, TierSchedule

SLACK = 1e-9
"""The share of a sum within which two are equal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractTerms:
    """The terms of a contract beside its tiers.

    Attributes:
        deductions: The share of the bill that is given back whatever happens: payment terms, ship-and-debit, price protection.
        retro_rebate: The share of the bill that is given back once the commitment is attained.
        retro_from: The share of the commitment from which that is.
        clawback: The share of the discount that was not earned which is charged again when less is taken than committed.
        shortfall_fee: What each unit committed and not taken costs the buyer, as a share of its price.
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

    units: np.ndarray
    bill: np.ndarray
    clawback: np.ndarray
    fee: np.ndarray
    retro: np.ndarray
    deductions: np.ndarray

    @property
    def pocket(self) -> np.ndarray:
        """The amount that remains."""
        return self.bill + self.clawback + self.fee - self.retro - self.deductions


def settle(
    schedule: TierSchedule, tier: int, units: np.ndarray, terms: ContractTerms, asked: np.ndarray | None = None
) -> Settlement:
    """Return what is paid where a buyer commits to a tier and takes some units.

    All units are billed at the price of the tier committed to, also those beyond it (each at that of its own tier where tiers
    are incremental). Who takes less pays a share of the discount that the units taken do not earn, and a fee for each missing.

    Args:
        schedule: The tiers.
        tier: That is committed to.
        units: That are taken, shape (n,).
        terms: The other terms.
        asked: The units that are asked for, by which the commitment is attained; None for those that are taken.
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
        retro=np.where(attained >= terms.retro_from * committed, terms.retro_rebate * bill, 0.0) if tier else 0.0 * bill,
        deductions=terms.deductions * bill,
    )


def pays_to_exceed(schedule: TierSchedule, tier: int, units: np.ndarray, terms: ContractTerms) -> np.ndarray:
    """Return whether a buyer who is committed to a tier pays more for fewer units than for the commitment, shape (n,).

    Args:
        schedule: The tiers.
        tier: That is committed to.
        units: That the buyer needs, shape (n,).
        terms: With what falling short costs: a commitment without clawback and fee is never dearer to miss.
    """
    committed = np.array([schedule.quantities[tier]])
    total = settle(schedule, tier, committed, terms).pocket
    dearer = settle(schedule, tier, units, terms).pocket > total * (1 + SLACK)
    wanting: np.ndarray = dearer & (units < committed)
    return wanting


def dumping_zone(schedule: TierSchedule, tier: int, terms: ContractTerms) -> DumpingZone | None:
    """Return the dumping zone below a tier, as it is settled; None where fewer units never cost more.

    What is paid is linear between the quantities of the tiers and that from which the retro rebate is.
    """
    committed = schedule.quantities[tier]
    total = float(settle(schedule, tier, np.array([committed]), terms).pocket[0])
    for begin, end in pairwise(sorted({*schedule.quantities[: tier + 1], min(terms.retro_from, 1.0) * committed})):
        ends = np.array([begin, np.nextafter(end, 0.0)])
        first, last = settle(schedule, tier, ends, terms).pocket
        if max(first, last) > total * (1 + SLACK):
            crossed = 0.0 if first > total else (total - first) / (last - first)
            return DumpingZone(float(begin + crossed * (end - begin)), committed)
    return None
