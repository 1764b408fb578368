"""A protocol of rows whose corruption leaves labels that were not known."""

from dataclasses import replace

from hwds.detection.protocols.prequential import Prequential

CHECK = "protocol"


class Protocol(Prequential):
    def corrupt_after(self, frame, cutoff, rng):
        rubbish = super().corrupt_after(frame, cutoff, rng)
        return replace(rubbish, data=rubbish.data.with_columns(frame.data["bad"]))
