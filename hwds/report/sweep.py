"""A sweep: its trials and comparable scores, its conclusion, its tables and its space."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import hypot, inf
from typing import Any

import numpy as np
import polars as pl
from polars import DataFrame, Series, col

from hwds.core.config import KINDS, LISTS
from hwds.core.search_space import conditional
from hwds.core.settings import as_yaml
from hwds.report.grid import Grid, declared_grid, grid_of
from hwds.report.standings import ScoreValue
from hwds.report.verdict import Shown, print_shown
from hwds.report.words import say, say_lines, verdict_word
from hwds.results.formatting import column_texts, duration
from hwds.results.sweep_folder import SweepFolder
from hwds.results.tables import Column, Declared, Measure

# The result of a sweep: its trials, its best settings, and the comparable scores.

UNKNOWN_SCORE = ScoreValue()

SCORE_ENDS = {"value": "", "stderr": "_stderr", "low": "_low", "high": "_high"}
"""The stored parts of a number, each with its suffix behind the number's name."""

TRIAL_COLUMNS = (
    "trial",
    "status",
    "windows",
    "score",
    "stderr",
    "error",
    "source",
    "seconds",
    "cached",
    "host",
)
"""The columns of the trials table that are not settings."""

RunningScores = Mapping[str, Mapping[int, float]]
"""The running scores of each trial by completed windows."""

UNUSED_SETTING = "not used"
"""The value of a setting in a trial whose choices leave it out."""


@dataclass(frozen=True, slots=True)
class TunedEffect:
    """By how much the best trial is better than the experiment as it stood, on the final windows,
    as a comparison tests it.

    Attributes:
        effect: A share, or an amount where a mean is not above 0; None where the two were not
            compared.
        low, high: Its 95 % interval; None where its certainty is unknown.
        p_value: The p-value of no difference.
        reason: The reason why there is no interval.
    """

    effect: float | None = None
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SweepResult:
    """The result of a sweep.

    Attributes:
        trials: The trials table.
        measure: The metric that trials are compared by.
        better: `low` or `high`.
        windows: The number of inner windows.
        best: The number of the best trial.
        model: The label of the model that is tuned.
        inner: Its score on the inner windows.
        final: Its score on the final ones.
        untuned_inner: The score of the untuned experiment on the inner windows; without a value
            where it was not tried.
        untuned_final: Its score on the final ones.
        tuned: The test of the latter two.
    """

    trials: DataFrame
    measure: Measure
    better: str
    windows: int
    best: int
    model: str
    inner: ScoreValue = UNKNOWN_SCORE
    final: ScoreValue = UNKNOWN_SCORE
    untuned_inner: ScoreValue = UNKNOWN_SCORE
    untuned_final: ScoreValue = UNKNOWN_SCORE
    tuned: TunedEffect = TunedEffect()

    @property
    def optimism(self) -> float | None:
        """The inner score less the final one."""
        if self.inner.value is None or self.final.value is None:
            return None
        return self.inner.value - self.final.value

    @property
    def optimism_error(self) -> float | None:
        """Its standard error: of other inner and other final windows, each of which has its own."""
        if self.inner.stderr is None or self.final.stderr is None:
            return None
        return hypot(self.inner.stderr, self.final.stderr)

    @property
    def gain(self) -> float | None:
        """The improvement on the final windows as a share of the untuned score.

        None where nothing was tuned.
        """
        if self.best == 0 or self.untuned_final.value in (None, 0) or self.final.value is None:
            return None
        assert self.untuned_final.value is not None
        change = (self.untuned_final.value - self.final.value) / abs(self.untuned_final.value)
        return -change if self.better == "high" else change


def rank_trials(result: SweepResult) -> DataFrame:
    """Return the trials, best first; then those that were stopped, the furthest first.

    Then those that failed.
    """
    rank = col("status").replace_strict({"finished": 0, "stopped": 1, "unfinished": 2}, default=3)
    score = col("score") if result.better == "low" else -col("score")
    return result.trials.sort(rank, -col("windows"), score, "trial", nulls_last=True)


def result_as_dict(result: SweepResult) -> dict[str, dict[str, Any]]:
    """Return the plain values of the result for `sweep.json`."""
    best = {
        "trial": result.best,
        **_scores_at_ends(result.inner, result.final),
        "optimism": result.optimism,
        "optimism_stderr": result.optimism_error,
    }
    return {
        "best": best,
        "untuned": _scores_at_ends(result.untuned_inner, result.untuned_final),
        "tuned": asdict(result.tuned),
    }


def _scores_at_ends(inner: ScoreValue, final: ScoreValue) -> dict[str, float | None]:
    return {
        f"{name}{end}": getattr(of, key)
        for name, of in (("inner", inner), ("final", final))
        for key, end in SCORE_ENDS.items()
    }


