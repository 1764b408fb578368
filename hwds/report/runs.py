"""Tables of runs: a list that fits the terminal, and the difference of two in tables and words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hwds.report.grid import GAP, Grid, GridColumn, grid_of
from hwds.report.words import say_lines
from hwds.results.formatting import brief, column_texts, decimals, fixed
from hwds.results.index import RunFields

if TYPE_CHECKING:
    from hwds.results.difference import Change, RunDifference, ScoreChange

# A table of runs that fits the terminal: columns that do not fit are left out, the least needed
# first.

SHORTEST_ID = 8
"""The letters of an id that are shown."""

LONGEST_NAME = 34
"""The most letters of a text; the middle of a longer one is left out."""

TEXT_COLUMNS = ("run", "model", "dataset", "protocol", "when", "status", "tags", "note", "metric")
COLUMN_ORDER = (*TEXT_COLUMNS, "score", "asked", "seed")
COLUMN_NEED = (
    "run",
    "asked",
    "score",
    "model",
    "status",
    "metric",
    "tags",
    "when",
    "dataset",
    "protocol",
    "seed",
    "note",
)
"""The columns from left to right, and in the order of need."""


def runs_grid(runs: Sequence[RunFields], more_fields: Sequence[str] = (), width: int = 100) -> Grid:
    """Return the runs as a table of some width.

    Args:
        runs: The fields of each run.
        more_fields: Further fields to show: those that are sorted or filtered by.
        width: The letters of a line.
    """
    made = {name: _runs_column(name, runs) for name in COLUMN_ORDER if name != "asked"}
    if set(made["status"].cells) == {"finished"}:
        made["status"] = replace(made["status"], brief="")
    further = [_runs_column(name, runs) for name in more_fields if name not in made]
    groups = {name: [made[name]] if name in made else further for name in COLUMN_ORDER}
    room, chosen = width, set()
    for name in COLUMN_NEED:
        shown = [each for each in groups[name] if each.brief and any(each.cells)]
        need = sum(each.wide + GAP for each in shown)
        if need <= room or name == "run":
            room -= need
            chosen.add(name)
    columns = [
        replace(each, brief=each.brief if name in chosen else "")
        for name in COLUMN_ORDER
        for each in groups[name]
    ]
    return Grid(tuple(columns), names=len(TEXT_COLUMNS))


def omitted_columns(grid: Grid) -> list[str]:
    """Return the titles of columns that did not fit."""
    return [each.title for each in grid.shown if not each.brief and set(each.cells) != {"finished"}]


def _runs_column(name: str, runs: Sequence[RunFields]) -> GridColumn:
    if name == "score":
        cells = tuple(score_text(run) for run in runs)
    elif name == "status":
        cells = tuple(status_text(run) for run in runs)
    elif name == "run":
        cells = tuple(short_run_title(str(run["run"])) for run in runs)
    else:
        values: list[Any] = [run.get(name) for run in runs]
        cells = (
            _numbers(values)
            if _numeric(values)
            else tuple(_cut_middle("" if value is None else str(value)) for value in values)
        )
    return GridColumn(name, name, cells)


def score_text(run: RunFields) -> str:
    """Return the headline with its error; empty where there is none."""
    value, error = run.get("score"), run.get("stderr")
    if not isinstance(value, float):
        return ""
    return brief(value, error if isinstance(error, float) else None)


def status_text(run: RunFields) -> str:
    """Return the status, for an unfinished run with its progress: `running, 12 of 36 cells`,
    `stopped at 12 of 36 cells`.
    """
    status, done, total = (run.get(name) for name in ("status", "progress.done", "progress.total"))
    if not isinstance(done, float | int) or not isinstance(total, float | int):
        return str(status)
    return f"{'running,' if status == 'running' else 'stopped at'} {done:.0f} of {total:.0f} cells"


def _numeric(values: Sequence[Any]) -> bool:
    present = [value for value in values if value is not None]
    return bool(present) and all(isinstance(value, float) for value in present)


def _numbers(values: Sequence[float | None]) -> tuple[str, ...]:
    if all(value is None or value == round(value) for value in values):
        return tuple("" if value is None else f"{value:.0f}" for value in values)
    return column_texts(values)


def short_run_title(title: str) -> str:
    """Return `<experiment>/<the beginning of the id>`, which names the run."""
    experiment, _, run = title.partition("/")
    return f"{_cut_middle(experiment)}/{run[:SHORTEST_ID]}"


def _cut_middle(text: str) -> str:
    text = " ".join(text.split())
    keep = (LONGEST_NAME - 1) // 2
    return text if len(text) <= LONGEST_NAME else f"{text[:keep]}…{text[-keep:]}"


def runs_as_rows(fields: Mapping[str, RunFields]) -> list[dict[str, Any]]:
    """Return all fields of each folder with its path, for JSON, whole numbers as integers."""
    return [
        {"path": path, **{name: _json_value(value) for name, value in sorted(run.items())}}
        for path, run in fields.items()
    ]


def _json_value(value: Any) -> Any:
    return (
        int(value)
        if isinstance(value, float) and value == round(value) and abs(value) < 2**53
        else value
    )


# The difference of two runs, as tables and in words.

MOST_SCORES = 20
"""The most scores that are shown; the others are in `--json`."""

LONGEST_VALUE = 28
"""The most letters of a value in the terminal."""

GROUP_WORDS = {
    "settings": "settings",
    "data": "the data",
    "code": "the code",
    "versions": "versions",
    "machine": "the machine",
}


def difference_grids(diff: RunDifference) -> Iterator[Grid]:
    """Yield the tables of settings, then of provenance, then of scores.

    Each only where something differs.
    """
    from hwds.results.difference import NO_NUMBERS

    settings, origin = diff.of("settings"), diff.of("data", "code", "versions", "machine")
    if settings:
        yield _difference_table(
            diff,
            settings,
            "Settings:",
            [
                each.name
                + " (no score depends on it)" * (each.name.partition(".")[0] in NO_NUMBERS)
                for each in settings
            ],
        )
    if origin:
        yield _difference_table(
            diff,
            origin,
            "Data, code, versions, machine:",
            [f"{each.group}: {each.name}" for each in origin],
        )
    if diff.scores:
        yield _scores_table(diff)


def _difference_table(
    diff: RunDifference, changes: tuple[Change, ...], caption: str, names: list[str]
) -> Grid:
    rows = [
        [name, _short_value(each.first), _short_value(each.second)]
        for name, each in zip(names, changes, strict=True)
    ]
    return grid_of([("", " "), *_titles(diff)], rows, names=3, caption=caption)


def _titles(diff: RunDifference) -> list[tuple[str, str]]:
    return [(title, title.replace("/", "/\n", 1)) for title in (diff.first, diff.second)]


def _short_value(value: str | float | None) -> str:
    from hwds.results.difference import setting_text

    text = setting_text(value) or "none"
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"


def _scores_table(diff: RunDifference) -> Grid:
    rows = [_score_row(each) for each in diff.scores[:MOST_SCORES]]
    more = f", {MOST_SCORES} of {len(diff.scores)}" if len(diff.scores) > MOST_SCORES else ""
    titles: list[str | tuple[str, str]] = ["model", "metric", *_titles(diff), "change", ("", " ")]
    return grid_of(titles, rows, names=2, caption=f"Scores that differ{more}:")


def _score_row(each: ScoreChange) -> list[str]:
    places = min(decimals([each.first, each.second, each.change]) + 1, 9)
    change = (
        ""
        if each.change is None
        else f"{'+' if each.change > 0 else ''}{fixed(each.change, places)}"
    )
    return [
        each.model,
        each.metric,
        fixed(each.first, places),
        fixed(each.second, places),
        change,
        _score_side(each),
    ]


def _score_side(each: ScoreChange) -> str:
    if each.change is None:
        return "only the first" if each.second is None else "only the second"
    if each.better == "none" or not each.change:
        return ""
    return "better" if (each.change < 0) == (each.better == "low") else "worse"


DIFFERENCE = """
{%- if not changes and not scores and not unfinished -%}
Nothing differs between {{ first }} and {{ second }}: settings, data, code, versions, machine and
scores.
{%- else %}
{{- (changed | listed ~ " differ" if changed else "nothing but scores differs") | capitalize }}
{%- if same %}; {{ same | listed }} {{ "is" if same == ["the data"] else "are" }} the same
{%- endif %}.

