"""Replay: play a policy on a log of another's decisions; it learns from the rows where both
agree.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from typing import Annotated, Any

import numpy as np
import polars as pl
from annotated_types import Ge, Lt
from numpy import ndarray
from polars import DataFrame, Series

from hwds.bandit.family import REPLAY
from hwds.bandit.live.state import PolicyState, SeenOutcome, policy_state_of
from hwds.bandit.models.base import Policy
from hwds.bandit.models.kernels.base import Arms, Visit, rehearse
from hwds.bandit.simulation.play import try_policy
from hwds.core.errors import DataError
from hwds.core.recipe import Folds, Small
from hwds.evaluation.protocol import (
    Cell,
    Evaluation,
    Fold,
    LeakTestable,
    RunContext,
    Score,
    Trying,
    Tunable,
    TuningSplit,
)
from hwds.evaluation.row_folds import other_replications
from hwds.frames.table import Table, outcome_unit
from hwds.ope.log import DecisionLog, Reward, read_log
from hwds.results.tables import Measure
from hwds.stats.effects import reaching_zero, student_critical


@dataclass(frozen=True, slots=True)
class LogRow:
    """A row of the log, after which outcomes may be rubbish."""

    row: int

    @property
    def label(self) -> str:
        """The row in words."""
        return f"row {self.row}"


class Replay(Evaluation[Policy, Table], Tunable, LeakTestable, Trying):
    """Play a learning policy on the rows of a log where it would have done the same: about 1 / K of
    them.

    Unbiased for a log whose propensities are known (Li, Chu, Langford and Wang 2011; rejection to a
    uniform log as in Dudik, Erhan, Langford and Li 2012): a row is kept with a chance inverse to
    its propensity, and counts if the policy chooses its arm. The policy plays as many steps as rows
    count, so it learns less than it would have in as many rows.

    Roles: `arm` or `price`, `propensity`, `context`, and `outcome`: for each arm 0 or one amount,
    what a conversion earns. Rows are played in the order of `time`; an outcome is learned once it
    was observed, `available_at`.

    Attributes:
        apart: The share of the rows, the first ones, that is never played but by the trials of a
            sweep.
        replications: The number of times the log is played, with new draws of the policy and of the
            rejection.
        reward: `outcome`, or `revenue`, which is price times outcome.
    """

    accepts = Policy
    frame_type = REPLAY.frame
    task = REPLAY.name
    keys = ("replication",)
    unit = "replication"
    block = 5
    fields_not_in_key = (*Evaluation.fields_not_in_key, "replications")

    headline: str = REPLAY.headline
    apart: Annotated[float, Ge(0), Lt(1)] = 0.0
    replications: Annotated[Folds, Small(2)] = 20
    reward: Reward = "outcome"

    def prepare_frame(self, frame: Table) -> Table:
        """Return the rows that are not kept apart."""
        return frame.filter(~self._held_apart(frame)) if self.apart else frame

    def why_not_tunable(self) -> str:
        """Return why no sweep can be run: without rows apart the whole log is played."""
        return (
            ""
            if self.apart
            else "plays the whole log, of which protocol.apart=0.3 would keep the first rows to "
            "choose on"
        )

    def tuning_split(self, frame: Table, windows: int) -> TuningSplit:
        """Return the rows that are kept apart, up to the first whose outcome was not observed
        before the others began.

        Rows after it whose outcomes were observed sooner go too: which outcomes come soon is no
        matter of chance.
        """
        early = frame.filter(self._held_apart(frame))
        if frame.roles.get("available_at"):
            begin = frame.filter(~self._held_apart(frame)).column("time").min()
            happened, late = early.column("time"), early.column("available_at") > begin
            early = early.filter(happened < happened.filter(late).min()) if late.any() else early
        play = replace(self, apart=0.0)
        (fold,) = play.split(early)
        return TuningSplit(play, early, other_replications(fold, windows))

    def _held_apart(self, frame: Table) -> Series:
        """Return whether each row is among the first."""
        return Series(np.argsort(row_order(frame)) < round(self.apart * len(frame.data)))

    def split(self, frame: Table) -> list[Fold]:
        """Return one fold; its units are the replications."""
        half = self.log(frame).n // 2
        return [Fold(0, "replays", self.replications, (LogRow(half),) if half else ())]

    def log(self, frame: Table) -> DecisionLog:
        """Return the log, checked.

        Raises:
            DataError: It has no propensities, or a value does not fit its role.
        """
        log = read_log(frame, self.reward, None)
        if log.propensity is None:
            raise DataError(
                "dataset.roles.propensity: must be given: without it no policy can be replayed."
            )
        return log

    def try_model(self, model: Policy, frame: Table, fold: Fold, context: RunContext) -> None:
        """Play two toy games without compiling."""
        try_policy(model, logged_arms(self.log(frame))[0])

    def try_features(self, features: Any, frame: Any) -> None:
        """Do nothing: policies read no features."""

    def evaluate_cell(
        self, model: Policy, frame: Table, cell: Cell, context: RunContext
    ) -> DataFrame:
        """Play the replications of a cell: one row each."""
        log = self.log(frame)
        arms, segments = logged_arms(log)
        settings = model, log, arms, segments, context
        return DataFrame(
            [self._played(*settings, number) for number in range(cell.start, cell.stop)]
        )

    def _played(
        self,
        model: Policy,
        log: DecisionLog,
        arms: Arms,
        segments: ndarray,
        context: RunContext,
        number: int,
    ) -> dict[str, float]:
        """Return one replication.

        `early` sums what was chosen in the first half, for the leak check.
        """
        order = row_order(log.table)
        accepted = _accepted_rows(log, order, context.stream("rejection", number).random(log.n))
        state = policy_state_of(model.kernel(arms), context.seed_for("policy", number))
        chosen, counted = _agreeing_rows(state, log, arms, segments, accepted)
        half = set(order[: log.n // 2].tolist())
        early = sum((arm + 1) * (row + 1) for row, arm in chosen.items() if row in half)
        counts = {"rows": log.n, "kept": len(accepted), "counted": len(counted)}
        return {"replication": number, **counts, **_earnings(log, counted), "early": early}

    def score(self, rows: DataFrame) -> list[Score]:
        """Return the policy's reward per row, and the share of the log that counts."""
        counts, first = rows["counted"].to_numpy(), rows.row(0, named=True)
        mean, variance = (rows[name].drop_nans().mean() for name in ("mean_reward", "variance"))
        # replications share the log's rewards: their spread is the policy's alone, so the rows' own
        # variance is the error
        n, uniform = max(float(counts.mean()), 2.0), first["uniform_reward"]
        stderr = float(np.sqrt(float(variance) / n)) if variance else None  # type: ignore[arg-type]
        value = None if mean is None else float(mean)  # type: ignore[arg-type]
        share = float((counts / rows["rows"].to_numpy()).mean())
        reward = Score("mean_reward", "mean", value, stderr, n=int(counts.mean()))
        gains = []
        if value is not None:
            gain = replace(reward, metric="gain_over_uniform", value=value - uniform)
            if stderr is not None:  # rewards that are all alike say nothing of their error
                half_width = student_critical(n - 1, 0.95) * stderr
                low, high = value - half_width, value + half_width
                reward = replace(reward, ci_low=low, ci_high=high, ci_method="t")
                low, high = reaching_zero(low - uniform, high - uniform, reward.n)
                gain = replace(gain, ci_low=low, ci_high=high, ci_method="t")
            gains.append(gain)
        return [
            reward,
            Score("counted_share", "mean", share, n=len(rows)),
            Score("log_reward", "mean", first["log_reward"], n=first["rows"]),
            *gains,
        ]

    def measures(self, frame: Table) -> tuple[Measure, ...]:
        """Return the measures of a replay."""
        unit = outcome_unit(frame)
        of: dict[str, Any] = {"subject": frame.column("outcome").name, "measured_in": unit}
        high: dict[str, Any] = {"better": "high", "units": "counted rows", **of}
        beyond = "mean_reward less what uniform play earns on the log, whose own error is left out"
        share, log = "share of the log's rows that count", "mean reward of the log itself"
        return (
            Measure("mean_reward", meaning="mean reward of the rows that count", **high),
            Measure("gain_over_uniform", meaning=beyond, beside="always", **high),
            Measure("counted_share", meaning=share, better="none", beside="always"),
            Measure("log_reward", meaning=log, better="none", beside="page", **of),
        )

    def check_models(self, models: Mapping[str, Policy], frame: Table) -> None:
        """Refuse a policy that cannot play these arms, or whose functions fail."""
        arms, _ = logged_arms(self.log(frame))
        for label, model in models.items():
            rehearse(label, model.kernel(arms), arms)

    def corrupt_after(self, frame: Table, cutoff: LogRow, rng: np.random.Generator) -> Table:
        """Return the log with other outcomes from a row on."""
        name, log = frame.column("outcome").name, read_log(frame, "outcome", None)
        amounts = logged_arms(log)[0].values[log.action]
        coins = Series(amounts * rng.integers(0, 2, log.n)).cast(frame.data[name].dtype)
        late = Series(np.argsort(row_order(frame)) >= cutoff.row)
        column = pl.when(late).then(coins).otherwise(pl.col(name)).alias(name)
        return replace(frame, data=frame.data.with_columns(column))

    def predictions_at(self, rows: DataFrame, cutoff: LogRow, frame: Table) -> DataFrame:
        """Return the choices before the row."""
        return rows.select("replication", "early")


