"""A sweep: its trials and comparable scores, its conclusion, its tables and its space."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import hypot
from typing import Any

import numpy as np
import polars as pl

from hwds.core.config import KINDS, LISTS
from hwds.core.search_space import conditional
from hwds.core.settings import as_yaml
from hwds.report.grid import Grid, grid_of
from hwds.report.leaderboard import print_grids
from hwds.report.standings import ScoreValue
from hwds.results.formatting import brief, column_texts, counted, duration, quote_interval, signed
from hwds.results.tables import Measure

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
        p_value: Of no difference.
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
        own_inner: The score of the untuned experiment on the inner windows; without a value where
            it was not tried.
        own_final: The same on the final ones.
        tuned: The test of the latter two.
    """

    trials: pl.DataFrame
    measure: Measure
    better: str
    windows: int
    best: int
    model: str
    inner: ScoreValue = UNKNOWN_SCORE
    final: ScoreValue = UNKNOWN_SCORE
    own_inner: ScoreValue = UNKNOWN_SCORE
    own_final: ScoreValue = UNKNOWN_SCORE
    tuned: TunedEffect = TunedEffect()

    @property
    def optimism(self) -> float | None:
        """The inner score less the final one."""
        return (
            None
            if self.inner.value is None or self.final.value is None
            else self.inner.value - self.final.value
        )

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
        if self.best == 0 or self.own_final.value in (None, 0) or self.final.value is None:
            return None
        assert self.own_final.value is not None
        change = (self.own_final.value - self.final.value) / abs(self.own_final.value)
        return -change if self.better == "high" else change


def rank_trials(result: SweepResult) -> pl.DataFrame:
    """Return the trials, best first; then those that were stopped, the furthest first.

    Then those that failed.
    """
    rank = pl.col("status").replace_strict(
        {"finished": 0, "stopped": 1, "unfinished": 2}, default=3
    )
    score = pl.col("score") if result.better == "low" else -pl.col("score")
    return result.trials.sort(rank, -pl.col("windows"), score, "trial", nulls_last=True)


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
        "untuned": _scores_at_ends(result.own_inner, result.own_final),
        "tuned": asdict(result.tuned),
    }


def _scores_at_ends(inner: ScoreValue, final: ScoreValue) -> dict[str, float | None]:
    return {
        f"{name}{end}": getattr(of, key)
        for name, of in (("inner", inner), ("final", final))
        for key, end in SCORE_ENDS.items()
    }


def result_from_dict(
    trials: pl.DataFrame, data: Mapping[str, Any], measure: Measure
) -> SweepResult:
    """Return the result of a sweep from its trials table and its `sweep.json`.

    Args:
        trials: The table.
        data: The content of `sweep.json`.
        measure: The metric that trials were compared by.
    """
    best, untuned = data["best"], data["untuned"]
    ends = [(of, name) for of in (best, untuned) for name in ("inner", "final")]
    numbers = [
        ScoreValue(**{key: of.get(f"{name}{end}") for key, end in SCORE_ENDS.items()})
        for of, name in ends
    ]
    model, windows = str(data["config"]["model"]["name"]), len(data["windows"])
    result = SweepResult(trials, measure, str(data["better"]), windows, int(best["trial"]), model)
    tuned = TunedEffect(**data.get("tuned", {}))
    return replace(
        result,
        inner=numbers[0],
        final=numbers[1],
        own_inner=numbers[2],
        own_final=numbers[3],
        tuned=tuned,
    )


def first_scores(result: SweepResult, runs: RunningScores) -> pl.DataFrame:
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
    first = pl.DataFrame(rows, schema={"trial": pl.Int64, "first": pl.Float64}, orient="row")
    return result.trials.join(first, on="trial", maintain_order="left").with_columns(
        compared=pl.lit(common)
    )


def varied_settings(table: pl.DataFrame) -> list[str]:
    """Return the settings that differ between the trials that have a score."""
    scored = table.filter(pl.col("score").is_not_null())
    extra = {*TRIAL_COLUMNS, "first", "compared"}
    return [name for name in scored.columns if name not in extra and scored[name].n_unique() > 1]


def axis_places(values: pl.Series) -> tuple[np.ndarray, list[str]]:
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


