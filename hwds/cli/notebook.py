"""Runs, sweeps and comparisons in Python and in a notebook, and models evaluated without YAML."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import TYPE_CHECKING, Any

import polars as pl
from polars import DataFrame

from hwds.core.errors import CellError, ConfigError, HwdsError, nearest, unknown, with_article
from hwds.core.files import OUTPUTS
from hwds.core.recipe import Recipe, uses_features
from hwds.evaluation.cells import CellOutcome, Job, compute_cell
from hwds.evaluation.protocol import Cell, Evaluation, KnowsTruth, ScoreSegments
from hwds.evaluation.run_cells import RunWork, result_tables
from hwds.experiment.spec import check_stored
from hwds.frames.features.base import FeatureSet
from hwds.frames.features.none import None_
from hwds.frames.panel import Panel
from hwds.frames.table import check_frame
from hwds.report import comparison, leaderboard
from hwds.report import runs as difference
from hwds.report.comparison import (
    comparison_figure,
    comparison_sentence,
    critical_difference_figure,
)
from hwds.report.grid import Grid, grid_of
from hwds.report.hooks import stored_report
from hwds.report.leaderboard import leaderboard_figure
from hwds.report.page_parts import Picture, fragment
from hwds.report.pages import EFFECTS_CAPTION
from hwds.report.pictures import drawable, legend_below, new_figure, tidy
from hwds.report.progress import OFTEN, PLAIN_START
from hwds.report.runs import runs_as_rows
from hwds.report.standings import Standings, run_conclusion, standings
from hwds.report.sweep import SweepResult, stored_result, sweep_conclusion, trials_grid
from hwds.report.verdict import stored_grids, verdict_captions
from hwds.results.comparison import Comparison, comparison_folder, comparison_folders
from hwds.results.difference import RunDifference
from hwds.results.difference import run_difference as differing
from hwds.results.folder import RunFolder
from hwds.results.formatting import column_texts
from hwds.results.index import RunIndex, current_fields, matching_folders, order_folders
from hwds.results.sweep_folder import SweepFolder
from hwds.results.tables import Tables, Verdict
from hwds.stats.compare import compare, stored_comparison
from hwds.stats.effects import RESAMPLES
from hwds.stats.sources import RunSource

if TYPE_CHECKING:
    from matplotlib.figure import Figure


# Scored: what anything with result tables shows in Python.


class ScoredTables:
    """Result tables and what is read from them; a subclass has `tables`, `headline` and `model`."""

    if TYPE_CHECKING:

        @property
        def tables(self) -> Tables:
            """The tables that a run writes."""

        @property
        def headline(self) -> str:
            """The metric that orders the leaderboard."""

        @property
        def model(self) -> str:
            """The label of the experiment's own model."""

    @property
    def scores(self) -> DataFrame:
        """The long table of scores."""
        return self.tables.scores

    @property
    def predictions(self) -> DataFrame:
        """The long table of predictions."""
        return self.tables.predictions

    @cached_property
    def standings(self) -> Standings:
        """The scores of each model, best first."""
        return standings(self.tables, self.headline, model=self.model)

    @property
    def leaderboard(self) -> DataFrame:
        """One row a model, best first: the headline with its error and interval, and how many units
        have no value.
        """
        return self.standings.as_table()


# Evaluate models in Python, without YAML and without a folder: frames and recipes in, tables
# out.


LEADERBOARD_CAPTION = "The headline of each model with its interval"


@dataclass(frozen=True, eq=False)
class Evaluated(ScoredTables):
    """The result of an evaluation in Python.

    Attributes:
        tables: The tables that a run writes, with the same columns.
        headline: The metric that orders the leaderboard.
        model: The label of the model that the evaluation is about.
    """

    tables: Tables
    headline: str
    model: str

    def _repr_html_(self) -> str:
        board = self.standings
        return fragment(
            run_conclusion(board),
            (leaderboard.standing_grid(board),),
            notes=leaderboard.leaderboard_notes(board),
            pictures=_pictures(leaderboard_figure(board), LEADERBOARD_CAPTION),
        )


def _pictures(figure: Figure | None, caption: str) -> list[Picture]:
    return [] if figure is None else [Picture.of_figure(figure, caption, "")]


