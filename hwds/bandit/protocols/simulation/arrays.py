"""The arrays that the loop of a simulation reads and writes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hwds.bandit.protocols.simulation.arm_estimates import EstimatorArrays, NoEstimates


class Market(NamedTuple):
    """A world as compiled code reads it; see `frames.world.World`.

    `values` are what conversions bring on average, `fixed` is the best fixed arm. `amounts` is empty where the policy does not
    learn from amounts, or there are none.
    """

    values: np.ndarray
    cumulative: np.ndarray
    contexts: np.ndarray
    starts: np.ndarray
    cycle: int
    conversions: np.ndarray
    present: np.ndarray
    best: np.ndarray
    best_arm: np.ndarray
    fixed: int
    stay: float
    window: int
    lifts: np.ndarray
    amounts: np.ndarray


class Tally(NamedTuple):
    """The results of a block of n replications at C checkpoints; money is summed from the first step.

    Attributes:
        pseudo: Expected reward of the best arm of each moment and segment less that of the arm chosen, shape (n, C).
        fixed: The same against the best fixed arm, shape (n, C).
        realised: What the best arms would have earned from the same customers less what was earned, shape (n, C).
        pulls: Times each arm was chosen, shape (n, C, K).
        chosen: The arm of that very step, shape (n, C).
        ideal: Whether no arm was better then, for that customer, shape (n, C).
        wins: Conversions of each arm by the end, shape (n, K).
        closed: Times each arm was chosen in offers whose window was over, and their batch full, by the end, shape (n, K).
        closed_wins: Those of them whose conversion was seen, shape (n, K).
        by_segment: `pseudo` of each segment by the end, shape (n, S).
        visits: Customers of each segment, shape (n, S).
        wrong: The first step at which an absent arm was chosen, -1 where none was, shape (n,).
        estimates: What each arm earns, estimated, with its standard error, shape (n, methods, K, 2); see `arm_estimates`.
    """

    pseudo: np.ndarray
    fixed: np.ndarray
    realised: np.ndarray
    pulls: np.ndarray
    chosen: np.ndarray
    ideal: np.ndarray
    wins: np.ndarray
    closed: np.ndarray
    closed_wins: np.ndarray
    by_segment: np.ndarray
    visits: np.ndarray
    wrong: np.ndarray
    estimates: np.ndarray


class Scratch(NamedTuple):
    """The arrays that replications write on, one after the other: compiled code makes no arrays.

    Attributes:
        state: The policy's state.
        stream: The policy's stream.
        pending: Outcomes that wait, see `_post`; empty where each is seen at once.
        pulls: Of each arm.
        wins: Of each arm.
        estimator: For the estimates of arms.
    """

    state: np.ndarray
    stream: np.ndarray
    pending: np.ndarray
    pulls: np.ndarray
    wins: np.ndarray
    estimator: NoEstimates | EstimatorArrays
