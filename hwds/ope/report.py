"""The report of an off-policy evaluation: the picture, tables of what a log shows, the words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from hwds.frames.table import Table
from hwds.ope.log import UNIFORM_POLICY
from hwds.ope.protocols.off_policy import BIAS_APART, DAYS_ALONE, REFUTED_STATUS
from hwds.ope.support import (
    ARM_SEGMENT,
    CALIBRATION_METRIC,
    CONTEXT_SEGMENT,
    EFFECTIVE,
    LOG_SHARE,
    OUTCOME,
    PROPENSITY,
    REFUTATION_LEVEL,
    TARGET_SHARE,
    WEIGHT,
)
from hwds.report.grid import Grid, grid_of
from hwds.report.hooks import TaskReport
from hwds.report.pictures import (
    FLOOR_COLOUR,
    GREY,
    INK,
    LIGHT,
    NAIVE_COLOUR,
    OWN_COLOUR,
    headline,
    name_rows,
    new_figure,
    save_png,
    tidy,
)
from hwds.results.formatting import (
    brief,
    column_texts,
    counted,
    fixed,
    interval,
    p_value_text,
    percent,
    places_of,
    with_errors,
)
from hwds.results.tables import TRUTH, Tables

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


# The scores of an off-policy evaluation, one estimator at a time.


@dataclass(frozen=True, slots=True)
class ValueWithInterval:
    """A number with its standard error and interval."""

    value: float
    stderr: float | None
    low: float
    high: float

    def holds(self, value: float) -> bool:
        """Return whether the interval contains a value."""
        return self.low <= value <= self.high


@dataclass(frozen=True, slots=True)
class EstimatorScores:
    """The estimates of one estimator.

    Attributes:
        model: Its label.
        policy: The value of the target policy.
        gain: The policy's value minus the log's.
        logged: The log's own value.
        size: The effective sample size, None where nothing is weighed.
        overlap: The share of the policy's choices that are of arms which the log shows.
        rows: Rows of the log.
        biased: Its interval leaves its bias out.
        method: How its interval was made.
        mean_weight: The mean of the weights and its standard error, which is None where they are no
            ratios of propensities.
        wrong_weights: Whether the mean weight speaks against the log's propensities.
    """

    model: str
    policy: ValueWithInterval
    gain: ValueWithInterval
    logged: ValueWithInterval
    size: float | None
    overlap: float | None
    rows: int
    biased: bool
    method: str = ""
    mean_weight: tuple[float, float | None] | None = None
    wrong_weights: bool = False

    @property
    def weighed(self) -> bool:
        """True where rows are weighed by propensities."""
        return self.mean_weight is not None and self.mean_weight[1] is not None


def estimator_scores(tables: Tables) -> dict[str, EstimatorScores]:
    """Return the estimates of every estimator that has a value, in the order of the scores, the
    truth included.
    """
    labels = tables.scores["model"].unique(maintain_order=True).to_list()
    by_label = {label: _scores_of(tables, label) for label in labels}
    return {label: estimated for label, estimated in by_label.items() if estimated is not None}


@dataclass(frozen=True, slots=True)
class LoggedReward:
    """The reward of the rows of a log.

    Attributes:
        name: Of the reward (`click`, `revenue`).
        unit: A currency, or empty.
        confidence: Of the intervals.
        policy: The target policy as a config writes it, empty where the run does not say.
    """

    name: str
    unit: str
    confidence: float
    policy: str = ""

    @property
    def of_policy(self) -> str:
        """The mean reward of the policy, in words."""
        return (
            f"the mean {self.name} of {self.policy_name}"
            if self.policy
            else f"the policy's mean {self.name}"
        )

    @property
    def policy_name(self) -> str:
        """The policy, in words."""
        if self.policy == UNIFORM_POLICY:
            return "a policy that shows every logged arm as often"
        return f"the policy {self.policy}".rstrip()

    @property
    def level(self) -> str:
        """`95 %`."""
        return f"{100 * self.confidence:g} %"

    @property
    def title(self) -> str:
        """`revenue, USD per row`."""
        return f"{self.name}{f', {self.unit}' if self.unit else ''} per row"


def logged_reward(tables: Tables) -> LoggedReward:
    """Return the reward that was evaluated."""
    measure = tables.measure("policy_value")
    return LoggedReward(
        measure.subject or "reward", measure.measured_in, measure.confidence, measure.called
    )


def true_value(by_label: dict[str, EstimatorScores]) -> EstimatorScores | None:
    """Return the dataset's true value of the policy; None where it is unknown."""
    return by_label.get(TRUTH)


