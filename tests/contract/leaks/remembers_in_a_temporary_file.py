"""A fit that keeps every history as an array in the folder for temporary files."""

import json
import tempfile
from pathlib import Path

import numpy as np

from tests.support.leaks import Remembers

CHECK = "files"


class Model(Remembers):
    def recall(self):
        file = Path(tempfile.gettempdir(), "own_state.npy")
        return (
            {tuple(key): value for key, value in json.loads(str(np.load(file)))}
            if file.exists()
            else {}
        )

    def keep(self, known):
        np.save(
            Path(tempfile.gettempdir(), "own_state.npy"),
            json.dumps([[list(key), value] for key, value in known.items()]),
        )
