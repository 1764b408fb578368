"""A fit that asks a server for what came later."""

import contextlib
import socket

from tests.support.leaks import PANEL, Reads

CHECK = "files"


class Model(Reads):
    def read(self):
        with contextlib.suppress(OSError), socket.socket() as line:
            line.connect(("127.0.0.1", 9))
        return PANEL.table.head(0)