def _scores_of(tables: Tables, label: str) -> EstimatorScores | None:
    rows = {}
    for name in (
        "policy_value",
        "improvement",
        "logged_value",
        "effective_sample_size",
        "overlap",
        "mean_weight",
    ):
        table = tables.overall(name).filter(pl.col("model") == label)
        rows[name] = table.row(0, named=True) if len(table) else {}
    own = rows["policy_value"]
    if own.get("value") is None:
        return None
    policy, gain, logged = (
        _value_with_interval(rows[name]) for name in ("policy_value", "improvement", "logged_value")
    )
    size = rows["effective_sample_size"].get("value")
    overlap = rows["overlap"].get("value")
    mean_weight = (
        (rows["mean_weight"]["value"], rows["mean_weight"]["stderr"])
        if rows["mean_weight"]
        else None
    )
    return EstimatorScores(
        label,
        policy,
        gain,
        logged,
        size,
        overlap,
        own["n"],
        BIAS_APART in own["ci_method"],
        own["ci_method"],
        mean_weight,
        own["status"] == REFUTED_STATUS,
    )


def _value_with_interval(row: dict[str, Any]) -> ValueWithInterval:
    return ValueWithInterval(row["value"], row["stderr"], row["ci_low"], row["ci_high"])


# estimates.png: what each estimator says of a policy, beside the log and the truth.


def estimates_figure(tables: Tables, model: str) -> Figure | None:
    """Draw the estimates; None where no estimator has a value."""
    by_label, reward = estimator_scores(tables), logged_reward(tables)
    shown = [estimated for label, estimated in by_label.items() if label != TRUTH]
    if not shown:
        return None
    figure = new_figure(9, 1.9 + 0.42 * len(shown))
    axes = figure.subplots()
    texts = with_errors(
        [estimated.policy.value for estimated in shown],
        [estimated.policy.stderr for estimated in shown],
    )
    for place, (estimated, text) in enumerate(zip(shown, texts, strict=True)):
        _draw_estimate(axes, estimated, place, text, own=estimated.model == model)
    _draw_references(axes, shown[0], true_value(by_label), reward)
    _label_estimates(axes, shown, model, reward)
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=len(labels), frameon=False, fontsize=9.5
    )
    title = f"What {reward.policy_name} would earn, from {shown[0].rows:,} rows"
    headline(figure, title)
    return figure


def _draw_estimate(
    axes: Axes, estimated: EstimatorScores, place: int, text: str, *, own: bool
) -> None:
    """Draw a dot with its bar; hollow and dashed where the bar leaves the estimator's bias out."""
    colour = OWN_COLOUR if own else GREY
    style = (0, (2, 1.5)) if estimated.biased else "-"
    axes.plot(
        [estimated.policy.low, estimated.policy.high],
        [place, place],
        color=colour,
        linewidth=2.2,
        linestyle=style,
        alpha=0.6,
    )
    inside = "white" if estimated.biased else colour
    axes.plot(
        [estimated.policy.value],
        [place],
        color=colour,
        marker="o",
        markersize=8,
        markerfacecolor=inside,
        zorder=4,
    )
    weight = "bold" if own else "normal"
    axes.text(
        1.02,
        place,
        text,
        transform=axes.get_yaxis_transform(),
        va="center",
        fontsize=9.5,
        color=colour,
        fontweight=weight,
    )


