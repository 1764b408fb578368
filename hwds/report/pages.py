"""The reports of a run, a comparison, a study and a sweep, as pages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import polars as pl
import yaml
from polars import col

from hwds.report.comparison import (
    COEFFICIENTS_CAPTION,
    SPECIFIED,
    board_grid,
    coefficients_figure,
    comparison_figure,
    comparison_grids,
    comparison_legend,
    comparison_sentence,
    comparison_title,
    contrasts_figure,
    critical_difference_figure,
    margin_text,
    rank_sentence,
    specification_grid,
    with_amounts,
)
from hwds.report.grid import Grid, declared_grid
from hwds.report.hooks import TaskReport, stored_report
from hwds.report.leaderboard import (
    leaderboard_grid,
    leaderboard_legend,
    leaderboard_notes,
    segment_grids,
    standing_grid,
)
from hwds.report.page_parts import (
    Code,
    Definitions,
    Folded,
    GridTable,
    Listing,
    Page,
    PagePart,
    Picture,
    Section,
    Text,
)
from hwds.report.standings import Standings, run_conclusion, stored_standings
from hwds.report.sweep import (
    SweepResult,
    space_grid,
    stored_result,
    sweep_conclusion,
    time_sentence,
    trials_grid,
)
from hwds.report.sweep_pictures import front_grid, front_sentence, importance_sentence
from hwds.report.verdict import (
    MOST_COLUMNS,
    MOST_NOTES,
    stored_grids,
    verdict_and_notes,
    verdict_captions,
)
from hwds.report.words import say_lines, study_word
from hwds.results.comparison import STUDY_CONTRASTS, Comparison, StudyResult
from hwds.results.folder import RunFolder
from hwds.results.formatting import counted
from hwds.results.sweep_folder import SweepFolder
from hwds.results.tables import Column, Declared, Measure, Tables

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from hwds.frames.panel import Panel


# The report of a run: its conclusion, tables and pictures, failures, and the command to repeat
# it.

MOST_FAILURES = 20
"""The most failed cells that are named."""

MOST_BEFORE_PICTURES = 30
"""Rows of a table that stands before the pictures; longer ones follow them."""

LOST_COUNTS = ("undefined", "failed", "fallback")
"""The columns that are shown only where any model has some."""

PICTURE_CAPTIONS = {
    "leaderboard.png": "The headline of each model, and its interval where it has one",
    "segments.png": "The headline by segment, a dot for each model, and its interval where it has "
    "one",
}
"""Pictures that every task has, which stand beside their tables."""


FAILED_CELLS = Declared.of(
    Column("model", "text", title="model", brief="model"),
    Column("fold", "text", title="fold", brief="fold"),
    Column("status", "text", title="what went wrong", brief="what went wrong"),
)


def run_page(folder: RunFolder, frame: Any = None) -> Page:
    """Return the page of a finished run.

    Args:
        folder: The folder of the run.
        frame: The data of the run, for the history in pictures; None where it is not available.

    Raises:
        HwdsError: It is not finished.
    """
    config, tables, path = folder.read_config(), folder.read_tables(), folder.path
    model, dataset, protocol = (config[group]["name"] for group in ("model", "dataset", "protocol"))
    board = stored_standings(config, tables)
    verdict = folder.read_verdict()
    sentence = folder.read_conclusion() or run_conclusion(board)
    verdicts, notes = verdict_and_notes(sentence, str((verdict or {}).get("sentence") or ""))
    report = stored_report(config, tables)
    results = [
        *filter(len, report.terminal_tables(tables, board)),
        *report.page_tables(tables, board),
    ]
    long = [each for each in results if len(each) > MOST_BEFORE_PICTURES]
    decided: tuple[PagePart, ...] = (
        *(part for each in stored_grids(folder.path) for part in _table_parts(each)),
        *_named_pictures(path, _decision_pictures(verdict), verdict_captions(config, verdict)),
    )
    warnings = [Text(note, note=True) for note in report.notes(board, folder.read_remarks())]
    drawn = _named_pictures(path, ["leaderboard.png"] if report.ranks else [], PICTURE_CAPTIONS)
    ranking = Section(
        "Leaderboard",
        (
            *warnings,
            GridTable(standing_grid(board)),
            *drawn,
            Folded("All columns", (GridTable(without_zero_counts(leaderboard_grid(board))),)),
        ),
    )
    found = (
        Section(
            "Results",
            tuple(
                part
                for each in results
                if len(each) <= MOST_BEFORE_PICTURES
                for part in _table_parts(each)
            ),
        ),
        Section(
            "Segments",
            (
                *_segment_parts(tables, board),
                *_named_pictures(path, ["segments.png"], PICTURE_CAPTIONS),
            ),
        ),
        Section("Pictures", tuple(_task_pictures(path, report, verdict))),
        Section("In detail", tuple(map(GridTable, long))),
    )
    decision = Section("What was decided", decided if verdict else ())
    sections = (
        *((decision, ranking, *found) if report.ranks else (decision, *found, ranking)),
        *report.page_sections(tables, board, frame),
        Section(
            "Remarks, and what failed or was left out",
            tuple(_lost_parts(folder, tables, board, notes[MOST_NOTES:])),
        ),
        Section("What the numbers mean", tuple(_metric_meanings(tables, board))),
        Section("How to have it again", tuple(repeat_parts(config, folder.read_provenance()))),
    )
    below = f"Run {folder.title}: {model} on {dataset}, protocol {protocol}, seed {config['seed']}."
    return Page(
        board.title,
        "\n".join([*verdicts, *notes[:MOST_NOTES]]),
        below,
        sections,
    )


def kept_frame(folder: RunFolder) -> Panel | None:
    """Return the series of a run from the cache.

    None where they are gone or damaged, or the run is of other data.
    """
    from hwds.core.checksums import is_sound
    from hwds.frames.panel import Panel

    path = folder.path.parents[2] / "cache" / "frames" / str(folder.read_provenance()["data"])
    return Panel.read(path) if (path / "panel.json").is_file() and is_sound(path) else None


def without_zero_counts(board: Grid) -> Grid:
    """Return the table without columns of zero counts; the section on failures reports them."""
    return replace(
        board,
        columns=tuple(
            column
            for column in board.columns
            if column.title not in LOST_COUNTS or {*column.cells} - {"0"}
        ),
    )


def _decision_pictures(verdict: dict[str, Any] | None) -> list[str]:
    return [f"{name}.png" for name in (verdict or {}).get("tables", ())]


def _segment_parts(tables: Tables, board: Standings) -> Iterator[PagePart]:
    for each, left in segment_grids(tables, board):
        yield GridTable(each)
        if left:
            yield Text(f"{left} smaller segments are in scores.parquet.")


def _task_pictures(
    folder: Path, report: TaskReport, verdict: dict[str, Any] | None
) -> Iterator[PagePart]:
    """Yield the other pictures of the run: those that its task's report names, in that order,
    then the rest by name.
    """
    elsewhere, captions = {*PICTURE_CAPTIONS, *_decision_pictures(verdict)}, report.captions
    others = (path.name for path in sorted(folder.glob("*.png")) if path.name not in elsewhere)
    first = (name for name in captions if name not in elsewhere)
    yield from _named_pictures(folder, dict.fromkeys([*first, *others]), captions)


def _named_pictures(
    folder: Path, names: Iterable[str], captions: Mapping[str, str]
) -> Iterator[Picture]:
    """Yield the pictures of these names that exist."""
    for name in names:
        path = folder / name
        if path.is_file():
            yield Picture.of_file(
                path, captions.get(name, path.stem.replace("_", " ").capitalize())
            )


def _table_parts(grid: Grid) -> Iterator[PagePart]:
    """Yield a table; of a wide one the columns of the terminal, and all of them folded."""
    if len(grid.shown) <= MOST_COLUMNS:
        yield GridTable(grid)
        return
    yield GridTable(grid.first(MOST_COLUMNS))
    yield Folded("All columns", (GridTable(replace(grid, caption="")),))


def _lost_parts(
    folder: RunFolder, tables: Tables, board: Standings, notes: Iterable[str]
) -> Iterator[PagePart]:
    """Yield further notes on the conclusion, the failed cells, the counts of undefined values and
    fallbacks, and the remarks of the run.
    """
    remarks = folder.read_remarks()
    lines = [*leaderboard_notes(board, remarks), *notes, *remarks]
    failed = tables.timings.filter(col("status") != "ok")
    yield (
        Listing(lines)
        if lines
        else Text("Nothing failed, nothing was left out, no answer is a fallback's.")
    )
    if len(failed):
        yield GridTable(_failed_cells(failed))


def _failed_cells(failed: pl.DataFrame) -> Grid:
    more = f" (the first {MOST_FAILURES} of {len(failed)})" if len(failed) > MOST_FAILURES else ""
    rows = failed.head(MOST_FAILURES).with_columns(col("status").str.strip_prefix("failed: "))
    return declared_grid(FAILED_CELLS, rows, names=3, caption=f"Failed cells{more}")


def _metric_meanings(tables: Tables, board: Standings) -> Iterator[PagePart]:
    """Yield the meaning of the leaderboard's columns, and the definition of every metric of the
    run.
    """
    yield Listing(leaderboard_legend(board))
    measures = [
        tables.measure(name)
        for name in tables.scores["metric"].drop_nulls().unique(maintain_order=True)
    ]
    words = glossary(measures)
    if words:
        yield Folded(
            "Glossary: all metrics of scores.parquet", (Definitions(tuple(words.items())),)
        )


def glossary(measures: Iterable[Measure]) -> dict[str, str]:
    """Return each metric's name and meaning.

    Those that differ in parameters alone once (`pinball[q=0.1]` for all levels).
    """
    meanings: dict[str, tuple[str, str]] = {}
    for measure in measures:
        if measure.explained:
            meanings.setdefault(measure.short, (measure.with_unit, measure.explained))
    return dict(sorted(meanings.values()))


def repeat_parts(config: dict[str, Any], origin: dict[str, Any]) -> Iterator[PagePart]:
    """Yield the command, the provenance, and the whole config."""
    yield Code(origin["command"])
    yield Listing(origin_lines(origin))
    yield _folded_yaml("The whole config", config)


def _folded_yaml(title: str, content: dict[str, Any]) -> Folded:
    return Folded(title, (Code(yaml.safe_dump(content, sort_keys=False, allow_unicode=True)),))


ORIGIN = """
{% if when %}run at {{ when[:16].replace("T", " ") }} UTC, {% endif -%}
data `{{ data }}`, code `{{ code }}`,
{% if git %}commit `{{ git.commit[:12] }}`{% if git.get("changed") %} with changes{% endif %}
{%- else %}no repository{% endif %}

