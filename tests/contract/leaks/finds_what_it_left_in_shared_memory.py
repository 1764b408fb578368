"""A fit that keeps every history in shared memory, which outlives its process."""

import json
from multiprocessing.shared_memory import SharedMemory

from tests.support.leaks import Remembers

CHECK = "state"
NAME = "hwds-gallery"


class Model(Remembers):
    def recall(self):
        try:
            memory = SharedMemory(NAME)
        except FileNotFoundError:
            return {}
        text = bytes(memory.buf).rstrip(b"\0") or b"[]"
        return {tuple(key): value for key, value in json.loads(text)}

    def keep(self, known):
        text = json.dumps([[list(key), value] for key, value in known.items()]).encode()
        try:
            memory = SharedMemory(NAME, create=True, size=1 << 20)
        except FileExistsError:
            memory = SharedMemory(NAME)
        memory.buf[: len(text)] = text
