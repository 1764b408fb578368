"""The report of an off-policy evaluation: the picture, tables of what a log shows, the words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
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
    OVERLAP_SHOWN,
    SUPPORT_MEANINGS,
    TARGET_SHARE,
    refuting_tests,
)
from hwds.report.grid import Grid, declared_grid
from hwds.report.hooks import TaskReport
from hwds.report.pictures import (
    FLOOR_COLOUR,
    GREY,
    NAIVE_COLOUR,
    OWN_COLOUR,
    headline,
    name_rows,
    new_figure,
    save_png,
    tidy,
)
from hwds.report.words import say, verdict_word
from hwds.results.formatting import brief, first_few, percent, places_of, with_errors
from hwds.results.tables import TRUTH, Column, Declared, Tables
from hwds.stats.evidence import Estimates, TaskComparison

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

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> ValueWithInterval:
        """Return that of a row of the scores."""
        return cls(row["value"], row["stderr"], row["ci_low"], row["ci_high"])


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
        method: How its interval was made.
        mean_weight: The mean of the weights; None where nothing is weighed.
        weighed: Whether rows are weighed by propensities.
        wrong_weights: Whether the mean weight speaks against the log's propensities.
    """

    model: str
    policy: ValueWithInterval
    gain: ValueWithInterval
    logged: ValueWithInterval
    size: float | None
    overlap: float | None
    rows: int
    method: str = ""
    mean_weight: float | None = None
    weighed: bool = False
    wrong_weights: bool = False

    @property
    def biased(self) -> bool:
        """True where its interval leaves its bias out."""
        return BIAS_APART in self.method


def estimator_scores(tables: Tables) -> dict[str, EstimatorScores]:
    """Return the estimates of every estimator that has a value, in the order of the scores, the
    truth included.
    """
    labels = tables.scores["model"].unique(maintain_order=True).to_list()
    by_label = {label: _scores_of(tables, label) for label in labels}
    return {label: estimated for label, estimated in by_label.items() if estimated is not None}


def _scores_of(tables: Tables, label: str) -> EstimatorScores | None:
    policy, gain, logged = (
        tables.headline(name, label) for name in ("policy_value", "improvement", "logged_value")
    )
    if policy.get("value") is None:
        return None
    weight = tables.headline("mean_weight", label)
    return EstimatorScores(
        label,
        ValueWithInterval.of(policy),
        ValueWithInterval.of(gain),
        ValueWithInterval.of(logged),
        tables.headline("effective_sample_size", label).get("value"),
        tables.headline("overlap", label).get("value"),
        policy["n"],
        policy["ci_method"],
        weight.get("value"),
        weight.get("stderr") is not None,
        policy["status"] == REFUTED_STATUS,
    )


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


# estimates.png: what each estimator says of a policy, beside the log and the truth.


def estimates_figure(tables: Tables, model: str) -> Figure | None:
    """Draw the estimates; None where no estimator has a value."""
    by_label, reward = estimator_scores(tables), logged_reward(tables)
    truth = by_label.pop(TRUTH, None)
    shown = list(by_label.values())
    if not shown:
        return None
    figure = new_figure(9, 1.9 + 0.42 * len(shown))
    axes = figure.subplots()
    texts = with_errors(
        [each.policy.value for each in shown], [each.policy.stderr for each in shown]
    )
    for place, (estimated, text) in enumerate(zip(shown, texts, strict=True)):
        _draw_estimate(axes, estimated, place, text, own=estimated.model == model)
    _draw_references(axes, shown[0], truth, reward)
    _label_estimates(axes, shown, model, reward)
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=9.5)
    headline(figure, f"What {reward.policy_name} would earn, from {shown[0].rows:,} rows")
    return figure


