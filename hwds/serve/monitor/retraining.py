"""Challengers by the labels that have arrived: another arm, or a refit on captured rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise

import numpy as np
import polars as pl
from numpy import ndarray

from hwds.core.errors import DataError, HwdsError
from hwds.core.questions import ID, Json
from hwds.core.recipe import Recipe
from hwds.core.registry import hook_class
from hwds.evaluation.protocol import RunContext
from hwds.evaluation.serving import STOP, RowModel
from hwds.experiment.final_model import final_context
from hwds.frames.table import ROW_ID, Table
from hwds.serve.bundle.manifest import STATE
from hwds.serve.bundle.reference import log_losses
from hwds.serve.events.reading import Reader
from hwds.serve.monitor.watch import Captured
from hwds.serve.services.opening import Bundle
from hwds.stats.effects import LEVEL, Effect
from hwds.stats.estimates import day_blocks, day_cluster, influence_effect

# Champion against challenger: log losses of two arms of a server as labels arrive, by the
# statistics of `hwds compare`.


@dataclass(frozen=True)
class ArmJudgement:
    """The comparison of two arms.

    Attributes:
        paired: Whether both answered the same questions, as a shadow does, or each its own units,
            as a canary does.
        rows: Labelled answers of the champion and of the challenger.
        losses: Their mean log losses.
        effect: The champion's loss less the challenger's: above 0 the challenger is better.
        low: The lower end of its interval; None where units or days cannot tell.
        high: The upper end.
        p_value: The p-value of no difference.
        method: The method of the variance, or the reason why there is none.
    """

    paired: bool
    rows: tuple[int, int]
    losses: tuple[float, float]
    effect: float
    low: float | None
    high: float | None
    p_value: float | None
    method: str

    @property
    def sentence(self) -> str:
        """The comparison in words."""
        same = "of the same questions" if self.paired else "of units of their own"
        text = (
            f"log loss {self.losses[0]:.4f} of the champion, {self.losses[1]:.4f} of the "
            f"challenger ({self.rows[1]} {same})"
        )
        if self.low is None or self.high is None:
            return f"{text}: {self.method}."
        verdict = (
            "is better"
            if self.low > 0
            else "is worse"
            if self.high < 0
            else "cannot be told from it"
        )
        interval = f"{self.low:+.4f} to {self.high:+.4f}"
        return (
            f"{text}; the challenger {verdict} ({self.effect:+.4f}, {interval}, p = "
            f"{self.p_value:.2g})."
        )


def judge_arms(
    champion: Sequence[Captured], challenger: Sequence[Captured], labels: Mapping[str, float]
) -> ArmJudgement:
    """Return the comparison of two arms by the labels that have arrived.

    Rows of one unit and of neighbouring days vary together: the variance is over both kinds of
    clusters, as in `statistics.two_way`. The same formula holds where both answered the same
    questions, whose losses then cancel within a unit. Where each answered its own, the champion
    counts from the challenger's first answer to its last: other days are of other questions.

    Args:
        champion: Answers of the main arm.
        challenger: Answers of the other one.
        labels: The labels, by id.

    Raises:
        DataError: No answer with a probability has a label.
    """
    keys = [{_answer_key(each) for each in side} for side in (champion, challenger)]
    shared = {key for key in keys[0] & keys[1] if key[0]}
    paired = bool(shared)
    if not paired:
        begin, end = min(each.at for each in challenger), max(each.at for each in challenger)
        champion = [each for each in champion if begin <= each.at <= end]
        shared = keys[0] | keys[1]
    sides = [
        _labelled_answers([each for each in side if _answer_key(each) in shared], labels)
        for side in (champion, challenger)
    ]
    for name, side in zip(("champion", "challenger"), sides, strict=True):
        if not side:
            raise DataError(f"--labels: no answer of the {name} has a label.")
    losses = [
        log_losses(np.array([each[2] for each in side]), np.array([each[3] for each in side]))
        for side in sides
    ]
    means = [float(each.mean()) for each in losses]
    influence = np.concatenate(
        [(losses[0] - means[0]) / len(losses[0]), (means[1] - losses[1]) / len(losses[1])]
    )
    every = [*sides[0], *sides[1]]
    ids, days = [each[0] for each in every], [each[1] for each in every]
    effect = _effect(means[0] - means[1], influence, ids, days)
    low, high = effect.difference(LEVEL) or (None, None)
    counted = (len(losses[0]), len(losses[1]))
    return ArmJudgement(
        paired,
        counted,
        (means[0], means[1]),
        effect.value,
        low,
        high,
        effect.p_value,
        effect.method,
    )


def _effect(value: float, influence: ndarray, ids: list[str], days: list[str]) -> Effect:
    """Return a difference whose variance is over units and neighbouring days.

    Args:
        value: The difference.
        influence: The influence of each answer on it, shape (n,).
        ids: The unit of each answer.
        days: The day of each answer.
    """
    unit = np.unique(ids, return_inverse=True)[1]
    day = np.array(days, "datetime64[D]").astype(int)
    clusters = ("unit", unit), (day_cluster(len(np.unique(day))), day_blocks(day))
    return influence_effect(value, influence, *clusters, "over units and days")


def _answer_key(each: Captured) -> tuple[str, str]:
    return each.request, str(each.answer.get("id"))


def _labelled_answers(
    side: Sequence[Captured], labels: Mapping[str, float]
) -> list[tuple[str, str, float, float]]:
    """Return unit, day, probability and label of answers whose label is known."""
    by_id = ((str(each.answer.get("id")), each) for each in side)
    return [
        (id, each.at[:10], float(each.answer["probability"]), labels[id])
        for id, each in by_id
        if id in labels and each.answer.get("probability") is not None
    ]


# Retraining: the gain that a refit on captured rows would have had over the serving model, by a
# backtest on their labels.

LEAST_LABELS = 20
"""Labels of each kind that the first fit and the tested rows must have."""

BEGIN, REFITS = 0.5, 4
"""The share of the labelled rows before the first refit, and how often it is fitted anew on all
rows before the next.
"""

LABEL_COLUMN = "__label"


@dataclass(frozen=True)
class Proposal:
    """The backtest of a refit.

    Attributes:
        rows: Labelled rows that were tested.
        positives: The number of them with label 1.
        losses: The mean log losses of the serving model and of the refits, None where nothing could
            be tested.
        gain: The first less the second: above 0 a refit is better.
        low: The lower end of its interval; None where days cannot tell.
        high: The upper end.
        method: The method of the variance, or the reason why nothing can be said.
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
        text = (
            f"log loss {self.losses[0]:.4f} of the serving model, {self.losses[1]:.4f} of "
            f"refits on the rows before ({rows})"
        )
        if self.low is None or self.high is None:
            return f"Retraining: {text}; its gain cannot be said: {self.method}."
        verdict = (
            "is proposed"
            if self.low > 0
            else "on these rows would lose"
            if self.high < 0
            else "is not proposed, for its gain cannot be told from none"
        )
        return (
            f"Retraining {verdict}: {text}; expected gain {self.gain:+.4f} ({self.low:+.4f} to "
            f"{self.high:+.4f})."
        )

    def as_dict(self) -> Json:
        """Return it for a file."""
        return {**asdict(self), "sentence": self.sentence}


