"""A fit that changes the frozen recipe that it is."""

from tests.support.leaks import Remembers

CHECK = "state"


class Model(Remembers):
    def recall(self):
        return vars(self).get("known", {})

    def keep(self, known):
        object.__setattr__(self, "known", known)
