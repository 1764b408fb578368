"""The objectives of a sweep: which measure a name is, and which trials are in the front."""

from types import SimpleNamespace
from typing import Any

from hwds.evaluation.protocol import Score
from hwds.results.tables import Measure
from hwds.search.results import front_of
from hwds.search.rungs import FINISHED, TrialRecord
from hwds.search.trials import Trial

MEASURES = tuple(
    Measure(name, better="low") for name in ("mase[m=12]", "pinball[q=0.1]", "pinball[q=0.9]")
)


def record(number, seconds, *values):
    scores = [Score(each.name, "mean", value) for each, value in zip(MEASURES, values, strict=True)]
    return TrialRecord(Trial(number, {}, {}), FINISHED, scores=scores, seconds=seconds)


def search(*objectives):
    protocol = SimpleNamespace(measures=lambda frame: MEASURES)
    found: Any = SimpleNamespace(
        measure=MEASURES[0],
        better="low",
        sweep=SimpleNamespace(objectives=objectives),
        tuning_split=SimpleNamespace(protocol=protocol, frame=None),
    )
    return found


def test_an_objective_is_named_as_the_score_that_it_is():
    records = [
        record(0, 9.0, 1.0, 3.0, 7.0),
        record(1, 1.0, 2.0, 4.0, 5.0),
        record(2, 9.0, 1.0, 4.0, 5.0),
    ]
    front = front_of(search("pinball", "seconds"), records)
    assert [each["name"] for each in front["objectives"]] == [
        "mase[m=12]",
        "pinball[q=0.1]",
        "seconds",
    ]
    assert [each["values"] for each in front["trials"]] == [
        [1.0, 3.0, 9.0],
        [2.0, 4.0, 1.0],
        [1.0, 4.0, 9.0],
    ]
    assert [each["front"] for each in front["trials"]] == [True, True, False]
    assert front_of(search(), records) == {}
