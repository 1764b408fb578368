"""RevenueImpact: what a change of prices does to units, revenue and margin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

import polars as pl
from annotated_types import Ge, Le, MinLen

from hwds.core.recipe import Draws, Level, Once, Small
from hwds.core.seeds import stream
from hwds.pricing.decisions.base import DemandDecision, PriceShare, PriceStep, terms_from
from hwds.pricing.demand_evidence import DemandEstimates
from hwds.pricing.revenue_impact import ImpactTerms, RevenueImpactVerdict, best_change, impacts
from hwds.report.words import spoken

Change = Annotated[float, Ge(-0.9), Le(9)]


class RevenueImpact(DemandDecision):
    """Units, revenue and margin after changes of prices, with intervals: of each cell, product or
    channel, and of all.

    Reads the estimates of a model of demand (`DemandEstimates`). Units are multiplied by (1 +
    change) ** elasticity, draw by draw, so they never fall below 0, and the draws give the
    interval. Substitutes answer to the prices that change. It separates lasting demand from
    purchases that a cut only brings forward. A price beyond the observed ones is flagged: there the
    elasticity is a guess. `RAISE` or `CUT` where a change of all prices raises margin surely enough
    and to observed prices in nine of ten cells.

    Attributes:
        changes: The changes of prices to look at, as shares.
        scope: Whose prices change together: each `cell`, `product` or `channel`.
        deductions: The share of the price that is given back after the invoice: rebates, terms.
        band: The largest distance beyond the observed prices without a flag, as a share of these.
        confidence: The least probability that margin rises.
        level: The confidence of the intervals, as a share.
        draws: The draws from the posterior.

    Example:
        python -m hwds +experiment=revenue_impact decision.scope=channel decision.changes=[-.1,.1]
    """

    reports: ClassVar[Mapping[str, str]] = {"revenue_impact": "hwds.pricing.revenue_impact:REPORT"}

    changes: Annotated[tuple[Change, ...], MinLen(1), Once] = (
        -0.3,
        -0.2,
        -0.15,
        -0.1,
        -0.05,
        0.05,
        0.1,
        0.15,
        0.2,
        0.3,
    )
    scope: Literal["cell", "product", "channel"] = "product"
    deductions: PriceShare = 0.0
    band: PriceStep = 0.05
    confidence: Level = 0.8
    level: Level = 0.95
    draws: Annotated[Draws, Small(200)] = 1000

    def of_estimates(self, evidence: DemandEstimates, seed: int = 0) -> RevenueImpactVerdict:
        """Return the verdict from any estimates of demand; `seed` names the random draws."""
        terms = terms_from(self, ImpactTerms)
        rows = impacts(evidence, self.draws, stream(seed, "revenue_impact"), terms)
        best = best_change(rows, self.confidence)
        verdict = RevenueImpactVerdict(
            decision=self.name or "revenue_impact",
            action="HOLD" if best is None else "RAISE" if best["change"] > 0 else "CUT",
            rule="none" if best is not None else "no_estimate" if rows.is_empty() else "not_sure",
            excluded=_cells_without_estimate(evidence),
            change=None if best is None else best["change"],
            unit=evidence.unit,
            period=evidence.period,
            terms=terms,
            cells=len(evidence),
            known=int(evidence.known.sum()),
            confidence=self.confidence,
            impacts=rows,
        )
        return spoken(verdict, note=evidence.note)


def _cells_without_estimate(evidence: DemandEstimates) -> dict[str, tuple[str, ...]]:
    names = evidence.cells.filter(pl.col("elasticity").is_null())["cell"]
    return {"no_estimate": tuple(names)} if len(names) else {}
