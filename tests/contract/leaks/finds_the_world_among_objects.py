"""A policy that looks among all objects of its process for a world."""

import gc

import numpy as np

from hwds.frames.world import World
from tests.support.leaks import InTurn

CHECK = "files"
FOUND = []


class Model(InTurn):
    def pick(self, arms, step, generator):
        if not FOUND:
            FOUND.append(next(each for each in gc.get_objects() if type(each) is World))
        return int(np.argmax(FOUND[0].rewards[0, 0]))