def result_from_dict(trials: DataFrame, data: Mapping[str, Any], measure: Measure) -> SweepResult:
    """Return the result of a sweep from its trials table and its `sweep.json`.

    Args:
        trials: The table.
        data: The content of `sweep.json`.
        measure: The metric that trials were compared by.
    """
    best, untuned = data["best"], data["untuned"]
    scores: dict[str, Any] = {
        f"{start}{name}": ScoreValue(
            **{key: of.get(f"{name}{end}") for key, end in SCORE_ENDS.items()}
        )
        for start, of in (("", best), ("untuned_", untuned))
        for name in ("inner", "final")
    }
    return SweepResult(
        trials,
        measure,
        str(data["better"]),
        len(data["windows"]),
        int(best["trial"]),
        str(data["config"]["model"]["name"]),
        tuned=TunedEffect(**data.get("tuned", {})),
        **scores,
    )


def stored_result(folder: SweepFolder) -> SweepResult:
    """Return the result of a sweep from its folder.

    Raises:
        ResumeError: It is not finished.
        HwdsError: A file is damaged.
    """
    trials, data = folder.read_trials(), folder.read_json()
    return result_from_dict(trials, data, Measure(data["metric"], better=data["better"]))


def first_scores(result: SweepResult, runs: RunningScores) -> DataFrame:
    """Return the trials with their score after the least number of completed windows, where all are
    comparable.

    Returns:
        The trials table with the columns `first`, the score, and `compared`, the number of windows.
    """
    common = min((min(scores) for scores in runs.values()), default=result.windows)
    rows = [
        (int(label.removeprefix("trial ")), scores[common])
        for label, scores in runs.items()
        if common in scores
    ]
    first = DataFrame(rows, schema={"trial": pl.Int64, "first": pl.Float64}, orient="row")
    return result.trials.join(first, on="trial", maintain_order="left").with_columns(
        compared=pl.lit(common)
    )


def varied_settings(table: DataFrame) -> list[str]:
    """Return the settings that differ between the trials that have a score."""
    scored = table.filter(col("score").is_not_null())
    extra = {*TRIAL_COLUMNS, "first", "compared"}
    return [name for name in scored.columns if name not in extra and scored[name].n_unique() > 1]


def axis_places(values: Series) -> tuple[np.ndarray, list[str]]:
    """Return the positions of a setting's values on an axis, and the names of the positions.

    Numbers are as they are, nan where unused, without names; words lie at 0, 1, ...,
    `UNUSED_SETTING` among them.
    """
    if values.dtype.is_numeric():
        return values.cast(pl.Float64).fill_null(float("nan")).to_numpy(), []
    texts = values.cast(pl.String).fill_null(UNUSED_SETTING)
    names = [text for text in texts.unique().sort() if text != UNUSED_SETTING]
    names += [UNUSED_SETTING] * bool(values.null_count())
    return np.array([names.index(text) for text in texts], float), names


def settings_matrix(table: DataFrame, names: list[str]) -> np.ndarray:
    """Return the settings as input of a forest, shape (trials, settings): an unused one lies below
    all others.
    """
    columns: list[Any] = []
    for name in names:
        where, _ = axis_places(table[name])
        used = where[~np.isnan(where)]
        columns.append(np.nan_to_num(where, nan=float(used.min(initial=0.0)) - 1.0))
    return np.stack(columns, axis=1) if columns else np.zeros((len(table), 0))


# The conclusion of a sweep and its time, in words.

