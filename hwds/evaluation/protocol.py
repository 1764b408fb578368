"""The base of every protocol: folds, cells, scores, segments, the context of models, abilities."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar, Generic, Literal, TypeVar

import numpy as np
import polars as pl
from polars import DataFrame, Series, col

from hwds.core.cache import Cache
from hwds.core.errors import ConfigError, nearest
from hwds.core.keys import Conditions
from hwds.core.recipe import Names, Recipe
from hwds.core.seeds import stream, stream_key
from hwds.frames.table import ROW_ID, Table
from hwds.results.tables import Measure, place_of_total, short
from hwds.stats.estimates import Estimate

# Fold: one fit and all of its predictions.


@dataclass(frozen=True, slots=True)
class Fold:
    """One fit and the cutoffs that it serves. Made from the data alone, so it is the same for every
    rival.

    Attributes:
        index: Its place in the order of folds.
        name: What it may know, in words (`2023-12-01`, `replications 0-999`): random streams are
            named by it, so that asking for more folds changes none of those that were there.
        units: Series, replications or rows: what may be worked on apart.
        cutoffs: The instants from which it predicts; the first is the last instant that the fit may
            know.
    """

    index: int
    name: str
    units: int
    cutoffs: tuple[Any, ...] = ()


# Leak: what was found where, and by which check; the comparison of two answers to the bit.

FUTURE_LEAK, STATE_LEAK, FILES_LEAK, PROTOCOL_LEAK = "future", "state", "files", "protocol"
TWIN_LEAK, IMPLAUSIBLE_LEAK, OWN_LABEL_LEAK = "twins", "implausible", "own label"
GIVEAWAY_LEAK = "giveaway"

LEAK_CHECKS = {
    FUTURE_LEAK: "rubbish after each cutoff",
    STATE_LEAK: "folds asked first to last, last to first in a fresh process, and under another "
    "seed",
    FILES_LEAK: "files, connections and processes that are opened while it is imported, fitted "
    "and asked",
    PROTOCOL_LEAK: "whether the rubbish replaces all that is due, and reaches the rows that are "
    "scored",
    TWIN_LEAK: "worlds that no customer tells apart",
    IMPLAUSIBLE_LEAK: "whether more is earned than the arms chosen are expected to earn",
    OWN_LABEL_LEAK: "the label of a row turned, and that row computed and scored again",
    GIVEAWAY_LEAK: "columns, missing values and orders of rows that give away what is predicted",
}
"""The description of each check that the command prints."""

UNSEEN_LEAKS = (
    "what a model does only where it is not behind walls; columns that follow the future loosely "
    "(what is likely is remarked), and an order of rows without times; a policy that knows of few "
    "customers"
)
"""Ways of leaking that no check here sees."""

UNSEEN_WITHOUT_WALLS = (
    "a walk through the process's memory that uses neither the stack nor the garbage collector, or "
    "that takes these checks apart; what is written into code, or into a file that a setting "
    "names; files that a process of the model's own opens, or other compiled code than that of "
    f"polars, pandas and pyarrow; {UNSEEN_LEAKS}"
)
"""The same where the kernel has no walls."""


@dataclass(frozen=True, slots=True)
class Leak:
    """A place where answers depend on what could not be known.

    Attributes:
        where: The model or feature set.
        fold: The fold or cutoff.
        changed: The number of answers that changed.
        asked: The number of answers that were compared.
        check: The check that found it, a key of `LEAK_CHECKS`.
        shows: What was found, in words; empty for answers that changed with the data after the
            cutoff.
    """

    where: str
    fold: str
    changed: int = 0
    asked: int = 0
    check: str = FUTURE_LEAK
    shows: str = ""

    def __str__(self) -> str:
        """Return one line."""
        shows = self.shows or "changed with the data after the cutoff"
        counted = f"{self.changed} of {self.asked} answers " if self.asked else ""
        return f"{self.where} at {self.fold}: {counted}{shows}."


def compare_answers(
    where: str,
    fold: str,
    wanted: DataFrame,
    got: DataFrame,
    check: str = FUTURE_LEAK,
    shows: str = "",
) -> Leak | None:
    """Return None where two tables hold the same bits, else the leak."""
    if wanted.height != got.height:
        most = max(wanted.height, got.height)
        return Leak(where, fold, abs(wanted.height - got.height), most, check, shows)
    same = np.ones(wanted.height, bool)
    for name in wanted.columns:
        same &= _bits(wanted[name]) == _bits(got[name])
    return None if same.all() else Leak(where, fold, int((~same).sum()), len(same), check, shows)


def differences(
    where: str, fold: str, wanted: DataFrame, got: DataFrame, check: str, shows: str
) -> Iterator[Leak]:
    """Yield the leak of two tables that do not hold the same bits."""
    leak = compare_answers(where, fold, wanted, got, check, shows)
    if leak is not None:
        yield leak


def _bits(column: Series) -> np.ndarray:
    """Return a column as something that is equal only where the bits are: floats as integers."""
    if column.dtype.is_float():
        whole = np.int64 if column.dtype == pl.Float64 else np.int32
        return column.fill_null(float("nan")).to_numpy().view(whole)
    if isinstance(column.dtype, pl.Array):
        return np.array([values.tobytes() for values in column.to_numpy()], object)
    return column.cast(pl.String).fill_null("").to_numpy()


@dataclass(frozen=True, slots=True)
class Twin:
    """A pair of frames.

    Attributes:
        check: The check that it is, a key of `leak.TRIED`.
        label: The place of the test, in words.
        shows: What an answer that differs shows, in words that follow `3 of 9 answers`.
        one: A frame.
        other: The other one.
        answers: The function from raw rows to the answers that must agree.
        part: The first of the fold's units that is run and the one after the last; None runs all.
    """

    check: str
    label: str
    shows: str
    one: Any
    other: Any
    answers: Callable[[DataFrame], DataFrame]
    part: tuple[int, int] | None = None


# Score: one line of the scores table.


@dataclass(frozen=True, slots=True)
class Score:
    """One line of the scores table; what is None does not apply.

    Attributes:
        metric: The name with its definition (`mase[m=12]`).
        aggregate: `mean`, `median`, `pooled`, `p95` or `cvar95`.
        value: The number, None where nothing was defined.
        n: The number of units it is made of.
        n_undefined: The number of units without a value (no scale, a division by zero).
        n_fallback: The number of units that were answered by something simpler than the model.
        status: `ok`, or what is to be known before the number is read (`unregistered`).
    """

    metric: str
    aggregate: str | None
    value: float | None
    stderr: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    ci_method: str | None = None
    p_value: float | None = None
    n: int = 0
    n_undefined: int = 0
    n_fallback: int = 0
    cutoff: str | None = None
    segment_by: str | None = None
    segment: str | None = None
    step: int | None = None
    status: str = "ok"

    @classmethod
    def of(cls, metric: str, aggregate: str, estimate: Estimate) -> Score:
        """Return the line of an estimate, with its interval."""
        method = estimate.method if estimate.stderr is not None else None
        interval = (estimate.stderr, estimate.low, estimate.high, method)
        n, undefined = estimate.n, estimate.n_undefined
        return cls(metric, aggregate, estimate.value, *interval, n=n, n_undefined=undefined)


def check_headline(name: str, metrics: Iterable[Measure]) -> None:
    """Refuse a headline, a short name, that is none of a task's metrics or cannot order a
    leaderboard.

    Raises:
        ConfigError: It is unknown, or neither low nor high is good.
    """
    by_name = {metric.short: metric for metric in metrics}
    if name not in by_name:
        raise ConfigError(f"protocol.headline: no metric '{name}'{nearest(name, by_name)}")
    if by_name[name].better == "none":
        ordering = ", ".join(short for short, metric in by_name.items() if metric.better != "none")
        raise ConfigError(
            f"protocol.headline: '{name}' does not order models; take one of {ordering}."
        )


def headline_score(scores: Sequence[Score], metric: str) -> Score | None:
    """Return the total of a metric, by its short name: of no step or segment, the mean where there
    are several aggregates.
    """
    total = [
        score
        for score in scores
        if short(score.metric) == metric and score.step is None and score.segment is None
    ]
    place = place_of_total([score.aggregate for score in total])
    return None if place is None else total[place]


# RunContext: the seed, the threads and the cache that models of every family are given besides
# the data.

Device = Literal["auto", "cpu", "gpu"]


@dataclass(frozen=True, slots=True)
class RunContext:
    """The settings that a protocol is given with the data; a family's own context is made of it.

    No stream is named by the model, so rivals meet the same random numbers.

    Attributes:
        seed: The experiment's seed.
        fold: The name of the fold: what it may know (`2023-12-01`), so that adding folds changes no
            stream.
        cpus: Threads that the model may use.
        device: The device on which Keras and XGBoost compute.
        features: The experiment's feature set, for models that use one.
        cache: The cache of what models ask of each other; None outside of a run.
    """

    seed: int
    fold: str = ""
    cpus: int = 1
    device: Device = "cpu"
    features: Any = None
    cache: Cache | None = None

    def shared_fields(self) -> Mapping[str, Any]:
        """Return the fields that every context has, for the context of a family."""
        return {field.name: getattr(self, field.name) for field in fields(RunContext)}

    @property
    def conditions(self) -> Conditions:
        """The rest of what numbers depend on besides data and recipes, for the key of a result."""
        return Conditions(self.seed, self.cpus, self.device)

    def stream(self, *purpose: str | int) -> np.random.Generator:
        """Return the generator of one purpose in this fold."""
        return stream(self.seed, self.fold, *purpose)

    def seed_for(self, *purpose: str | int) -> int:
        """Return a seed below 2**31 for a library that wants a number."""
        return stream_key(self.seed, self.fold, *purpose) % 2**31


# Evaluation: the one interface of every protocol, and the units of its work.

__all__ = ["Cell", "Evaluation", "Score"]

Model = TypeVar("Model")
Data = TypeVar("Data")


@dataclass(frozen=True, slots=True)
class Cell:
    """The unit of work, caching and failure: a model, a fold and a run of its units (`start` to
    `stop`, excluded).
    """

    model: str
    fold: Fold
    start: int
    stop: int

    @property
    def title(self) -> str:
        """The name in messages."""
        units = (
            ""
            if (self.start, self.stop) == (0, self.fold.units)
            else f", units {self.start}-{self.stop - 1}"
        )
        return f"{self.model} at {self.fold.name}{units}"


class Evaluation(Recipe, Generic[Model, Data]):
    """The core of every protocol: cut the data, evaluate a model, score its rows; the only code
    that sees past a cutoff.

    What only some protocols can do is an ability (`abilities`) that they inherit.

    Class attributes: `accepts`, the kind of model it evaluates; `frame_type`, the kind of frame it
    cuts; `task`, the name of its question; `keys`, the columns that name a row of its predictions
    after model and fold; `unit`, the one of them that names a unit; `block`, units in a cell of a
    model that may be cut (a constant, never taken from the number of cores); `fields_not_in_key`,
    fields that choose cells or scores, or are in a cell's key by its cutoffs and settings alone;
    `untunable`, why no settings are chosen for a protocol that is not `Tunable`, in words that
    follow its name; `needs_truth`, whether it scores by what only a simulator knows.

    Attributes:
        headline: The metric that orders the leaderboard.
        segments: Columns whose values get scores of their own, in addition to the total.
    """

    accepts: ClassVar[type] = Recipe
    frame_type: ClassVar[type] = object
    task: ClassVar[str] = ""
    keys: ClassVar[tuple[str, ...]] = ()
    unit: ClassVar[str] = ""
    block: ClassVar[int] = 1000
    fields_not_in_key: ClassVar[tuple[str, ...]] = ("headline", "segments")
    untunable: ClassVar[str] = "has no windows before its own to choose settings on"
    needs_truth: ClassVar[bool] = False

    headline: str = ""
    segments: Names = ()

    def prepare_frame(self, frame: Data) -> Data:
        """Return the frame to cut, made of a dataset's: itself, or one with more units, which no
        truth knows.

        Raises:
            ConfigError: It cannot be made of this one.
        """
        return frame

    def split(self, frame: Data) -> Sequence[Fold]:
        """Return the folds, oldest first.

        Raises:
            DataError: The data does not suffice for them.
        """
        raise NotImplementedError(f"{type(self).__name__}.split")

    def evaluate_cell(
        self, model: Model, frame: Data, cell: Cell, context: RunContext
    ) -> DataFrame:
        """Cut, fit and predict; return the rows of one cell, with all that scoring needs."""
        raise NotImplementedError(f"{type(self).__name__}.evaluate_cell")

    def fold_settings(self, fold: Fold) -> Any:
        """Return plain data that decides the rows of a fold's cells besides the protocol, the
        fold's name and its cutoffs.
        """
        return None

    @property
    def postprocess_needs_earlier_folds(self) -> bool:
        """True where `postprocess` reads earlier folds for a later one."""
        return False

    def postprocess(self, rows: DataFrame) -> DataFrame:
        """Turn the rows of one model's cells into those that are scored and kept.

        Here what needs all units at once is done (intervals pooled over series), so that how they
        were cut never shows.

        Args:
            rows: All rows of one model, of one fold or of all, oldest first, with the number of
                each one's `fold`.

        Returns:
            The rows with their `fold`, in the same order; those of inner windows are gone.
        """
        return rows

    def score(self, rows: DataFrame) -> list[Score]:
        """Return the scores of all rows of one model and one fold, or of all its folds."""
        raise NotImplementedError(f"{type(self).__name__}.score")

    def rows_to_keep(self, rows: DataFrame) -> DataFrame:
        """Return the part of one model's rows that the predictions table keeps."""
        return rows

    def measures(self, frame: Data) -> Sequence[Measure]:
        """Return a description of each metric of `score`.

        One that is not here has its name alone.
        """
        return ()

    def warnings_before(self, frame: Data, models: Mapping[str, Model]) -> list[str]:
        """Return warnings about a frame, and what models make of it, before the first cell.

        One sentence each.
        """
        return []

    def warnings_after(self, folds: Sequence[Fold], predictions: DataFrame) -> list[str]:
        """Return warnings about the predictions; one sentence each."""
        return []

    def check_features(self, features: Any, frame: Data) -> None:
        """Refuse features that are not lawful at every step on this frame.

        Called before the first cell.

        Raises:
            ConfigError: A feature reads a column where its role does not allow it.
        """

    def check_models(self, models: Mapping[str, Model], frame: Data) -> None:
        """Refuse models that cannot work on this frame; called before the first cell.

        Raises:
            ConfigError: A model needs what the frame does not have.
        """

    def check_inputs(self, models: Mapping[str, Model], features: Any, frame: Data) -> None:
        """Refuse models that name an input which neither the frame nor the features have.

        Called before the first cell.

        Raises:
            ConfigError: With the nearest name.
        """

    def check_names(self) -> None:
        """Refuse names (of metrics) that this protocol does not know.

        Called before the data is loaded.

        Raises:
            ConfigError: With the nearest right name.
        """

    def check_sweep(self, sweep: str) -> None:
        """Refuse to choose settings where no windows are left for that.

        Called before the data is loaded.

        Raises:
            ConfigError: With the reason.
        """
        why = self.why_not_tunable() if isinstance(self, Tunable) else self.untunable
        if why:
            raise ConfigError(
                f"sweep: protocol '{self.name}' {why}; '{sweep}' would choose on the scored rows."
            )

    def check_save_model(self) -> None:
        """Refuse to keep a model that could predict nothing; called before the data is loaded.

        Raises:
            ConfigError: The protocol is not `Deployable`.
        """
        if not isinstance(self, Deployable):
            raise ConfigError(
                f"save_model: protocol '{self.name}' has no model to keep; it must be none, got "
                f"'final'."
            )


