"""Results in a notebook: a run, a comparison, a difference, each with its tables, its figures and a page of its own."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from hwds.compare.comparing import RESAMPLES, compare
from hwds.compare.source import Source
from hwds.config.check import check
from hwds.errors import HwdsError, nearest, unknown
from hwds.report import comparison, difference, leaderboard
from hwds.report.comparison_plot import critical_difference_figure
from hwds.report.comparison_words import sentence
from hwds.report.fragment import fragment
from hwds.report.leaderboard_plot import leaderboard_figure
from hwds.report.sentence import conclusion
from hwds.report.standings import Standings, standings
from hwds.report.tasks import figures_of
from hwds.results.comparison import Comparison, comparison_folder, comparison_folders
from hwds.results.difference import Difference
from hwds.results.difference import difference as differing
from hwds.results.folder import OUTPUTS, RunFolder
from hwds.results.tables import Tables

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEADERBOARD = ("mean", "stderr", "low", "high")


@dataclass(frozen=True, eq=False)
class Run:
    """A run that was kept; what it holds is read when it is asked for.

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
    def scores(self) -> pl.DataFrame:
        """The long table of scores."""
        return self.tables.scores

    @property
    def predictions(self) -> pl.DataFrame:
        """The long table of predictions."""
        return self.tables.predictions

    @property
    def model(self) -> str:
        """The label of the experiment's own model."""
        return str(self.config["model"]["name"])

    @cached_property
    def standings(self) -> Standings:
        """What the scores say of each model, best first."""
        return standings(self.tables, str(self.config["protocol"].get("headline", "")), model=self.model)

    @property
    def conclusion(self) -> str:
        """What the run shows, in a sentence or two."""
        return self.folder.read_conclusion() or conclusion(self.standings)

    @property
    def leaderboard(self) -> pl.DataFrame:
        """One row a model, best first: the headline with its error and interval, and what was lost."""
        board = self.standings
        rows = [
            {
                "model": board.called(line),
                "metric": board.headline,
                **dict(zip(LEADERBOARD, (getattr(line.headline, name) for name in ("value", *LEADERBOARD[1:])), strict=True)),
                **{name: getattr(line, name) for name in ("n", "n_undefined", "n_failed", "n_fallback", "seconds")},
            }
            for line in board.all
        ]
        return pl.DataFrame(rows, infer_schema_length=None)

    def figures(self) -> dict[str, Figure]:
        """Every picture of the run as a matplotlib figure, by name: `leaderboard`, `forecasts`, `regret`, ...

        Raises:
            DataError: The data, which pictures show beside the results, is not there any more.
        """
        experiment: Any = check(self.config)
        frame = experiment.protocol.framed(experiment.dataset.frame())
        task = next(iter(self.scores["task"].drop_nulls()), "")
        return self._board() | figures_of(task, frame, self.tables, self.standings, self.model)

    def figure(self, name: str) -> Figure:
        """One of `figures`; that of the leaderboard needs no data.

        Raises:
            HwdsError: There is none of that name.
        """
        found = self._board()
        found = found if name in found else self.figures()
        if name not in found:
            raise HwdsError(f"run {self.title} has no figure '{name}'{nearest(name, found)}")
        return found[name]

    def _board(self) -> dict[str, Figure]:
        figure = leaderboard_figure(self.standings)
        return {} if figure is None else {"leaderboard": figure}

    def compare(
        self, *others: Run, metric: str = "", model: str = "", margin: float | None = None, resamples: int = RESAMPLES
    ) -> Compared:
        """The models of this run and others against each other; see `hwds compare`."""
        sources = Source.read([run.folder for run in (self, *others)])
        return Compared(compare(sources, metric=metric, model=model, margin=margin, resamples=resamples))

    def diff(self, other: Run) -> Differing:
        """What another run does not have in common with this one; see `hwds diff`."""
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
class Compared:
    """Models against models.

    Attributes:
        found: What it came to; its tables are `found.leaderboard`, `found.pairs`, `found.along`.
    """

    found: Comparison

    @property
    def sentence(self) -> str:
        """Effects with their intervals, and what is sure."""
        return sentence(self.found)

    def figure(self) -> Figure | None:
        """The critical-difference diagram; None with fewer than three models."""
        return critical_difference_figure(self.found)

    def __repr__(self) -> str:
        return f"Compared({self.sentence})"

    def _repr_html_(self) -> str:
        below = f"Compared on the rows that all models answered, of runs {', '.join(self.found.sources)}."
        return fragment(self.sentence, comparison.grids(self.found), below, self.found.notes)


@dataclass(frozen=True, eq=False)
class Differing:
    """What two runs do not have in common.

    Attributes:
        found: The changes and the scores.
    """

    found: Difference

    def __repr__(self) -> str:
        return difference.words(self.found)

    def _repr_html_(self) -> str:
        return fragment(difference.words(self.found), difference.grids(self.found))


def load_run(name: str | Path) -> Run:
    """A run by its path, its id or the beginning of it, or the latest of an experiment.

    Raises:
        ConfigError: There is none; the nearest is said.
    """
    return Run(RunFolder.find(str(name)))


def load_comparison(name: str | Path) -> Compared:
    """A comparison that `hwds compare` kept, by its path, its id or the beginning of it.

    Raises:
        ConfigError: There is none, and the nearest is said; or several begin so.
    """
    folder = comparison_folder(str(name))
    if folder is None:
        raise unknown("comparison", str(name), OUTPUTS / "comparisons", comparison_folders())
    return Compared(Comparison.read(folder)[0])
