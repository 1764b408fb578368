"""A log on which any policy can be estimated: reward models fitted once, parts that can be left out."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from hwds.core.errors import DataError
from hwds.core.seeds import stream
from hwds.evaluation.context import RunContext
from hwds.ope.metrics.evidence import LogEvidence
from hwds.ope.models.base import Learner
from hwds.ope.models.rewards.context_matrix import as_numbers, cells
from hwds.ope.models.rewards.fitted import Lessons, cross_fitted
from hwds.ope.protocols.estimation.log import Log
from hwds.ope.protocols.estimation.target import TargetPolicy, choices


@dataclass(frozen=True, eq=False)
class Inquiry:
    """A log and the settings of its estimates.

    Attributes:
        log: The log.
        folds: Parts of the cross-fitting.
        context: Threads and the seed of parts and reward models.
        least: The least propensity that the log promises; None where it promises none.
        fitted: What reward models expect, by kind and number of arms, as they come.
    """

    log: Log
    folds: int
    context: RunContext
    least: float | None = None
    fitted: dict[tuple[Learner, int], np.ndarray] = field(default_factory=dict)

    def predictions(self, learner: Learner, arms: int | None = None) -> np.ndarray:
        """Return a cross-fitted reward model's expectation of each arm, the log's first, in each row; shape (n, arms)."""
        key = (learner, arms or len(self.log.arms))
        if key not in self.fitted:
            self.fitted[key] = cross_fitted(learner, replace(self._lessons, arms=key[1]), self.part)
        return self.fitted[key]

    def evidence(self, policy: TargetPolicy, learner: Learner | None) -> LogEvidence:
        """Return the input of an estimator.

        Args:
            policy: The policy whose value is estimated.
            learner: The reward model that the estimator wants; None for none.
        """
        log, chosen = self.log, choices(policy, self.log, self.predictions)
        return LogEvidence(
            log.reward,
            np.zeros(log.n, np.int64) if policy.of_prices else log.action,
            chosen.probability,
            log.propensity,
            self.predictions(learner, len(chosen.arms)) if learner else None,
            None if self.least is None else 1 / self.least,
            log.price,
            chosen.price,
            chosen.arms,
            log.table.data,
        )

    @cached_property
    def part(self) -> np.ndarray:
        """The part that each row is in, shape (n,)."""
        return parts_of_rows(self.log, self.folds, self.context.seed)

    @cached_property
    def without(self) -> tuple[Inquiry, ...]:
        """The same of the log without each part, in which all that is learned is learned again."""
        return tuple(replace(self, log=self.log.rows(self.part != left), fitted={}) for left in range(self.folds))

    @cached_property
    def _lessons(self) -> Lessons:
        log = self.log
        numbers = as_numbers(log.context) if log.context.width else np.ones((log.n, 1))
        cell = cells(log.context) if log.context.width else np.zeros(log.n, np.int64)
        seed = self.context.seed_for("off_policy", "rewards")
        return Lessons(numbers, cell, log.action, log.reward, len(log.arms), self.context.cpus, seed)


BLOCKS = 20
"""Blocks of each part: a block stays together under every seed, so that the leakage check need not know the seed."""


def parts_of_rows(log: Log, folds: int, seed: int) -> np.ndarray:
    """Return the part that each row is in, shape (n,): whole blocks, dealt out anew by every seed.

    Raises:
        DataError: There are fewer rows or groups than parts.
    """
    block = blocks_of_rows(log, folds)
    dealt = stream(seed, "off_policy", "parts").permutation(int(block.max()) + 1) % folds
    return dealt[block]


def blocks_of_rows(log: Log, folds: int) -> np.ndarray:
    """Return the block that each row is in, shape (n,); rows of one group are in one block. Made from the number of rows alone.

    Raises:
        DataError: There are fewer rows or groups than parts.
    """
    count = log.n if log.group is None else int(log.group.max()) + 1
    if count < folds:
        what = "rows" if log.group is None else "groups"
        raise DataError(f"protocol.folds: {folds} parts of {count} {what}; ask for at most {count}.")
    block = stream(0, "off_policy", "blocks").permutation(count) % min(count, folds * BLOCKS)
    return block if log.group is None else block[log.group]
