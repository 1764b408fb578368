"""Cells: the job of a worker, a cell computed, its key, its cache, and losses recorded
meanwhile.
"""

from __future__ import annotations

import json
import math
import time
import traceback
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import polars as pl
from polars import DataFrame

from hwds.core.cache import Cache, Codec, Inputs, note, note_inputs, read_so_far
from hwds.core.checksums import lay_sealed, require_sound
from hwds.core.errors import ConfigError, HwdsError
from hwds.core.files import OUTPUTS, digest_bytes
from hwds.core.keys import Conditions, code_digest, key_of, modules_in
from hwds.core.recipe import Recipe, canonical, uses_features
from hwds.core.secrets import without_secrets
from hwds.core.serialization import class_path, dumps, loads
from hwds.evaluation.protocol import (
    Cell,
    Deployable,
    Device,
    Evaluation,
    Fold,
    RunContext,
    Trying,
    WrongAnswerError,
)
from hwds.frames.panel import Forecasts

# Learning: the losses that models report while they are fitted, in a file that others read
# meanwhile.
# Nothing is recorded, and nothing is computed for it, unless a run asks: no number depends on
# it.

WRITE_EVERY = 1.0
"""Seconds between two writes of a file."""

Axis = Literal["epoch", "round"]
"""The unit of steps: epochs of a network, rounds of boosting."""


@dataclass(eq=False)
class LearningFile:
    """The file of one cell: a line with its labels, then a line for each point.

    Attributes:
        path: The file, a JSON value a line.
        model: The label of the model.
        fold: The name of the fold.
        start: The first unit of the cell.
        within: The names of the fits that the one that begins is a part of, the outermost first.
        fits: The number of fits of each name.
        lines: The lines that are not written yet.
        written: The time when it was written last, by `time.monotonic`.
    """

    path: Path
    model: str
    fold: str
    start: int
    within: list[str] = field(default_factory=list)
    fits: Counter[str] = field(default_factory=Counter)
    lines: list[str] = field(default_factory=list)
    written: float = -math.inf

    def begin(self, name: str) -> str:
        """Return the name of a fit that begins: numbered where another of the cell bears it. The
        first makes the file.
        """
        if not self.fits:
            with suppress(OSError):  # as in `flush`
                self.path.parent.mkdir(parents=True, exist_ok=True)
            self.add({"model": self.model, "fold": self.fold, "start": self.start})
        whole = ", ".join([*self.within, name])
        self.fits[whole] += 1
        return whole if self.fits[whole] == 1 else f"{whole} ({self.fits[whole]})"

    def add(self, content: Mapping[str, Any]) -> None:
        """Add a line; the file is written where that was not done for `WRITE_EVERY` seconds."""
        self.lines.append(json.dumps(content, ensure_ascii=False))
        if time.monotonic() - self.written >= WRITE_EVERY:
            self.flush()

    def flush(self) -> None:
        """Write the lines that wait. No model fails because of a disk: what cannot be written is
        left out.
        """
        lines, self.lines, self.written = self.lines, [], time.monotonic()
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write("".join(f"{line}\n" for line in lines))
        except OSError:  # the tables of the run, on the same disk, say it
            return


@dataclass(frozen=True, eq=False)
class LearningCurve:
    """The losses of one fit, epoch by epoch or round by round.

    Attributes:
        name: The name of the fit, which no other of the cell has.
        axis: The unit of its steps.
        file: The file of the points; None where nobody asks for them.
    """

    name: str
    axis: Axis
    file: LearningFile | None = None

    @property
    def wanted(self) -> bool:
        """True where somebody asks for its points; else they need not be computed."""
        return self.file is not None

    def report(
        self, step: int, train: float | None = None, validation: float | None = None
    ) -> None:
        """Report the losses after so many epochs or rounds.

        Args:
            step: Their number, from 1.
            train: The mean loss on the rows that are learned from.
            validation: The mean loss on rows that are not.
        """
        if self.file is not None:
            losses = {"train": _finite(train), "validation": _finite(validation)}
            self.file.add({"fit": self.name, "axis": self.axis, "step": step, **losses})