def evaluate(
    model: Recipe,
    frame: Any,
    protocol: Evaluation[Any, Any],
    *,
    rivals: Sequence[Recipe] = (),
    features: FeatureSet | None = None,
    seed: int = 0,
    cpus: int = 1,
) -> Evaluated:
    """Evaluate models on a frame by a protocol, in this process.

    Nothing is kept, and the numbers are those of a run.

    Args:
        model: The recipe that the evaluation is about.
        frame: A `Panel`, a `Table` or a `World`, as the protocol takes it.
        protocol: Cuts the frame, asks the models and scores them.
        rivals: Other models on the same folds.
        features: Computed columns, for models that use some.
        seed: Names every random stream.
        cpus: Threads that a model may use.

    Returns:
        Scores, predictions and the leaderboard. A model without a name is labelled by its class.

    Raises:
        ConfigError: A model, or a feature, does not go with the protocol or the frame; two models
            have the same label.
        DataError: The frame does not suffice for the protocol.
        CellError: A model fails.

    Example:
        >>> from hwds.forecast import Theta, WalkForward
        >>> hwds.evaluate(Theta(), panel, WalkForward(windows=3)).leaderboard  # doctest: +SKIP
    """
    models = _by_label([model, *rivals])
    _check(models, frame, protocol)
    prepared, columns = protocol.prepare_frame(frame), features or None_()
    folds = protocol.split(prepared)
    if any(uses_features(each) for each in models.values()):
        protocol.check_features(columns, prepared)
    protocol.check_models(models, prepared)
    protocol.check_inputs(models, columns, prepared)
    with TemporaryDirectory() as folder:
        job = Job(
            protocol,
            models,
            columns,
            seed,
            cpus,
            "cpu",
            type(prepared),
            Path(folder),
            Path(folder, "cells"),
        )
        cells = {Cell(label, fold, 0, fold.units): "" for fold in folds for label in models}
        outcomes: dict[tuple[str, int], list[CellOutcome]] = {}
        for cell in cells:
            outcomes[cell.model, cell.fold.index] = [_compute_or_raise(job, prepared, cell)]
        labels: dict[str, str | int] = {
            "experiment": "python",
            "dataset": type(frame).__name__.lower(),
        }
        labels |= {"task": protocol.task, "seed": seed}
        oracle = protocol.oracle_scores(prepared) if isinstance(protocol, KnowsTruth) else ()
        measures = protocol.measures(prepared)
        work = RunWork(cells, folds, labels, ScoreSegments.of(protocol, prepared), measures, oracle)
        return Evaluated(result_tables(job, work, outcomes), protocol.headline, next(iter(models)))


def _compute_or_raise(job: Job, frame: Any, cell: Cell) -> CellOutcome:
    outcome = compute_cell(job, frame, cell)
    if outcome.rows is None:
        raise CellError(f"{cell.title}: {outcome.error}")
    return outcome


def _by_label(models: Sequence[Recipe]) -> dict[str, Recipe]:
    labels = [model.name or type(model).__name__ for model in models]
    repeated = next((label for label in labels if labels.count(label) > 1), None)
    if repeated is not None:
        raise ConfigError(
            f"evaluate: two models are called '{repeated}'; give one a name, "
            f"{repeated}(name='...')."
        )
    return dict(zip(labels, models, strict=True))


def _check(models: dict[str, Recipe], frame: Any, protocol: Evaluation[Any, Any]) -> None:
    for label, model in models.items():
        if not isinstance(model, protocol.accepts):
            given, wanted = (
                with_article(each.__name__) for each in (type(model), protocol.accepts)
            )
            raise ConfigError(
                f"evaluate: '{label}' is {given}; {type(protocol).__name__} takes {wanted}."
            )
    check_frame("evaluate", frame, protocol.frame_type, protocol)
    protocol.check_names()


# Results in a notebook: a run, a comparison, a difference, each with its tables, its figures
# and its HTML.

MOST_TRIALS = 20
"""Trials that a notebook shows, the best first."""