@dataclass(frozen=True, eq=False)
class TuningSplit:
    """Other windows of the same experiment.

    Attributes:
        protocol: Cuts, asks and scores as the experiment's own does.
        frame: The data, without all that was not known at the first cutoff of the experiment's own.
        folds: Its windows, oldest first: a sweep's rungs.
        remark: A note for the user on them; empty for none.
    """

    protocol: Evaluation[Any, Any]
    frame: Any
    folds: Sequence[Fold]
    remark: str = ""


class Tunable(ABC):
    """A protocol that has other windows, on which a sweep chooses settings."""

    def why_not_tunable(self) -> str:
        """Return why these fields leave no such windows, in words that follow the protocol's name.

        Empty where they do.
        """
        return ""

    def search_settings(self) -> Mapping[str, Any]:
        """Return the fields that a sweep sets before its first trial, with their values."""
        return {}

    @abstractmethod
    def tuning_split(self, frame: Any, windows: int) -> TuningSplit:
        """Return other windows for a sweep to choose settings on, without a look at these.

        Simulations use other replications.

        Args:
            frame: The frame as the dataset gives it (`prepare_frame` is called within).
            windows: Their number; all that happens in them was known before this protocol's first
                cutoff.

        Raises:
            DataError: The data before it does not suffice.
        """