def _accepted_rows(log: DecisionLog, order: ndarray, uniforms: ndarray) -> list[int]:
    """Return the rows that are kept, each with a chance inverse to its propensity, in their
    order.
    """
    assert log.propensity is not None
    accepted: list[int] = order[(uniforms * log.propensity < log.propensity.min())[order]].tolist()
    return accepted


def _agreeing_rows(
    state: PolicyState, log: DecisionLog, arms: Arms, segments: ndarray, rows: list[int]
) -> tuple[dict[int, int], list[int]]:
    """Return the policy's choice at each row, and the rows where it was logged: it learns from
    those, once observed.
    """
    waits = WaitingOutcomes(log.table)
    chosen: dict[int, int] = {}
    counted: list[int] = []
    for row in rows:
        state.update(waits.seen_by(row))
        segment = int(segments[row])
        visit = Visit(len(counted), segment, arms.contexts[segment], arms.all_active)
        chosen[row] = state.select(visit)
        if chosen[row] == log.action[row]:
            waits.add(row, SeenOutcome(visit, chosen[row], float(log.reward[row] > 0)))
            counted.append(row)
    return chosen, counted


def _earnings(log: DecisionLog, counted: list[int]) -> dict[str, float]:
    """Return the mean and variance of the rows that count.

    What the log earned, and what uniform play would have.
    """
    assert log.propensity is not None
    earned, weights = log.reward[counted], 1 / log.propensity
    return {
        "mean_reward": float(earned.mean()) if counted else float("nan"),
        "variance": float(earned.var(ddof=1)) if len(counted) > 1 else float("nan"),
        "log_reward": float(log.reward.mean()),
        "uniform_reward": float(np.sum(log.reward * weights) / np.sum(weights)),
    }