_FILE: ContextVar[LearningFile | None] = ContextVar("learning", default=None)


@contextmanager
def recorded_learning(folder: Path | None, model: str, fold: str, start: int) -> Iterator[None]:
    """Write what is reported in the block to a file of its own in a folder.

    Nothing where the folder is None.

    Args:
        folder: The folder of a run or a sweep.
        model: The label of the model.
        fold: The name of the fold.
        start: The first unit of the cell.
    """
    if folder is None:
        yield
        return
    named = digest_bytes([json.dumps([model, fold, start]).encode()])[:16]
    file = LearningFile(folder / f"{named}.jsonl", model, fold, start)
    with suppress(OSError):
        file.path.unlink(missing_ok=True)
    token = _FILE.set(file)
    try:
        yield
    finally:
        _FILE.reset(token)
        if file.fits:
            file.flush()


@contextmanager
def inner_fit(model: str, fold: str) -> Iterator[None]:
    """Name the fits in the block by the model and the fold they are of: they are parts of the fit
    of a cell.
    """
    file = _FILE.get()
    if file is None:
        yield
        return
    part = fold.removeprefix(f"{file.fold}, ")
    file.within.append(part if model == file.model else f"{model}, {part}")
    try:
        yield
    finally:
        file.within.pop()


def learning_curve(name: str, axis: Axis) -> LearningCurve:
    """Return the curve of a fit that begins now."""
    file = _FILE.get()
    return LearningCurve(name if file is None else file.begin(name), axis, file)


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


# Codecs of the cache: tables, cells, columns, forecasts, and fitted models.

EMPTY_COLUMN = "__empty__"
"""The column of a table without columns, which parquet cannot hold."""


class TimedRows(NamedTuple):
    """The rows of a cell, and the seconds that they took."""

    rows: DataFrame
    seconds: float


def _write_rows(timed: TimedRows) -> bytes:
    rows, out = timed.rows if timed.rows.width else DataFrame({EMPTY_COLUMN: []}), BytesIO()
    rows.write_parquet(
        out, compression="zstd", metadata={"hwds": json.dumps({"seconds": timed.seconds})}
    )
    return out.getvalue()


def _read_rows(content: bytes) -> TimedRows:
    rows = pl.read_parquet(BytesIO(content))
    seconds = json.loads(pl.read_parquet_metadata(BytesIO(content))["hwds"])["seconds"]
    return TimedRows(rows.drop(EMPTY_COLUMN) if EMPTY_COLUMN in rows.columns else rows, seconds)


def _write_columns(columns: DataFrame) -> bytes:
    out = BytesIO()
    columns.write_ipc(out, compression="zstd")
    return out.getvalue()


def _write_forecasts(forecasts: Forecasts) -> bytes:
    out = BytesIO()
    parts = {name: getattr(forecasts, name) for name in ("mean", "quantiles", "fallback")}
    np.savez(out, **parts, why=np.array(forecasts.why, str))
    return out.getvalue()


def _read_forecasts(content: bytes) -> Forecasts:
    with np.load(BytesIO(content), allow_pickle=False) as arrays:
        if sum(member.file_size for member in arrays.zip.infolist()) > len(
            content
        ):  # they are stored as they are
            raise ValueError("forecasts are larger than their file")
        mean, quantiles, fallback, why = arrays.values()
        return Forecasts(mean, quantiles, fallback, why=why.astype(object))


ROWS = Codec("parquet", _write_rows, _read_rows)
COLUMNS = Codec("arrow", _write_columns, lambda content: pl.read_ipc(BytesIO(content)))
FORECASTS = Codec("npz", _write_forecasts, _read_forecasts)
FITTED: Codec[Any] = Codec("hwds", dumps, lambda content: loads(content, "the cache"))


# Job: all that a worker needs to compute any cell of a run; Outcome: the result of a cell.


