import sys
from types import ModuleType

import pytest

from hwds.errors import ConfigError
from hwds.metrics.base import Measure
from hwds.metrics.forecast import Metric, absolute
from hwds.protocols.metric_names import check_headline
from hwds.protocols.walk_forward import WalkForward


def test_a_headline_may_be_high_but_must_order():
    metrics = [Measure("aucpr", better="high"), Measure("lift[10]", better="none")]
    check_headline("aucpr", metrics)
    with pytest.raises(ConfigError, match=r"protocol\.headline: 'lift' does not order models; take one of aucpr"):
        check_headline("lift", metrics)
    with pytest.raises(ConfigError, match="no metric 'aucp'; did you mean 'aucpr'"):
        check_headline("aucp", metrics)


@pytest.fixture
def own(monkeypatch):
    """A user's module of metrics."""
    module = ModuleType("own_metrics")
    module.median_share = Metric("median_share", absolute, lambda a: abs(a.median), meaning="error over forecast")
    monkeypatch.setitem(sys.modules, "own_metrics", module)
    return "own_metrics:median_share"


def test_a_metric_of_ones_own_may_be_the_headline(own):
    WalkForward(metrics=(own,), headline="median_share").check_names()
    with pytest.raises(ConfigError, match="no metric 'median_share'"):
        WalkForward(headline="median_share").check_names()