def _draw_references(
    axes: Axes, first: EstimatorScores, truth: EstimatorScores | None, reward: LoggedReward
) -> None:
    """Draw the log's own value, and the truth with its interval as a shade, as lines through all
    estimators.
    """
    label = f"the log itself {brief(first.logged.value, None, reward.unit)}"
    axes.axvline(
        first.logged.value, color=NAIVE_COLOUR, linewidth=1.4, linestyle=":", zorder=1, label=label
    )
    if truth is not None:
        label = (
            f"what it is worth in truth "
            f"{brief(truth.policy.value, truth.policy.stderr, reward.unit)}"
        )
        axes.axvline(
            truth.policy.value,
            color=FLOOR_COLOUR,
            linewidth=1.4,
            linestyle="--",
            zorder=1,
            label=label,
        )
        axes.axvspan(
            truth.policy.low,
            truth.policy.high,
            color=FLOOR_COLOUR,
            alpha=0.10,
            linewidth=0,
            zorder=0,
        )


def _label_estimates(
    axes: Axes, shown: list[EstimatorScores], model: str, reward: LoggedReward
) -> None:
    tidy(axes, grid="x")
    name_rows(axes, range(len(shown)), [estimated.model for estimated in shown], 44)
    for tick, estimated in zip(axes.get_yticklabels(), shown, strict=True):
        tick.set_fontweight("bold" if estimated.model == model else "normal")
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0, labelsize=10)
    axes.spines["left"].set_color(LIGHT)
    axes.margins(x=0.08)
    note = (
        "; hollow: the estimator's bias is not in its bar"
        if any(estimated.biased for estimated in shown)
        else ""
    )
    axes.set_xlabel(
        f"{reward.title}; bars: {reward.level} interval, ± one standard error{note}",
        fontsize=9.5,
        color=INK,
        parse_math=False,
    )


# Tables and sentences of what a log shows of each arm and of each group of customers, and of
# what is too little or wrong.

SegmentScores = dict[str, dict[str, Any]]
"""The scores of an arm or a group, by metric."""

FEW_EFFECTIVE = 30
"""The effective sample size below which an arm or a group is reported as hardly shown."""

LEAST_SHARE_TOLD = 0.05
"""The share of the policy's choices, or of the rows, from which it is reported."""

MOST_SEGMENTS_TOLD = 3
"""The most arms and groups that are named; the others are in the table."""


def support_arms_grid(tables: Tables) -> Grid:
    """Return a row for each arm: rows, shares, propensity, weight, effective sample size, outcome,
    calibration.
    """
    return _support_grid(tables, ARM_SEGMENT, "What the log shows of each arm")


def support_groups_grid(tables: Tables) -> Grid:
    """Return the same for each group of the context."""
    return _support_grid(tables, CONTEXT_SEGMENT, "What the log shows of groups of the context")


def signed_p_value(p_value: float) -> str:
    """Return a p-value with its sign: `= 0.003`, `< 0.0001`."""
    text = p_value_text(p_value)
    return text if text.startswith("<") else f"= {text}"


def refutation_words(tables: Tables) -> str:
    """Return, in words, that a model of the log refutes its propensities.

    Empty where it does not.
    """
    tests = tables.scores.filter(
        (pl.col("metric") == CALIBRATION_METRIC) & pl.col("fold").is_null()
    ).to_dicts()
    wrong = [test for test in tests if test["p_value"] < REFUTATION_LEVEL]
    if not wrong:
        return ""
    worst = min(
        wrong, key=lambda test: (test["p_value"], -abs(test["value"] - 1) / (test["stderr"] or 1.0))
    )
    named = f"arm {worst['segment']}" if worst["segment_by"] == ARM_SEGMENT else worst["segment"]
    where = f", most clearly in {named}" if named else ""
    often = f"what is shown is {worst['value']:.3g} times what they say"
    return (
        f"a model of the log refutes its propensities (p "
        f"{signed_p_value(worst['p_value'])}){where}: {often}"
    )