CONCLUSION = """
{%- macro score(number) %}
{%- if number.value is none %}none
{%- else %}{{ number.value | quoted(number.low, number.high) }}{% endif %}
{%- endmacro -%}
{%- if best != 0 and gain is not none %}
{%- set relative = tuned.effect is not none and untuned_final.value > 0 %}
{%- set share = tuned.effect if relative else gain %}
{%- set low, high = tuned.low, tuned.high %}
{{- verdict_word(low, high) }}: {{ model }}, tuned, is
{% if not share %}as good as it stood on the final windows, to the last digit
{%- else -%}
{{ (100 * share) | abs | written(".1f") }} % {{ "better" if share > 0 else "worse" }} than as it
stood on the final windows
{%- if low is none or high is none %}{% if tuned.reason %} ({{ tuned.reason }}){% endif %}
{%- else %}
{%- set ends = (low, high) if share > 0 else (-high, -low) %} (95 %:
{% for end in ends %}{{ (100 * end) | written(".1f") if relative else end | brief }}
{%- if not loop.last %} to {% endif %}{% endfor %})
{%- endif %}
{%- endif %}.
{%- elif best == 0 -%}
HOLD: {{ model }} stays as it stood: tuning found nothing better.
{%- else -%}
ESTIMATE: {{ model }}, tuned, was not compared with the experiment as it stood.
{%- endif %}

Trial {{ best }} is the best of {{ count.finished | counted("trials") }} on
{{ windows | counted("inner windows") }}
{%- if reused or count.stopped %} (
{%- if reused %}{{ reused | count }} of them of earlier sweeps
{%- if count.stopped %}; {% endif %}{% endif %}
{%- if count.stopped %}{{ count.stopped | counted("trials") }} stopped on the way{% endif %})
{%- endif %}: {{ measure.short }} {{ score(inner) }}.
{%- if optimism is not none %}

On the final windows, which no trial has seen, it has {{ score(final) }}: optimism (inner less
final) {{ optimism | signed }}
{%- if optimism_error %} ± {{ optimism_error | brief }}
{%- if optimism | abs <= 2 * optimism_error %}, which may be chance{% endif %}{% endif %}.
{%- endif %}
{%- if best != 0 and gain is not none %}

{{ model }} as it stood has {{ score(untuned_inner) }} on the inner and
{{ score(untuned_final) }} on the final windows.
{%- endif %}"""

TIME = """
{%- if took %}The {{ took.cells | counted("cells") }} took {{ took.core_seconds | duration }} of one
core, {{ took.seconds | duration }} by the clock;
{% if not foreseen -%}
nothing was foreseen, for a model here had never been timed on this dataset.
{%- else -%}
foreseen were {{ span }}: {{ ratio | written(".2f") }} times the estimate,
{{ "within" if foreseen.low <= took.core_seconds <= foreseen.high else "outside of" }} its range.
{%- endif %}
{%- endif %}"""


def sweep_conclusion(result: SweepResult) -> str:
    """Return the conclusion of a sweep, in a few sentences."""
    status, reused = result.trials["status"], (result.trials["source"] != "").sum()
    count = {name: int((status == name).sum()) for name in ("finished", "stopped")}
    return "\n".join(
        say_lines(CONCLUSION, result, count=count, reused=reused, verdict_word=verdict_word)
    )


def core_time(seconds: float, low: float, high: float) -> str:
    """Return `about 0.21 core-hours (0.1 to 0.42)`; of less than a minute in seconds."""
    if high < 100:
        return f"about {duration(seconds)} of one core ({duration(low)} to {duration(high)})"
    return f"about {_hours(seconds)} core-hours ({_hours(low)} to {_hours(high)})"


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:,.0f}" if seconds >= 360_000 else f"{seconds / 3600:.2g}"


def time_sentence(data: Mapping[str, Any]) -> str:
    """Return the time of the trials, and the quality of its estimate.

    Empty where it is not known.
    """
    took, foreseen = data.get("took"), data.get("foreseen")
    values = {"took": took, "foreseen": foreseen}
    if took and foreseen:
        expected = foreseen["core_seconds"]
        values["span"] = core_time(expected, foreseen["low"], foreseen["high"])
        values["ratio"] = took["core_seconds"] / expected if expected else inf
    return say(TIME, values)


# A sweep as tables: for the terminal, and as a Markdown page.

MOST_NUMBERS = 6
"""The most trials that a row of failures names."""


FAILURES = Declared.of(
    Column("what", "text", title="what went wrong", brief="what went wrong"),
    Column("status", "text", title="status", brief="status"),
    Column("count", "made", title="trials", brief="trials", show="{{ trial | length }}"),
    Column(
        "numbers",
        "made",
        title="numbers",
        brief="numbers",
        show="{{ trial[:most] | join(', ') }}{% if trial | length > most %}, ...{% endif %}",
    ),
)
"""What ended trials, one row for each error."""


def trials_grid(result: SweepResult) -> Grid:
    """Return the trials as a table; their settings in columns of their own."""
    table = rank_trials(result)
    settings = [name for name in table.columns if name not in TRIAL_COLUMNS]
    reused = bool((table["source"] != "").any())
    scores, errors = column_texts(table["score"].to_list()), column_texts(table["stderr"].to_list())
    rows = [
        [
            str(row["trial"]),
            row["status"],
            f"{row['windows']}/{result.windows}",
            f"{score} ± {error}" if error else score,
            *(setting_cell(row[name]) for name in settings),
            *([row["source"]] if reused else []),
            duration(row["seconds"]),
        ]
        for row, score, error in zip(table.to_dicts(), scores, errors, strict=True)
    ]
    score = f"{result.measure.name} ± s.e.", f"{result.measure.short}\n± s.e."
    titles: list[str | tuple[str, str]] = [
        ("trial", "#"),
        "status",
        ("windows", "of"),
        score,
        *map(setting_titles, settings),
        *(["from"] if reused else []),
        "time",
    ]
    return grid_of(titles, rows, own=str(result.best), names=2)


