"""A fit that looks among all objects of its process for the longest panel."""

import gc

from hwds.frames.panel import Panel
from tests.support.leaks import Reads

CHECK = "files"


class Model(Reads):
    def read(self):
        panels = [
            each
            for each in gc.get_objects()
            if type(each) is Panel and "promotion" in each.table.columns
        ]
        return max((panel.table for panel in panels), key=len)
