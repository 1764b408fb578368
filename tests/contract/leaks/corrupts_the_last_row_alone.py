"""A protocol whose corruption reaches the last row of each series, and no other after the
cutoff.
"""

from dataclasses import replace

import numpy as np
import polars as pl

from hwds.forecast.protocols.walk_forward import WalkForward

CHECK = "protocol"


class Protocol(WalkForward):
    def corrupt_after(self, frame, cutoff, rng):
        rubbish = super().corrupt_after(frame, cutoff, rng)
        last = pl.Series(frame.positions == np.repeat(frame.lengths, frame.lengths) - 1)
        mixed = [
            rubbish.table[name].zip_with(last, frame.table[name]) for name in ("target", "visits")
        ]
        return replace(rubbish, table=rubbish.table.with_columns(mixed))