def propose_refit(
    bundle: Bundle, captured: Sequence[Captured], labels: Mapping[str, float]
) -> Proposal:
    """Return the backtest of the bundle's own recipe, refitted on captured rows, on the labelled
    rows after them.

    The first half of the labelled rows is learned from alone; then each next eighth is answered by
    a model fitted on all rows before it whose labels had arrived (the run's `protocol.delay_days`).
    Both losses are of the same rows, so that the difference has the variance of pairs, over
    neighbouring days. Rows from before a change are among those learned from: the gain grows as
    more come after it.

    Args:
        bundle: The serving one.
        captured: Its answers, in the order of time.
        labels: The labels, by id.
    """
    labelled = _labelled_captures(bundle, captured, labels)
    label = np.array([labels[str(each.answer[ID])] for each in labelled])
    days = np.array([each.at[:10] for each in labelled], "datetime64[D]")
    try:
        edges, recipe = _edges(label), _recipe(bundle)
        losses = _backtest(recipe, table_of(bundle, labelled, label), days, edges)
    except HwdsError as error:
        return Proposal(0, 0, None, None, None, None, str(error).rstrip("."))
    return _judge_refit(labelled, label, losses)


def _labelled_captures(
    bundle: Bundle, captured: Sequence[Captured], labels: Mapping[str, float]
) -> list[Captured]:
    """Return the bundle's own answers whose label has arrived."""
    return [
        each
        for each in captured
        if str(each.answer.get(ID)) in labels
        and each.answer.get("probability") is not None
        and each.bundle in ("", bundle.manifest.digest)
    ]


