"""A fit that keeps every history among the names of Python itself."""

import builtins

from tests.support.leaks import Remembers

CHECK = "state"


class Model(Remembers):
    def recall(self):
        return getattr(builtins, "known_to_me", {})

    def keep(self, known):
        builtins.known_to_me = known