def _draw_estimate(
    axes: Axes, estimated: EstimatorScores, place: int, text: str, *, own: bool
) -> None:
    """Draw a dot with its bar; hollow and dashed where the bar leaves the estimator's bias out."""
    colour = OWN_COLOUR if own else GREY
    policy = estimated.policy
    axes.plot(
        [policy.low, policy.high],
        [place, place],
        color=colour,
        linewidth=2.2,
        linestyle=(0, (2, 1.5)) if estimated.biased else "-",
        alpha=0.6,
    )
    axes.plot(
        [policy.value],
        [place],
        color=colour,
        marker="o",
        markersize=8,
        markerfacecolor="white" if estimated.biased else colour,
        zorder=4,
    )
    axes.text(
        1.02,
        place,
        text,
        transform=axes.get_yaxis_transform(),
        va="center",
        fontsize=9.5,
        color=colour,
        fontweight="bold" if own else "normal",
    )


def _draw_references(
    axes: Axes, first: EstimatorScores, truth: EstimatorScores | None, reward: LoggedReward
) -> None:
    """Draw the log's own value, and the truth with its interval as a shade, as lines through all
    estimators.
    """
    logged = first.logged.value
    label = f"the log itself {brief(logged, None, reward.unit)}"
    axes.axvline(logged, color=NAIVE_COLOUR, linewidth=1.4, linestyle=":", zorder=1, label=label)
    if truth is None:
        return
    known = truth.policy
    label = f"what it is worth in truth {brief(known.value, known.stderr, reward.unit)}"
    colour = FLOOR_COLOUR
    axes.axvline(known.value, color=colour, linewidth=1.4, linestyle="--", zorder=1, label=label)
    axes.axvspan(known.low, known.high, color=colour, alpha=0.10, linewidth=0, zorder=0)


def _label_estimates(
    axes: Axes, shown: list[EstimatorScores], model: str, reward: LoggedReward
) -> None:
    title = f"{reward.title}; bars: {reward.level} interval, ± one standard error"
    if any(estimated.biased for estimated in shown):
        title += "; hollow: the estimator's bias is not in its bar"
    tidy(axes, grid="x", x=title)
    name_rows(axes, range(len(shown)), [estimated.model for estimated in shown], 44)
    for tick, estimated in zip(axes.get_yticklabels(), shown, strict=True):
        tick.set_fontweight("bold" if estimated.model == model else "normal")
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0, labelsize=10)
    axes.margins(x=0.08)


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

SUPPORT = Declared.of(
    Column("segment", "text", title="{{ by }}", brief="{{ by }}"),
    Column("rows", "count", title="rows", brief="rows"),
    Column(
        "log_share",
        "share",
        title="share of the log",
        brief="of the\nlog",
        show="{{ log_share | percent }}",
    ),
    Column(
        "target_share",
        "share",
        title="share of the policy's choices",
        brief="of the\npolicy",
        show="{{ target_share | percent }}",
    ),
    Column("propensity_shown", "number", title="mean propensity", brief="mean\npropensity"),
    Column("weight_shown", "number", title="mean weight", brief="mean\nweight"),
    Column("effective_size_shown", "units", title="effective sample size", brief="effective\nsize"),
    Column(
        "overlap_shown",
        "share",
        title="choices that the log shows",
        brief="choices\nshown",
        show="{{ overlap_shown | percent }}",
    ),
    Column("outcome_shown", "number", title="mean outcome", brief="mean\noutcome"),
    Column(
        "calibration",
        "text",
        title="shown over its propensities",
        brief="shown over\npropensity",
    ),
    Column(
        "p_value",
        "number",
        title="p of right propensities",
        brief="p",
        show="{{ p_value | p_value }}",
    ),
)
"""The table of what a log shows, by arm or by group of the context."""

REFUTATION = """
a model of the log refutes its propensities
(p {{ "" if small else "= " }}{{ worst.p_value | p_value }})
{%- if worst.segment %}, most clearly in
{{ "arm " if worst.segment_by == arm }}{{ worst.segment }}{% endif %}:
what is shown is {{ worst.value | written(".3g") }} times what they say
"""