class Deployable(ABC):
    """A protocol whose models are kept and applied to new data."""

    together: ClassVar[bool] = False
    """A model answers all units that it was fitted to at once, and none alone."""

    @abstractmethod
    def fit_all(self, model: Any, frame: Any, context: RunContext) -> Any:
        """Return the model fitted on all rows, for use after the last one."""

    @abstractmethod
    def predict_new(self, fitted: Any, frame: Any, context: RunContext) -> DataFrame:
        """Return the predictions of a fitted model for what comes after the frame.

        Raises:
            DataError: A planned column is missing.
        """


# Abilities of some protocols beyond scoring: each a class that a protocol inherits and
# `isinstance` tests.


class Segmentable(ABC):
    """A protocol whose scores can be split by segment."""

    @abstractmethod
    def labels(self, frame: Any, column: str) -> DataFrame | None:
        """Return the `segment` of every `unit`, one row a unit in their order.

        Where a unit has parts in several segments, those of its parts, named by further columns of
        the rows (see `Segments`); None where the rows bear the column themselves (a replication's
        customers).

        Raises:
            ConfigError: The frame has no such column, with the nearest right name.
        """

    def clusters(self, frame: Any) -> DataFrame | None:
        """Return the `unit` and `CLUSTER_COLUMN` of every unit; None where each is drawn alone."""
        return None

    def doubts(self, frame: Any, predictions: DataFrame, *, sure: bool) -> Iterator[str]:
        """Yield sentences on what the difference from the reference rests on: clusters, breaks, and
        few units if it is sure.
        """
        yield from ()


