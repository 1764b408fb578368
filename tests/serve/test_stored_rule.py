"""The rule of a bundle's decision: of the class that it names, or of alerts in older bundles."""

import pytest

from hwds.core.errors import DataError
from hwds.core.serialization import class_path
from hwds.detection.alerts.tiers import AlertTiers
from hwds.detection.decisions.alert_policy import AlertPolicy
from hwds.serve.bundle.manifest import ALERT_RULE, stored_rule

RULE = AlertPolicy(wrong_block=100.0).row_rule(None, None, 3, "spent")


def test_a_rule_is_of_the_class_that_the_bundle_names():
    assert class_path(AlertTiers) == ALERT_RULE
    assert stored_rule({**RULE.as_dict(), "rule": class_path(AlertTiers)}) == RULE


def test_a_bundle_of_an_older_version_names_none():
    assert stored_rule(RULE.as_dict()) == RULE


@pytest.mark.parametrize("decision", [None, {}, {"action": "HOLD", "sentence": "Wait."}])
def test_most_decisions_say_nothing_of_rows(decision):
    assert stored_rule(decision) is None


def test_a_class_that_is_not_here_is_refused_by_name():
    with pytest.raises(DataError, match=r"decision.json: its rule 'gone.rules:Rule' is not here"):
        stored_rule({"rule": "gone.rules:Rule"})