def refutation_words(tables: Tables) -> str:
    """Return, in words, that a model of the log refutes its propensities.

    Empty where it does not.
    """
    wrong = refuting_tests(tables).to_dicts()
    if not wrong:
        return ""
    worst = min(
        wrong, key=lambda test: (test["p_value"], -abs(test["value"] - 1) / (test["stderr"] or 1.0))
    )
    return say(REFUTATION, worst=worst, small=worst["p_value"] < 0.0001, arm=ARM_SEGMENT)


def thin_segments(tables: Tables) -> list[str]:
    """Return the arms and groups that matter and of which few rows count, in words."""
    return [
        *_thin_segments(tables, ARM_SEGMENT, TARGET_SHARE, "of its choices"),
        *_thin_segments(tables, CONTEXT_SEGMENT, LOG_SHARE, "of the rows"),
    ]


def unseen_segments(tables: Tables) -> list[str]:
    """Return the groups in which the log never shows choices of the policy, in words, those with
    the most rows of such choices first.
    """
    found = []
    for segment, row in _scores_by_segment(tables, CONTEXT_SEGMENT).items():
        if OVERLAP_SHOWN in row:
            lost, share = 1 - row[OVERLAP_SHOWN]["value"], row[LOG_SHARE]["value"]
            text = f"{segment} ({percent(lost)} of the choices in its {row[LOG_SHARE]['n']:,} rows)"
            found += [(-lost, -share, text)] if lost * share > UNSEEN_SHARE / 2 else []
    return [text for _, _, text in sorted(found)]


def _thin_segments(tables: Tables, by: str, share: str, of: str) -> Iterator[str]:
    for segment, row in _scores_by_segment(tables, by).items():
        size, part = row.get(EFFECTIVE), row.get(share, {"value": 0.0})["value"]
        if size and size["value"] < FEW_EFFECTIVE and part >= LEAST_SHARE_TOLD:
            name = f"arm {segment}" if by == ARM_SEGMENT else segment
            yield f"{name} ({percent(part)} {of}, as much as {size['value']:.0f} rows)"


def _scores_by_segment(tables: Tables, by: str) -> dict[str, SegmentScores]:
    """Return the scores of the log by segment and metric."""
    found: dict[str, SegmentScores] = {}
    of_log = pl.col("metric").is_in(list(SUPPORT_MEANINGS)) & pl.col("fold").is_null()
    for row in tables.scores.filter(of_log, segment_by=by).to_dicts():
        found.setdefault(row["segment"], {})[row["metric"]] = row
    return found


def _support_grid(tables: Tables, by: str, caption: str) -> Grid:
    """Return a row for each arm or group: rows, shares, propensity, weight, effective sample size,
    outcome, calibration.
    """
    by_segment = _scores_by_segment(tables, by)
    tests = [row.get(CALIBRATION_METRIC, {}) for row in by_segment.values()]
    ratios = with_errors(*([test.get(name) for test in tests] for name in ("value", "stderr")))
    rows = [
        {name: row.get(name, {}).get("value") for name in SUPPORT_MEANINGS}
        | {"segment": segment, "rows": next(iter(row.values()))["n"]}
        | {"calibration": ratio, "p_value": test.get("p_value")}
        for (segment, row), test, ratio in zip(by_segment.items(), tests, ratios, strict=True)
    ]
    return declared_grid(SUPPORT, pl.DataFrame(rows), by=by, caption=caption if rows else "")


# The result of an off-policy evaluation, in words and in a table.

