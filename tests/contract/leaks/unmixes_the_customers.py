"""A policy that computes the key of the customers back from that of its own random numbers."""

import numpy as np

from hwds.bandit.models.kernels.draws import GOLDEN
from hwds.bandit.simulation.play import as_uniforms, word_keys
from tests.support.leaks import InTurn

CHECK = "implausible"
WORD = 1 << 64


def unmixed(word):
    """SplitMix64 backwards."""
    for shift, factor in ((31, 0x94D049BB133111EB), (27, 0xBF58476D1CE4E5B9), (30, 1)):
        word ^= (word >> shift) ^ (word >> 2 * shift)
        word = word * pow(factor, -1, WORD) % WORD
    return word


class Model(InTurn):
    def pick(self, arms, step, generator):
        mine = int(generator.bit_generator.state["state"]["key"][0])
        own = np.uint64((unmixed(mine) - int(GOLDEN) * 0) % WORD)
        return int(
            np.argmin(as_uniforms(word_keys(word_keys(own, np.int64(step)), np.arange(arms.count))))
        )
