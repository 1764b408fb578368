"""The outcome of a plan in draws of demand and of outages: stock, fill rate, and the volumes that can be delivered."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwds.supply.plan.program import SupplyProblem, SupplyProgram


@dataclass(frozen=True, eq=False)
class PlanOutcome:
    """The outcome of a plan in n draws.

    Attributes:
        stock: At the end of each step, shape (p, t, n).
        unserved: The demand of a step that is not served in it, shape (p, t, n).
        served: What is delivered over all steps, shape (p, n).
        deliverable: The most that could be delivered, were more of that deal asked for and of others not: with the stock that
            is left and the capacity that its plant does not use, shape (p, n).
    """

    stock: np.ndarray
    unserved: np.ndarray
    served: np.ndarray
    deliverable: np.ndarray


def outcome_of(problem: SupplyProblem, program: SupplyProgram, actual: np.ndarray | None = None) -> PlanOutcome:
    """Return the outcome where each step makes what brings stock to its plan, or as much of that as a plant can.

    Demand and outages of earlier steps are known in a step, those of its own are not; what is owed is delivered later.

    Args:
        problem: The draws.
        program: The plan.
        actual: Demand in place of the draws, with the capacity as expected; shape (p, t).
    """
    demand = problem.demand if actual is None else actual[..., None]
    room = problem.capacity[:, None, None] * problem.running
    room = room if actual is None else room.mean(axis=1, keepdims=True)
    target = program.stock + problem.expected
    net = np.repeat(problem.opening[:, None], demand.shape[2], axis=1)
    stock, unserved = np.empty(demand.shape), np.empty(demand.shape)
    idle = np.zeros((len(room), demand.shape[2]))
    for step in range(demand.shape[1]):
        wanted = np.maximum(target[:, step, None] - net, 0.0)
        made = wanted * _share(problem.plant, wanted, room[:, :, step])[problem.plant]
        idle += room[:, :, step]
        np.subtract.at(idle, problem.plant, made)
        net = net + made - demand[:, step]
        stock[:, step] = np.maximum(net, 0.0)
        unserved[:, step] = np.minimum(demand[:, step], np.maximum(-net, 0.0))
    served = demand.sum(axis=1) - np.maximum(-net, 0.0)
    return PlanOutcome(stock, unserved, served, served + np.maximum(net, 0.0) + np.maximum(idle, 0.0)[problem.plant])


def _share(plant: np.ndarray, wanted: np.ndarray, room: np.ndarray) -> np.ndarray:
    """Return the share of what is wanted that each plant makes, shape (plants, n)."""
    total = np.zeros(room.shape)
    np.add.at(total, plant, wanted)
    return np.asarray(np.minimum(1.0, room / np.maximum(total, 1e-12)))
