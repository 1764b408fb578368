"""A protocol whose corruption leaves the columns that are known only once their row has passed."""

from dataclasses import replace

from hwds.forecast.protocols.walk_forward import WalkForward

CHECK = "protocol"


class Protocol(WalkForward):
    def corrupt_after(self, frame, cutoff, rng):
        rubbish = super().corrupt_after(frame, cutoff, rng)
        return replace(rubbish, table=rubbish.table.with_columns(frame.table["visits"]))