def settings_matrix(table: pl.DataFrame, names: list[str]) -> np.ndarray:
    """Return the settings as input of a forest, shape (trials, settings): an unused one lies below
    all others.
    """
    columns: list[Any] = []
    for name in names:
        where, _ = axis_places(table[name])
        known = where[~np.isnan(where)]
        columns.append(np.nan_to_num(where, nan=float(known.min(initial=0.0)) - 1.0))
    return np.stack(columns, axis=1) if columns else np.zeros((len(table), 0))


# The conclusion of a sweep and its time, in words.


def sweep_conclusion(result: SweepResult) -> str:
    """Return the conclusion of a sweep, in a few sentences."""
    done = int((result.trials["status"] == "finished").sum())
    stopped = int((result.trials["status"] == "stopped").sum())
    reused = int((result.trials["source"] != "").sum())
    beside = [f"{reused:,} of them of earlier sweeps"] * bool(reused)
    beside += [f"{counted(stopped, 'trials')} stopped on the way"] * bool(stopped)
    also = f" ({'; '.join(beside)})" if beside else ""
    name = result.measure.short
    sentences = [
        f"Trial {result.best} is the best of {counted(done, 'trials')} on "
        f"{counted(result.windows, 'inner windows')}{also}"
    ]
    sentences[0] += f": {name} {_score_text(result.inner)}."
    if result.final.value is not None and result.optimism is not None:
        sentences.append(
            f"On the final windows, which no trial has seen, it has {_score_text(result.final)}: "
            f"optimism (inner less final)"
            f" {signed(result.optimism)}{_optimism_error(result)}."
        )
    if result.best == 0:
        sentences.append("It is the experiment as it stood: tuning found nothing better.")
    elif result.gain is not None:
        sentences.append(
            f"{result.model} as it stood has {_score_text(result.own_inner)} on the inner and "
            f"{_score_text(result.own_final)} on the"
            f" final windows; tuned it is {_gain_phrase(result, result.gain)}."
        )
    return " ".join(sentences)


def _optimism_error(result: SweepResult) -> str:
    """Return the standard error of the optimism, and whether there is any."""
    error, optimism = result.optimism_error, result.optimism
    if not error or optimism is None:
        return ""
    return f" ± {brief(error)}{'' if abs(optimism) > 2 * error else ', which may be chance'}"


def _gain_phrase(result: SweepResult, gain: float) -> str:
    """Return by how much the tuned model is better on the final windows, and how sure that is."""
    tuned = result.tuned
    relative = (
        tuned.effect is not None
        and result.own_final.value is not None
        and result.own_final.value > 0
    )
    share = tuned.effect if relative and tuned.effect is not None else gain
    if not share:
        return "as good there, to the last digit"
    side = f"{100 * abs(share):.1f} % {'better' if share > 0 else 'worse'} there"
    if tuned.low is None or tuned.high is None:
        return f"{side} ({tuned.reason})" if tuned.reason else side
    chance = "" if tuned.low > 0 or tuned.high < 0 else ", which may be chance"
    ends = sorted(end if share > 0 else -end for end in (tuned.low, tuned.high))
    shown = " to ".join(f"{100 * end:.1f}" if relative else brief(end) for end in ends)
    return f"{side} (95 %: {shown}){chance}"


def _score_text(number: ScoreValue) -> str:
    return (
        "none"
        if number.value is None
        else "".join(quote_interval(number.value, number.low, number.high))
    )


def core_time(seconds: float, low: float, high: float) -> str:
    """Return `about 0.21 core-hours (0.1 to 0.42)`; of less than a minute in seconds."""
    if high < 100:
        return f"about {duration(seconds)} of one core ({duration(low)} to {duration(high)})"
    return f"about {hours_text(seconds)} core-hours ({hours_text(low)} to {hours_text(high)})"


def hours_text(seconds: float) -> str:
    """Return seconds as hours with two digits."""
    return f"{seconds / 3600:,.0f}" if seconds >= 360_000 else f"{seconds / 3600:.2g}"