@dataclass(frozen=True, eq=False)
class Run(ScoredTables):
    """A stored run; its contents are read when they are first used.

    Attributes:
        folder: Its folder.
    """

    folder: RunFolder

    @property
    def title(self) -> str:
        """`<experiment>/<run id>`."""
        return self.folder.title

    @cached_property
    def config(self) -> dict[str, Any]:
        """The resolved config."""
        return self.folder.read_config()

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """The command, the code, the data, the versions and the machine."""
        return self.folder.read_provenance()

    @cached_property
    def tables(self) -> Tables:
        """All result tables.

        Raises:
            HwdsError: The run is not finished.
        """
        return self.folder.read_tables()

    @property
    def model(self) -> str:
        """The label of the experiment's own model."""
        return str(self.config["model"]["name"])

    @property
    def headline(self) -> str:
        """The metric that orders the leaderboard; empty where the protocol has none."""
        return str(self.config["protocol"].get("headline", ""))

    @property
    def verdict(self) -> Decided | None:
        """The verdict of the run's decision; None for none."""
        record = self.folder.read_verdict()
        return None if record is None else Decided(self.folder, record)

    @property
    def conclusion(self) -> str:
        """The conclusion of the run, in a sentence or two."""
        return self.folder.read_conclusion() or run_conclusion(self.standings)

    def figures(self) -> dict[str, Figure]:
        """Return every picture of the run as a matplotlib figure, by name: `leaderboard`,
        `forecasts`, `regret`, ...

        Raises:
            DataError: The data, which pictures show beside the results, is not there any more.
        """
        experiment = check_stored(self.config)
        frame = experiment.protocol.prepare_frame(experiment.dataset.frame())
        report = stored_report(self.config, self.tables)
        return self._board() | report.figures(frame, self.tables, self.standings, self.model)

    def figure(self, name: str) -> Figure:
        """Return one of `figures`; that of the leaderboard needs no data.

        Raises:
            HwdsError: There is none of that name.
        """
        figures = self._board()
        figures = figures if name in figures else self.figures()
        if name not in figures:
            raise HwdsError(f"run {self.title} has no figure '{name}'{nearest(name, figures)}")
        return figures[name]

    def _board(self) -> dict[str, Figure]:
        ranks = stored_report(self.config, self.tables).ranks
        figure = leaderboard_figure(self.standings) if ranks else None
        return {} if figure is None else {"leaderboard": figure}

    def compare(
        self,
        *others: Run,
        metric: str = "",
        model: str = "",
        margin: float | None = None,
        resamples: int = RESAMPLES,
    ) -> Compared:
        """Compare the models of this run and others; see `hwds compare`."""
        sources = RunSource.read([run.folder for run in (self, *others)])
        return Compared(
            compare(
                sources,
                metric=metric,
                model=model,
                margin=margin,
                resamples=resamples,
                remember=True,
            )
        )

    def diff(self, other: Run) -> Differing:
        """Return how another run differs from this one; see `hwds diff`."""
        return Differing(differing(self.folder, other.folder))

    def __repr__(self) -> str:
        return f"Run({self.title})"

    def _repr_html_(self) -> str:
        below = f"Run {self.title}: {self.folder.path}"
        if not self.folder.finished:
            return fragment(f"Run {self.title} is not finished.", (), below)
        board = self.standings
        return fragment(
            self.conclusion,
            (leaderboard.standing_grid(board),),
            below,
            leaderboard.leaderboard_notes(board),
            self._pictures(),
        )

    def _pictures(self) -> list[Picture]:
        """Return the leaderboard's picture, or the first one that the task has drawn."""
        report, path = stored_report(self.config, self.tables), self.folder.path
        if report.ranks:
            return _pictures(leaderboard_figure(self.standings), LEADERBOARD_CAPTION)
        drawn = [name for name in report.captions if (path / name).is_file()]
        return [Picture.of_file(path / name, report.captions[name]) for name in drawn[:1]]


@dataclass(frozen=True, eq=False)
class Decided:
    """The stored verdict of a run's decision.

    Attributes:
        folder: The folder of the run.
        record: Its fields, as `decision.json` has them.
    """

    folder: RunFolder
    record: dict[str, Any]

    @property
    def sentence(self) -> str:
        """The verdict in words."""
        return str(self.record["sentence"])

    def __repr__(self) -> str:
        return f"Decided({self.sentence})"

    def _repr_html_(self) -> str:
        config, path = self.folder.read_config(), self.folder.path
        captions = verdict_captions(config, self.record)
        drawn = [path / f"{name}.png" for name in self.record.get("tables", ())]
        return fragment(
            self.sentence,
            stored_grids(path),
            f"Run {self.folder.title}: {path}",
            pictures=[
                Picture.of_file(each, captions.get(each.name, each.stem))
                for each in drawn
                if each.is_file()
            ],
        )


