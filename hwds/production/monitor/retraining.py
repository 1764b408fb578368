"""Retraining: the gain that a refit on captured rows would have had over the serving model, by a backtest on their labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl

from hwds.core.errors import DataError, HwdsError
from hwds.detection.context import RowContext
from hwds.detection.models.classify.base import Classifier, FittedClassifier
from hwds.experiment.final_model import context_of
from hwds.frames.table import ROW_ID, Table
from hwds.production.bundle.manifest import STATE
from hwds.production.bundle.reference import log_losses
from hwds.production.monitor.captured import Captured
from hwds.production.services.opening import Bundle
from hwds.serving.ids import ID
from hwds.serving.reading import Reader
from hwds.statistics.standard_errors import LEVEL
from hwds.statistics.two_way import day_blocks, day_cluster, influence_effect

LEAST = 20
"""Labels of each kind that the first fit and the tested rows must have."""

BEGIN, REFITS = 0.5, 4
"""The share of the labelled rows before the first refit, and how often it is fitted anew on all rows before the next."""

STOP, CALIBRATE = 0.7, 0.85
"""The shares of a fit's rows, in the order of time, after which come those to stop early by, and those to calibrate by."""

LABEL = "__label"


@dataclass(frozen=True)
class Proposal:
    """The backtest of a refit.

    Attributes:
        rows: Labelled rows that were tested.
        positives: Those of label 1.
        losses: The mean log losses of the serving model and of the refits, None where nothing could be tested.
        gain: The first less the second: above 0 a refit is better.
        low: The lower end of its interval; None where days cannot tell.
        high: The upper end.
        method: How the variance was made, or why nothing can be said.
    """

    rows: int
    positives: int
    losses: tuple[float, float] | None
    gain: float | None
    low: float | None
    high: float | None
    method: str

    @property
    def sentence(self) -> str:
        """The proposal in words."""
        if self.losses is None or self.gain is None:
            return f"Retraining: its gain cannot be said: {self.method}."
        rows = f"{self.rows:,} labelled rows, {self.positives:,} of label 1"
        said = f"log loss {self.losses[0]:.4f} of the serving model, {self.losses[1]:.4f} of refits on the rows before ({rows})"
        if self.low is None or self.high is None:
            return f"Retraining: {said}; its gain cannot be said: {self.method}."
        verdict = (
            "is proposed"
            if self.low > 0
            else "on these rows would lose"
            if self.high < 0
            else "is not proposed, for its gain cannot be told from none"
        )
        return f"Retraining {verdict}: {said}; expected gain {self.gain:+.4f} ({self.low:+.4f} to {self.high:+.4f})."

    def as_dict(self) -> dict[str, Any]:
        """Return it for a file."""
        return {**asdict(self), "sentence": self.sentence}


def proposed(bundle: Bundle, captured: Sequence[Captured], labels: Mapping[str, float]) -> Proposal:
    """Return the backtest of the bundle's own recipe, refitted on captured rows, on the labelled rows after them.

    The first half of the labelled rows is learned from alone; then each next eighth is answered by a model fitted on all rows
    before it whose labels had arrived (the run's `protocol.delay_days`). Both losses are of the same rows, so that the
    difference has the variance of pairs, over neighbouring days. Rows from before a change are among those learned from: the
    gain grows as more come after it.

    Args:
        bundle: The serving one.
        captured: Its answers, in the order of time.
        labels: By id.
    """
    known = _labelled(bundle, captured, labels)
    label = np.array([labels[str(each.answer[ID])] for each in known])
    days = np.array([each.at[:10] for each in known], "datetime64[D]")
    try:
        edges, recipe = _edges(label), _recipe(bundle)
        losses = _backtest(recipe, table_of(bundle, known, label), days, edges)
    except HwdsError as error:
        return Proposal(0, 0, None, None, None, None, str(error).rstrip("."))
    return _judged(known, label, losses)


def _labelled(bundle: Bundle, captured: Sequence[Captured], labels: Mapping[str, float]) -> list[Captured]:
    """Return the bundle's own answers whose label has arrived."""
    return [
        each
        for each in captured
        if str(each.answer.get(ID)) in labels
        and each.answer.get("probability") is not None
        and each.bundle in ("", bundle.manifest.digest)
    ]


def _recipe(bundle: Bundle) -> tuple[Classifier, RowContext, int]:
    """Return the model of a bundle whose rows stand alone, its context, and the days that labels take to arrive.

    Raises:
        DataError: It answers something else.
    """
    if bundle.manifest.kind != "rows":
        raise DataError(f"the bundle answers {bundle.manifest.kind}, and a refit takes rows that stand alone")
    experiment = bundle.experiment()
    model, delay = experiment.model, getattr(experiment.protocol, "delay_days", 0)
    if not isinstance(model, Classifier) or not model.supervised:
        raise DataError(f"'{model.name}' learns from no labels")
    return model, RowContext.of(replace(context_of(experiment), cache=None)), int(delay)


