"""A fit that adds to a file before it reads it, so that it seems to be one that it made."""

import json
from pathlib import Path

from tests.support.leaks import Remembers

CHECK = "files"
OWN = Path("log.txt")


class Model(Remembers):
    def recall(self):
        with OWN.open("a") as file:
            file.write("")
        lines = [json.loads(line) for line in OWN.read_text().splitlines()]
        return {tuple(key): value for line in lines for key, value in line}

    def keep(self, known):
        with OWN.open("a") as file:
            file.write(json.dumps([[list(key), value] for key, value in known.items()]) + "\n")