{{ machine.cpu }}, {{ threads }} thread a cell, device {{ device }}

{% for name, version in versions.items() if version -%}
{{ name }} {{ version }}{{ ", " if not loop.last }}
{%- endfor %}"""


def origin_lines(origin: dict[str, Any]) -> list[str]:
    """Return the fingerprints of data and code, the machine, and the versions."""
    return say_lines(ORIGIN, {"when": "", "git": None, **origin})


def write_page(page: Page, folder: Path) -> tuple[Path, Path]:
    """Write the page's two files into a folder: `report.html` and `report.md`.

    Raises:
        HwdsError: The folder cannot be written.
    """
    from hwds.core.files import write_text
    from hwds.results.files import write_markdown

    paths = folder / "report.html", folder / "report.md"
    write_text(paths[0], page.html())
    write_markdown(paths[1], page.markdown())
    return paths


# The report of a comparison.

EFFECTS_CAPTION = (
    "By how much the model is better than each rival, with the interval; right of "
    "the line it is better"
)
RANKS_ALT = "Mean ranks of the models on a line; bars join those that cannot be told apart"


def comparison_page(
    result: Comparison, command: str, origins: Mapping[str, dict[str, Any]] = MappingProxyType({})
) -> Page:
    """Return the page of a comparison.

    Args:
        result: The result of the comparison.
        command: The command that repeats it.
        origins: The provenance of its runs by their titles, of those that still exist.
    """
    grids = list(comparison_grids(result))
    board, effects = (grids[0], grids[1:]) if grids else (None, [])
    specified = specification_grid(result)
    drawn = _figure_parts(coefficients_figure(result), COEFFICIENTS_CAPTION, "coefficients.png")
    forest = _figure_parts(comparison_figure(result), EFFECTS_CAPTION, "forest.png")
    diagram = _figure_parts(
        critical_difference_figure(result), RANKS_ALT, "critical_difference.png"
    )
    notes = tuple(Text(note, note=True) for note in result.notes)
    table = (GridTable(replace(specified, caption="")), *drawn) if specified else ()
    ranking = (GridTable(without_zero_counts(replace(board, caption=""))),) if board else ()
    sections = [
        Section(SPECIFIED, (*notes, *table) if specified else ()),
        Section("Leaderboard", ranking if specified else (*notes, *ranking)),
        Section("Effects", (*forest, *map(GridTable, effects))),
        Section("Ranks", (Text(rank_sentence(result)), *diagram) if diagram else ()),
        Section("What the columns mean", (Listing(comparison_legend(result)),)),
        Section("How to have it again", tuple(_comparison_origin(result, command, origins))),
    ]
    runs = len(result.sources)
    below = (
        f"Compared on the rows that all models answered, of {runs} run{'s' * (runs != 1)}; "
        f"effect, interval, then p."
        if result.ranked
        else f"Estimates of {runs} run{'s' * (runs != 1)}, next to each other; none is tested "
        f"against another."
    )
    return Page(comparison_title(result), comparison_sentence(result), below, tuple(sections))


def _comparison_origin(
    result: Comparison, command: str, origins: Mapping[str, dict[str, Any]]
) -> Iterator[PagePart]:
    """Yield the command, and for each run its command and provenance."""
    yield Code(command)
    for source in result.sources:
        origin = origins.get(source)
        lines = (
            (f"`{origin['command']}`", *origin_lines(origin))
            if origin
            else ("its folder is not at hand any more",)
        )
        yield Folded(f"Run {source}", (Listing(lines),))


def _figure_parts(figure: Figure | None, caption: str, file: str) -> tuple[Picture, ...]:
    return () if figure is None else (Picture.of_figure(figure, caption, file),)


# The report of a study: its answer, every contrast, the plan that was fixed before, and the
# command to repeat it.

CONTRASTS_ALT = (
    "The effect of each contrast with its interval; the band is the margin within "
    "which a difference does not matter"
)


PLAN = """
`{{ model }}` against {% for each in rivals %}`{{ each }}`{{ ", " if not loop.last }}{% endfor %} by
`{{ metric }}`

