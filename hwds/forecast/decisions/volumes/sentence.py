"""A verdict on volumes in words, for a manager."""

from __future__ import annotations

import polars as pl

from hwds.forecast.decisions.volumes.terms import VolumeTerms
from hwds.forecast.decisions.volumes.verdict import BANDS, BandRecord, Coupling, last_deals
from hwds.results.formatting import brief, percent

SOURCES: dict[Coupling, str] = {
    "paths": "sample paths",
    "errors": "the steps' own quantiles, coupled by the rank order of past error vectors",
    "none": "nothing: the bands are unknown",
}
"""The sources of the law of a sum, in words."""


def sentence(
    rule: str, deals: pl.DataFrame, record: dict[str, BandRecord], terms: VolumeTerms, coupling: Coupling, unit: str
) -> str:
    """Return the advice with its reason, its cost and its deals, as sentences.

    Args:
        rule: The rule that bound.
        deals: Those of the verdict.
        record: By band.
        terms: Levels and costs.
        coupling: Where the sums are from.
        unit: Of volumes.
    """
    sentences = [_first(rule, record.get("committed"), terms), _costs(record, terms, unit), _deals(deals, coupling, unit)]
    return " ".join(filter(None, sentences))


def _first(rule: str, committed: BandRecord | None, terms: VolumeTerms) -> str:
    name = _level(terms.committed)
    if committed is None:
        unknown = f"how a deal's steps move together, so the {name} of their sum is not known"
        why = {
            "no_backtest": f"no window before a deal's cutoff says {unknown}",
            "few_vectors": f"fewer than {terms.least_vectors} past error vectors say {unknown}",
            "few_deals": f"no deal of the back-test has both bands and a known demand, so the {name} was never tried",
        }[rule]
        return f"HOLD: {why}."
    share = (
        f"in {percent(committed.below)} of {committed.deals:,} back-tested deals"
        f" (95 %: {percent(committed.below_low)} to {percent(committed.below_high)}; {percent(terms.committed)} is meant)"
        f" demand was below the {name}"
    )
    if rule == "coverage":
        return f"HOLD: {share}: it is too high to commit to."
    if rule == "few_deals":
        return f"HOLD: {committed.deals} back-tested deals are less than {terms.least_deals}; {share}."
    return f"COMMIT to the {name}: {share}."


def _costs(record: dict[str, BandRecord], terms: VolumeTerms, unit: str) -> str:
    best, committed, naive = record.get("optimal"), record.get("committed"), record.get("naive")
    if best is None or committed is None:
        return ""
    each = "unit" if unit in ("", "units") else f"unit ({unit})"
    text = (
        f"Where a {each} committed and not demanded costs {terms.over:g} and one demanded and not committed {terms.under:g},"
        f" the {_level(terms.optimal)} should cost least: {brief(best.cost)} a deal in the back-test against"
        f" {brief(committed.cost)} for the {_level(terms.committed)}"
    )
    if naive is not None and best.saving is not None:
        text += f" and {brief(naive.cost)} for the sum of the seasonal naive{_saving(best)}"
    cheapest = min((record[band] for band in BANDS), key=lambda line: line.cost)
    if cheapest.cost < best.cost and cheapest.level is not None:
        text += f"; the cheapest there was the {_level(cheapest.level)}, {brief(cheapest.cost)}"
    return f"{text}."


def _saving(best: BandRecord) -> str:
    if best.saving is None or best.saving_low is None or best.saving_high is None:
        return ""
    if best.saving_high < 0:
        ends = f"{percent(-best.saving)} more, 95 %: {percent(-best.saving_high)} to {percent(-best.saving_low)}"
        return f" (it costs {ends})"
    between = f"{percent(best.saving)}, 95 %: {percent(best.saving_low)} to {percent(best.saving_high)}"
    return f" (saves {between})" if best.saving_low > 0 else f" (no difference from it is shown: {between})"


def _deals(deals: pl.DataFrame, coupling: Coupling, unit: str) -> str:
    if deals.is_empty():
        return "No deal was asked for."
    last = last_deals(deals)
    span = f"{_moment(last['first'].min())} to {_moment(last['last'].max())}"
    if len(last) == 1:
        row = last.row(0, named=True)
        if row["base"] is not None:
            volumes = ", ".join(f"{band} {brief(row[band])}" for band in BANDS)
            return f"{row['deal']}, {span}: {volumes} {unit}".rstrip() + f" (from {SOURCES[coupling]})."
    if last["base"].null_count() == len(last):
        lower, upper = (float(last[f"committed_{how}"].sum()) for how in ("together", "independent"))
        return (
            f"For the {len(last):,} deals of {span} the commitments add up to {brief(lower)} {unit}".rstrip()
            + f" if a deal's steps move as one, and to {brief(upper)} if they have nothing to do with each other."
        )
    return f"The volumes of {len(last):,} deals of {span} are in volume_bands.csv, from {SOURCES[coupling]}."


def _level(level: float) -> str:
    """Return `P10`, `P97.5`."""
    return f"P{100 * level:.4g}"


def _moment(value: object) -> str:
    return str(value).removesuffix(" 00:00:00")