def row_order(table: Table) -> ndarray:
    """Return the rows in the order of the role `time`, of the file where there is none, shape
    (n,).
    """
    if not table.roles.get("time"):
        return np.arange(len(table.data))
    return np.argsort(_known_instants(table, "time"), kind="stable")


class WaitingOutcomes:
    """Outcomes that wait until they were observed: at once, where the table has no role
    `available_at`.

    Raises:
        DataError: There is such a role, and none that says when a row happened.
    """

    def __init__(self, table: Table) -> None:
        if table.roles.get("available_at") and not table.roles.get("time"):
            raise DataError("dataset.roles.time: must be given if dataset.roles.available_at is.")
        known = bool(table.roles.get("available_at"))
        self.happened = _known_instants(table, "time") if known else np.zeros(0)
        self.observed = _known_instants(table, "available_at") if known else np.zeros(0)
        self.waiting: list[tuple[int, int, SeenOutcome]] = []

    def add(self, row: int, seen: SeenOutcome) -> None:
        """Queue the outcome of a row."""
        heappush(self.waiting, (int(self.observed[row]) if len(self.observed) else 0, row, seen))

    def seen_by(self, row: int) -> list[SeenOutcome]:
        """Return the outcomes observed since the last call, up to the instant of a row, oldest
        first.
        """
        now = int(self.happened[row]) if len(self.happened) else 0
        seen = []
        while self.waiting and self.waiting[0][0] <= now:
            seen.append(heappop(self.waiting)[2])
        return seen


def _known_instants(table: Table, role: str) -> ndarray:
    """Return the instants of a role as whole numbers, shape (n,)."""
    column = table.column(role)
    if column.null_count():
        raise DataError(
            f"dataset.roles.{role}: row {column.is_null().arg_true()[0] + 1} has no value in "
            f"'{column.name}'."
        )
    return column.to_physical().cast(pl.Int64).to_numpy()


def logged_arms(log: DecisionLog) -> tuple[Arms, ndarray]:
    """Return the facts of a log's arms that a policy may know, and the segment of each row: equal
    contexts are one segment.

    Raises:
        DataError: An arm's rewards are not 0 or one amount.
    """
    seen, contexts, segments = log.features[:, 1:], np.zeros((1, 0)), np.zeros(log.n, np.int64)
    if seen.shape[1]:
        contexts, segments = np.unique(seen, axis=0, return_inverse=True)
    amounts = [_logged_amount(log, arm) for arm in range(len(log.arms))]
    usual = max((amount for amount in amounts if amount is not None), default=1.0)
    values = np.array(
        [
            _value_by_price(log, arm, usual) if amount is None else amount
            for arm, amount in enumerate(amounts)
        ]
    )
    assert log.propensity is not None
    # those that are kept and agreed on, for a policy like the log's
    steps = max(1, round(log.n * float(log.propensity.min())))
    return Arms(log.arms, values, contexts, steps, (0.0, float(values.max()))), segments.ravel()


def _value_by_price(log: DecisionLog, arm: int, usual: float) -> float:
    """Return the value of a conversion of an arm without one: its price, where others earn theirs,
    else the usual.
    """
    if log.price is None or usual == 1.0:
        return usual
    return float(log.price[log.action == arm][0])


def _logged_amount(log: DecisionLog, arm: int) -> float | None:
    """Return the value of a conversion of an arm; None where it never had one."""
    here = log.action == arm
    amounts = np.unique(log.reward[here & (log.reward != 0)])
    if len(amounts) > 1 or (len(amounts) and amounts[0] < 0):
        values = (
            f"arm '{log.arms[arm]}' earns {' and '.join(f'{amount:g}' for amount in amounts[:2])}"
        )
        raise DataError(f"dataset.roles.outcome: {values}; replay needs 0 or one amount above 0.")
    return float(amounts[0]) if len(amounts) else None
