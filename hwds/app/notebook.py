"""Results in a notebook: a run, a comparison, a difference, each with its tables, its figures and its HTML."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from hwds.app.scored import Scored
from hwds.compare.models import compare
from hwds.compare.source import Source
from hwds.compare.stored import stored_comparison
from hwds.core.errors import HwdsError, nearest, unknown
from hwds.core.outputs import OUTPUTS
from hwds.experiment.check import check
from hwds.report import difference, leaderboard
from hwds.report.comparison import tables as comparison
from hwds.report.comparison.sentence import sentence
from hwds.report.hooks import stored_report
from hwds.report.pages.base import fragment
from hwds.report.pictures.critical_difference import critical_difference_figure
from hwds.report.pictures.forest import comparison_figure
from hwds.report.pictures.leaderboard import leaderboard_figure
from hwds.report.sentence import conclusion
from hwds.report.sweep.result import SweepResult, from_dict
from hwds.report.sweep.sentence import conclusion as sweep_conclusion
from hwds.report.sweep.tables import trials_grid
from hwds.results.comparison import Comparison, comparison_folder, comparison_folders
from hwds.results.difference import Difference
from hwds.results.difference import difference as differing
from hwds.results.files import lies_in
from hwds.results.folder import RunFolder
from hwds.results.measure import Measure
from hwds.results.sweep_folder import PREFIX, SWEEP, SweepFolder
from hwds.results.tables import Tables
from hwds.statistics.standard_errors import RESAMPLES

if TYPE_CHECKING:
    from matplotlib.figure import Figure


MOST_TRIALS = 20
"""Trials that a notebook shows, the best first."""


@dataclass(frozen=True, eq=False)
class Run(Scored):
    """A stored run; its contents are read when they are first used.

    Attributes:
        folder: Where it lies.
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
    def conclusion(self) -> str:
        """The conclusion of the run, in a sentence or two."""
        return self.folder.read_conclusion() or conclusion(self.standings)

    def figures(self) -> dict[str, Figure]:
        """Return every picture of the run as a matplotlib figure, by name: `leaderboard`, `forecasts`, `regret`, ...

        Raises:
            DataError: The data, which pictures show beside the results, is not there any more.
        """
        experiment = check(self.config)
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
        self, *others: Run, metric: str = "", model: str = "", margin: float | None = None, resamples: int = RESAMPLES
    ) -> Compared:
        """Compare the models of this run and others; see `hwds compare`."""
        sources = Source.read([run.folder for run in (self, *others)])
        return Compared(compare(sources, metric=metric, model=model, margin=margin, resamples=resamples))

    def diff(self, other: Run) -> Differing:
        """Return how another run differs from this one; see `hwds diff`."""
        return Differing(differing(self.folder, other.folder))

    def __repr__(self) -> str:
        return f"Run({self.title})"

    def _repr_html_(self) -> str:
        below = f"Run {self.title}: {self.folder.path}"
        if not (self.folder.path / "scores.parquet").is_file():
            return fragment(f"Run {self.title} is not finished.", (), below)
        board = self.standings
        return fragment(self.conclusion, (leaderboard.grid(board),), below, leaderboard.notes(board))


@dataclass(frozen=True, eq=False)
class Sweep:
    """A stored search for better settings.

    Attributes:
        folder: Where it lies.
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
    def trials(self) -> pl.DataFrame:
        """A row a trial: its settings, its status, its score on the inner windows with the standard error."""
        return self.folder.read_trials()

    @property
    def best(self) -> dict[str, Any]:
        """The settings of the best trial, by path.

        Raises:
            HwdsError: The search has not come so far.
        """
        (row,) = self.trials.filter(pl.col("trial") == self.result.best).to_dicts()
        groups = tuple(f"{group}." for group in self.record["space"])
        return {path: value for path, value in row.items() if path.startswith(groups) and value is not None}

    @property
    def run(self) -> Run:
        """The run of the best settings on the final windows, which no trial has seen.

        Raises:
            HwdsError: The search has not come so far.
        """
        if "run" not in self.record:
            raise HwdsError(f"sweep {self.title} is not finished; the same command goes on.")
        return Run(RunFolder((OUTPUTS / "runs" / self.record["run"]).resolve()))

    @cached_property
    def result(self) -> SweepResult:
        """The best trial and the experiment as it stood, on the inner windows and on the final ones.

        Raises:
            HwdsError: The search has not come so far.
        """
        if "best" not in self.record:
            raise HwdsError(f"sweep {self.title} is not finished; the same command goes on.")
        return from_dict(self.trials, self.record, Measure(self.record["metric"], better=self.record["better"]))

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
        return fragment(self.sentence, (trials_grid(self.result, MOST_TRIALS),), below)


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
        return sentence(self.result)

    def figure(self) -> Figure | None:
        """Return the critical-difference diagram; where too few models or blocks have one, the effects with their intervals."""
        return critical_difference_figure(self.result) or comparison_figure(self.result)

    def __repr__(self) -> str:
        return f"Compared({self.sentence})"

    def _repr_html_(self) -> str:
        below = f"Compared on the rows that all models answered, of runs {', '.join(self.result.sources)}."
        return fragment(self.sentence, comparison.grids(self.result), below, self.result.notes)


@dataclass(frozen=True, eq=False)
class Differing:
    """The differences between two runs.

    Attributes:
        result: The changes and the scores.
    """

    result: Difference

    def __repr__(self) -> str:
        return difference.words(self.result)

    def _repr_html_(self) -> str:
        return fragment(difference.words(self.result), difference.grids(self.result))


def load_run(name: str | Path) -> Run:
    """Return a run by its path, its id or the beginning of it, or the latest of an experiment.

    Raises:
        ConfigError: There is none; with the nearest name.
    """
    return Run(RunFolder.find(str(name)))


def load_sweep(name: str | Path) -> Sweep:
    """Return a sweep by its path, its id or the beginning of it, or the latest of an experiment.

    Raises:
        ConfigError: There is none; with the nearest name.
    """
    folder = SweepFolder.named(str(name) if lies_in(str(name), SWEEP) else f"{PREFIX}{str(name).removeprefix(PREFIX)}")
    assert folder is not None  # with the prefix none is an error of its own
    return Sweep(folder)


def load_comparison(name: str | Path) -> Compared:
    """Return a stored comparison of `hwds compare` by its path, its id or the beginning of it.

    Raises:
        ConfigError: There is none, with the nearest name; or several begin so.
    """
    folder = comparison_folder(str(name))
    if folder is None:
        raise unknown("comparison", str(name), OUTPUTS / "comparisons", comparison_folders())
    return Compared(stored_comparison(folder)[0])