{% for title in unfinished -%}
Run {{ title }} is not finished: it has no scores.

{% endfor %}
{%- if unfinished %}
{%- elif not scores -%}
All {{ same_scores | counted("scores") }} are the same to the last bit.
{%- else %}
{%- if main %}{{ main.metric }} of {{ main.model }}: {{ main.first | brief(main.first_stderr) }},
then {{ main.second | brief(main.second_stderr) }}
{%- if side and comparable %}: {{ side }}, if it is no chance{% endif %}.

{% endif %}
{%- if comparable -%}
How sure that is says `hwds compare {{ first }} {{ second }}`.
{%- else -%}
The scores are of other data or another protocol: they answer different questions and do not
compare.
{%- endif %}
{%- endif %}
{%- endif %}"""


def difference_text(diff: RunDifference) -> str:
    """Return in words what differs and what does not, and what that means for the scores."""
    main = next(
        (each for each in diff.scores if each.metric == diff.headline and each.change is not None),
        None,
    )
    lines = say_lines(
        DIFFERENCE,
        diff,
        changed=[words for group, words in GROUP_WORDS.items() if diff.of(group)],
        same=[words for group, words in GROUP_WORDS.items() if not diff.of(group)],
        main=main,
        side=main and _score_side(main),
    )
    return "\n".join(lines)