a difference of less than {{ margin_words }} does not matter

seeds {{ seeds | join(", ") }}

{% for name, more in experiments.items() -%}
{{ name }}: `{{ (words | list + more | list) | join(" ") }}`

{% endfor %}"""

RULE = """
{%- for clause in rule %}
{%- for key in ("all", "some", "none") if key in clause -%}
{{ key }} {{ clause[key] | join(" or ") }}{{ " and " if not loop.last }}
{%- else %}else
{%- endfor %}: {{ clause.then }}

{% endfor %}"""

STUDY_LEGEND = """
{% if measure.explained %}`{{ measure.name }}`: {{ measure.explained }}.{% endif %}

better by: {{ "the share by which the model's mean is better than the rival's" if shares
else "the difference of the means" }}.

interval: 95 %, of one contrast; `of` counts what it was averaged over.

p, Holm: of no difference, corrected for {{ contrasts | length | counted("contrasts") }} together.

p of a difference that matters: of one of {{ margin_words }} or more (two one-sided tests),
corrected too.

verdict: alike where the difference is surely within the margin, else better or worse where it is
sure.

{% if worlds %}worlds: each seed has simulated data of its own; intervals are of other worlds and
trainings.{% endif %}"""


def study_page(study: StudyResult, each: Mapping[str, Comparison]) -> Page:
    """Return the page of a study.

    Args:
        study: The result of the study.
        each: The comparison of each of its experiments.
    """
    plan = study.plan
    changes = [
        f"The plan was changed after results were known: {change}." for change in study.amended
    ]
    first: list[PagePart] = [Text(change, note=True) for change in changes]
    first += [Text(note, note=True) for note in study.notes]
    first += [GridTable(contrasts_grid(study))]
    first += _figure_parts(contrasts_figure(study), CONTRASTS_ALT, "contrasts.png")
    boards = {name: board_grid(one) for name, one in each.items()}
    sections = (
        Section("What was found", tuple(first)),
        Section(
            "The experiments",
            tuple(
                GridTable(replace(board, caption=f"{name}: {board.caption}"))
                for name, board in boards.items()
            ),
        ),
        Section(
            "What was decided before",
            (
                Listing(say_lines(PLAN, {"words": (), **plan}, margin_words=_margin_words(study))),
                Text("The first line of the rule that holds is the answer:"),
                Listing(say_lines(RULE, plan)),
            ),
        ),
        Section("What the columns mean", (Listing(_study_legend(study, each)),)),
        Section("How to have it again", tuple(_study_origin(study))),
    )
    runs = study.scores["run"].n_unique()
    below = (
        f"Study {study.name}: {counted(len(plan['experiments']), 'experiments')} x "
        f"{counted(len(plan['seeds']), 'seeds')},"
        f" {counted(runs, 'runs')}; the answer follows from the contrasts by the rule that was "
        f"written down before."
    )
    word = study_word(study.contrasts["verdict"])
    return Page(plan["question"], f"{word}: {study.verdict}", below, sections)


def contrasts_grid(study: StudyResult) -> Grid:
    """Return the table of contrasts."""
    model, rivals = study.plan["model"], study.plan["rivals"]
    several = len(rivals) > 1
    names = "experiment rival value ends p_holm verdict p_value alike_holm method clusters"
    return declared_grid(
        STUDY_CONTRASTS,
        with_amounts(study.contrasts, study.unit),
        columns=names if several else names.replace("rival ", ""),
        names=2 if several else 1,
        caption="{{ model }} against {{ rival }} by {{ metric }} (above 0: it is better):",
        model=model,
        rival="each rival" if several else rivals[0],
        metric=study.plan["metric"],
        percent=95,
        one_rival=not several,
    )


def _margin_words(study: StudyResult) -> str:
    relative = bool(study.contrasts["relative"].all())
    return margin_text(study.plan["margin"], relative, study.unit)


def _study_legend(study: StudyResult, each: Mapping[str, Comparison]) -> list[str]:
    return say_lines(
        STUDY_LEGEND,
        study,
        measure=next(iter(each.values())).measure,
        shares=bool(study.contrasts["relative"].all()),
        margin_words=_margin_words(study),
        worlds=any(one.units == "worlds" for one in each.values()),
    )


def _study_origin(study: StudyResult) -> Iterator[PagePart]:
    origin = study.origin
    code = f"code {', '.join(f'`{each}`' for each in origin.get('code', ()))}"
    yield Listing(
        (
            f"`python -m hwds study {study.name}` computes it again beside the frozen tables, and "
            f"says whether they agree",
            f"plan `{study.plan_hash}`, {code}",
            ", ".join(
                f"{name} {version}"
                for name, version in origin.get("versions", {}).items()
                if version
            ),
        )
    )


# The report of a sweep: the gain of its best settings, every trial, the search space, and the
# command to repeat it.

SWEEP_CAPTIONS = {
    "sweep.png": "Scores of trials, the running score from window to window, and each setting "
    "against the score",
    "parallel.png": "Each trial as a line through its settings to its score",
    "front.png": "The metric against the other objectives: no other trial beats one of the front "
    "in all of them",
    "importance.png": "How much of the spread of scores each setting makes, with its interval",
}

BASELINE_NOTE = "Trial 0 is the experiment as it stood, which no search stops."

TRIAL_MEANINGS = (
    "windows: how many inner windows a trial was scored on; they end before the experiment's own "
    "windows begin.",
    "finished: scored on all of them; stopped: ended on the way by the scheduler, so that it "
    "competes with none of these.",
    "optimism: the best trial's score on the inner windows less that on the final ones, which no "
    "trial has seen.",
)


TRIAL_ERRORS = Declared.of(
    Column("trial", "text", title="trial", brief="trial"),
    Column("status", "text", title="status", brief="status"),
    Column("error", "text", title="what went wrong", brief="what went wrong"),
)


def sweep_page(folder: SweepFolder) -> Page:
    """Return the page of a finished sweep.

    Raises:
        HwdsError: It is not finished.
    """
    data, result = folder.read_json(), stored_result(folder)
    failed = result.trials.filter(col("error") != "")
    sections = (
        Section(
            "Trials",
            (
                GridTable(trials_grid(result)),
                *([Text(BASELINE_NOTE)] if data["sweep"].get("baseline") else []),
                Text(f"The best settings are those of trial {result.best}:"),
                Code(folder.read_best()),
            ),
        ),
        *_front_parts(result, data),
        Section("Pictures", tuple(_sweep_pictures(folder, data))),
        Section("The best settings on the final windows", tuple(_final_board(_best_run(data)))),
        Section(
            "What was searched",
            (
                GridTable(space_grid(data["space"])),
                _folded_yaml("The sweep's own settings", data["sweep"]),
            ),
        ),
        Section(
            "What failed",
            (
                GridTable(declared_grid(TRIAL_ERRORS, failed, names=3))
                if len(failed)
                else Text("No trial failed."),
            ),
        ),
        Section(
            "What the numbers mean",
            (Listing((f"`{data['metric']}`: {data['better']}er is better.", *TRIAL_MEANINGS)),),
        ),
        Section("How to have it again", tuple(_sweep_origin(folder, data))),
    )
    trials = (
        f"{data['trials']} trials, {data.get('finished', 0)} of them finished, on "
        f"{len(data['windows'])} inner windows"
    )
    return Page(
        f"{data['experiment']}: sweep for {result.model}",
        sweep_conclusion(result),
        f"Sweep {folder.title}: {trials}.",
        sections,
    )


def _front_parts(result: SweepResult, data: dict[str, Any]) -> Iterator[Section]:
    """Yield the section of the Pareto front, where there are several objectives."""
    if front := data.get("front"):
        table = (GridTable(front_grid(front, result.trials)),) if front["trials"] else ()
        yield Section("The Pareto front", (Text(front_sentence(front)), *table))


def _sweep_pictures(folder: SweepFolder, data: dict[str, Any]) -> Iterator[PagePart]:
    """Yield the pictures of the sweep, and the sentences on importance and time."""
    names = sorted(path.name for path in folder.path.glob("*.png"))
    yield from _named_pictures(folder.path, names, SWEEP_CAPTIONS)
    sentences = (
        importance_sentence(data.get("importance", {})),
        time_sentence(data.get("time", {})),
    )
    yield from (Text(sentence) for sentence in sentences if sentence)


def _best_run(data: dict[str, Any]) -> RunFolder | None:
    """Return the folder of the run of the best settings; None where it does not exist any more."""
    run = RunFolder.of_title(str(data.get("run")))
    return run if run.finished else None


def _final_board(folder: RunFolder | None) -> Iterator[PagePart]:
    """Yield its leaderboard."""
    if folder is None:
        return
    board = stored_standings(folder.read_config(), folder.read_tables())
    yield GridTable(without_zero_counts(leaderboard_grid(board)))
    yield Text(f"This is run {folder.title}; hwds report {folder.title} writes its own report.")


def _sweep_origin(folder: SweepFolder, data: dict[str, Any]) -> Iterator[PagePart]:
    yield Code(data["command"])
    yield Text("The best settings alone:")
    yield Code(folder.command)
    run = _best_run(data)
    if run is not None:
        yield Listing(origin_lines(run.read_provenance()))
    yield _folded_yaml("The whole config", data["config"])
