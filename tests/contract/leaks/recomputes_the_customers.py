"""A policy that draws each customer anew from the seed of the run, and offers what he is about to
take.
"""

import numpy as np

from hwds.bandit.protocols.bandit_simulation import world_key
from hwds.bandit.simulation.play import as_uniforms, customers_of, word_keys
from hwds.evaluation.protocol import RunContext
from tests.support.leaks import InTurn

CHECK = "implausible"
PLAYED = {"replication": -1}


class Model(InTurn):
    def pick(self, arms, step, generator):
        PLAYED["replication"] = (
            (PLAYED["replication"] + 1) % 12 if step == 0 else PLAYED["replication"]
        )
        customers = customers_of(world_key(RunContext(0, "replications")))
        own = word_keys(customers, np.int64(PLAYED["replication"]))
        return int(
            np.argmin(as_uniforms(word_keys(word_keys(own, np.int64(step)), np.arange(arms.count))))
        )