class LeakTestable(ABC):
    """A protocol whose predictions can be compared with those from data that is random after a
    cutoff.
    """

    @abstractmethod
    def corrupt_after(self, frame: Any, cutoff: Any, rng: np.random.Generator) -> Any:
        """Return the frame with random values for all that is not known at a cutoff."""

    @abstractmethod
    def predictions_at(self, rows: DataFrame, cutoff: Any, frame: Any) -> DataFrame:
        """Return the part of the rows that was predicted at a cutoff, without what happened."""

    def twins(self, frame: Any, fold: Any, rows: DataFrame) -> Iterator[Twin]:
        """Yield pairs of frames that nothing a model of a fold may know tells apart: its answers to
        both must agree.

        Args:
            frame: The data.
            fold: The fold that is run on both.
            rows: The raw rows of the fold, of the data as it is.
        """
        yield from ()

    def implausible(self, rows: DataFrame) -> Iterator[str]:
        """Yield, in words, what raw rows show that no decision made before its outcome brings
        about.
        """
        yield from ()


class Contrasting(ABC):
    """A protocol with scores that need the rows of several models, or of all folds."""

    @abstractmethod
    def contrasts(self, rows: Mapping[str, DataFrame]) -> Iterator[tuple[str, Score]]:
        """Yield the scores (paired differences), each with its model's label.

        Args:
            rows: All rows of each model, the experiment's own first.
        """