@dataclass(frozen=True)
class Job:
    """All that a worker needs, sent once to each. The frame itself travels as a file,
    `frame_folder`.

    Attributes:
        protocol: Cuts, evaluates and scores.
        models: Recipe by label: the experiment's own, its rivals, the simulator's truth.
        features: The feature set.
        seed: The experiment's seed.
        cpus: Threads of each cell.
        device: `cpu` or `gpu`.
        frame_class: The class that reads `frame_folder`.
        frame_folder: The folder with the frame as Arrow.
        cells_folder: The folder of finished cells, those of inner windows too.
        machine: The class of CPU that computes; empty for this one.
        inputs: The data files that a user's code read when it was imported; None where all code is
            of hwds, and reads none.
        learning: The folder to which losses are written while models are fitted; None where nobody
            asks for them.
        named: Files, folders and variables that the config names for a user's code, with their
            digests: a part of the keys of its cells.
        variables: The values of these variables.
        sealed: Whether a user's code computes behind walls.
        ready: Whether a process imports and compiles what a class of models needs before its first
            cell, so that no cell's seconds hold that.
    """

    protocol: Evaluation[Any, Any]
    models: dict[str, Recipe]
    features: Any
    seed: int
    cpus: int
    device: Device
    frame_class: type[Any]
    frame_folder: Path
    cells_folder: Path = OUTPUTS / "cache" / "cells"
    machine: str = ""
    inputs: Inputs | None = None
    learning: Path | None = None
    named: Inputs = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    sealed: bool = False
    ready: bool = False

    def read_frame(self) -> Any:
        """Return the frame, mapped from its file.

        Raises:
            HwdsError: It is damaged.
        """
        require_sound(self.frame_folder, "the same command writes it again")
        return self.frame_class.read(self.frame_folder)


def lay_frame(frame: Any, folder: Path) -> None:
    """Write a frame where workers read it, with a checksum.

    A sound one that lies there stays, a damaged one is written again.

    Raises:
        HwdsError: The folder cannot be written.
    """
    lay_sealed(folder, frame.write)


@dataclass(frozen=True, eq=False)
class CellOutcome:
    """The result of a cell: its rows or its failure.

    Attributes:
        cell: The cell.
        rows: Its rows; None where it failed.
        seconds: What it took when it was computed.
        error: The message of a failure, empty where it succeeded.
        trace: The traceback of a failure.
        cached: Whether it was read from the cache, not computed now.
        inputs: The data files that it was computed from, besides the frame.
    """

    cell: Cell
    rows: DataFrame | None
    seconds: float
    error: str = ""
    trace: str = ""
    cached: bool = False
    inputs: Inputs = field(default_factory=dict)


# The keys of cells, and the digest of the code of a run.

COMPUTES = "hwds.evaluation.cells"
"""The module that computes rows, whatever the recipes are."""

SCORES = "hwds.evaluation.run_cells"
"""The module that makes a run's tables of them."""


def fold_key(job: Job, fingerprint: str, label: str, fold: Fold) -> str:
    """Return the key of a model's cells of a fold; `cell_key` adds which units one has.

    The features count only for a model that uses them. The label of a model, the number of a fold
    and of its units, and what of the protocol is read after the cells (`fields_not_in_key`) do not
    count.
    """
    model = job.models[label]
    protocol = {
        key: value
        for key, value in canonical(job.protocol).items()
        if key not in job.protocol.fields_not_in_key
    }
    settings = {
        "model": model,
        "features": job.features if uses_features(model) else None,
        "protocol": protocol,
        "frame": class_path(job.frame_class),
    }
    if has_own_code([model, settings["features"], job.protocol]):
        settings |= {"inputs": job.named} if job.named else {}
        settings |= {"sealed": True} if job.sealed else {}
    return key_of(
        "cells",
        [fingerprint, fold.name, repr(fold.cutoffs), job.protocol.fold_settings(fold)],
        settings,
        Conditions(job.seed, job.cpus, job.device, job.machine),
        COMPUTES,
    )


def has_own_code(recipes: Sequence[Any]) -> bool:
    """Return whether recipes, or members that their settings name, are of a user's own."""
    modules = modules_in(canonical(list(recipes)))
    return any(module.partition(".")[0] != "hwds" for module in modules)


def run_code(recipes: Sequence[Any], *modules: str) -> str:
    """Return the digest of the code of a run: what its rows and scores come from, its data too.

    Args:
        recipes: Dataset, protocol, features and models.
        modules: What else decides them.
    """
    return code_digest(list(recipes), COMPUTES, SCORES, *modules)


