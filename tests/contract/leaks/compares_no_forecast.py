"""A protocol that compares the names of its forecasts, and not their values."""

from hwds.forecast.protocols.walk_forward import WalkForward

CHECK = "protocol"


class Protocol(WalkForward):
    def predictions_at(self, rows, cutoff, frame):
        return super().predictions_at(rows, cutoff, frame).select("series_id", "cutoff", "step")
