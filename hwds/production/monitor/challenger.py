"""Champion against challenger: log losses of two arms of a server as labels arrive, by the statistics of `hwds compare`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hwds.core.errors import DataError
from hwds.production.bundle.reference import log_losses
from hwds.production.monitor.captured import Captured
from hwds.statistics.standard_errors import LEVEL
from hwds.statistics.two_way import day_blocks, day_cluster, influence_effect


@dataclass(frozen=True)
class Judgement:
    """The comparison of two arms.

    Attributes:
        paired: Whether both answered the same questions, as a shadow does, or each its own units, as a canary does.
        rows: Labelled answers of the champion and of the challenger.
        losses: Their mean log losses.
        effect: The champion's loss less the challenger's: above 0 the challenger is better.
        low: The lower end of its interval; None where units or days cannot tell.
        high: The upper end.
        p_value: Of no difference.
        method: How the variance was made, or why there is none.
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
        said = f"log loss {self.losses[0]:.4f} of the champion, {self.losses[1]:.4f} of the challenger ({self.rows[1]} {same})"
        if self.low is None or self.high is None:
            return f"{said}: {self.method}."
        verdict = "is better" if self.low > 0 else "is worse" if self.high < 0 else "cannot be told from it"
        interval = f"{self.low:+.4f} to {self.high:+.4f}"
        return f"{said}; the challenger {verdict} ({self.effect:+.4f}, {interval}, p = {self.p_value:.2g})."


def judged(champion: Sequence[Captured], challenger: Sequence[Captured], labels: Mapping[str, float]) -> Judgement:
    """Return the comparison of two arms by the labels that have arrived.

    Rows of one unit and of neighbouring days vary together: the variance is over both kinds of clusters, as in
    `statistics.two_way`. The same formula holds where both answered the same questions, whose losses then cancel within a unit.
    Where each answered its own, the champion counts from the challenger's first answer to its last: other days are of other
    questions.

    Args:
        champion: Answers of the main arm.
        challenger: Answers of the other one.
        labels: By id.

    Raises:
        DataError: No answer with a probability has a label.
    """
    keys = [{_key(each) for each in side} for side in (champion, challenger)]
    shared = {key for key in keys[0] & keys[1] if key[0]}
    paired = bool(shared)
    if not paired:
        begin, end = min(each.at for each in challenger), max(each.at for each in challenger)
        champion = [each for each in champion if begin <= each.at <= end]
        shared = keys[0] | keys[1]
    sides = [_labelled([each for each in side if _key(each) in shared], labels) for side in (champion, challenger)]
    for name, side in zip(("champion", "challenger"), sides, strict=True):
        if not side:
            raise DataError(f"--labels: no answer of the {name} has a label.")
    losses = [log_losses(np.array([each[2] for each in side]), np.array([each[3] for each in side])) for side in sides]
    means = [float(each.mean()) for each in losses]
    influence = np.concatenate([(losses[0] - means[0]) / len(losses[0]), (means[1] - losses[1]) / len(losses[1])])
    every = [*sides[0], *sides[1]]
    units = np.unique([each[0] for each in every], return_inverse=True)[1]
    days = np.array([each[1] for each in every], "datetime64[D]").astype(int)
    called = day_cluster(len(np.unique(days)))
    method = "over units and days"
    effect = influence_effect(means[0] - means[1], influence, ("unit", units), (called, day_blocks(days)), method)
    low, high = effect.difference(LEVEL) or (None, None)
    counted = (len(losses[0]), len(losses[1]))
    return Judgement(paired, counted, (means[0], means[1]), effect.value, low, high, effect.p_value, effect.method)


def _key(each: Captured) -> tuple[str, str]:
    return each.request, str(each.answer.get("id"))


def _labelled(side: Sequence[Captured], labels: Mapping[str, float]) -> list[tuple[str, str, float, float]]:
    """Return unit, day, probability and label of answers whose label is known."""
    known = ((str(each.answer.get("id")), each) for each in side)
    return [
        (id, each.at[:10], float(each.answer["probability"]), labels[id])
        for id, each in known
        if id in labels and each.answer.get("probability") is not None
    ]