CONCLUSION = """
{%- macro size(each) %}{{ each.value | size(each.low, each.high, reward.unit) }}{% endmacro -%}
{%- macro ends(each, sign=False) -%}
({{ reward.level }}: {{ each.value | ends(each.low, each.high, reward.unit, sign=sign) }}
{%- endmacro -%}
{% if own.weighed and (own.wrong_weights or refutation) -%}
NOT SURE: do not trust what follows:
{% if own.wrong_weights -%}
the weights average {{ own.mean_weight | written(".3g") }}, and right propensities make that 1 on
average
{%- if own.overlap is not none and own.overlap <= 0.9995 %}, less what the log never shows
({{ own.overlap | written(".3f") }}){% endif %};
{{ refutation or
   "the propensities of the log are wrong, or rows or choices are missing from it" }}.
{% else -%}
{{ refutation }}.
{% endif %}
{%- else -%}
{{ verdict_word(own.gain.low, own.gain.high) ~ ": " }}
{%- endif -%}
{{ own.model }} puts
{% if reward.policy -%}
the mean {{ reward.name }} of {{ reward.policy_name }}
{%- else -%}
the policy's mean {{ reward.name }}
{%- endif %}
at {{ size(own.policy) }} per row {{ ends(own.policy) }}
{%- if own.biased %}, the estimator's bias apart{% endif %}):
{{ size(own.gain).lstrip("-") }} {{ "more" if own.gain.value >= 0 else "less" }} than the log's
{{ own.logged.value | money(reward.unit) }}
{{ ends(own.gain, sign=True) }}).
{% if own.overlap is not none and own.overlap < 1 - unseen_share -%}
The log never shows {{ (1 - own.overlap) | percent }} of the policy's choices: of these nothing is
known.{% if unseen %} The log lacks them in {{ unseen }}.{% endif %}
{% endif %}
{% if weak and own.weighed %}Hardly shown by the log: {{ weak }}.{% endif %}
{% if days_alone %}The intervals are of these days alone: {{ days_alone }} of others.{% endif %}
{% if own.size is not none -%}
The estimate rests on {{ own.rows | counted("rows") }}, which tell
{{ "no more than" if own.size < few_share * own.rows else "as much as" }} {{ own.size | units }}
without weights would (effective sample size).
{% endif %}
{% if truth and truth.model != own.model -%}
As far as the dataset knows it, the true value is {{ size(truth.policy) }}
{{ ends(truth.policy) }}),
{{ "inside" if own.policy.low <= truth.policy.value <= own.policy.high else "outside of" }}
the interval.
{% endif %}
{% if ordered | length > 1 -%}
The {{ ordered | length }} estimators lie between
{{ ordered[0].policy.value | money(reward.unit) }} ({{ ordered[0].model }}) and
{{ ordered[-1].policy.value | money(reward.unit) }} ({{ ordered[-1].model }}).
{% endif %}
"""

UNSEEN_SHARE = 0.01
"""The share of the policy's choices from which arms that the log never shows are reported."""

FEW_EFFECTIVE_SHARE = 0.05
"""The share of rows below which an effective sample size is called small."""

ESTIMATES = Declared.of(
    Column("model", "text", title="estimator", brief="estimator"),
    Column(
        "value",
        "made",
        title="value",
        brief="value",
        show="""{{ "refuted" if wrong_weights else policy.value | written(form) }}
{{- "*" if biased and not wrong_weights }}""",
    ),
    Column(
        "interval",
        "made",
        title="{{ reward.level }} interval",
        brief="{{ reward.level }} interval",
        show="""{% if not wrong_weights %}
{{- policy.low | written(form) }} to {{ policy.high | written(form) }}{% endif %}""",
    ),
    Column(
        "gain",
        "made",
        title="gain over the log",
        brief="gain over\nthe log",
        show='{{ "" if wrong_weights else gain.value | written("+" ~ form) }}',
    ),
    Column(
        "gain_interval",
        "made",
        title="{{ reward.level }} interval of the gain",
        brief="{{ reward.level }} interval",
        show="""{% if not wrong_weights %}
{{- gain.low | written("+" ~ form) }} to {{ gain.high | written("+" ~ form) }}{% endif %}""",
    ),
    Column("size", "units", title="effective sample size", brief="effective\nsample size"),
)
"""The table of the estimators."""

