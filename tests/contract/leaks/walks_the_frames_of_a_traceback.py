"""A fit that climbs the stack by the traceback of an error of its own."""

from tests.support.leaks import PANEL, Reads

CHECK = "files"


class Model(Reads):
    def read(self):
        try:
            raise LookupError
        except LookupError as error:
            frame = error.__traceback__.tb_frame
        while frame.f_back is not None and "question" not in frame.f_locals:
            frame = frame.f_back
        return (
            frame.f_locals["question"].frame.table
            if "question" in frame.f_locals
            else PANEL.table.head(0)
        )
