"""From the deals to the verdict: may one commit, by the record of the back-test."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import polars as pl

from hwds.forecast.decisions.volumes.back_test import record_of
from hwds.forecast.decisions.volumes.sentence import sentence
from hwds.forecast.decisions.volumes.terms import VolumeTerms
from hwds.forecast.decisions.volumes.verdict import BandRecord, Coupling, VolumeVerdict, last_deals
from hwds.results.formatting import first_to_last


def verdict_of(
    name: str,
    deals: pl.DataFrame,
    tested: pl.DataFrame,
    terms: VolumeTerms,
    *,
    coupling: Coupling,
    steps: tuple[int, int],
    unit: str,
    when: Literal["back-test", "future"],
) -> VolumeVerdict:
    """Return the verdict on the deals of the last cutoff.

    Args:
        name: The decision's.
        deals: Those to tell, as `Deals.table` makes them.
        tested: Those of the back-test; the same for a back-test.
        terms: The rule.
        coupling: Where the laws of the sums are from.
        steps: The first and the last of a deal.
        unit: Of volumes.
        when: Whether the deals are those of the back-test or of the months to come.
    """
    record = record_of(tested, terms)
    last = last_deals(deals)
    banded = last.drop_nulls("base")
    rule = rule_of(banded, last, record, terms)
    known: Coupling = coupling if len(banded) else "none"
    return VolumeVerdict(
        decision=name,
        action="COMMIT" if rule == "none" else "HOLD",
        rule=rule,
        excluded=excluded_of(deals),
        sentence=sentence(rule, deals, {line.band: line for line in record}, terms, known, unit),
        levels=terms.levels,
        over=terms.over,
        under=terms.under,
        coupling=known,
        steps=steps,
        cutoff=first_to_last(last["cutoff"]),
        n_deals=len(last),
        n_banded=len(banded),
        vectors=banded["vectors"].min(),  # type: ignore[arg-type]
        when=when,
        record=record,
        unit=unit,
        deals=deals,
    )


def rule_of(banded: pl.DataFrame, last: pl.DataFrame, record: tuple[BandRecord, ...], terms: VolumeTerms) -> str:
    """Return the rule that forbids to commit, `none` where none does.

    The bands must be known, they must have been tried on enough deals, and the share of these in which demand was below the
    commitment must not be shown, at 95 %, to be above its level.
    """
    committed = next((line for line in record if line.band == "committed"), None)
    if banded.is_empty():
        return "few_vectors" if (last["vectors"].max() or 0) else "no_backtest"
    if committed is None:
        return "no_backtest"
    if committed.deals < terms.least_deals:
        return "few_deals"
    return "coverage" if committed.below_low > terms.committed else "none"


def excluded_of(deals: pl.DataFrame) -> Mapping[str, tuple[str, ...]]:
    """Return the cutoffs at which no deal has bands, for want of past error vectors."""
    bare = deals.group_by("cutoff").agg(pl.col("base").is_not_null().any()).filter(~pl.col("base"))
    return {"few_vectors": tuple(str(cutoff) for cutoff in bare["cutoff"].sort())} if len(bare) else {}