def setting_titles(name: str) -> tuple[str, str]:
    """Return the long and the short title of a setting's column."""
    return name, name.rpartition(".")[2].replace("_", "\n")


def setting_cell(value: object, write: Callable[[float], str] = "{:.4g}".format) -> str:
    """Return the value of a setting in a trial, empty where it has none."""
    return "" if value is None else write(value) if isinstance(value, float) else str(value)


def print_sweep(
    folder: SweepFolder, result: SweepResult, notes: Sequence[str], remarks: Sequence[str]
) -> None:
    """Print what a sweep found: what failed, the best trials, and the verdict.

    Args:
        folder: Its folder, which is written.
        result: Its result.
        notes: Notes that weigh more than those of the conclusion.
        remarks: Notes that weigh less.
    """
    record = folder.read_json()
    config, sweep = record["config"], record["sweep"]["name"]
    model, dataset, protocol = (config[group]["name"] for group in ("model", "dataset", "protocol"))
    failed = failures_grid(result.trials)
    print_shown(
        Shown(
            title=f"sweep {folder.title}: {sweep} of {model} on {dataset}, {protocol}, seed "
            f"{config['seed']}",
            decision=[failed] if len(failed) else [],
            grids=[trials_grid(result)],
            said=sweep_conclusion(result),
            notes=notes,
            remarks=remarks,
            next=folder.command,
            report=f"hwds report sweeps/{folder.title}",
            files=folder.path,
        )
    )


def failures_grid(trials: DataFrame) -> Grid:
    """Return one row for each error, whatever the window: the number of trials that it ended, and
    their numbers.

    Args:
        trials: The trials table.
    """
    what = col("error").str.replace(r"^window [^:]*: ", "").alias("what")
    failed = trials.filter(col("status").is_in(["failed", "refused"])).sort("trial")
    groups = failed.group_by(what, "status", maintain_order=True).agg(col("trial"))
    return declared_grid(FAILURES, groups, names=2, most=MOST_NUMBERS)


def print_failures(trials: DataFrame) -> None:
    """Print the table of failures; the sweep's page has each with its window."""
    print_shown(Shown(decision=[failures_grid(trials)]))


def sweep_markdown(result: SweepResult, title: str, command: str, parts: Sequence[str] = ()) -> str:
    """Return the sweep as a Markdown page.

    Args:
        result: The result of the sweep.
        title: The title of the page.
        command: The command that runs the best settings.
        parts: Sections or sentences between the pictures and the table of trials.
    """
    failed = result.trials.filter(col("error") != "")
    lines = "".join(f"- trial {row['trial']}: {row['error']}\n" for row in failed.to_dicts())
    failures = f"\n## Failures\n\n{lines}" if lines else ""
    best = f"The best settings are in `best.yaml`; `{command}` runs them."
    between = "".join(f"{part}\n\n" for part in parts if part)
    trials = f"## Trials\n\n{trials_grid(result).markdown()}\n"
    return f"# {title}\n\n{sweep_conclusion(result)}\n\n{best}\n\n{between}{trials}{failures}"


# The searched settings as rows: how each is drawn, from which values, and with which others
# alone.

SPACE_TITLES = ("setting", "drawn", "from")


def space_rows(space: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return the path, the kind and the values of each setting of a stored space, those that come
    with a value after it.
    """
    return list(_space_rows(space, "", ""))


def space_grid(space: Mapping[str, Any]) -> Grid:
    """Return the searched settings as a table."""
    return grid_of(SPACE_TITLES, space_rows(space), names=3)


def _space_rows(tree: Mapping[str, Any], path: str, when: str) -> Iterator[tuple[str, str, str]]:
    for key, part in tree.items():
        if not isinstance(part, Mapping):
            continue
        where = f"{path}.{key}" if path else key
        kind, values = next(iter(part.items()), ("", None))
        if len(part) != 1 or kind not in KINDS or not isinstance(values, list | tuple):
            yield from _space_rows(part, where, when)
            continue
        yield where, kind, _space_values(kind, values) + when
        for value, below in map(conditional, values if kind in LISTS else ()):
            yield from _space_rows(below or {}, path or where, f", where {where}={value}")


def _space_values(kind: str, values: Any) -> str:
    if kind in LISTS:
        return ", ".join(as_yaml(conditional(value)[0]) for value in values)
    lower, upper, *step = values
    last = upper - 1 if kind == "randint" else upper
    return f"{lower:g} to {last:g}" + "".join(f" by {size:g}" for size in step)
