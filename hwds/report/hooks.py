"""Hooks: the parts that a family adds to the reports of its runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from hwds.core.errors import ConfigError, HwdsError
from hwds.core.registry import Task, families_of, load_reference, resolve, stored_task, task_of
from hwds.report.grid import Grid, declared_grid
from hwds.report.leaderboard import leaderboard_notes, standing_grid
from hwds.report.pictures import gather_figures
from hwds.report.standings import Standings, run_conclusion
from hwds.report.words import ESTIMATE, NOT_SURE, say_lines, word_of
from hwds.results.tables import Tables

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from polars import DataFrame

    from hwds.report.page_parts import Page, Section
    from hwds.results.tables import Declared


@dataclass(frozen=True, kw_only=True)
class TaskReport:
    """The parts that a task adds to the report of a run; each may be missing.

    Attributes:
        sentence: The function from (frame, tables, model) to the conclusion; where empty it is made
            from the leaderboard.
        grids: The function from (tables, model) to the tables that replace the leaderboard on the
            terminal.
        page_grids: The function from (tables, model) to tables for pages only, below the
            leaderboard.
        draw: The function of (frame, tables, model, folder) that draws the pictures.
        draw_scores: The function of (tables, standings, folder) that draws the pictures that need
            no data.
        captions: The caption of each picture by the name of its file, in the order of the page.
        sections: The function from (tables, standings, frame) to sections of the page; the frame is
            None where the data is gone.
        lines: The function from (tables, standings) to further lines of the conclusion, which
            weigh less than those before.
        next: The function from (config, standings) to what would help next: words, and a command.
        note: A warning about the report itself.
        ranks: The question is which model is best. Where it is not, but what the data shows, the
            task's results come first on the page and the leaderboard has no picture.
        compared: The verdict is that of `hwds compare` on the run. The sentence is a note then.
    """

    sentence: Callable[[Any, Tables, str], str] | None = None
    grids: Callable[[Tables, str], Iterable[Grid]] | None = None
    page_grids: Callable[[Tables, str], Iterable[Grid]] | None = None
    draw: Callable[[Any, Tables, str, Path], None] | None = None
    draw_scores: Callable[[Tables, Standings, Path], None] | None = None
    captions: Mapping[str, str] = field(default_factory=dict)
    sections: Callable[[Tables, Standings, Any], Iterable[Section]] | None = None
    lines: Callable[[Tables, Standings], Iterable[str]] | None = None
    next: Callable[[Mapping[str, Any], Standings], str] | None = None
    note: str = ""
    ranks: bool = True
    compared: bool = False

    def conclusion(
        self,
        frame: Any,
        tables: Tables,
        board: Standings,
        model: str,
        config: Mapping[str, Any] | None = None,
        doubts: Iterable[str] = (),
    ) -> str:
        """Return the conclusion of a run: the verdict, then notes by their weight, a line each.

        Args:
            frame: The data; None where it is gone.
            tables: The tables of the run.
            board: Its standings.
            model: The experiment's own model.
            config: The config of the run, for a verdict on its rivals.
            doubts: What the verdict rests on, which weighs most.
        """
        sentence = self.sentence(frame, tables, model) if self.sentence else ""
        verdict = own_verdict(config, tables, model) if self.compared and config else []
        if self.compared and sentence and not verdict:
            sentence = f"{ESTIMATE}: {sentence}"
        if not (verdict or sentence):
            sentence = run_conclusion(board)
        more = self.lines(tables, board) if self.lines else ()
        said = [*verdict, *filter(None, [sentence])]
        return "\n".join([*said, *doubts, *more])

    def pictures(
        self, frame: Any, tables: Tables, board: Standings, model: str, folder: Path
    ) -> None:
        """Draw the pictures and pages of the task into a folder."""
        if self.draw:
            self.draw(frame, tables, model, folder)
        if self.draw_scores:
            self.draw_scores(tables, board, folder)

    def figures(
        self, frame: Any, tables: Tables, board: Standings, model: str
    ) -> dict[str, Figure]:
        """Return the pictures as figures, by the names of their files; nothing is written."""
        with gather_figures() as figures, TemporaryDirectory() as folder:
            self.pictures(frame, tables, board, model, Path(folder))
        return figures

    def terminal_tables(self, tables: Tables, board: Standings) -> list[Grid]:
        """Return the tables beside the leaderboard."""
        return list(self.grids(tables, board.own.model)) if self.grids and board.own else []

    def page_tables(self, tables: Tables, board: Standings) -> list[Grid]:
        """Return the tables of pages alone; empty ones are left out."""
        grids = self.page_grids(tables, board.own.model) if self.page_grids and board.own else []
        return [each for each in grids if len(each)]

    def page_sections(self, tables: Tables, board: Standings, frame: Any) -> list[Section]:
        """Return the task's own sections of the page."""
        return list(self.sections(tables, board, frame)) if self.sections and board.own else []

    def notes(self, board: Standings, remarks: Iterable[str] = ()) -> list[str]:
        """Return the warnings to read before the numbers, beside the remarks of the run."""
        return [*leaderboard_notes(board, remarks), *filter(None, [self.note])]

    def first_tables(self, tables: Tables, board: Standings) -> list[Grid]:
        """Return the tables of the terminal: those of the task, or the leaderboard."""
        return self.terminal_tables(tables, board) or [standing_grid(board)]


OWN_VERDICT = """
{%- set value, ends = amount(row) %}
{%- set base = leaderboard["n"][0] | counted(units) %}
{{- word }}: {{ subject }} is {{ value }} {{ "better" if row.effect > 0 else "worse" }} than
{{ row.rival }}
{%- if row.verdict == "unsure" %} so far; {{ base }} cannot tell
{%- if ends %} (95 %: {{ ends }}){% endif %}.
{%- else %} (95 %: {{ ends }}; {{ base }}).
{%- endif %}

{% if rows | length > 1 -%}
Of {{ rows | length }} rivals it beats {{ counts.better }} and is worse than {{ counts.worse }};
{{ counts.unsure }} cannot be told from it.
{%- endif %}"""


