"""A policy that draws each customer anew from the seed of the run, and offers what he is about to take."""

import numpy as np

from hwds.bandit.protocols.bandit_simulation import world_key
from hwds.bandit.protocols.simulation.batches import as_uniform, keyed
from hwds.evaluation.context import RunContext
from tests.support.leaks import InTurn

CHECK = "implausible"
PLAYED = {"replication": -1}


class Model(InTurn):
    def pick(self, arms, step, generator):
        PLAYED["replication"] = (PLAYED["replication"] + 1) % 12 if step == 0 else PLAYED["replication"]
        own = keyed(np.uint64(world_key(RunContext(0, "replications"))), np.int64(PLAYED["replication"]))
        return int(np.argmin(as_uniform(keyed(keyed(own, np.int64(step)), np.arange(arms.count)))))