def thin_support_words(tables: Tables) -> str:
    """Return the arms and groups that matter and of which few rows count, in a sentence.

    Empty where there are none.
    """
    weak = [
        *_thin_segments(tables, ARM_SEGMENT, TARGET_SHARE, "of its choices"),
        *_thin_segments(tables, CONTEXT_SEGMENT, LOG_SHARE, "of the rows"),
    ]
    more = f" and {len(weak) - MOST_SEGMENTS_TOLD} more" if len(weak) > MOST_SEGMENTS_TOLD else ""
    return (
        f" Hardly shown by the log: {', '.join(weak[:MOST_SEGMENTS_TOLD])}{more}." if weak else ""
    )


def _thin_segments(tables: Tables, by: str, share: str, of: str) -> Iterator[str]:
    for segment, row in _scores_by_segment(tables, by).items():
        size, part = row.get(EFFECTIVE), row.get(share, {"value": 0.0})["value"]
        if size and size["value"] < FEW_EFFECTIVE and part >= LEAST_SHARE_TOLD:
            name = f"arm {segment}" if by == ARM_SEGMENT else segment
            yield f"{name} ({percent(part)} {of}, as much as {size['value']:.0f} rows)"


def _scores_by_segment(tables: Tables, by: str) -> dict[str, SegmentScores]:
    """Return the scores of the log by segment and metric."""
    found: dict[str, SegmentScores] = {}
    own = pl.col("metric").is_in(
        [CALIBRATION_METRIC, LOG_SHARE, TARGET_SHARE, OUTCOME, PROPENSITY, WEIGHT, EFFECTIVE]
    )
    for row in tables.scores.filter(
        own & (pl.col("segment_by") == by) & pl.col("fold").is_null()
    ).to_dicts():
        found.setdefault(row["segment"], {})[row["metric"]] = row
    return found


def _support_grid(tables: Tables, by: str, caption: str) -> Grid:
    by_segment = _scores_by_segment(tables, by)
    rows = list(by_segment.values())
    texts = {
        (by, by): tuple(by_segment),
        ("rows", "rows"): tuple(f"{next(iter(row.values()))['n']:,}" for row in rows),
        ("share of the log", "of the\nlog"): _metric_texts(rows, LOG_SHARE, percent),
        ("share of the policy's choices", "of the\npolicy"): _metric_texts(
            rows, TARGET_SHARE, percent
        ),
        ("mean propensity", "mean\npropensity"): column_texts(_metric_values(rows, PROPENSITY)),
        ("mean weight", "mean\nweight"): column_texts(_metric_values(rows, WEIGHT)),
        ("effective sample size", "effective\nsize"): _metric_texts(
            rows, EFFECTIVE, lambda size: f"{size:,.0f}"
        ),
        ("mean outcome", "mean\noutcome"): column_texts(_metric_values(rows, OUTCOME)),
        ("shown over its propensities", "shown over\npropensity"): with_errors(
            _metric_values(rows, CALIBRATION_METRIC),
            [row.get(CALIBRATION_METRIC, {}).get("stderr") for row in rows],
        ),
        ("p of right propensities", "p"): tuple(
            p_value_text(row[CALIBRATION_METRIC]["p_value"]) if CALIBRATION_METRIC in row else ""
            for row in rows
        ),
    }
    return grid_of(
        list(texts), list(zip(*texts.values(), strict=True)), caption=caption if rows else ""
    )


def _metric_values(rows: Sequence[SegmentScores], metric: str) -> list[float | None]:
    return [row[metric]["value"] if metric in row else None for row in rows]


def _metric_texts(
    rows: Sequence[SegmentScores], metric: str, text: Callable[[float], str]
) -> tuple[str, ...]:
    return tuple("" if value is None else text(value) for value in _metric_values(rows, metric))


# The result of an off-policy evaluation, in words and in a table.

UNSEEN_SHARE = 0.01
"""The share of the policy's choices from which arms that the log never shows are reported."""

FEW_EFFECTIVE_SHARE = 0.05
"""The share of rows below which an effective sample size is called small."""


