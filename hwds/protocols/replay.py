"""Replay: play a policy on a log of another's decisions; it learns from the rows where both agree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar

import numpy as np
import polars as pl
from annotated_types import Ge, Lt

from hwds.context import Context
from hwds.errors import DataError
from hwds.frames.table import Table
from hwds.metrics.aggregate import Z95
from hwds.metrics.base import Measure
from hwds.models.bandit.base import Arms, Policy
from hwds.models.bandit.deciding import Law, Seen, law_of
from hwds.models.bandit.kernel import Visit
from hwds.protocols.base import Cell, Evaluation, Fold, Score
from hwds.protocols.off_policy_log import Log, Reward, read_log
from hwds.protocols.rehearsal import Rehearsal, other_luck
from hwds.protocols.replay_log import Waits, arms_of, order_of
from hwds.protocols.rewards import outcome_unit
from hwds.recipe import Count, Small


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the log, after which outcomes may be rubbish."""

    row: int

    @property
    def label(self) -> str:
        """In words."""
        return f"row {self.row}"


class Replay(Evaluation[Policy, Table]):
    """Play a learning policy on the rows of a log where it would have done the same: about 1 / K of them.

    Unbiased for a log whose propensities are known (Li, Chu, Langford and Wang 2011; rejection to a uniform log as in Dudik,
    Erhan, Langford and Li 2012): a row is kept with a chance inverse to its propensity, and counts if the policy chooses its
    arm. The policy plays as many steps as rows count, so it learns less than it would have in as many rows.

    Roles: `arm` or `price`, `propensity`, `context`, and `outcome`: for each arm 0 or one amount, what a conversion earns.
    Rows are played in the order of `time`; an outcome is learned once it was observed, `available_at`.

    Attributes:
        apart: The share of the rows, the first ones, that is never played but by the trials of a sweep.
        replications: How often the log is played, with other luck of the policy and of the rejection.
        reward: `outcome`, or `revenue`, which is price times outcome.

    Example:
        python -m hwds dataset=price_log protocol=replay model=bandit/thompson
    """

    accepts: ClassVar[type] = Policy
    cuts: ClassVar[type] = Table
    task: ClassVar[str] = "replay"
    keys: ClassVar[tuple[str, ...]] = ("replication",)
    unit: ClassVar[str] = "replication"
    block: ClassVar[int] = 5
    outside_cells: ClassVar[tuple[str, ...]] = (*Evaluation.outside_cells, "replications")

    headline: str = "mean_reward"
    apart: Annotated[float, Ge(0), Lt(1)] = 0.0
    replications: Annotated[Count, Small(2)] = 20
    reward: Reward = "outcome"

    def framed(self, frame: Table) -> Table:
        """The rows that are not kept apart."""
        return frame.take(~self._apart(frame)) if self.apart else frame

    def unrehearsed(self) -> str:
        """Without rows that are kept apart the whole log is played."""
        return "" if self.apart else "plays the whole log, of which protocol.apart=0.3 would keep the first rows to choose on"

    def rehearsal(self, frame: Table, windows: int) -> Rehearsal:
        """The rows that are kept apart, up to the first whose outcome was not observed before the others began.

        Rows after it whose outcomes were observed sooner go too: which outcomes come soon is no matter of chance.
        """
        early = frame.take(self._apart(frame))
        if frame.roles.get("available_at"):
            begin = frame.take(~self._apart(frame)).column("time").min()
            happened, late = early.column("time"), early.column("available_at") > begin
            early = early.take(happened < happened.filter(late).min()) if late.any() else early
        play = replace(self, apart=0.0)
        (own,) = play.split(early)
        return Rehearsal(play, early, other_luck(own, windows))

    def _apart(self, frame: Table) -> pl.Series:
        """Whether a row is among the first."""
        return pl.Series(np.argsort(order_of(frame)) < round(self.apart * len(frame.data)))

    def split(self, frame: Table) -> list[Fold]:
        """One fold; its units are the replications."""
        half = self.log(frame).n // 2
        return [Fold(0, "replays", self.replications, (Row(half),) if half else ())]

    def log(self, frame: Table) -> Log:
        """The log, checked.

        Raises:
            DataError: It has no propensities, or a value does not fit its role.
        """
        log = read_log(frame, self.reward, None)
        if log.propensity is None:
            raise DataError("dataset.roles.propensity: must be given: without it no policy can be replayed.")
        return log

    def ask(self, model: Policy, frame: Table, cell: Cell, context: Context) -> pl.DataFrame:
        """Play the replications of a cell: one row each."""
        log = self.log(frame)
        arms, segments = arms_of(log)
        courses = [self._played(model, log, arms, segments, context, number) for number in range(cell.start, cell.stop)]
        return pl.DataFrame(courses)

    def _played(
        self, model: Policy, log: Log, arms: Arms, segments: np.ndarray, context: Context, number: int
    ) -> dict[str, float]:
        """One replication; `early` sums what was chosen in the first half, for the canary."""
        order = order_of(log.table)
        kept = _kept(log, order, context.stream("rejection", number).random(log.n))
        law = law_of(model.kernel(arms), context.seed_for("policy", number))
        chosen, counted = _agreed(law, log, arms, segments, kept)
        half = set(order[: log.n // 2].tolist())
        early = sum((arm + 1) * (row + 1) for row, arm in chosen.items() if row in half)
        counts = {"replication": number, "rows": log.n, "kept": len(kept), "counted": len(counted)}
        return {**counts, **_earned(log, counted), "early": early}

    def score(self, rows: pl.DataFrame) -> list[Score]:
        """What the policy earned a row, and how much of the log it saw."""
        counts = rows["counted"].to_numpy()
        mean, variance = (rows[name].drop_nans().mean() for name in ("mean_reward", "variance"))
        # replications share the log's rewards: their spread is the policy's luck alone, so the rows' own variance is the error
        stderr = None if variance is None else float(np.sqrt(float(variance) / max(counts.mean(), 1)))  # type: ignore[arg-type]
        value = None if mean is None else float(mean)  # type: ignore[arg-type]
        low, high = (None, None) if value is None or stderr is None else (value - Z95 * stderr, value + Z95 * stderr)
        own = Score("mean_reward", "mean", value, stderr, low, high, None if low is None else "normal", n=int(counts.mean()))
        uniform = float(rows["uniform_reward"][0])
        told = [own, Score("counted_share", "mean", float((counts / rows["rows"].to_numpy()).mean()), n=len(rows))]
        told.append(Score("log_reward", "mean", float(rows["log_reward"][0]), n=int(rows["rows"][0])))
        if value is None:
            return told
        gain = replace(own, metric="gain_over_uniform", value=value - uniform)
        if low is not None and high is not None:
            gain = replace(gain, ci_low=low - uniform, ci_high=high - uniform)
        return [*told, gain]

    def measures(self, frame: Table) -> tuple[Measure, ...]:
        """What a replay tells."""
        of: dict[str, Any] = {"subject": frame.column("outcome").name, "measured_in": outcome_unit(frame)}
        beyond = "mean_reward less what uniform play earns on the log, whose own error is left out"
        high: dict[str, Any] = {"better": "high", "units": "counted rows", **of}
        return (
            Measure("mean_reward", meaning="mean reward of the rows that count", **high),
            Measure("gain_over_uniform", meaning=beyond, beside="always", **high),
            Measure("counted_share", meaning="share of the log's rows that count", better="none", beside="always"),
            Measure("log_reward", meaning="mean reward of the log itself", better="none", beside="page", **of),
        )

    def check_models(self, models: Mapping[str, Policy], frame: Table) -> None:
        """Every policy must know enough of the arms."""
        arms, _ = arms_of(self.log(frame))
        for model in models.values():
            model.kernel(arms)

    def poisoned(self, frame: Table, cutoff: Row, luck: np.random.Generator) -> Table:
        """Other outcomes from a row on."""
        name, log = frame.column("outcome").name, read_log(frame, "outcome", None)
        amounts = arms_of(log)[0].values[log.action]
        coins = pl.Series(amounts * luck.integers(0, 2, log.n)).cast(frame.data[name].dtype)
        late = pl.Series(np.argsort(order_of(frame)) >= cutoff.row)
        return replace(frame, data=frame.data.with_columns(pl.when(late).then(coins).otherwise(pl.col(name)).alias(name)))

    def answers(self, rows: pl.DataFrame, cutoff: Row, frame: Table) -> pl.DataFrame:
        """What was chosen before the row."""
        return rows.select("replication", "early")


def _kept(log: Log, order: np.ndarray, luck: np.ndarray) -> list[int]:
    """The rows that are kept, each with a chance inverse to its propensity, in their order."""
    assert log.propensity is not None
    kept: list[int] = order[(luck * log.propensity < log.propensity.min())[order]].tolist()
    return kept


def _agreed(law: Law, log: Log, arms: Arms, segments: np.ndarray, rows: list[int]) -> tuple[dict[int, int], list[int]]:
    """What a law chooses at each row, and the rows where that is what was logged: it learns from those, once they are seen."""
    waits, active = Waits(log.table), np.ones(arms.count, bool)
    chosen: dict[int, int] = {}
    counted: list[int] = []
    for row in rows:
        law.update(waits.seen_by(row))
        segment = int(segments[row])
        visit = Visit(len(counted), segment, arms.contexts[segment], active)
        chosen[row] = law.select(visit)
        if chosen[row] == log.action[row]:
            waits.add(row, Seen(visit, chosen[row], float(log.reward[row] > 0)))
            counted.append(row)
    return chosen, counted


def _earned(log: Log, counted: list[int]) -> dict[str, float]:
    """The mean and variance of the rows that count; what the log earned, and what uniform play would have."""
    assert log.propensity is not None
    earned, weights = log.reward[counted], 1 / log.propensity
    return {
        "mean_reward": float(earned.mean()) if counted else float("nan"),
        "variance": float(earned.var(ddof=1)) if len(counted) > 1 else float("nan"),
        "log_reward": float(log.reward.mean()),
        "uniform_reward": float(np.sum(log.reward * weights) / np.sum(weights)),
    }
