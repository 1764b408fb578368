"""A protocol that hands to the model the rows that it will be scored on, with their labels."""

from dataclasses import replace

from hwds.detection.protocols.prequential import Prequential

CHECK = "future"


class Protocol(Prequential):
    def parts(self, frame, cutoff, context):
        found = super().parts(frame, cutoff, context)
        told = (
            found["test"]
            .data.drop("bad")
            .join(frame.data.select("row_id", "bad"), on="row_id", how="left")
        )
        return found | {
            "train": replace(found["test"], data=told.select(found["test"].data.columns))
        }
