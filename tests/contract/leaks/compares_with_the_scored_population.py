"""A score that is how far a row lies from the mean of those that it is scored with."""

from dataclasses import dataclass

from hwds.detection.models.base import Classifier, Contributions

CHECK = "future"


@dataclass(frozen=True)
class Scorer:
    def score(self, rows):
        spent = rows.data["spent"].to_numpy()
        return (spent - spent.mean()) / spent.std()

    def explain(self, rows):
        return Contributions(("spent",), 0.0, self.score(rows)[:, None])


class Model(Classifier):
    def learn(self, train, *, stop, context):
        return Scorer()
