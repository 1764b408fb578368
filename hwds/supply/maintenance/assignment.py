"""The cheapest assignment of machines to slots within the capacity of crews and parts, as a mixed-integer program."""

from __future__ import annotations

import numpy as np

from hwds.core.errors import HwdsError


def assign(costs: np.ndarray, crew: np.ndarray, parts: np.ndarray | None = None) -> np.ndarray:
    """Return the slot of each machine, the last column standing for later; shape (m,).

    Each machine has one slot; a slot has no more machines than crews, and up to it there are no more than parts have arrived.
    Solved by HiGHS (scipy.optimize.milp).

    Args:
        costs: Of each machine in each slot, the last for later, which has no limit; finite, shape (m, slots + 1).
        crew: Replacements in each slot, shape (slots,).
        parts: That have arrived by each slot, rising, shape (slots,); None where they do not run out.

    Raises:
        HwdsError: The solver ends without a solution.
    """
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import csr_matrix, kron, vstack

    machines, columns = costs.shape
    if not machines:
        return np.zeros(0, int)
    slots = columns - 1
    once = kron(np.eye(machines), np.ones((1, columns)), format="csr")
    in_slot = kron(np.ones((1, machines)), np.eye(slots, columns), format="csr")
    rules, least, most = [once, in_slot], [np.ones(machines), np.zeros(slots)], [np.ones(machines), crew.astype(float)]
    if parts is not None:
        upto = np.column_stack([np.tril(np.ones((slots, slots))), np.zeros(slots)])
        rules.append(kron(np.ones((1, machines)), upto, format="csr"))
        least.append(np.zeros(slots))
        most.append(parts.astype(float))
    limits = LinearConstraint(csr_matrix(vstack(rules)), np.concatenate(least), np.concatenate(most))
    solved = milp(costs.ravel(), constraints=limits, bounds=Bounds(0, 1), integrality=np.ones(costs.size))
    if solved.x is None:
        raise HwdsError(f"decision: the schedule of {machines} machines has no solution: {solved.message}")
    return np.asarray(solved.x.reshape(costs.shape).argmax(axis=1))