class KnowsTruth(ABC):
    """A protocol of worlds that know their own truth."""

    @abstractmethod
    def oracle_scores(self, frame: Any) -> list[Score]:
        """Return a simulator's own scores, which bear the label of the truth."""

    def warnings_by_truth(self, frame: Any, predictions: DataFrame) -> list[str]:
        """Return warnings about predictions that are better than the truth allows; one sentence
        each.
        """
        return []


class SkillTested(ABC):
    """A protocol that tests the skill of a run's own model against the reference."""

    @abstractmethod
    def skill_at_all_looks(
        self, predictions: DataFrame
    ) -> tuple[Estimate, tuple[float, int, int]] | None:
        """Return the skill with the interval that holds at all looks, and what a look sees: the
        difference on the scale of comparisons, and the numbers of units and periods.
        """


class Compiling(ABC):
    """A protocol whose models are compiled before their first cell."""

    @abstractmethod
    def warm_up(self, model: Any, frame: Any) -> None:
        """Do once what each cell of a model would do first: timed apart from the cells."""

    @abstractmethod
    def units_in_cell(self, model: Any, frame: Any) -> int:
        """Return the number of units in a cell of a model."""


class WrongAnswerError(Exception):
    """A user's own code returned something else than it must; the message says what was asked and
    what came.
    """