def ope_conclusion(tables: Tables, model: str) -> str:
    """Return the value and gain of the experiment's estimator with intervals, its effective rows,
    and the truth if known.

    Args:
        tables: Of one run.
        model: The experiment's own model.
    """
    by_label, reward = estimator_scores(tables), logged_reward(tables)
    own = by_label.get(model)
    if own is None:
        return f"{model} says nothing of the policy."
    value, ends = _value_with_ends(own.policy, reward)
    bias = ", the estimator's bias apart" if own.biased else ""
    value_text = (
        f"{model} puts {reward.of_policy} at {value} per row ({reward.level}: {ends}{bias})"
    )
    weak = thin_support_words(tables) if own.weighed else ""
    rest = (
        _unseen_sentence(own),
        weak,
        _days_sentence(own),
        _effective_rows_sentence(own),
        _truth_sentence(by_label, own, reward),
        _range_sentence(by_label, reward),
    )
    return f"{_doubt_sentence(own, tables)}{value_text}: {_gain_words(own, reward)}.{''.join(rest)}"


WRONG_LOG = "the propensities of the log are wrong, or rows or choices are missing from it"


def _doubt_sentence(own: EstimatorScores, tables: Tables) -> str:
    """Return what speaks against the logged propensities, the mean weight or a model of the log.

    Empty where they hold.
    """
    if own.mean_weight is None or not own.weighed:
        return ""
    model = refutation_words(tables)
    if not own.wrong_weights:
        return f"Do not trust what follows: {model}. " if model else ""
    share = (
        ""
        if own.overlap is None or own.overlap > 0.9995
        else f", less what the log never shows ({own.overlap:.3f})"
    )
    return (
        f"Do not trust what follows: the weights average {own.mean_weight[0]:.3g}, and right "
        f"propensities make that 1 on average{share}; {model or WRONG_LOG}. "
    )


def _unseen_sentence(own: EstimatorScores) -> str:
    """Return that the log lacks arms that the policy chooses.

    Empty where it chooses them hardly ever.
    """
    if own.overlap is None or own.overlap >= 1 - UNSEEN_SHARE:
        return ""
    return (
        f" The log never shows the arms of {percent(1 - own.overlap)} of the policy's choices: "
        f"of these nothing is known."
    )


def _days_sentence(own: EstimatorScores) -> str:
    """Return that the intervals say nothing of other days; empty where they do."""
    _, alone, reason = own.method.partition(f"{DAYS_ALONE}: ")
    return (
        f" The intervals are of these days alone: {reason.removesuffix(BIAS_APART)} of others."
        if alone
        else ""
    )


def estimates_grid(tables: Tables, model: str) -> Grid:
    """Return every estimator's value and gain with intervals, and the rows that support it.

    The truth's last.
    """
    by_label, reward = estimator_scores(tables), logged_reward(tables)
    titles = [("estimator", "estimator"), ("value", "value"), (f"{reward.level} interval",) * 2]
    titles += [
        ("gain over the log", "gain over\nthe log"),
        (f"{reward.level} interval of the gain", f"{reward.level} interval"),
    ]
    titles += [("effective sample size", "effective\nsample size")]
    ordered = sorted(by_label.values(), key=lambda estimated: estimated.model == TRUTH)
    ends = [
        end
        for estimated in ordered
        for end in (estimated.policy.value, estimated.policy.low, estimated.policy.high)
    ]
    places = places_of(max((abs(end) for end in ends), default=0.0), None, reward.unit)
    rows = [_estimate_cells(estimated, places) for estimated in ordered]
    return grid_of(
        titles, rows, own=model, caption=_grid_caption(ordered, reward) if ordered else ""
    )


def _grid_caption(ordered: list[EstimatorScores], reward: LoggedReward) -> str:
    """Return the facts that are the same for every estimator."""
    first = ordered[0]
    overlap = (
        ""
        if first.overlap is None
        else f"overlap: the log shows the arms of {100 * first.overlap:.1f} % of its choices; "
    )
    log = f"the log itself earns {brief(first.logged.value, None, reward.unit)}"
    star = (
        "; *: the estimator's bias is not in its intervals"
        if any(estimated.biased for estimated in ordered)
        else ""
    )
    star += (
        "; refuted: the mean weight is not what right propensities give"
        if any(e.wrong_weights for e in ordered)
        else ""
    )
    return (
        f"What {reward.policy_name} would earn: {reward.title}, from "
        f"{counted(first.rows, 'rows')}; {overlap}{log}{star}"
    )


