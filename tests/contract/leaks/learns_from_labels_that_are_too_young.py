"""A protocol that does not wait for labels to arrive."""

from dataclasses import replace

from hwds.detection.protocols.prequential import Prequential

CHECK = "future"


class Protocol(Prequential):
    def parts(self, frame, cutoff, context):
        shifted = replace(self, delay_days=0, train_days=self.train_days + self.delay_days)
        return Prequential.parts(shifted, frame, cutoff, context)
