"""Volumes decided: may one commit, by the record of the back-test, in words; and the report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import polars as pl
from polars import DataFrame

from hwds.report.hooks import TableReport
from hwds.report.pictures import (
    ALARM_COLOUR,
    GREY,
    INK,
    LIGHT,
    NAIVE_COLOUR,
    OWN_COLOUR,
    drawable,
    headline,
    name_rows,
    new_figure,
    thousands,
    tidy,
)
from hwds.report.words import spoken
from hwds.results.formatting import counted, first_to_last
from hwds.results.tables import Column, Declared, Verdict, with_interval
from hwds.stats.effects import student_critical
from hwds.stats.estimates import Estimate, one_minus_ratio, pooled_ratio
from hwds.supply.volumes import (
    BANDS,
    BOUNDED,
    SCHEMES,
    BandRecord,
    Coupling,
    VolumeTerms,
    When,
    deciding_names,
    drawn_names,
    last_deals,
    name_codes,
    share_short,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


# The back-test: the outcome of each volume as the commitment, over the deals whose demand is
# known.


NO_SAVING = Estimate(None, None, None, None, "", 0, 0)
"""The saving of a volume where the data has no seasonal naive."""


def band_record(deals: DataFrame, terms: VolumeTerms) -> tuple[BandRecord, ...]:
    """Return a record of every band, its bounds and the seasonal naive.

    Empty where no deal has both bands and a known demand.

    Args:
        deals: The deals, as `Deals.table` makes them.
        terms: Levels and costs.
    """
    scored = deals.drop_nulls(["actual", *BANDS])
    if scored.is_empty():
        return ()
    levels = terms.levels
    lines: list[tuple[str, str, float | None]] = [(band, band, levels[band]) for band in BANDS]
    lines += [
        (f"{band}[{scheme}]", f"{band}_{scheme}", levels[band])
        for band in BOUNDED
        for scheme in SCHEMES
    ]
    if not scored["naive"].null_count():
        lines.append(("naive", "naive", None))
    return tuple(_record_line(scored, *line, terms) for line in lines)


def _record_line(
    scored: DataFrame, name: str, column: str, level: float | None, terms: VolumeTerms
) -> BandRecord:
    names = name_codes(drawn_names(scored))
    volume, actual, naive = (scored[each].to_numpy() for each in (column, "actual", "naive"))
    cost = np.bincount(names, terms.cost(volume, actual))
    count = np.bincount(names).astype(np.float64)
    below, below_low, below_high = share_short(scored, actual < volume)
    mean_cost, saving = pooled_ratio(cost, count), NO_SAVING
    assert mean_cost.value is not None
    if not scored["naive"].null_count() and name != "naive":
        saving = one_minus_ratio(cost, np.bincount(names, terms.cost(naive, actual)))
    return BandRecord(
        band=name,
        level=level,
        below=below,
        below_low=below_low,
        below_high=below_high,
        deals=len(scored),
        clusters=len(count),
        cost=mean_cost.value,
        cost_stderr=mean_cost.stderr,
        saving=saving.value,
        saving_low=saving.low,
        saving_high=saving.high,
    )


# The verdict on volumes: a table of deals, and its words.

COUPLING_SOURCES: dict[Coupling, str] = {
    "paths": "sample paths",
    "errors": "the steps' own quantiles, coupled by the rank order of past error vectors",
    "none": "nothing: the bands are unknown",
}
"""The sources of the law of a sum, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeVerdict(Verdict):
    """Volumes for every deal, and whether to commit to them.

    Attributes:
        action: `COMMIT` or `HOLD`.
        terms: The level of each band, and what a unit committed and not demanded costs, and one
            demanded and not committed.
        coupling: The source of the law of the sums: sample paths, the rank order of past error
            vectors, or nowhere.
        steps: The first and the last step of a deal.
        cutoff: The last one at which there are deals; the first and the last of series that have
            their own.
        n_deals: Deals at that cutoff.
        n_banded: The number of those that have bands.
        vectors: Past error vectors behind them, the fewest; None for paths of single series.
        when: `back-test`, or `future` for the months to come, whose demand is not known.
        record: Every band in the back-test.
        unit: The unit of volumes.
        deals: One row a deal; see `hwds.supply.volumes.Deals.table`.
    """

    files: ClassVar = {"volume_bands": "deals"}
    stored = ("terms.levels", "terms.over", "terms.under")
    words = """
    {%- set committed, best, naive = of("committed"), of("optimal"), of("naive") %}
    {%- set level = terms.committed | quantile %}
    {%- if committed is none -%}
    HOLD:
    {% if rule == "few_deals" -%}
    no deal of the back-test has both bands and a known demand, so the {{ level }} was never tried
    {%- else -%}
    {% if rule == "no_backtest" %}no window before a deal's cutoff says
    {%- else %}fewer than {{ terms.least_vectors }} past error vectors say{% endif %} how a deal's
    steps move together, so the {{ level }} of their sum is not known
    {%- endif %}.
    {%- else %}
    {%- set record %}{{ committed.below | percent }} of
    {{ committed.deals | counted("back-tested deals") }} (95 %: {{ committed.below_low | percent }}
    to {{ committed.below_high | percent }}; target {{ terms.committed | percent }}){% endset %}
    {%- if rule == "coverage" -%}
    HOLD: the {{ level }} is too high: demand was below it in {{ record }}.
    {%- elif rule == "few_deals" -%}
    HOLD: {{ committed.deals }} back-tested deals are less than {{ terms.least_deals }}; demand was
    below the {{ level }} in {{ record }}.
    {%- else -%}
    COMMIT to the {{ level }}: demand was below it in {{ record }}.
    {%- endif %}

    {% if naive is not none and best.saving is not none -%}
    The {{ terms.optimal | quantile }} costs {{ best.cost | brief }} per deal, the {{ level }}
    {{ committed.cost | brief }}, the sum of the seasonal naive {{ naive.cost | brief }}
    {%- if best.saving_low is none %}
    {%- elif best.saving_high < 0 %} (it costs {{ -best.saving | percent }} more, 95 %:
    {{ -best.saving_high | percent }} to {{ -best.saving_low | percent }})
    {%- else %} ({{ "saves" if best.saving_low > 0 else "no difference is shown:" }}
    {{ best.saving | percent }}, 95 %: {{ best.saving_low | percent }} to
    {{ best.saving_high | percent }})
    {%- endif %}.
    {%- else -%}
    The {{ terms.optimal | quantile }} costs {{ best.cost | brief }} per deal in the back-test, the
    {{ level }} {{ committed.cost | brief }}.
    {%- endif %}

    A {{ "unit" if unit in ("", "units") else "unit (" ~ unit ~ ")" }} too much costs
    {{ terms.over | written("g") }}, one too few {{ terms.under | written("g") }}, so the
    {{ terms.optimal | quantile }} should cost least.
    {%- if cheapest.cost < best.cost %} In the back-test the {{ cheapest.level | quantile }} was
    cheapest: {{ cheapest.cost | brief }}.{% endif %}
    {%- endif %}

    {% if not n_deals -%}
    No deal was asked for.
    {%- elif n_deals == 1 and n_banded -%}
    {{ latest.deal[0] }}, {{ span }}: {% for band in bands -%}
    {{ band }} {{ latest[band][0] | brief }}{% if not loop.last %}, {% endif %}
    {%- endfor %}{% if unit %} {{ unit }}{% endif %} (from {{ source }}).
    {%- elif not n_banded -%}
    For the {{ n_deals | count }} deals of {{ span }} the commitments add up to
    {{ latest.committed_together.sum() | money(unit) }} if a deal's steps move as one, and to
    {{ latest.committed_independent.sum() | brief }} if they are independent.
    {%- else -%}
    The volumes of {{ n_deals | count }} deals of {{ span }} are in volume_bands.csv, from
    {{ source }}.
    {%- endif %}

    {% if few -%}
    Without {{ few | length }} of {{ committed.clusters }} names of deals ({{ few | join(", ") }})
    the rule would not forbid to commit.
    {%- endif %}
    """
    bands: ClassVar = BANDS

    action: Literal["COMMIT", "HOLD"]
    terms: VolumeTerms
    coupling: Coupling
    steps: tuple[int, int]
    cutoff: str
    n_deals: int
    n_banded: int
    vectors: int | None
    when: When
    record: tuple[BandRecord, ...]
    unit: str
    deals: DataFrame

    @property
    def latest(self) -> DataFrame:
        """The deals of the last cutoff."""
        return last_deals(self.deals)

    @property
    def span(self) -> str:
        """The first and the last moment of these deals."""
        ends = self.latest["first"].min(), self.latest["last"].max()
        return " to ".join(str(end).removesuffix(" 00:00:00") for end in ends)

    @property
    def source(self) -> str:
        """What couples the steps, in words."""
        return COUPLING_SOURCES[self.coupling]

    @property
    def cheapest(self) -> BandRecord | None:
        """The band that cost least in the back-test; None where nothing was back-tested."""
        lines = [line for line in self.record if line.band in BANDS]
        return min(lines, key=lambda line: line.cost, default=None)

    def of(self, band: str) -> BandRecord | None:
        """Return the record of a band; None where nothing was back-tested."""
        return next((line for line in self.record if line.band == band), None)