def own_verdict(config: Mapping[str, Any], tables: Tables, model: str) -> list[str]:
    """Return the verdict of `hwds compare` on a run in a sentence, and a note on all rivals.

    The sentence names the best of the rivals that are better, else the best of those that are
    worse, else the best one. Empty of a run that has no rival.

    Args:
        config: The config of the run.
        tables: Its tables.
        model: The experiment's own.
    """
    from hwds.report.comparison import effect_amount
    from hwds.stats.compare import compare
    from hwds.stats.sources import RunSource

    source = RunSource("", config, "", "", tables)
    if model not in source.models or len(source.models) == 1:
        return []
    try:
        result = compare([source])
    except HwdsError as error:
        return [f"{NOT_SURE}: no test was made. {error}"]
    rows = result.pairs.to_dicts()
    of = {name: [row for row in rows if row["verdict"] == name] for name in VERDICTS}
    named = next(filter(None, of.values()))[-1]
    return say_lines(
        OWN_VERDICT,
        result,
        word=word_of([named["verdict"]]),
        row=named,
        rows=rows,
        counts={name: len(each) for name, each in of.items()},
        amount=partial(effect_amount, result),
    )


VERDICTS = ("worse", "better", "unsure")
"""The verdicts on a rival, in the order of their weight."""


@dataclass(frozen=True, kw_only=True)
class TableReport:
    """The report of one table of a verdict.

    Attributes:
        columns: The declaration of the table for readers; None where it has none.
        rows: The function from the verdict to the rows that are shown; its table where it is None.
        most: The rows that are shown at most.
        title: The template of the line above the table, which may name the number of its `rows` and
            those `shown`.
        own: The template of the text that marks the experiment's own rows.
        names: The number of columns of text at the front.
        words: The number of columns of text at the back.
        order: The columns in the order in which they are shown; empty for that of the table.
        grid: The function from the verdict to the table for readers, where it is not that of the
            columns.
        first: The function from the verdict to a table of at most eight columns that stands before
            this one, and that the terminal shows.
        figure: The function from the verdict to its picture; None for none.
        caption: The caption of the picture.
        write: The function of (verdict, folder) that writes files of its own into a folder of the
            table's name, which is empty.
    """

    columns: Declared | None = None
    rows: Callable[[Any], DataFrame] | None = None
    most: int | None = None
    title: str = ""
    own: str = ""
    names: int = 1
    words: int = 0
    order: str = ""
    grid: Callable[[Any], Grid] | None = None
    first: Callable[[Any], Grid] | None = None
    figure: Callable[[Any], Figure | None] | None = None
    caption: str = ""
    write: Callable[[Any, Path], None] | None = None

    def grid_of(self, verdict: Any, table: DataFrame | None = None) -> Grid | None:
        """Return the table of a verdict for readers; None where there is none."""
        if self.grid or self.columns is None:
            return self.grid(verdict) if self.grid else None
        rows = self.rows(verdict) if self.rows else table
        assert rows is not None
        shown = rows.head(self.most) if self.most else rows
        return declared_grid(
            self.columns,
            shown,
            verdict,
            columns=self.order,
            own=self.own,
            names=self.names,
            words=self.words,
            caption=self.title,
            rows=len(rows),
            shown=len(shown),
        )


@dataclass(frozen=True, kw_only=True)
class DecisionPack:
    """The page and the workbook of a verdict, for those who decide.

    Attributes:
        page: The function from the verdict to the page.
        sheets: The function from the verdict to the tables of the workbook, by the name of their
            sheet.
    """

    page: Callable[[Any], Page]
    sheets: Callable[[Any], Mapping[str, DataFrame]]


def task_report(protocol: type, task: str) -> TaskReport:
    """Return the report of a task that a protocol evaluates.

    Raises:
        ConfigError: The family, or its report, cannot be imported.
    """
    return _load_report(task_of(protocol, task))


def stored_report(config: Mapping[str, Any], tables: Tables) -> TaskReport:
    """Return the report of a stored run: that of its task, or one with a note why the task's report
    is missing.

    Args:
        config: The config of the run.
        tables: The result tables of the run.
    """
    protocol, task = config["protocol"], next(iter(tables.scores["task"].drop_nulls()), "")
    try:
        return _load_report(stored_task(str(protocol.get("recipe", protocol["name"])), task))
    except ConfigError as error:
        return TaskReport(note=f"Shown without the report of task '{task}': {error}")


def table_reports(decision: type, names: Iterable[str]) -> dict[str, TableReport]:
    """Return the report of each table of a verdict: those that the decision's class names, then
    those of its families.

    Raises:
        ConfigError: A family, or a report, cannot be imported.
    """
    paths: dict[str, str] = dict(getattr(decision, "reports", {}))
    for family in families_of(decision):
        paths = {**family.tables, **paths}
    return {name: load_reference(paths[name], TableReport) for name in names if name in paths}


def stored_table_reports(config: Mapping[str, Any], names: Iterable[str]) -> dict[str, TableReport]:
    """Return the report of each table of a stored verdict.

    Nothing where its decision does not exist any more.
    """
    node = config.get("decision") or {"name": "none"}
    try:
        return table_reports(resolve("decision", str(node.get("recipe", node["name"]))), names)
    except ConfigError:
        return {}


def _load_report(task: Task | None) -> TaskReport:
    return load_reference(task.report, TaskReport) if task and task.report else TaskReport()
