"""A protocol whose corruption gives the data back as it was."""

from hwds.forecast.protocols.walk_forward import WalkForward

CHECK = "protocol"


class Protocol(WalkForward):
    def corrupt_after(self, frame, cutoff, rng):
        return frame
