"""A protocol that keeps the first frame it is given, and never looks at another."""

from hwds.forecast.protocols.walk_forward import WalkForward

CHECK = "protocol"
POWERLESS = True  # where a process of its own has nothing to be found
FRAMES = []


class Protocol(WalkForward):
    def evaluate_cell(self, model, frame, cell, context):
        FRAMES.append(frame)
        return super().evaluate_cell(model, FRAMES[0], cell, context)