def _recipe(bundle: Bundle) -> tuple[Recipe, RunContext, int]:
    """Return the model of a bundle whose rows stand alone, its context, and the days that labels
    take to arrive.

    Raises:
        DataError: It answers something else.
    """
    if bundle.manifest.kind != "rows":
        raise DataError(
            f"the bundle answers {bundle.manifest.kind}, and a refit takes rows that stand alone"
        )
    experiment = bundle.experiment()
    model, delay = experiment.model, getattr(experiment.protocol, "delay_days", 0)
    if not _row_models(model).learns(model):
        raise DataError(f"'{model.name}' learns from no labels")
    return model, replace(final_context(experiment), cache=None), int(delay)


def _row_models(model: Recipe) -> type[RowModel]:
    """Return what asks the fitted models of a recipe, which a bundle of rows has."""
    offer: type[RowModel] = hook_class(type(model), "rows", RowModel)
    return offer


def table_of(bundle: Bundle, captured: Sequence[Captured], label: ndarray) -> Table:
    """Return captured questions as a table like the one that the model was fitted on.

    Raises:
        DataError: One cannot be read, for the capture hides a column of numbers.
    """
    schema = Table.read(bundle.root / STATE)
    reader = Reader(schema, ID, timed=False)
    rows = [reader.read({**each.question, ID: str(each.answer[ID])}).values for each in captured]
    data = pl.DataFrame(
        [{name: row.get(name) for name in schema.data.columns} for row in rows], schema.data.schema
    )
    data = data.with_columns(pl.Series(LABEL_COLUMN, label, pl.Float64)).drop(ROW_ID, strict=False)
    return Table(
        data.with_row_index(ROW_ID), schema.roles | {"label": (LABEL_COLUMN,)}, schema.unit
    )


def _edges(label: ndarray) -> ndarray:
    """Return where each refit ends what it learns from, and the end.

    Raises:
        DataError: There are too few labels of a kind before the first or after it.
    """
    edges = np.linspace(BEGIN * len(label), len(label), REFITS + 1).astype(int)
    for name, part in (("before", label[: edges[0]]), ("after", label[edges[0] :])):
        least = min(int((part == 1).sum()), int((part == 0).sum()))
        if least < LEAST_LABELS:
            raise DataError(
                f"of {len(label):,} labelled rows the half {name} the first refit has {least} of "
                f"a label; {LEAST_LABELS} are needed"
            )
    return edges


def _backtest(
    recipe: tuple[Recipe, RunContext, int], table: Table, days: ndarray, edges: ndarray
) -> ndarray:
    """Return the log losses of refits, NaN of rows before the first, shape (n,)."""
    model, context, delay = recipe
    label, place = table.column("label").to_numpy(), np.arange(table.height)
    losses = np.full(table.height, np.nan)
    for begin, end in pairwise(edges):
        learned = np.flatnonzero(days[:begin] <= days[begin] - np.timedelta64(delay, "D"))
        _check_arrived(label[learned], f"the refit of {days[begin]}, {delay} days after them")
        fitted = _row_models(model).refit(model, table, learned, context)
        scored = fitted.score(table.filter((place >= begin) & (place < end)))
        assert scored.probability is not None
        losses[begin:end] = log_losses(scored.probability, label[begin:end])
    return losses


def _check_arrived(label: ndarray, by: str) -> None:
    """Refuse to refit on labels of one kind.

    Fewer have arrived than there are rows before the refit.

    Args:
        label: The labels that have arrived, in the order of their rows, shape (n,).
        by: The day up to which labels count.

    Raises:
        DataError: There are too few of a kind, or none in the part that is learned from.
    """
    least = min(int((label == 1).sum()), int((label == 0).sum()))
    if least < LEAST_LABELS:
        raise DataError(
            f"of {len(label):,} labels that had arrived by {by}, {least} are of a kind; "
            f"{LEAST_LABELS} are needed"
        )
    if len(set(label[: round(STOP * len(label))])) < 2:
        raise DataError(
            f"the first {STOP:.0%} of the labels that had arrived by {by}, are of one kind"
        )


def _judge_refit(labelled: Sequence[Captured], label: ndarray, losses: ndarray) -> Proposal:
    tested = ~np.isnan(losses)
    rows = [each for each, is_tested in zip(labelled, tested, strict=True) if is_tested]
    served = log_losses(
        np.array([float(each.answer["probability"]) for each in rows]), label[tested]
    )
    gains = served - losses[tested]
    gain, ids = float(gains.mean()), [str(each.answer[ID]) for each in rows]
    effect = _effect(gain, (gains - gain) / len(gains), ids, [each.at[:10] for each in rows])
    low, high = effect.difference(LEVEL) or (None, None)
    means = float(served.mean()), float(losses[tested].mean())
    return Proposal(len(rows), int(label[tested].sum()), means, gain, low, high, effect.method)
