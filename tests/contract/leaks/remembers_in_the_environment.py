"""A fit that keeps every history in a variable of the environment."""

import json
import os

from tests.support.leaks import Remembers

CHECK = "state"


class Model(Remembers):
    def recall(self):
        text = os.environ.get("HWDS_GALLERY", "[]")
        return {tuple(key): value for key, value in json.loads(text)}

    def keep(self, known):
        os.environ["HWDS_GALLERY"] = json.dumps(
            [[list(key), value] for key, value in known.items()]
        )
