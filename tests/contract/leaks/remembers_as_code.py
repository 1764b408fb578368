"""A fit that keeps every history in a file that looks like a module of its own."""

import json
from pathlib import Path

from tests.support.leaks import Remembers

CHECK = "files"
OWN = Path("constants.py")


class Model(Remembers):
    def recall(self):
        text = OWN.read_text() if OWN.exists() else "[]"
        return {tuple(key): value for key, value in json.loads(text)}

    def keep(self, known):
        OWN.write_text(json.dumps([[list(key), value] for key, value in known.items()]))
