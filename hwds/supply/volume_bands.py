"""Volumes decided: may one commit, by the record of the back-test, in words; and the report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import polars as pl

from hwds.report.grid import Grid, grid_of
from hwds.report.hooks import TableReport
from hwds.report.pictures import (
    GREY,
    INK,
    LIGHT,
    NAIVE_COLOUR,
    OWN_COLOUR,
    drawable,
    new_figure,
    save_png,
    tidy,
)
from hwds.results.formatting import brief, column_texts, counted, first_to_last, percent
from hwds.stats.effects import student_critical
from hwds.stats.estimates import clustered_wilson, one_minus_ratio, pooled_ratio
from hwds.supply.volumes import (
    BANDS,
    BOUNDED,
    SCHEMES,
    BandRecord,
    Coupling,
    VolumeTerms,
    VolumeVerdict,
    last_deals,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


# The back-test: the outcome of each volume as the commitment, over the deals whose demand is
# known.


def band_record(deals: pl.DataFrame, terms: VolumeTerms) -> tuple[BandRecord, ...]:
    """Return a record of every band, its bounds and the seasonal naive.

    Empty where no deal has both bands and a known demand.

    Args:
        deals: As `Deals.table` makes them.
        terms: Levels and costs.
    """
    scored = deals.drop_nulls(["actual", *BANDS])
    if scored.is_empty():
        return ()
    columns: dict[str, tuple[str, float | None]] = {
        band: (band, terms.levels[band]) for band in BANDS
    }
    columns |= {
        f"{band}[{scheme}]": (f"{band}_{scheme}", terms.levels[band])
        for band in BOUNDED
        for scheme in SCHEMES
    }
    if not scored["naive"].null_count():
        columns["naive"] = ("naive", None)
    return tuple(
        _record_line(scored, name, column, level, terms)
        for name, (column, level) in columns.items()
    )


def _record_line(
    scored: pl.DataFrame, name: str, column: str, level: float | None, terms: VolumeTerms
) -> BandRecord:
    names = scored["deal"].rank("dense").to_numpy().astype(np.int64) - 1
    volume, actual = scored[column].to_numpy(), scored["actual"].to_numpy()
    cost = np.bincount(names, terms.cost(volume, actual))
    count = np.bincount(names).astype(np.float64)
    below = np.bincount(names, actual < volume)
    mean_cost, share = pooled_ratio(cost, count), pooled_ratio(below, count)
    assert share.value is not None
    assert mean_cost.value is not None
    low, high = clustered_wilson(share.value, len(scored), len(count), share.stderr)
    saving = None
    if not scored["naive"].null_count() and name != "naive":
        saving = one_minus_ratio(
            cost, np.bincount(names, terms.cost(scored["naive"].to_numpy(), actual))
        )
    return BandRecord(
        band=name,
        level=level,
        below=share.value,
        below_low=low,
        below_high=high,
        deals=len(scored),
        clusters=len(count),
        cost=mean_cost.value,
        cost_stderr=mean_cost.stderr,
        saving=None if saving is None else saving.value,
        saving_low=None if saving is None else saving.low,
        saving_high=None if saving is None else saving.high,
    )


# A verdict on volumes in words, for a manager.

COUPLING_SOURCES: dict[Coupling, str] = {
    "paths": "sample paths",
    "errors": "the steps' own quantiles, coupled by the rank order of past error vectors",
    "none": "nothing: the bands are unknown",
}
"""The sources of the law of a sum, in words."""


def volume_sentence(
    rule: str,
    deals: pl.DataFrame,
    record: dict[str, BandRecord],
    terms: VolumeTerms,
    coupling: Coupling,
    unit: str,
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
    sentences = [
        _advice(rule, record.get("committed"), terms),
        _costs(record, terms, unit),
        _deals(deals, coupling, unit),
    ]
    return " ".join(filter(None, sentences))


def _advice(rule: str, committed: BandRecord | None, terms: VolumeTerms) -> str:
    name = _level(terms.committed)
    if committed is None:
        unknown = f"how a deal's steps move together, so the {name} of their sum is not known"
        why = {
            "no_backtest": f"no window before a deal's cutoff says {unknown}",
            "few_vectors": f"fewer than {terms.least_vectors} past error vectors say {unknown}",
            "few_deals": f"no deal of the back-test has both bands and a known demand, so the "
            f"{name} was never tried",
        }[rule]
        return f"HOLD: {why}."
    share = (
        f"in {percent(committed.below)} of {committed.deals:,} back-tested deals"
        f" (95 %: {percent(committed.below_low)} to {percent(committed.below_high)}; "
        f"{percent(terms.committed)} is meant)"
        f" demand was below the {name}"
    )
    if rule == "coverage":
        return f"HOLD: {share}: it is too high to commit to."
    if rule == "few_deals":
        return (
            f"HOLD: {committed.deals} back-tested deals are less than {terms.least_deals}; {share}."
        )
    return f"COMMIT to the {name}: {share}."


def _costs(record: dict[str, BandRecord], terms: VolumeTerms, unit: str) -> str:
    best, committed, naive = record.get("optimal"), record.get("committed"), record.get("naive")
    if best is None or committed is None:
        return ""
    each = "unit" if unit in ("", "units") else f"unit ({unit})"
    text = (
        f"Where a {each} committed and not demanded costs {terms.over:g} and one demanded and not "
        f"committed {terms.under:g},"
        f" the {_level(terms.optimal)} should cost least: {brief(best.cost)} a deal in the "
        f"back-test against"
        f" {brief(committed.cost)} for the {_level(terms.committed)}"
    )
    if naive is not None and best.saving is not None:
        text += f" and {brief(naive.cost)} for the sum of the seasonal naive{_saving_text(best)}"
    cheapest = min((record[band] for band in BANDS), key=lambda line: line.cost)
    if cheapest.cost < best.cost and cheapest.level is not None:
        text += f"; the cheapest there was the {_level(cheapest.level)}, {brief(cheapest.cost)}"
    return f"{text}."


def _saving_text(best: BandRecord) -> str:
    if best.saving is None or best.saving_low is None or best.saving_high is None:
        return ""
    if best.saving_high < 0:
        ends = (
            f"{percent(-best.saving)} more, 95 %: {percent(-best.saving_high)} to "
            f"{percent(-best.saving_low)}"
        )
        return f" (it costs {ends})"
    between = (
        f"{percent(best.saving)}, 95 %: {percent(best.saving_low)} to {percent(best.saving_high)}"
    )
    return (
        f" (saves {between})"
        if best.saving_low > 0
        else f" (no difference from it is shown: {between})"
    )


def _deals(deals: pl.DataFrame, coupling: Coupling, unit: str) -> str:
    if deals.is_empty():
        return "No deal was asked for."
    last = last_deals(deals)
    span = f"{_moment(last['first'].min())} to {_moment(last['last'].max())}"
    if len(last) == 1:
        row = last.row(0, named=True)
        if row["base"] is not None:
            volumes = ", ".join(f"{band} {brief(row[band])}" for band in BANDS)
            return (
                f"{row['deal']}, {span}: {volumes} {unit}".rstrip()
                + f" (from {COUPLING_SOURCES[coupling]})."
            )
    if last["base"].null_count() == len(last):
        lower, upper = (
            float(last[f"committed_{how}"].sum()) for how in ("together", "independent")
        )
        return (
            f"For the {len(last):,} deals of {span} the commitments add up to {brief(lower)} "
            f"{unit}".rstrip()
            + f" if a deal's steps move as one, and to {brief(upper)} if they have nothing to do "
            f"with each other."
        )
    return (
        f"The volumes of {len(last):,} deals of {span} are in volume_bands.csv, from "
        f"{COUPLING_SOURCES[coupling]}."
    )


def _level(level: float) -> str:
    """Return `P10`, `P97.5`."""
    return f"P{100 * level:.4g}"


def _moment(value: object) -> str:
    return str(value).removesuffix(" 00:00:00")


# From the deals to the verdict: may one commit, by the record of the back-test.


def volume_verdict(
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
    record = band_record(tested, terms)
    last = last_deals(deals)
    banded = last.drop_nulls("base")
    rule = volume_rule(banded, last, record, terms)
    known: Coupling = coupling if len(banded) else "none"
    return VolumeVerdict(
        decision=name,
        action="COMMIT" if rule == "none" else "HOLD",
        rule=rule,
        excluded=excluded_cutoffs(deals),
        sentence=volume_sentence(
            rule, deals, {line.band: line for line in record}, terms, known, unit
        ),
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


def volume_rule(
    banded: pl.DataFrame, last: pl.DataFrame, record: tuple[BandRecord, ...], terms: VolumeTerms
) -> str:
    """Return the rule that forbids to commit, `none` where none does.

    The bands must be known, they must have been tried on enough deals, and the share of these in
    which demand was below the commitment must not be shown, at 95 %, to be above its level.
    """
    committed = next((line for line in record if line.band == "committed"), None)
    if banded.is_empty():
        return "few_vectors" if (last["vectors"].max() or 0) else "no_backtest"
    if committed is None:
        return "no_backtest"
    if committed.deals < terms.least_deals:
        return "few_deals"
    return "coverage" if committed.below_low > terms.committed else "none"


def excluded_cutoffs(deals: pl.DataFrame) -> Mapping[str, tuple[str, ...]]:
    """Return the cutoffs at which no deal has bands, for want of past error vectors."""
    bare = deals.group_by("cutoff").agg(pl.col("base").is_not_null().any()).filter(~pl.col("base"))
    return (
        {"few_vectors": tuple(str(cutoff) for cutoff in bare["cutoff"].sort())} if len(bare) else {}
    )


# volume_bands.png: the bands of deals against what happened, how often demand was below each,
# and what it cost.

MOST_DEALS = 28
"""Deals shown."""

SHORT_COLOUR = "#b3382c"
"""The colour of demand below the commitment."""

WIDE_RATIO = 20.0
"""The ratio of the largest to the smallest volume from which the axis is logarithmic."""


def volume_figure(verdict: VolumeVerdict) -> Figure | None:
    """Draw the deals of the last cutoff and the record of the bands.

    None where there is no deal.
    """
    deals = pick_deals(verdict.deals)
    if deals.is_empty():
        return None
    height = 1.7 + 0.23 * max(len(deals), 14)
    figure = new_figure(11.5 if verdict.record else 7.5, height)
    if verdict.record:
        panels = figure.subplot_mosaic([["deals", "below"], ["deals", "cost"]], width_ratios=[3, 2])
        _draw_below(panels["below"], verdict)
        _draw_costs(panels["cost"], verdict)
        _draw_deals(panels["deals"], deals, verdict)
    else:
        _draw_deals(figure.subplots(), deals, verdict)
    last = last_deals(verdict.deals)
    shown = (
        counted(len(last), "deals")
        if len(last) == len(deals)
        else f"{len(deals)} of {counted(len(last), 'deals')}"
    )
    why = "" if verdict.rule == "none" else f" ({verdict.rule})"
    title = f"{verdict.action}{why}: {shown}, {last['first'].min()!s} to {last['last'].max()!s}"
    figure.suptitle(
        drawable(title, 100),
        x=0.01,
        ha="left",
        fontsize=13,
        fontweight="bold",
        color=INK,
        parse_math=False,
    )
    return figure


def pick_deals(deals: pl.DataFrame) -> pl.DataFrame:
    """Return the deals of the last cutoff, largest first.

    Evenly spaced by size where there are many.
    """
    size = pl.coalesce("base", pl.mean_horizontal("committed_together", "upside_together"))
    last = last_deals(deals).sort(size, descending=True, maintain_order=True)
    if len(last) <= MOST_DEALS:
        return last
    return last[np.unique(np.linspace(0, len(last) - 1, MOST_DEALS).round().astype(int)).tolist()]


def _draw_deals(axes: Axes, deals: pl.DataFrame, verdict: VolumeVerdict) -> None:
    place = np.arange(len(deals))[::-1]
    volumes = {
        name: deals[name].to_numpy().astype(float)
        for name in (*BANDS, "committed_together", "upside_together", "actual")
    }
    levels = verdict.levels
    outer = f"sums of the steps' P{100 * levels['committed']:g} and P{100 * levels['upside']:g}"
    axes.hlines(
        place,
        volumes["committed_together"],
        volumes["upside_together"],
        color=LIGHT,
        linewidth=7,
        label=outer,
    )
    band = f"P{100 * levels['committed']:g} to P{100 * levels['upside']:g} of the sum"
    tick: dict[str, Any] = {"linestyle": "none", "markersize": 9, "markeredgewidth": 1.6}
    if verdict.n_banded:
        axes.hlines(
            place,
            volumes["committed"],
            volumes["upside"],
            color=OWN_COLOUR,
            alpha=0.55,
            linewidth=7,
            label=band,
        )
        axes.plot(
            volumes["base"],
            place,
            marker="|",
            color=OWN_COLOUR,
            label=f"base (P{100 * levels['base']:g})",
            **tick,
        )
        best = f"optimal (P{100 * levels['optimal']:.3g})"
        axes.plot(volumes["optimal"], place, marker="|", color=NAIVE_COLOUR, label=best, **tick)
    below = volumes["actual"] < volumes["committed"]
    for which, colour, name in (
        (~below, INK, "demand"),
        (below, SHORT_COLOUR, "demand below the commitment"),
    ):
        if (which & ~np.isnan(volumes["actual"])).any():
            axes.plot(
                volumes["actual"][which],
                place[which],
                "o",
                color=colour,
                markersize=4.5,
                label=name,
                zorder=5,
            )
    _scale_axis(axes, np.concatenate(list(volumes.values())))
    tidy(axes, "x")
    labels = [drawable(name, 28) for name in deals["deal"]]
    axes.set_yticks(place, labels, fontsize=8, parse_math=False)
    axes.set_ylim(-0.8, len(deals) - 0.2)
    axes.set_xlabel(drawable(verdict.unit or "volume"), fontsize=9.5, color=INK, parse_math=False)
    axes.legend(
        loc="upper center",
        bbox_to_anchor=(0.5, -0.11 * 22 / max(len(deals), 14)),
        ncols=2,
        frameon=False,
        fontsize=8.5,
    )


def _scale_axis(axes: Axes, volumes: np.ndarray) -> None:
    """Set a logarithmic axis where sizes differ much."""
    from matplotlib.ticker import EngFormatter

    known = volumes[~np.isnan(volumes)]
    if len(known) and known.max() > WIDE_RATIO * max(float(np.quantile(known, 0.05)), 0) > 0:
        positive = known[known > 0]
        axes.set_xscale("log")
        axes.set_xlim(max(positive.min(), positive.max() / 1e5) / 1.2, positive.max() * 1.2)
    if len(known) and np.abs(known).max() >= 10_000:
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))


def _draw_below(axes: Axes, verdict: VolumeVerdict) -> None:
    """Draw the share of deals below each band beside its nominal level."""
    lines = [
        line
        for line in verdict.record
        if line.level is not None and "[independent]" not in line.band
    ]
    for place, line in enumerate(reversed(lines)):
        colour = GREY if "[" in line.band else OWN_COLOUR
        axes.hlines(
            place,
            line.below_low,
            line.below_high,
            color=colour,
            linewidth=2,
            label="95 %" if not place else "_",
        )
        axes.plot(line.below, place, "o", color=colour, markersize=5.5)
        axes.plot(
            line.level or 0.0, place, marker="|", color=INK, markersize=15, markeredgewidth=1.6
        )
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.6, len(lines) - 0.4)
    axes.set_yticks(
        range(len(lines)), [_band_label(line.band) for line in reversed(lines)], fontsize=8.5
    )
    deals = f"{counted(lines[0].deals, 'deals')} of {counted(lines[0].clusters, 'names')}"
    axes.set_title(f"demand below it: share of {deals}", fontsize=9.5, loc="left", color=INK)
    axes.set_xlabel("black stroke: what is meant; line: 95 % interval", fontsize=8.5, color=GREY)
    tidy(axes, "x")


def _draw_costs(axes: Axes, verdict: VolumeVerdict) -> None:
    """Draw the cost of each band as the commitment."""
    from matplotlib.ticker import EngFormatter, MaxNLocator

    lines = [line for line in verdict.record if "[" not in line.band][::-1]
    colours = [
        NAIVE_COLOUR if line.band == "optimal" else GREY if line.band == "naive" else OWN_COLOUR
        for line in lines
    ]
    errors = [
        student_critical(line.clusters - 1, 0.95) * line.cost_stderr if line.cost_stderr else 0.0
        for line in lines
    ]
    style = {"ecolor": INK, "elinewidth": 1.0}
    axes.barh(
        range(len(lines)),
        [line.cost for line in lines],
        xerr=errors,
        color=colours,
        height=0.62,
        error_kw=style,
    )
    axes.set_yticks(range(len(lines)), [_band_label(line.band) for line in lines], fontsize=8.5)
    axes.set_xlim(left=0)
    title = f"mean cost of a deal ({verdict.over:g} a unit over, {verdict.under:g} under)"
    axes.set_title(title, fontsize=9.5, loc="left", color=INK)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    tidy(axes, "x")


def _band_label(band: str) -> str:
    name, _, rest = band.partition("[")
    return f"{name}: sum of steps'" if rest else "seasonal naive" if name == "naive" else name


# The report of a decision on volumes: a table of the bands in the back-test, and the picture of
# the deals.

BAND_NAMES = {
    "naive": "seasonal naive, summed",
    "committed[independent]": "committed, if months were independent",
    "committed[together]": "committed, sum of the months' quantiles",
    "upside[independent]": "upside, if months were independent",
    "upside[together]": "upside, sum of the months' quantiles",
}
"""Bands where people read."""


def volume_grid(verdict: VolumeVerdict) -> Grid:
    """Return a line for each band in the back-test: the share of deals below it, and its cost as
    the commitment.
    """
    lines = verdict.record
    costs = column_texts([line.cost for line in lines])
    titles = [
        ("volume", "volume"),
        ("quantile", ""),
        ("should be below, %", "meant\n%"),
        ("demand below it, %", "below\n%"),
        ("95 %", "95 %"),
        ("cost a deal", "cost\na deal"),
        ("saves against the seasonal naive, %", "saves\n%"),
    ]
    return grid_of(
        titles,
        [
            (*_band_cells(line), cost, _saving_cell(line))
            for line, cost in zip(lines, costs, strict=True)
        ],
    )


def _band_cells(line: BandRecord) -> tuple[str, ...]:
    level = "" if line.level is None else f"{100 * line.level:.4g}"
    between = f"{100 * line.below_low:.1f} to {100 * line.below_high:.1f}"
    return (
        BAND_NAMES.get(line.band, line.band),
        f"P{level}" if level else "",
        level,
        f"{100 * line.below:.1f}",
        between,
    )


def _saving_cell(line: BandRecord) -> str:
    if line.saving is None:
        return ""
    between = ""
    if line.saving_low is not None and line.saving_high is not None:
        half_width = 100 * min(
            line.saving_high - line.saving, line.saving - line.saving_low
        )  # the other may reach to 0
        between = f" ± {half_width / student_critical(line.clusters - 1, 0.95):.1f}"
    return f"{100 * line.saving:+.1f}{between}"


def draw(verdict: VolumeVerdict, path: Path) -> None:
    """Draw the deals' bands with actuals, and the record of the bands; nothing where there is no
    deal.
    """
    save_png(volume_figure(verdict), path)


REPORT = TableReport(grid=volume_grid, draw=draw)