def time_sentence(data: Mapping[str, Any]) -> str:
    """Return the time of the trials, and the quality of its estimate.

    Empty where it is not known.
    """
    took, foreseen = data.get("took"), data.get("foreseen")
    if not took:
        return ""
    cells, core, clock = (
        counted(took["cells"], "cells"),
        duration(took["core_seconds"]),
        duration(took["seconds"]),
    )
    text = f"The {cells} took {core} of one core, {clock} by the clock"
    if not foreseen:
        return (
            f"{text}; nothing was foreseen, for a model here had never been timed on this dataset."
        )
    span = core_time(*(foreseen[name] for name in ("core_seconds", "low", "high")))
    ratio = (
        took["core_seconds"] / foreseen["core_seconds"]
        if foreseen["core_seconds"]
        else float("inf")
    )
    inside = (
        "within" if foreseen["low"] <= took["core_seconds"] <= foreseen["high"] else "outside of"
    )
    return f"{text}; foreseen were {span}: {ratio:.2f} times the estimate, {inside} its range."


# A sweep as tables: for the terminal, and as a Markdown page.

MOST_TRIALS = 10
"""The most trials of the terminal's table."""

MOST_NUMBERS = 6
"""The most trials that a row of failures names."""


def trials_grid(result: SweepResult, most: int | None = None) -> Grid:
    """Return the trials as a table; their settings in columns of their own."""
    table = rank_trials(result).head(most) if most else rank_trials(result)
    settings = [name for name in table.columns if name not in TRIAL_COLUMNS]
    reused = bool((table["source"] != "").any())
    scores, errors = column_texts(table["score"].to_list()), column_texts(table["stderr"].to_list())
    rows = [
        [
            str(row["trial"]),
            row["status"],
            f"{row['windows']}/{result.windows}",
            f"{score} ± {error}" if error else score,
            *("" if row[name] is None else _cell_text(row[name]) for name in settings),
            *([row["source"]] if reused else []),
            duration(row["seconds"]),
        ]
        for row, score, error in zip(table.to_dicts(), scores, errors, strict=True)
    ]
    score = f"{result.measure.name} ± s.e.", f"{result.measure.short}\n± s.e."
    titles = [("trial", "#"), ("status", "status"), ("windows", "of"), score]
    titles += [(name, name.rpartition(".")[2].replace("_", "\n")) for name in settings]
    titles += [("from", "from")] if reused else []
    titles.append(("time", "time"))
    return grid_of(titles, rows, own=str(result.best), names=2)


def _cell_text(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def print_trials(result: SweepResult) -> None:
    """Print the best trials."""
    left = len(result.trials) - MOST_TRIALS
    notes = [f"{counted(left, 'trials')} more in trials.csv."] if left > 0 else []
    print_grids((trials_grid(result, MOST_TRIALS),), notes, "")


def failures_grid(trials: pl.DataFrame) -> Grid:
    """Return one row for each error, whatever the window: the number of trials that it ended, and
    their numbers.

    Args:
        trials: The trials table.
    """
    what = pl.col("error").str.replace(r"^window [^:]*: ", "").alias("what")
    failed = trials.filter(pl.col("status").is_in(["failed", "refused"])).sort("trial")
    groups = failed.group_by(what, "status", maintain_order=True).agg(pl.col("trial"))
    rows = [
        [row["what"], row["status"], str(len(row["trial"])), _list_numbers(row["trial"])]
        for row in groups.to_dicts()
    ]
    titles = [
        ("what went wrong", "what went wrong"),
        ("status", "status"),
        ("trials", "trials"),
        ("numbers", "numbers"),
    ]
    return grid_of(titles, rows, names=2)


def _list_numbers(numbers: list[int]) -> str:
    shown = ", ".join(map(str, numbers[:MOST_NUMBERS]))
    return shown if len(numbers) <= MOST_NUMBERS else f"{shown}, ..."


def print_failures(trials: pl.DataFrame) -> None:
    """Print the table of failures, where there are any.

    The sweep's page has each with its window.
    """
    grid = failures_grid(trials)
    if len(grid):
        print_grids((grid,), (), "")


def sweep_markdown(result: SweepResult, title: str, command: str, parts: Sequence[str] = ()) -> str:
    """Return the sweep as a Markdown page.

    Args:
        result: The result of the sweep.
        title: The title of the page.
        command: The command that runs the best settings.
        parts: Sections or sentences between the pictures and the table of trials.
    """
    failed = result.trials.filter(pl.col("error") != "")
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
    return grid_of(
        [(title, title) for title in SPACE_TITLES],
        [list(row) for row in space_rows(space)],
        names=3,
    )


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
