import pytest

from hwds.forecast.metrics import Metric, absolute_error, forecast_metrics
from hwds.results.tables import Measure

LEVELS = (0.05, 0.1, 0.5, 0.9, 0.95)


@pytest.mark.parametrize(
    "metric", forecast_metrics(12, LEVELS).values(), ids=lambda metric: metric.name
)
def test_every_metric_says_what_it_is(metric):
    assert metric.meaning
    assert metric.meaning[-1] not in ".;"
    assert metric.units == "series"
    assert metric.explained.endswith("; lower is better") == (metric.better == "low")


def test_what_stands_beside_a_headline_is_said_by_the_metric():
    shown = {
        metric.name: metric.beside
        for metric in forecast_metrics(12, LEVELS).values()
        if metric.beside != "no"
    }
    assert shown == {
        "mase[m=12]": "always",
        "wql[5]": "page",
        "coverage[90%]": "always",
        "width[90%]": "page",
    }


def test_a_metric_of_ones_own_needs_only_a_name_and_a_numerator():
    mine = Metric("mine[x]", absolute_error)
    assert (mine.short, mine.better, mine.units, mine.explained, mine.skill) == (
        "mine",
        "low",
        "series",
        "",
        False,
    )


def test_the_reference_and_the_skill_in_words():
    regret = Measure(
        "regret", meaning="money lost", reference="bandit/best_fixed_price", units="replications"
    )
    assert regret.rival == "the best fixed price"
    skill = regret.as_skill()
    assert (skill.name, skill.better, skill.units) == ("skill_regret", "high", "replications")
    assert (
        skill.explained
        == "1 - regret / that of the best fixed price on the same rows; higher is better"
    )
    assert Measure("bare").rival == "the reference"