ESTIMATES_CAPTION = """
What {{ reward.policy_name }} would earn: {{ reward.title }}, from
{{ first.rows | counted("rows") }};
{% if first.overlap is not none -%}
overlap: the log shows {{ (100 * first.overlap) | written(".1f") }} % of its choices;
{% endif %}
the log itself earns {{ first.logged.value | money(reward.unit) }}
{%- if biased %}; *: the estimator's bias is not in its intervals{% endif %}
{%- if refuted %}; refuted: the mean weight is not what right propensities give{% endif %}
"""


def ope_conclusion(tables: Tables, model: str) -> str:
    """Return the value and gain of the experiment's estimator with intervals, its effective rows,
    and the truth if known.

    Args:
        tables: Of one run.
        model: The experiment's own model.
    """
    by_label = estimator_scores(tables)
    own = by_label.get(model)
    if own is None:
        return f"{model} says nothing of the policy."
    truth = by_label.pop(TRUTH, None)
    return say(
        CONCLUSION,
        verdict_word=verdict_word,
        own=own,
        truth=truth,
        ordered=sorted(by_label.values(), key=lambda each: each.policy.value),
        reward=logged_reward(tables),
        refutation=refutation_words(tables),
        unseen=first_few(unseen_segments(tables), MOST_SEGMENTS_TOLD),
        weak=first_few(thin_segments(tables), MOST_SEGMENTS_TOLD),
        days_alone=own.method.partition(f"{DAYS_ALONE}: ")[2].removesuffix(BIAS_APART),
        unseen_share=UNSEEN_SHARE,
        few_share=FEW_EFFECTIVE_SHARE,
    )


def estimates_grid(tables: Tables, model: str) -> Grid:
    """Return every estimator's value and gain with intervals, and the rows that support it.

    The truth's last.
    """
    reward = logged_reward(tables)
    ordered = sorted(estimator_scores(tables).values(), key=lambda each: each.model == TRUTH)
    ends = [
        abs(end)
        for each in ordered
        for end in (each.policy.value, each.policy.low, each.policy.high)
    ]
    return declared_grid(
        ESTIMATES,
        pl.DataFrame([asdict(each) | {"biased": each.biased} for each in ordered]),
        own=model,
        caption=ESTIMATES_CAPTION if ordered else "",
        reward=reward,
        form=f"z,.{places_of(max(ends, default=0.0), None, reward.unit)}f",
        first=next(iter(ordered), None),
        biased=any(each.biased for each in ordered),
        refuted=any(each.wrong_weights for each in ordered),
    )


# The picture and the sentence of an off-policy evaluation.


def draw(table: Table, tables: Tables, model: str, folder: Path) -> None:
    """Draw `estimates.png`: each estimator with its interval, beside the log and, where it is
    known, the truth.
    """
    save_png(estimates_figure(tables, model), folder / "estimates.png")


def ope_grids(tables: Tables, model: str) -> Iterator[Grid]:
    """Yield the table of all estimators and that of the arms."""
    arms = _support_grid(tables, ARM_SEGMENT, "What the log shows of each arm")
    yield from filter(len, (estimates_grid(tables, model), arms))


def ope_page_grids(tables: Tables, model: str) -> Iterator[Grid]:
    """Yield the table of groups of the context, for the page."""
    yield _support_grid(tables, CONTEXT_SEGMENT, "What the log shows of groups of the context")


REPORT = TaskReport(
    sentence=lambda table, tables, model: ope_conclusion(tables, model),
    grids=ope_grids,
    page_grids=ope_page_grids,
    draw=draw,
    captions={
        "estimates.png": "Each estimator with its interval, beside the log and, where it is "
        "known, the truth",
    },
)


COMPARISON = TaskComparison(
    evidence=None,
    estimates=Estimates(
        coefficients=("policy_value", "improvement"),
        fit=("logged_value", "effective_sample_size", "overlap", "mean_weight", "error"),
    ),
    conditions="of the same log",
)
"""The numbers of estimators, which are no rivals and are shown together."""
