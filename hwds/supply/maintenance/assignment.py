"""The cheapest assignment of machines to slots within the capacity of crews and parts: exact, by scipy's solvers."""

from __future__ import annotations

import numpy as np

from hwds.core.errors import HwdsError


def assign(costs: np.ndarray, crew: np.ndarray, parts: np.ndarray | None = None) -> np.ndarray:
    """Return the slot of each machine, the last column standing for later; shape (m,).

    Each machine has one slot; a slot has no more machines than crews, and up to it there are no more than parts have arrived.
    Where parts do not run out, this is the assignment of machines to the places of crews (scipy's linear_sum_assignment, a
    thirtieth of the time); else a mixed-integer program (HiGHS, by scipy.optimize.milp).

    Args:
        costs: Of each machine in each slot, the last for later, which has no limit; finite, shape (m, slots + 1).
        crew: Replacements in each slot, shape (slots,).
        parts: That have arrived by each slot, rising, shape (slots,); None where they do not run out.

    Raises:
        HwdsError: The solver ends without a solution.
    """
    if not len(costs):
        return np.zeros(0, int)
    return _by_crew(costs, crew) if parts is None else _by_crew_and_parts(costs, crew, parts)


def _by_crew(costs: np.ndarray, crew: np.ndarray) -> np.ndarray:
    from scipy.optimize import linear_sum_assignment

    machines, columns = costs.shape
    slots = np.repeat(np.arange(columns), np.append(np.minimum(crew, machines), machines))
    return np.asarray(slots[linear_sum_assignment(costs[:, slots])[1]])


def _by_crew_and_parts(costs: np.ndarray, crew: np.ndarray, parts: np.ndarray) -> np.ndarray:
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import csr_matrix, kron, vstack

    machines, columns = costs.shape
    slots = columns - 1
    once = kron(np.eye(machines), np.ones((1, columns)), format="csr")
    in_slot = kron(np.ones((1, machines)), np.eye(slots, columns), format="csr")
    upto = np.column_stack([np.tril(np.ones((slots, slots))), np.zeros(slots)])
    rules = [once, in_slot, kron(np.ones((1, machines)), upto, format="csr")]
    least = np.concatenate([np.ones(machines), np.zeros(2 * slots)])
    most = np.concatenate([np.ones(machines), crew, parts])
    limits = LinearConstraint(csr_matrix(vstack(rules)), least, most)
    solved = milp(costs.ravel(), constraints=limits, bounds=Bounds(0, 1), integrality=np.ones(costs.size))
    if solved.x is None:
        raise HwdsError(f"decision: the schedule of {machines} machines has no solution: {solved.message}")
    return np.asarray(solved.x.reshape(costs.shape).argmax(axis=1))