@dataclass(frozen=True, eq=False)
class StoredSweep:
    """A stored search for better settings.

    Attributes:
        folder: Its folder.
    """

    folder: SweepFolder

    @property
    def title(self) -> str:
        """`<experiment>/<sweep id>`."""
        return self.folder.title

    @cached_property
    def record(self) -> dict[str, Any]:
        """The search, its settings, its sentence and its result, as `sweep.json` has them."""
        return self.folder.read_json()

    @cached_property
    def trials(self) -> DataFrame:
        """A row a trial: its settings, its status, its score on the inner windows with the standard
        error.
        """
        return self.folder.read_trials()

    @property
    def best(self) -> dict[str, Any]:
        """The settings of the best trial, by path.

        Raises:
            HwdsError: The search has not come so far.
        """
        (row,) = self.trials.filter(trial=self.result.best).to_dicts()
        groups = tuple(f"{group}." for group in self.record["space"])
        return {
            path: value
            for path, value in row.items()
            if path.startswith(groups) and value is not None
        }

    @property
    def run(self) -> Run:
        """The run of the best settings on the final windows, which no trial has seen.

        Raises:
            HwdsError: The search has not come so far.
        """
        if "run" not in self.record:
            raise HwdsError(f"sweep {self.title} is not finished; the same command goes on.")
        return Run(RunFolder.of_title(self.record["run"]))

    @cached_property
    def result(self) -> SweepResult:
        """The best trial and the experiment as it stood, on the inner windows and on the final
        ones.

        Raises:
            HwdsError: The search has not come so far.
        """
        return stored_result(self.folder)

    @property
    def sentence(self) -> str:
        """The conclusion of the search, with intervals."""
        return sweep_conclusion(self.result)

    def __repr__(self) -> str:
        return f"Sweep({self.title})"

    def _repr_html_(self) -> str:
        below = f"Sweep {self.title}: {self.folder.path}"
        if "best" not in self.record:
            return fragment(f"Sweep {self.title} is not finished.", (), below)
        return fragment(self.sentence, (trials_grid(self.result).first(MOST_TRIALS),), below)


@dataclass(frozen=True, eq=False)
class Compared:
    """A comparison of models.

    Attributes:
        result: Its tables are `result.leaderboard`, `result.pairs`, `result.along`.
    """

    result: Comparison

    @property
    def sentence(self) -> str:
        """The effects with their intervals, and which of them are certain."""
        return comparison_sentence(self.result)

    def figure(self) -> Figure | None:
        """Return the critical-difference diagram.

        If too few models or blocks have one, the effects with their intervals, or else the
        coefficients.
        """
        return (
            critical_difference_figure(self.result)
            or comparison_figure(self.result)
            or comparison.coefficients_figure(self.result)
        )

    def __repr__(self) -> str:
        return f"Compared({self.sentence})"

    def _repr_html_(self) -> str:
        below = (
            f"Compared on the rows that all models answered, of runs "
            f"{', '.join(self.result.sources)}."
        )
        return fragment(
            self.sentence,
            [
                *filter(None, [comparison.specification_grid(self.result)]),
                *comparison.comparison_grids(self.result),
            ],
            below,
            self.result.notes,
            _pictures(self.figure(), EFFECTS_CAPTION),
        )


@dataclass(frozen=True, eq=False)
class Differing:
    """The differences between two runs.

    Attributes:
        result: The changes and the scores.
    """

    result: RunDifference

    def __repr__(self) -> str:
        return difference.difference_text(self.result)

    def _repr_html_(self) -> str:
        return fragment(
            difference.difference_text(self.result), difference.difference_grids(self.result)
        )


def load_run(name: str | Path) -> Run:
    """Return a run by its path, its id or the beginning of it, or the latest of an experiment.

    Raises:
        ConfigError: There is none; with the nearest name.
    """
    return Run(RunFolder.find(str(name)))


def load_sweep(name: str | Path) -> StoredSweep:
    """Return a sweep by its path, its id or the beginning of it, or the latest of an experiment.

    Raises:
        ConfigError: There is none; with the nearest name.
    """
    return StoredSweep(SweepFolder.find(str(name)))


def load_comparison(name: str | Path) -> Compared:
    """Return a stored comparison of `hwds compare` by its path, its id or the beginning of it.

    Raises:
        ConfigError: There is none, with the nearest name; or several begin so.
    """
    folder = comparison_folder(str(name))
    if folder is None:
        raise unknown("comparison", str(name), OUTPUTS / "comparisons", comparison_folders())
    return Compared(stored_comparison(folder)[0])