# Finished cells in the cache: of which units of a fold there are any, and the outcome of each.


def cell_key(fold: str, start: int, stop: int) -> str:
    """Return the key of the cell with the units from `start` to `stop` (excluded), from that of its
    model and fold.
    """
    return f"{fold}-{start}-{stop}"


@dataclass(frozen=True)
class CellCache:
    """The outcomes of finished cells by key.

    Attributes:
        entries: The cache that holds them.
    """

    entries: Cache

    def has(self, key: str) -> bool:
        """Return whether a cell is there."""
        return self.entries.has(key, ROWS)

    def runs(self, fold: str) -> list[tuple[int, int]]:
        """Return start and stop of every finished run of units of a model and fold."""
        ends = (key.rsplit("-", 2)[1:] for key in self.entries.keys(f"{fold}-", ROWS))
        return sorted((int(start), int(stop)) for start, stop in ends)

    def get(self, key: str, cell: Cell) -> CellOutcome | None:
        """Return the outcome of a cell that was computed before.

        None where it is absent, damaged, or of other input files.
        """
        timed = self.entries.load(key, ROWS)
        return None if timed is None else CellOutcome(cell, timed.rows, timed.seconds, cached=True)

    def lock(self, key: str, *, wait: bool = False) -> AbstractContextManager[bool]:
        """Return a block in which no other process computes a cell.

        While another one does, it is given False, or waits.
        """
        return self.entries.lock(key, ROWS, wait=wait)

    def put(self, key: str, outcome: CellOutcome) -> None:
        """Keep a cell that succeeded.

        Raises:
            HwdsError: The folder cannot be written.
        """
        if outcome.rows is not None:
            self.entries.store(key, ROWS, TimedRows(outcome.rows, outcome.seconds), outcome.inputs)


# The evaluation of one cell, with the context of its run.

TOY = "toy"
"""The name of the fold of toy cells in a model's context."""

_READY: set[str] = set()
"""The classes of models that this process has tried on toys."""


def context_of_fold(job: Job, fold: str) -> RunContext:
    """Return the context of the models of a fold."""
    return RunContext(job.seed, fold, job.cpus, job.device, job.features, Cache(job.cells_folder))


def compute_cell(job: Job, frame: Any, cell: Cell) -> CellOutcome:
    """Evaluate a cell; any exception becomes the outcome's error, so that one cell does not end a
    run.
    """
    if job.inputs is None:
        return _compute(job, frame, cell)
    note(job.inputs)
    with note_inputs():
        outcome = _compute(job, frame, cell)
    return replace(outcome, inputs=read_so_far())


def _compute(job: Job, frame: Any, cell: Cell) -> CellOutcome:
    if job.ready:
        _make_ready(job, frame, cell)
    began = time.perf_counter()
    try:
        with recorded_learning(job.learning, cell.model, cell.fold.name, cell.start):
            rows = job.protocol.evaluate_cell(
                job.models[cell.model], frame, cell, context_of_fold(job, cell.fold.name)
            )
    except Exception as error:
        return CellOutcome(
            cell, None, time.perf_counter() - began, message_of(error), traceback.format_exc()
        )
    return CellOutcome(cell, rows, time.perf_counter() - began)


def _make_ready(job: Job, frame: Any, cell: Cell) -> None:
    """Try the model of a cell and its features on toys, once in a process for its class, which
    imports and compiles their code.

    What fails here fails in the cell too, where it is counted, or is too large for toys, and is
    timed with the first cell.
    """
    model, protocol = job.models[cell.model], job.protocol
    name = f"{type(model).__module__}.{type(model).__qualname__}"
    if name in _READY or not (model.toys and isinstance(protocol, Trying)):
        return
    _READY.add(name)
    try:
        if uses_features(model):
            protocol.try_features(job.features, frame)
        protocol.try_model(
            model, frame, cell.fold, RunContext(job.seed, TOY, job.cpus, job.device, job.features)
        )
    except Exception:
        return


REJECTED = "Rejected as the implementation raised a specific error:"
"""The words before each of numba's reasons, the outermost first."""


