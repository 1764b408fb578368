"""What a protocol cannot do is refused by its name, in one line."""

import pytest

from hwds.ab.protocols.ab_test import AbTest
from hwds.bandit.protocols.bandit_simulation import BanditSimulation
from hwds.bandit.protocols.replay import Replay
from hwds.core.compose import compose
from hwds.core.errors import ConfigError
from hwds.detection.protocols.grouped_kfold import GroupedKFold
from hwds.evaluation.leak_check import check_leaks
from hwds.evaluation.protocol import (
    Contrasting,
    Deployable,
    KnowsTruth,
    LeakTestable,
    RunContext,
    ScoreSegments,
    Segmentable,
    Tunable,
)
from hwds.experiment.spec import check
from hwds.forecast.protocols.walk_forward import WalkForward
from hwds.ope.protocols.off_policy import OffPolicy

ABILITIES = {
    WalkForward: {Tunable, Deployable, Segmentable, LeakTestable},
    GroupedKFold: {Tunable, Deployable, Segmentable, LeakTestable, Contrasting},
    BanditSimulation: {Tunable, LeakTestable, Contrasting, KnowsTruth},
    Replay: {Tunable, LeakTestable},
    OffPolicy: {Segmentable, LeakTestable, Contrasting},
    AbTest: set(),
}


@pytest.mark.parametrize("protocol", ABILITIES, ids=lambda protocol: protocol.__name__)
def test_a_protocol_has_the_abilities_that_it_inherits(protocol):
    every = set().union(*ABILITIES.values())
    assert {ability for ability in every if isinstance(protocol(), ability)} == ABILITIES[protocol]


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        (
            ["sweep=random"],
            "sweep: protocol 'ab_test' holds arms against each other by a rule that has to be "
            "fixed",
        ),
        (
            ["save_model=final"],
            "save_model: protocol 'ab_test' has no model to keep; it must be none, got 'final'.",
        ),
    ],
)
def test_what_a_config_asks_of_it_is_refused_before_the_data_is_loaded(words, refusal):
    with pytest.raises(ConfigError) as caught:
        check(compose(["+experiment=ab_price_test", *words]))
    assert str(caught.value).startswith(refusal)
    assert "\n" not in str(caught.value)


def test_segments_and_the_canary_are_refused_too():
    protocol = AbTest(name="ab_test", segments=("device",))
    with pytest.raises(
        ConfigError,
        match=r"^protocol\.segments: protocol 'ab_test' has no segments, got 'device'\.$",
    ):
        ScoreSegments.of(protocol, None)
    with pytest.raises(ConfigError, match=r"^check-leakage: protocol 'ab_test' predicts nothing"):
        list(check_leaks(protocol, "m", None, None, RunContext(0)))


def test_who_says_an_ability_has_all_of_it():
    class Half(GroupedKFold, KnowsTruth):
        """Says that it knows the truth, and does not."""

    with pytest.raises(TypeError, match="oracle_scores"):
        Half()