# The commands that a notebook needs, as functions: run, sweep, find and compare.

SOME_FAILED = 3
"""The exit code of a run of which some cells failed, within the limit."""

ERRORS: dict[int, type[HwdsError]] = {1: CellError, 2: ConfigError}
"""The errors that the other exit codes are raised as."""


def run(*words: str) -> Run:
    """Run an experiment as `python -m hwds` does, and return its results: `run("lstm_forecast",
    "model.units=32")`.

    It runs in a process of its own, so that an edited module is read anew, and the results are
    those of the command, byte for byte. What it says while it runs goes to the standard error; what
    it prints is in the run that is returned.

    Args:
        words: The name of an experiment, unless the first word has a `=`; then overrides.

    Raises:
        ConfigError: It is refused.
        CellError: More cells failed than `compute.max_failed`.
        KeyboardInterrupt: It was interrupted; the next call goes on where it stopped.
    """
    return Run(RunFolder(_run_words(words)))


def sweep(*words: str) -> StoredSweep:
    """Search for better settings as `python -m hwds` does: `sweep("hospital", "sweep=random",
    "sweep.trials=20")`.

    Args:
        words: See `run`; one of them is `sweep=` and a search.

    Raises:
        ConfigError: It is refused, or is no search.
        CellError: No trial finished, or more cells failed than `compute.max_failed`.
    """
    if not any(word.startswith("sweep=") and word != "sweep=none" for word in words):
        raise ConfigError("sweep: must have a search among its words, such as 'sweep=random'.")
    return StoredSweep(SweepFolder(_run_words(words)))


def runs(*words: str, sort: str = "-modified", sweeps: bool = False) -> DataFrame:
    """Return the stored runs with their settings and scores, a row each, the newest first.

    Args:
        words: The name of an experiment, the beginning of an id, or conditions: `model=forecast/*`,
            `mase<0.9`, `age<7d`.
        sort: A field or metric to order by; `-mase` is the largest first.
        sweeps: Return the sweeps instead.

    Raises:
        ConfigError: A word is none of these, with the nearest right one.
    """
    index = RunIndex.of()
    if not index.paths:
        return DataFrame(schema={"path": pl.String})
    found = order_folders(index, matching_folders(index, words, "sweep" if sweeps else "run"), sort)
    return DataFrame(
        runs_as_rows(current_fields(index, found)), infer_schema_length=None, strict=False
    )


def compare_runs(
    *chosen: Run | str | Path,
    metric: str = "",
    model: str = "",
    margin: float | None = None,
    resamples: int = RESAMPLES,
) -> Compared:
    """Compare the models of runs on the rows that all of them answered; see `hwds compare`.

    Args:
        chosen: Runs, or their names.
        metric: Another metric than the headline.
        model: The one that the conclusion is about.
        margin: The share that does not matter, so that "as good as" is a finding.
        resamples: Draws of the bootstrap.

    Raises:
        ConfigError: There is no such run, or they cannot be compared.
    """
    if not chosen:
        raise ConfigError("compare_runs: must be given runs, or their names.")
    first, *others = [each if isinstance(each, Run) else load_run(each) for each in chosen]
    return first.compare(*others, metric=metric, model=model, margin=margin, resamples=resamples)


def _run_words(words: Sequence[str]) -> Path:
    """Run a command line in a process of its own, and return the folder of its results."""
    flag = next((word for word in words if word.startswith("-")), None)
    if flag is not None:
        raise ConfigError(
            f"{flag}: is a flag of the command line; here each call runs one experiment."
        )
    named = bool(words) and "=" not in words[0]
    line = [f"+experiment={words[0]}", *words[1:]] if named else list(words)
    command, notebook = [sys.executable, "-m", "hwds", *line, "--json"], NotebookLine.here()
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **({OFTEN: "1"} if notebook else {})},
    )
    last: list[str] = []
    listener = Thread(target=_pass_on, args=(process, last, notebook), daemon=True)
    listener.start()
    assert process.stdout is not None
    try:
        printed = process.stdout.read()
    except KeyboardInterrupt:  # a notebook interrupts its own process alone
        process.send_signal(signal.SIGINT)
        process.stdout.read()
        process.wait()
        raise
    code = process.wait()
    listener.join()
    if code not in (0, SOME_FAILED):
        raise ERRORS.get(code, HwdsError)(
            (last or ["it ended without a word."])[-1].removeprefix("hwds: ")
        )
    for each in last:
        print(each, file=sys.stderr)
    return Path(json.loads(printed)[0]["folder"])