class Trying(ABC):
    """A protocol that can try code of a user's own on toys: what raises there would raise in every
    cell.
    """

    @abstractmethod
    def try_model(self, model: Any, frame: Any, fold: Any, context: Any) -> None:
        """Fit a model on a few units of the data and ask it.

        Raise what is wrong with it or with its answers.

        Args:
            model: The recipe.
            frame: The data.
            fold: The first one.
            context: The context of the toys: with a seed and features, without a cache.
        """

    @abstractmethod
    def try_features(self, features: Any, frame: Any) -> None:
        """Compute a feature set of a few units.

        Raise what is wrong with it or with what it returns.
        """


class Foreseeable(ABC):
    """A protocol whose cells' work follows from the data and the settings, before any was timed."""

    @abstractmethod
    def work(self, model: Any, frame: Any, cell: Any) -> float | None:
        """Return the work of a cell: the seconds of one core of the machine that laws were measured
        on; None where unknown.
        """

    def budget_words(self, seconds: float) -> str:
        """Return the words of a model that keeps to a time; empty where there is none."""
        return ""

    def cutoff_words(self, frame: Any) -> str:
        """Return how many cutoffs were chosen and why; empty where they are given."""
        return ""


# Scores by segment: any protocol's own `score` over the rows of each value of a column, beside
# the total.

CLUSTER_COLUMN = "cluster"
"""The column of rows that names what their unit is drawn with."""

NO_SEGMENT = "(none)"
"""The segment of units without a value; a null segment is the total."""

SEGMENT_TEXT = "__segment__"

SEGMENT_COLUMN, PLACE_COLUMN, FOLD_COLUMN = "segment", "__place__", "__fold__"
"""Columns of labels: the segment; and where labels are finer than units, the unit's place and the
fold, for counts of failures. All others are keys, which the rows bear too.
"""


