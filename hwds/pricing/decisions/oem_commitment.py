"""OemCommitment: which price to offer for which committed volume, and when to walk away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import polars as pl
from annotated_types import Ge, Le, Lt, MinLen

from hwds.core.errors import ConfigError, nearest
from hwds.core.recipe import (
    MOST,
    Draws,
    Level,
    NonNegative,
    Positive,
    PositiveInt,
    Small,
    UnitInterval,
)
from hwds.core.seeds import stream
from hwds.evaluation.protocol import Evaluation
from hwds.frames.panel import Panel
from hwds.frames.roles import SERIES
from hwds.pricing.contract import (
    ContractRisks,
    ContractTerms,
    ContractWorld,
    TierSchedule,
    VolumeLaw,
    law_of_run,
)
from hwds.pricing.decisions.base import DemandDecision, PriceShare, terms_from
from hwds.pricing.demand_draws import DemandDraws
from hwds.pricing.demand_evidence import DemandEstimates
from hwds.pricing.oem_commitment import OemVerdict, OfferRules, decide_contract
from hwds.report.words import spoken
from hwds.results.folder import RunFolder

Floor = Annotated[float, Ge(-MOST), Lt(1)]
Spread = Annotated[float, Ge(0), Le(10)]


class OemCommitment(DemandDecision):
    """The price to offer a large buyer for a committed volume, of several tiers, and the price
    below which to walk away.

    Reads the estimates of a model of demand (`DemandEstimates`) for the buyer's cell: today's
    price, cost, elasticity, and what its price takes from other cells. The volume comes from a run
    with `decision=volume_bands`, from three numbers, or from the cell's units. Each tier is settled
    as a contract is: the tier's price, deductions, a retro rebate once the commitment is attained,
    a clawback and a fee where it is not. Its pocket margin must keep the floor at the 10, 50 and 90
    % quantiles of the volume, and a Monte-Carlo simulation over volume, elasticity, cost, currency
    and leaks gives its profit. A tier has a dumping zone where its terms make falling short dear:
    who needs a little less pays less for all of it, and sells on the rest. `decision_pack=oem`
    writes a page and a workbook of it.

    Attributes:
        cell: The buyer's cell; null for the one that sells most, which a run of volumes does not
            allow.
        list_price: Without a discount; null for what the buyer pays today.
        quantities: The volumes at which tiers begin; empty for 0.5, 0.8 and 1 times the base
            volume, or the deliverable part of it.
        discounts: The discounts of the list price, one a tier.
        kind: The price of a tier holds for `all_units` or for the `incremental` ones alone.
        margin_floor: The least pocket margin at every tier and attainment.
        deductions: The share of the bill that is given back whatever happens: payment terms,
            ship-and-debit, price protection.
        retro_rebate: The share of the bill that is given back once the commitment is attained.
        retro_from: The share of the commitment from which that is.
        clawback: The share of a discount that was not earned which is charged again.
        shortfall_fee: The cost to the buyer of a unit committed and not taken, as a share of its
            price.
        volume_run: A run with `decision=volume_bands` or `decision=supply_plan`, where what can be
            delivered caps the volume; null for none.
        deal: Which deal of that run; null where there is one alone.
        volumes: `committed`, `base` and `upside` (10, 50 and 90 % quantiles) at today's price;
            empty for none.
        volume_spread: The deviation of the log of the volume where it is the cell's units.
        periods: The periods of the demand in the contract.
        kept: The share of the volume that the buyer would take without a contract.
        cost_spread: The deviation of the cost, as a share of it.
        currency_spread: The deviation of the contract's currency, as a share of its value.
        leak_run: A run with `decision=arbitrage_thresholds`, for the share of gray lines where
            reselling pays; null for none.
        leak: The share of units sold on where reselling pays, where no run says it.
        freight: The cost of reselling one unit.
        duty: The share of the price paid that is due when a unit is resold in another channel.
        risk: The share of the price paid that a reseller asks for the risk.
        most_risk: The most probability of a pocket margin below the floor.
        most_shortfall: The most probability that less is taken than committed.
        confidence: The least probability of earning more than without a contract.
        level: The confidence of the intervals, as a share.
        draws: The draws of the Monte-Carlo.

    Example:
        python -m hwds +experiment=oem_commitment decision.discounts=[.05,.1,.15] \
            decision.kind=incremental
    """

    reports: ClassVar[Mapping[str, str]] = {
        "oem_tiers": "hwds.pricing.oem_pictures:TIERS_REPORT",
        "oem_tornado": "hwds.pricing.oem_pictures:TORNADO_REPORT",
        "oem_waterfall": "hwds.pricing.oem_pictures:WATERFALL_REPORT",
    }
    packs: ClassVar[Mapping[str, str]] = {"oem": "hwds.pricing.oem_pictures:CONTRACT_PACK"}

    cell: str | None = None
    list_price: Positive | None = None
    quantities: tuple[Positive, ...] = ()
    discounts: Annotated[tuple[PriceShare, ...], MinLen(1)] = (0.03, 0.06, 0.1)
    kind: Literal["all_units", "incremental"] = "all_units"
    margin_floor: Floor = 0.1
    deductions: Annotated[float, Ge(0), Le(0.5)] = 0.02
    retro_rebate: Annotated[float, Ge(0), Lt(0.5)] = 0.01
    retro_from: Annotated[float, Ge(0), Le(10)] = 1.0
    clawback: UnitInterval = 1.0
    shortfall_fee: UnitInterval = 0.0
    volume_run: str | None = None
    deal: str | None = None
    volumes: dict[str, Positive] = field(default_factory=dict)
    volume_spread: Annotated[float, Ge(1e-6), Le(10)] = 0.2
    periods: PositiveInt = 52
    kept: UnitInterval = 0.8
    cost_spread: Spread = 0.05
    currency_spread: Spread = 0.03
    leak_run: str | None = None
    leak: UnitInterval = 0.05
    freight: NonNegative = 10.0
    duty: UnitInterval = 0.0
    risk: UnitInterval = 0.05
    most_risk: Level = 0.1
    most_shortfall: Level = 0.5
    confidence: Level = 0.8
    level: Level = 0.95
    draws: Annotated[Draws, Small(500)] = 4000

    def check_protocol(self, protocol: Evaluation[Any, Any]) -> None:
        """Refuse a protocol without elasticities, tiers that do not rise, and volumes that are
        given twice or in part.

        Raises:
            ConfigError: With the field.
        """
        super().check_protocol(protocol)
        if self.volume_run is not None and self.volumes:
            raise ConfigError("decision.volumes: must be empty if decision.volume_run has them.")
        if self.volume_run is not None and self.cell is None:
            raise ConfigError(
                "decision.cell: must be given with decision.volume_run: the cell that buys the "
                "deal."
            )
        if self.deal is not None and self.volume_run is None:
            raise ConfigError("decision.deal: needs decision.volume_run, the run of that deal.")
        if self.volumes:
            VolumeLaw.of_mapping(self.volumes)
        quantities = self.quantities or (0.5, 0.8, 1.0)
        if not self.quantities and len(self.discounts) != len(quantities):
            raise ConfigError(
                f"decision.discounts: must be three if decision.quantities is empty, got "
                f"{len(self.discounts)}."
            )
        TierSchedule.of(1.0, quantities, self.discounts, self.kind)

    @property
    def needs_costs(self) -> bool:
        """True: margins are what is decided by."""
        return True

    def check_data(self, frame: Any, protocol: Evaluation[Any, Any]) -> None:
        """Refuse a cell that is not there, and runs that lack what is read from them.

        Raises:
            ConfigError: With the nearest name.
        """
        super().check_data(frame, protocol)
        names = frame.table[SERIES].unique() if isinstance(frame, Panel) else ()
        if self.cell is not None and len(names) and self.cell not in names:
            raise ConfigError(f"decision.cell: no cell '{self.cell}'{nearest(self.cell, names)}")
        if self.volume_run is not None:
            self._law_of_run(tuple(names))
        if self.leak_run is not None:
            leak_of_run(self.leak_run)

    def of_estimates(self, evidence: DemandEstimates, seed: int = 0) -> OemVerdict:
        """Return the verdict from any estimates of demand; `seed` names the random draws.

        Raises:
            ConfigError: The cell is not there or has no estimate, or a run does not say what is
                asked of it.
            DataError: A cost is missing, or the cell's is not below its price.
        """
        place = self._place(evidence)
        evidence.require_costs("decision=oem_commitment", [evidence.names[place]])
        law, leak = self._law(evidence, place), self._leak()
        demand = DemandDraws.of(
            evidence,
            self.draws,
            stream(seed, "oem_commitment"),
            objective="profit",
            deductions=self.deductions,
        ).answering(np.array([place]), evidence.column("price"))[0]
        world = self._world(evidence, place, law, demand)
        risks = ContractRisks.draw(
            demand.own[:, 0], stream(seed, "oem_commitment", "risks"),
            cost=float(evidence.cells["cost"][place]), cost_spread=self.cost_spread,
            currency_spread=self.currency_spread, leak=leak[0],
        )  # fmt: skip
        rules = terms_from(self, OfferRules, floor=self.margin_floor)
        return self._verdict(evidence, place, world, rules, risks, leak)

    def _place(self, evidence: DemandEstimates) -> int:
        """Return the place of the buyer's cell."""
        if self.cell is None:
            known = np.where(evidence.known, evidence.column("units"), -1.0)
            if not evidence.known.any():
                raise ConfigError("decision.cell: no cell has an estimate of its elasticity.")
            return int(known.argmax())
        if self.cell not in evidence.names:
            raise ConfigError(
                f"decision.cell: no cell '{self.cell}'{nearest(self.cell, evidence.names)}"
            )
        place = evidence.names.index(self.cell)
        if not evidence.known[place]:
            reason = evidence.cells["reason"][place] or evidence.cells["status"][place]
            raise ConfigError(
                f"decision.cell: '{self.cell}' has no estimate of its elasticity: {reason}."
            )
        return place

    def _law(self, evidence: DemandEstimates, place: int) -> VolumeLaw:
        """Return the law of the volume."""
        if self.volume_run is not None:
            return self._law_of_run(evidence.names)
        if self.volumes:
            return VolumeLaw.of_mapping(self.volumes)
        units = float(evidence.cells["units"][place])
        if units <= 0:
            raise ConfigError(
                f"decision.volumes: must be given, for cell '{evidence.names[place]}' sells "
                f"nothing."
            )
        return VolumeLaw.around(
            units * self.periods, self.volume_spread, f"units of {self.periods} {evidence.period}s"
        )

    def _law_of_run(self, cells: Sequence[str]) -> VolumeLaw:
        """Return the volume that a run says.

        A deal that is another cell's than the buyer's is refused.
        """
        assert self.volume_run is not None
        law = law_of_run(self.volume_run, self.deal)
        if self.cell != law.deal and law.deal in cells:
            raise ConfigError(
                f"decision.cell: must be '{law.deal}', the deal of decision.volume_run, got "
                f"'{self.cell}'."
            )
        return law

    def _leak(self) -> tuple[float, str]:
        return (self.leak, "as given") if self.leak_run is None else leak_of_run(self.leak_run)

    def _world(
        self, evidence: DemandEstimates, place: int, law: VolumeLaw, demand: DemandDraws
    ) -> ContractWorld:
        cell = evidence.cells.row(place, named=True)
        listed = self.list_price or cell["price"]
        quantities = self.quantities or tuple(share * law.attainable for share in (0.5, 0.8, 1.0))
        same = evidence.cells.filter(
            pl.col("cell") != cell["cell"], product=cell["product"]
        ).to_dicts()
        dearest = max(same, key=lambda row: row["price"], default=cell)
        return ContractWorld(
            schedule=TierSchedule.of(listed, quantities, self.discounts, self.kind),
            terms=terms_from(self, ContractTerms),
            law=law,
            price=cell["price"],
            demand=demand,
            periods=self.periods,
            resale=(dearest["price"] - self.freight) / (1 + self.duty + self.risk) if same else 0.0,
            lost=dearest["price"] * (1 - self.deductions) - dearest["cost"],
            kept=self.kept,
        )

    def _verdict(
        self,
        evidence: DemandEstimates,
        place: int,
        world: ContractWorld,
        rules: OfferRules,
        risks: ContractRisks,
        leak: tuple[float, str],
    ) -> OemVerdict:
        made = decide_contract(world, risks, rules)
        cell = evidence.cells.row(place, named=True)
        excluded: dict[str, tuple[str, ...]] = {}
        for row in made.tiers[1:].iter_rows(named=True):
            if row["verdict"] not in ("offer", "possible"):
                name = f"{100 * row['discount']:g} % from {row['from_units']:,.0f}"
                excluded[row["verdict"]] = (*excluded.get(row["verdict"], ()), name)
        hold = made.offered is None
        verdict = OemVerdict(
            decision=self.name or "oem_commitment",
            action="HOLD" if hold else "OFFER",
            rule=max(excluded, key=lambda rule: len(excluded[rule])) if hold else "none",
            excluded=excluded,
            cell=cell["cell"],
            product=cell["product"],
            channel=cell["channel"],
            unit=evidence.unit,
            period=evidence.period,
            world=world,
            rules=rules,
            today=cell["price"],
            floor_price=made.floor_price,
            walk_away=made.walk_away,
            leak=leak[0],
            leak_source=leak[1],
            tiers=made.tiers,
            tornado=made.tornado,
            waterfall=made.waterfall,
        )
        return spoken(verdict, note=evidence.note)


def leak_of_run(name: str) -> tuple[float, str]:
    """Return the share of gray lines where reselling pays by a run with
    `decision=arbitrage_thresholds`, and the run's name.

    Args:
        name: The run, as `hwds show` takes it.

    Raises:
        ConfigError: There is no such run, or its decision does not say it.
        HwdsError: The run is damaged.
    """
    folder = RunFolder.find(name)
    above = (folder.read_verdict() or {}).get("above") or {}
    if above.get("share") is None:
        raise ConfigError(
            f"decision.leak_run: run {folder.title} has no share of gray lines; run it with "
            f"decision=arbitrage_thresholds."
        )
    return float(above["share"]), f"run {folder.title}"