def _estimate_cells(estimated: EstimatorScores, places: int) -> list[str]:
    value, low, high = (
        fixed(end, places)
        for end in (estimated.policy.value, estimated.policy.low, estimated.policy.high)
    )
    gain, least, most = (
        f"{end:+z,.{places}f}"
        for end in (estimated.gain.value, estimated.gain.low, estimated.gain.high)
    )
    star = "*" if estimated.biased else ""
    size = "" if estimated.size is None else f"{estimated.size:,.0f}"
    if estimated.wrong_weights:
        return [estimated.model, "refuted", "", "", "", size]
    return [estimated.model, f"{value}{star}", f"{low} to {high}", gain, f"{least} to {most}", size]


def _value_with_ends(
    number: ValueWithInterval, reward: LoggedReward, *, sign: bool = False
) -> tuple[str, str]:
    return interval(number.value, number.low, number.high, reward.unit, sign=sign)


def _gain_words(own: EstimatorScores, reward: LoggedReward) -> str:
    value, ends = _value_with_ends(own.gain, reward, sign=True)
    side = "more" if own.gain.value >= 0 else "less"
    size = (
        f"{value.lstrip('+-')} {side} than the log's {brief(own.logged.value, None, reward.unit)}"
    )
    sure = own.gain.low > 0 or own.gain.high < 0
    return f"{size}{'' if sure else ', which may be chance'} ({reward.level}: {ends})"


def _effective_rows_sentence(own: EstimatorScores) -> str:
    if own.size is None:
        return ""
    as_much = "no more than" if own.size < FEW_EFFECTIVE_SHARE * own.rows else "as much as"
    size = f"{own.size:,.0f} without weights would (effective sample size)"
    return f" The estimate rests on {counted(own.rows, 'rows')}, which tell {as_much} {size}."


def _truth_sentence(
    by_label: dict[str, EstimatorScores], own: EstimatorScores, reward: LoggedReward
) -> str:
    truth = true_value(by_label)
    if truth is None or own.model == TRUTH:
        return ""
    inside = "inside" if own.policy.holds(truth.policy.value) else "outside of"
    known, ends = _value_with_ends(truth.policy, reward)
    return (
        f" As far as the dataset knows it, the true value is {known} ({reward.level}: {ends}), "
        f"{inside} the interval."
    )


def _range_sentence(by_label: dict[str, EstimatorScores], reward: LoggedReward) -> str:
    """Return the range of the estimators, if there are several."""
    values = {
        label: estimated.policy.value for label, estimated in by_label.items() if label != TRUTH
    }
    if len(values) < 2:
        return ""
    low, high = min(values, key=values.__getitem__), max(values, key=values.__getitem__)
    ends = [f"{brief(values[label], None, reward.unit)} ({label})" for label in (low, high)]
    return f" The {len(values)} estimators lie between {ends[0]} and {ends[1]}."


# The picture and the sentence of an off-policy evaluation.


def draw(table: Table, tables: Tables, model: str, folder: Path) -> None:
    """Draw `estimates.png`: each estimator with its interval, beside the log and, where it is
    known, the truth.
    """
    save_png(estimates_figure(tables, model), folder / "estimates.png")


def ope_sentence(table: Table, tables: Tables, model: str) -> str:
    """Return what the log shows of the policy, in a sentence or two."""
    return ope_conclusion(tables, model)


def ope_grids(tables: Tables, model: str) -> Iterator[Grid]:
    """Yield the table of all estimators and that of the arms."""
    yield from filter(len, (estimates_grid(tables, model), support_arms_grid(tables)))


def ope_page_grids(tables: Tables, model: str) -> Iterator[Grid]:
    """Yield the table of groups of the context, for the page."""
    yield support_groups_grid(tables)


REPORT = TaskReport(
    sentence=ope_sentence,
    grids=ope_grids,
    page_grids=ope_page_grids,
    draw=draw,
    captions={
        "estimates.png": "Each estimator with its interval, beside the log and, where it is "
        "known, the truth",
    },
)