def table_of(bundle: Bundle, known: Sequence[Captured], label: np.ndarray) -> Table:
    """Return captured questions as a table like the one that the model was fitted on.

    Raises:
        DataError: One cannot be read, for the capture hides a column of numbers.
    """
    schema = Table.read(bundle.folder / STATE)
    reader = Reader(schema, ID, timed=False)
    rows = [reader.read({**each.question, ID: str(each.answer[ID])}).values for each in known]
    data = pl.DataFrame([{name: row.get(name) for name in schema.data.columns} for row in rows], schema.data.schema)
    data = data.with_columns(pl.Series(LABEL, label, pl.Float64)).drop(ROW_ID, strict=False)
    return Table(data.with_row_index(ROW_ID), schema.roles | {"label": (LABEL,)}, schema.unit)


def _edges(label: np.ndarray) -> np.ndarray:
    """Return where each refit ends what it learns from, and the end.

    Raises:
        DataError: There are too few labels of a kind before the first or after it.
    """
    edges = np.linspace(BEGIN * len(label), len(label), REFITS + 1).astype(int)
    for name, part in (("before", label[: edges[0]]), ("after", label[edges[0] :])):
        least = min(int((part == 1).sum()), int((part == 0).sum()))
        if least < LEAST:
            raise DataError(
                f"of {len(label):,} labelled rows the half {name} the first refit has {least} of a label; {LEAST} are needed"
            )
    return edges


def _backtest(recipe: tuple[Classifier, RowContext, int], table: Table, days: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return the log losses of refits, NaN of rows before the first, shape (n,)."""
    model, context, delay = recipe
    label, place = table.column("label").to_numpy(), np.arange(table.height)
    losses = np.full(table.height, np.nan)
    for begin, end in pairwise(edges):
        learned = np.flatnonzero(days[:begin] <= days[begin] - np.timedelta64(delay, "D"))
        _check_arrived(label[learned], f"the refit of {days[begin]}, {delay} days after them")
        scored = refitted(model, table, learned, context).score_rows(table.filter((place >= begin) & (place < end)))
        assert scored.probability is not None
        losses[begin:end] = log_losses(scored.probability, label[begin:end])
    return losses


def _check_arrived(label: np.ndarray, by: str) -> None:
    """Refuse to refit on labels of one kind; fewer have arrived than there are rows before the refit.

    Args:
        label: Those that have arrived, in the order of their rows, shape (n,).
        by: When.

    Raises:
        DataError: There are too few of a kind, or none in the part that is learned from.
    """
    least = min(int((label == 1).sum()), int((label == 0).sum()))
    if least < LEAST:
        raise DataError(f"of {len(label):,} labels that had arrived by {by}, {least} are of a kind; {LEAST} are needed")
    if len(set(label[: round(STOP * len(label))])) < 2:
        raise DataError(f"the first {STOP:.0%} of the labels that had arrived by {by}, are of one kind")


def refitted(model: Classifier, table: Table, learned: np.ndarray, context: RowContext) -> FittedClassifier:
    """Return a model fitted on rows in the order of time."""
    shares = (STOP, CALIBRATE) if model.needs_calibration() else (CALIBRATE, 1.0)
    parts = np.split(learned, [round(len(learned) * share) for share in shares])
    train, stop, calibrate = (table.filter(np.isin(np.arange(table.height), part)) for part in parts)
    return model.fit(train, stop=stop, calibrate=calibrate, context=context)


def _judged(known: Sequence[Captured], label: np.ndarray, losses: np.ndarray) -> Proposal:
    tested = ~np.isnan(losses)
    rows = [each for each, is_tested in zip(known, tested, strict=True) if is_tested]
    served = log_losses(np.array([float(each.answer["probability"]) for each in rows]), label[tested])
    gains = served - losses[tested]
    days = np.array([each.at[:10] for each in rows], "datetime64[D]").astype(int)
    units = np.unique([str(each.answer[ID]) for each in rows], return_inverse=True)[1]
    called, gain = day_cluster(len(np.unique(days))), float(gains.mean())
    influence = (gains - gain) / len(gains)
    effect = influence_effect(gain, influence, ("unit", units), (called, day_blocks(days)), "over units and days")
    low, high = effect.difference(LEVEL) or (None, None)
    means = float(served.mean()), float(losses[tested].mean())
    return Proposal(len(rows), int(label[tested].sum()), means, gain, low, high, effect.method)