# From the deals to the verdict: may one commit, by the record of the back-test.


def volume_verdict(
    name: str,
    deals: DataFrame,
    tested: DataFrame,
    terms: VolumeTerms,
    *,
    coupling: Coupling,
    steps: tuple[int, int],
    unit: str,
    when: When,
) -> VolumeVerdict:
    """Return the verdict on the deals of the last cutoff.

    Args:
        name: The decision's.
        deals: The deals of the verdict, as `Deals.table` makes them.
        tested: The deals of the back-test; the same for a back-test.
        terms: The rule.
        coupling: The source of the laws of the sums.
        steps: The first and the last of a deal.
        unit: The unit of volumes.
        when: Whether the deals are those of the back-test or of the months to come.
    """
    record = band_record(tested, terms)
    last = last_deals(deals)
    banded = last.drop_nulls("base")
    rule = volume_rule(banded, last, record, terms)
    verdict = VolumeVerdict(
        decision=name,
        action="COMMIT" if rule == "none" else "HOLD",
        rule=rule,
        excluded=excluded_cutoffs(deals),
        terms=terms,
        coupling=coupling if len(banded) else "none",
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
    scored = tested.drop_nulls(["actual", *BANDS])
    short = (scored["actual"] < scored["committed"]).to_numpy()
    few = deciding_names(scored, short, terms.committed) if rule == "coverage" else []
    return spoken(verdict, few=few)


def volume_rule(
    banded: DataFrame, last: DataFrame, record: tuple[BandRecord, ...], terms: VolumeTerms
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


def excluded_cutoffs(deals: DataFrame) -> Mapping[str, tuple[str, ...]]:
    """Return the cutoffs at which no deal has bands, for want of past error vectors."""
    bare = deals.group_by("cutoff").agg(pl.col("base").is_not_null().any()).filter(~pl.col("base"))
    return (
        {"few_vectors": tuple(str(cutoff) for cutoff in bare["cutoff"].sort())} if len(bare) else {}
    )


# volume_bands.png: the bands of deals against what happened, how often demand was below each,
# and what it cost.

MOST_DEALS = 28
"""Deals shown."""

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
    headline(figure, f"{verdict.advice}: {shown}, {verdict.span}")
    return figure


def pick_deals(deals: DataFrame) -> DataFrame:
    """Return the deals of the last cutoff, largest first.

    Evenly spaced by size where there are many.
    """
    size = pl.coalesce("base", pl.mean_horizontal("committed_together", "upside_together"))
    last = last_deals(deals).sort(size, descending=True, maintain_order=True)
    if len(last) <= MOST_DEALS:
        return last
    return last[np.unique(np.linspace(0, len(last) - 1, MOST_DEALS).round().astype(int)).tolist()]


def _draw_deals(axes: Axes, deals: DataFrame, verdict: VolumeVerdict) -> None:
    place = np.arange(len(deals))[::-1]
    volumes = {
        name: deals[name].to_numpy().astype(float)
        for name in (*BANDS, "committed_together", "upside_together", "actual")
    }
    committed, base, upside, optimal = (100 * level for level in verdict.terms.levels.values())
    axes.hlines(
        place,
        volumes["committed_together"],
        volumes["upside_together"],
        color=LIGHT,
        linewidth=7,
        label=f"sums of the steps' P{committed:g} and P{upside:g}",
    )
    tick: dict[str, Any] = {"linestyle": "none", "markersize": 9, "markeredgewidth": 1.6}
    if verdict.n_banded:
        axes.hlines(
            place,
            volumes["committed"],
            volumes["upside"],
            color=OWN_COLOUR,
            alpha=0.55,
            linewidth=7,
            label=f"P{committed:g} to P{upside:g} of the sum",
        )
        for name, colour, label in (
            ("base", OWN_COLOUR, f"base (P{base:g})"),
            ("optimal", NAIVE_COLOUR, f"optimal (P{optimal:.3g})"),
        ):
            axes.plot(volumes[name], place, marker="|", color=colour, label=label, **tick)
    below = volumes["actual"] < volumes["committed"]
    for which, colour, name in (
        (~below, INK, "demand"),
        (below, ALARM_COLOUR, "demand below the commitment"),
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
    tidy(axes, "x", x=drawable(verdict.unit or "volume"))
    name_rows(axes, place, deals["deal"], 28)
    axes.set_ylim(-0.8, len(deals) - 0.2)
    axes.legend(
        loc="upper center",
        bbox_to_anchor=(0.5, -0.11 * 22 / max(len(deals), 14)),
        ncols=2,
        frameon=False,
        fontsize=8.5,
    )


def _scale_axis(axes: Axes, volumes: np.ndarray) -> None:
    """Set a logarithmic axis where sizes differ much."""
    known = volumes[~np.isnan(volumes)]
    if len(known) and known.max() > WIDE_RATIO * max(float(np.quantile(known, 0.05)), 0) > 0:
        positive = known[known > 0]
        axes.set_xscale("log")
        axes.set_xlim(max(positive.min(), positive.max() / 1e5) / 1.2, positive.max() * 1.2)
    if len(known) and np.abs(known).max() >= 10_000:
        thousands(axes.xaxis)


def _draw_below(axes: Axes, verdict: VolumeVerdict) -> None:
    """Draw the share of deals below each band beside its nominal level."""
    lines = [
        line
        for line in reversed(verdict.record)
        if line.level is not None and "[independent]" not in line.band
    ]
    for place, line in enumerate(lines):
        colour, label = GREY if "[" in line.band else OWN_COLOUR, "_" if place else "95 %"
        axes.hlines(place, line.below_low, line.below_high, color=colour, linewidth=2, label=label)
        axes.plot(line.below, place, "o", color=colour, markersize=5.5)
        axes.plot(
            line.level or 0.0, place, marker="|", color=INK, markersize=15, markeredgewidth=1.6
        )
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.6, len(lines) - 0.4)
    name_rows(axes, range(len(lines)), [_band_label(line.band) for line in lines])
    deals = f"{counted(lines[0].deals, 'deals')} of {counted(lines[0].clusters, 'names')}"
    title = f"demand below it: share of {deals}"
    tidy(axes, "x", title=title, x="black stroke: what is meant; line: 95 % interval")


def _draw_costs(axes: Axes, verdict: VolumeVerdict) -> None:
    """Draw the cost of each band as the commitment."""
    from matplotlib.ticker import MaxNLocator

    lines = [line for line in verdict.record if "[" not in line.band][::-1]
    colours = [
        NAIVE_COLOUR if line.band == "optimal" else GREY if line.band == "naive" else OWN_COLOUR
        for line in lines
    ]
    errors = [
        student_critical(line.clusters - 1, 0.95) * line.cost_stderr if line.cost_stderr else 0.0
        for line in lines
    ]
    axes.barh(
        range(len(lines)),
        [line.cost for line in lines],
        xerr=errors,
        color=colours,
        height=0.62,
        error_kw={"ecolor": INK, "elinewidth": 1.0},
    )
    name_rows(axes, range(len(lines)), [_band_label(line.band) for line in lines])
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    thousands(axes.xaxis)
    costs = f"({verdict.terms.over:g} a unit over, {verdict.terms.under:g} under)"
    tidy(axes, "x", title=f"mean cost of a deal {costs}")


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


RECORD = Declared.of(
    Column("band", "text", "", "volume", "volume"),
    Column("level", "share", "", "quantile", show="{{ level | quantile }}"),
    Column(
        "level",
        "share",
        "",
        "should be below, %",
        "meant\n%",
        "{% if level is not none %}{{ (100 * level) | written('.4g') }}{% endif %}",
    ),
    with_interval(Column("below", "share", "", "demand below it, %", "below\n%"), brief="95 %"),
    Column("cost", "number", "", "cost a deal", "cost\na deal"),
    Column("saving_error", "share"),
    Column(
        "saving",
        "change",
        "",
        "saves against the seasonal naive, %",
        "saves\n%",
        "{{ saving | change }}{% if saving_error is not none %} ± {{ saving_error | share }}"
        "{% endif %}",
    ),
)
"""The bands in the back-test."""


def _band_row(line: BandRecord) -> dict[str, Any]:
    """Return a row of the back-test, with the standard error of the saving."""
    error = None
    if line.saving is not None and line.saving_low is not None and line.saving_high is not None:
        # the other half may reach to 0
        half_width = min(line.saving_high - line.saving, line.saving - line.saving_low)
        error = half_width / student_critical(line.clusters - 1, 0.95)
    row = {name: value for name, value in asdict(line).items() if name in RECORD.schema}
    return row | {"band": BAND_NAMES.get(line.band, line.band), "saving_error": error}


REPORT = TableReport(
    columns=RECORD,
    rows=lambda verdict: RECORD.frame([_band_row(line) for line in verdict.record]),
    figure=volume_figure,
    caption="The deals' bands with actuals, and the record of the bands",
)