def message_of(error: Exception) -> str:
    """Return an error in one line: the last of a long message, and of numba's the first after the
    last of its reasons.
    """
    text = without_secrets(str(error))
    lines = [line.strip() for line in text.rpartition(REJECTED)[2].splitlines() if line.strip()]
    if REJECTED in text:
        reasons = [line for line in lines if "Failed in nopython mode" not in line]
        return f"{type(error).__name__}: {reasons[0] if reasons else lines[0]}"
    return f"{type(error).__name__}: {lines[-1] if lines else 'no message'}"


# Models and features of a user's own, tried on two toy cells before anything is computed.


def check_own_code(job: Job, frame: Any, fold: Fold, labels: Collection[str]) -> None:
    """Refuse code of a user's own that fails on toys, or returns what it must not.

    Args:
        job: The models, the features and the protocol.
        frame: The data, of which toys are made.
        fold: The first one.
        labels: The models that have something to compute.

    Raises:
        ConfigError: In one line, with the input, the output, and the required output.
    """
    protocol = job.protocol
    if not isinstance(protocol, Trying):
        return
    context = RunContext(job.seed, TOY, job.cpus, job.device, job.features)
    models = {label: model for label, model in job.models.items() if label in labels}
    with (
        nullcontext() if job.inputs is None else note_inputs()
    ):  # files that are read once, and then kept in memory
        if is_tried(job.features) and any(map(uses_features, models.values())):
            _try_on_toys(
                f"features: '{job.features.name}'",
                partial(protocol.try_features, job.features, frame),
            )
        for label, model in models.items():
            if is_tried(model):
                _try_on_toys(
                    f"model: '{model.name or label}'",
                    partial(protocol.try_model, model, frame, fold, context),
                )


def is_tried(recipe: Recipe) -> bool:
    """Return whether a recipe is of a user's own, and its class does not say that toys are too
    little for it.
    """
    return type(recipe).__module__.partition(".")[0] != "hwds" and recipe.toys


def _try_on_toys(what: str, ask: Callable[[], None]) -> None:
    try:
        ask()
    except HwdsError:
        raise
    except WrongAnswerError as error:
        raise ConfigError(f"{what}: {error}.") from error
    except Exception as error:  # a user's own code may fail in any way
        raise ConfigError(
            f"{what} fails on two toy cells: {message_of(error)} (-v shows where; toys = False in "
            f"its class leaves them out)."
        ) from error


# Calls: what a process behind walls is asked, other than cells; an answer is bytes.


@dataclass(frozen=True)
class Toys:
    """A sealed worker is to try a user's own code on toys.

    Attributes:
        fold: The first one.
        labels: The models that have something to compute.
    """

    fold: Fold
    labels: Sequence[str]
    place, doing, before = "model", "on two toy cells", ""

    def answer(self, job: Job, frame: Any) -> bytes:
        """Try it."""
        check_own_code(job, frame, self.fold, self.labels)
        return b""


@dataclass(frozen=True)
class Final:
    """A sealed worker is to fit a model on all rows.

    Attributes:
        label: The label of the model.
    """

    label: str
    place, doing, before = "save_model", "in the fit on all rows", "save_model: "

    def answer(self, job: Job, frame: Any) -> bytes:
        """Return the model as it is stored."""
        assert isinstance(job.protocol, Deployable)
        with note_inputs():  # what members inside it have read belongs to their cache entries
            context = context_of_fold(job, "final")
            return dumps(job.protocol.fit_all(job.models[self.label], frame, context))


@dataclass(frozen=True)
class Scoring:
    """A sealed worker is to score rows.

    Attributes:
        rows: The predictions with what happened.
    """

    rows: DataFrame
    place, doing, before = "protocol.metrics", "while it scored", "protocol.metrics: "

    def answer(self, job: Job, _: Any) -> bytes:
        """Return the scores."""
        scores = [asdict(score) for score in job.protocol.score(self.rows)]
        return json.dumps(scores, default=lambda number: number.item()).encode()


Call = Toys | Final | Scoring
"""What a sealed worker is asked, other than cells."""
