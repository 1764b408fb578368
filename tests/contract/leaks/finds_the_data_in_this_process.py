"""A fit that finds the data where something else in this process holds it; a fresh one has never
seen it.
"""

import sys

from tests.support.leaks import PANEL, Reads

CHECK = "state"
POWERLESS = True  # where a process of its own has nothing to be found
ELSEWHERE = True
if "pytest" in sys.modules:
    sys.modules["tests.support.leaks"].held = PANEL.table


class Model(Reads):
    def read(self):
        return getattr(sys.modules["tests.support.leaks"], "held", PANEL.table.head(0))
