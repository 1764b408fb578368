"""A fit that climbs the stack to the protocol, which holds all of the data."""

import sys

from tests.support.leaks import Reads

CHECK = "future"


class Model(Reads):
    def read(self):
        frame = sys._getframe()
        while frame is not None and "panel" not in frame.f_locals:
            frame = frame.f_back
        return frame.f_locals["panel"].table
