"""The family of bandits: policies that choose among arms, in a simulated world or on a log of
uniform choices.
"""

from __future__ import annotations

from hwds.core.registry import Family, Task
from hwds.frames.table import Table
from hwds.frames.world import World

SIMULATION = Task(
    name="bandit",
    frame=World,
    headline="pseudo_regret",
    report="hwds.bandit.report:REPORT",
    comparison="hwds.bandit.report:COMPARISON",
)

REPLAY = Task(
    name="replay",
    frame=Table,
    headline="mean_reward",
    report="hwds.bandit.report:REPLAY_REPORT",
    comparable=False,
)

FAMILY = Family(
    name="bandit",
    tasks=(SIMULATION, REPLAY),
    policies="hwds.bandit.live.service:LivePolicies",
)