@dataclass(frozen=True, eq=False)
class ScoreSegments:
    """The segments that a run's scores are also shown by.

    Attributes:
        unit: The column of the rows that names a unit.
        labels: The `unit` and `segment` of every unit by column, in order, or of finer parts that
            are named by more of the rows' columns (`cutoff`, `time`); None where the rows bear the
            column themselves.
        clusters: The `unit` and `CLUSTER_COLUMN` of every unit; None where each is drawn alone.
    """

    unit: str = ""
    labels: Mapping[str, DataFrame | None] = field(default_factory=dict)
    clusters: DataFrame | None = None

    @classmethod
    def of(cls, protocol: Evaluation[Any, Any], frame: Any) -> ScoreSegments:
        """Return the segments that a protocol's config names.

        Raises:
            ConfigError: The protocol is not `Segmentable`, or the frame has no such column.
        """
        clusters = protocol.clusters(frame) if isinstance(protocol, Segmentable) else None
        if not protocol.segments:
            return cls(protocol.unit, clusters=clusters)
        if not isinstance(protocol, Segmentable):
            raise ConfigError(
                f"protocol.segments: protocol '{protocol.name}' has no segments, got "
                f"'{protocol.segments[0]}'."
            )
        labels = {column: protocol.labels(frame, column) for column in protocol.segments}
        return cls(protocol.unit, labels, clusters)

    def with_clusters(self, rows: DataFrame) -> DataFrame:
        """Return rows with the cluster of their unit, where units are drawn together."""
        if self.clusters is None or rows.is_empty():
            return rows
        return rows.join(self.clusters, self.unit, "left", maintain_order="left")

    def values(self, column: str) -> list[str]:
        """Return the segments of a column, in order; empty where only the rows know them."""
        labels = self.labels[column]
        return [] if labels is None else _ordered_segments(labels[SEGMENT_COLUMN])

    def scores(
        self,
        score_rows: Callable[[DataFrame], Sequence[Score]],
        rows: DataFrame,
        failed_cells: Sequence[Cell],
    ) -> Iterator[tuple[Score, int]]:
        """Yield the scores of each segment that has rows, without those of single steps, and its
        number of failed units.

        Args:
            score_rows: Scores each part as it scores the whole.
            rows: All rows of one model and one fold, or of all its folds.
            failed_cells: The cells of the same that failed.
        """
        for column, labels in self.labels.items():
            for value, part in self._parts(column, rows):
                failed = sum(_units_in_segment(labels, cell, value) for cell in failed_cells)
                for score in score_rows(part):
                    if score.step is None:
                        yield replace(score, segment_by=column, segment=value), failed

    def _parts(self, column: str, rows: DataFrame) -> Iterator[tuple[str, DataFrame]]:
        """Return the rows of each segment, in their order."""
        labels = self.labels[column]
        if labels is None:
            values = rows[column]
        else:
            others = (SEGMENT_COLUMN, PLACE_COLUMN, FOLD_COLUMN)
            keys = [name for name in labels.columns if name not in others]
            by_key = labels.select(*keys, SEGMENT_COLUMN)
            values = rows.select(keys).join(
                by_key, keys, "left", maintain_order="left", nulls_equal=True
            )[SEGMENT_COLUMN]
        marked = rows.with_columns(_segment_texts(values).alias(SEGMENT_TEXT))
        parts = marked.partition_by(
            SEGMENT_TEXT, as_dict=True, include_key=False, maintain_order=True
        )
        return ((value, parts[(value,)]) for value in _ordered_segments(values))


def _segment_texts(values: Series) -> Series:
    return values.cast(pl.String).fill_null(NO_SEGMENT)


def _ordered_segments(values: Series) -> list[str]:
    """Return the distinct values as text, numbers and dates by size, none last."""
    return list(dict.fromkeys(_segment_texts(values.unique().sort(nulls_last=True))))


def _units_in_segment(labels: DataFrame | None, cell: Cell, value: str) -> int:
    """Return the number of units of a cell in a segment: all of them where each has a part in every
    segment.
    """
    if labels is None:
        return cell.stop - cell.start
    if PLACE_COLUMN in labels.columns:
        in_cell = labels.filter(
            col(PLACE_COLUMN).is_between(cell.start, cell.stop - 1),
            _segment_texts(labels[SEGMENT_COLUMN]) == value,
        )
        if FOLD_COLUMN in labels.columns:
            in_cell = in_cell.filter(col(FOLD_COLUMN) == cell.fold.index)
        return in_cell[PLACE_COLUMN].n_unique()
    return int((_segment_texts(labels[SEGMENT_COLUMN][cell.start : cell.stop]) == value).sum())


def labels_of_rows(frame: Table, column: str) -> DataFrame:
    """Return the `segment` of each row of a table: the value of any of its columns.

    Raises:
        ConfigError: There is no such column.
    """
    if column not in frame.data.columns:
        raise ConfigError(
            f"protocol.segments: no column '{column}'{nearest(column, frame.data.columns)}"
        )
    return frame.data.select(ROW_ID, col(column).alias(SEGMENT_COLUMN))