class NotebookLine:
    """The progress of a process as one line of a notebook, which is drawn again in place.

    Args:
        show: IPython's `display`.
    """

    def __init__(self, show: Callable[..., Any]) -> None:
        self.show, self.handle = show, None

    @classmethod
    def here(cls) -> NotebookLine | None:
        """Return a line of the running notebook; None outside of one."""
        shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
        if not hasattr(shell, "kernel"):
            return None
        return cls(import_module("IPython.display").display)

    def draw(self, text: str) -> None:
        """Show a text in place of the one before."""
        content = {"text/plain": text}
        if self.handle is None:
            self.handle = self.show(content, raw=True, display_id=True)
        else:
            self.handle.update(content, raw=True)


def _pass_on(
    process: subprocess.Popen[str], last: list[str], notebook: NotebookLine | None = None
) -> None:
    """Print the lines of a process's standard error as they come, and leave the last: it may be a
    refusal. A notebook shows those of progress in place.
    """
    assert process.stderr is not None
    for line in process.stderr:
        if notebook and line.startswith(PLAIN_START):
            notebook.draw(line.removeprefix(PLAIN_START).rstrip("\n"))
            continue
        for earlier in last:
            print(earlier, file=sys.stderr)
        last[:] = [line.rstrip("\n")]


# Frames, fitted models and verdicts in a notebook.

MOST_SERIES, MOST_LINES = 8, 4
"""Series in the table of a panel, and in its picture."""


def html_of(value: Any) -> str:
    """Return a panel, a table, runs, a fitted model or a verdict as HTML, as a page shows it."""
    if isinstance(value, Panel):
        return _panel_html(value)
    if isinstance(value, Verdict):
        tables = value.tables().items()
        grids = [_grid(each.head(MOST_TRIALS), f"{name}:") for name, each in tables]
        return fragment(value.sentence, grids)
    frame = next(
        (
            each
            for name in ("table", "data")
            if isinstance(each := getattr(value, name, None), DataFrame)
        ),
        None,
    )
    return fragment(repr(value), [] if frame is None else [_columns_grid(value, frame)])


def _panel_html(panel: Panel) -> str:
    rows = panel.table.group_by("series_id", maintain_order=True).agg(
        rows=pl.len(),
        first=pl.col("time").first(),
        last=pl.col("time").last(),
        mean=pl.col("target").mean(),
    )
    left = len(rows) - MOST_SERIES
    notes = [f"{left:,} more series are not shown."] if left > 0 else []
    pictures = _pictures(_panel_figure(panel), "The first series of the panel")
    grid = _grid(rows.head(MOST_SERIES), "Series:")
    return fragment(repr(panel), [grid], notes=notes, pictures=pictures)


def _panel_figure(panel: Panel) -> Figure:
    figure = new_figure(8, 3)
    axes = figure.subplots()
    parts = panel.table.partition_by("series_id", maintain_order=True)[:MOST_LINES]
    for rows in parts:
        axes.plot(rows["time"], rows["target"], label=drawable(str(rows["series_id"][0]), 30))
    tidy(axes, y=panel.unit or panel.quantity)
    legend_below(figure, axes)
    return figure


def _columns_grid(value: Any, frame: DataFrame) -> Grid:
    roles = {name: role for role, names in getattr(value, "roles", {}).items() for name in names}
    rows = [
        (name, roles.get(name, ""), str(kind), f"{frame[name].null_count():,}")
        for name, kind in frame.schema.items()
    ]
    return grid_of(("column", "role", "type", "missing"), rows, names=3, caption="Columns:")


def _grid(table: DataFrame, caption: str) -> Grid:
    """Return a table as a grid, each column of numbers with decimals that fit it."""
    columns: Iterator[Sequence[str]] = (
        column_texts(each.to_list())
        if each.dtype.is_float()
        else [f"{item:,}" if isinstance(item, int) else str(item) for item in each]
        for each in table
    )
    return grid_of(table.columns, list(zip(*columns, strict=True)), caption=caption)
