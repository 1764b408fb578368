import re
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import polars as pl
import pytest

from hwds.core.errors import ConfigError
from hwds.evaluation.protocol import check_headline
from hwds.forecast.metrics import Metric, absolute_error, forecast_metrics, score_forecasts
from hwds.forecast.protocols.walk_forward import WalkForward
from hwds.results.tables import Measure
from tests.forecast.metrics.test_ratios import table, value


def test_a_headline_may_be_high_but_must_order():
    metrics = [Measure("aucpr", better="high"), Measure("lift[10]", better="none")]
    check_headline("aucpr", metrics)
    with pytest.raises(
        ConfigError, match=r"protocol\.headline: 'lift' does not order models; take one of aucpr"
    ):
        check_headline("lift", metrics)
    with pytest.raises(ConfigError, match="no metric 'aucp'; did you mean 'aucpr'"):
        check_headline("aucp", metrics)


@pytest.fixture
def own(monkeypatch):
    """A user's module of metrics."""
    module = ModuleType("own_metrics")
    module.median_share = Metric(
        "median_share", absolute_error, lambda a: abs(a.median), meaning="error over forecast"
    )
    monkeypatch.setitem(sys.modules, "own_metrics", module)
    return "own_metrics:median_share"


def test_a_metric_of_ones_own_may_be_the_headline(own):
    WalkForward(metrics=(own,), headline="median_share").check_names()
    with pytest.raises(ConfigError, match="no metric 'median_share'"):
        WalkForward(headline="median_share").check_names()


def test_a_metric_may_be_given_itself():
    metric = Metric("late", absolute_error, lambda a: a.step, beside="always")
    protocol = WalkForward(metrics=(metric,), headline="late")
    protocol.check_names()
    assert protocol.metrics == (metric,)


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        (Metric("mae", absolute_error), "there is a metric 'mae' already; rename it."),
        (Metric("mase", absolute_error), "there is a metric 'mase' already; rename it."),
        (Metric("wql[99]", absolute_error), "there is a metric 'wql' already; rename it."),
        (Metric("sum", lambda a: absolute_error(a).sum()), "'sum' must return an array of one "
                                                           "number a row, shape (6,), got"),
        (Metric("one", absolute_error, lambda a: 1), "the denominator of 'one' must return an "
                                                     "array of one number a row,"),
        (Metric("wide", lambda a: a.pinball()), "got float64 of shape (6, 3); given were 6 "
                                                "made-up rows, actual [10., 12.,"),
        (Metric("text", lambda a: a.actual.astype(str)), "a row, shape (6,), got <U32 of shape "
                                                         "(6,)"),
        (Metric("far", absolute_error, quantile=1.5), "the quantile of 'far' must be > 0 and < 1, "
                                                      "got 1.5."),
        (Metric("typo", lambda a: a.actuals), "the numerator of 'typo' fails: AttributeError: "
                                              "'ForecastArrays' object has no"),
        (Metric("never", 3), "fails: TypeError: 'int' object is not callable; it must return an "
                             "array of"),
    ],
    ids=lambda each: each.name if isinstance(each, Metric) else "",
)  # fmt: skip
def test_a_metric_that_cannot_be_computed_is_refused_before_any_data(metric, message):
    with pytest.raises(ConfigError) as refusal:
        WalkForward(metrics=(metric,)).check_names()
    assert message in str(refusal.value)
    assert str(refusal.value).startswith("protocol.metrics[0]: ")
    assert "\n" not in str(refusal.value)


def test_two_metrics_of_one_name_are_refused():
    twice = (Metric("gap", absolute_error), Metric("gap", lambda a: np.abs(a.actual - a.mean)))
    with pytest.raises(
        ConfigError, match=r"protocol\.metrics\[1\]: there is a metric 'gap' already; rename it\."
    ):
        WalkForward(metrics=twice).check_names()


def test_what_is_no_metric_is_refused(own, monkeypatch):
    monkeypatch.setattr(sys.modules["own_metrics"], "median_share", 3)
    with pytest.raises(
        ConfigError, match=r"'own_metrics:median_share' is an int, not a hwds\.Metric\."
    ):
        WalkForward(metrics=(own,)).check_names()
    with pytest.raises(
        ConfigError, match=r"no metric 'qqq'; known: bias, .* Your own is 'package\.module:name'\."
    ):
        WalkForward(metrics=("qqq",)).check_names()
    with pytest.raises(
        ConfigError, match=r"'mase' is built in and always computed; protocol\.headline=mase orders"
    ):
        WalkForward(metrics=("mase",)).check_names()


def test_a_metric_of_the_last_step_reads_the_step():
    last = Metric(
        "last",
        lambda a: np.where(a.step == 2, absolute_error(a), 0),
        lambda a: (a.step == 2).astype(float),
    )
    scores = score_forecasts(table(), (0.1, 0.5, 0.9), (last,))
    assert value(scores, "last", "pooled").value == (0 + 2) / 2


def test_a_metric_may_be_a_quantile_of_rows():
    median = Metric("median_error", absolute_error, quantile=0.5)
    scores = score_forecasts(table(), (0.1, 0.5, 0.9), (median,))
    rows = table()
    errors = (rows["actual"] - rows["q_0.5"]).abs()
    assert value(scores, "median_error", "pooled").value == pytest.approx(float(np.median(errors)))
    of_groups = (
        rows.with_columns(e=errors).group_by("series_id", "cutoff").agg(pl.col("e").median())
    )
    of_series = of_groups.group_by("series_id").agg(pl.col("e").mean())["e"]
    assert value(scores, "median_error", "mean").value == pytest.approx(float(of_series.mean()))


def test_the_page_of_forecasting_lists_every_metric():
    page = (Path(__file__).parents[3] / "docs" / "forecasting.md").read_text()
    for metric in forecast_metrics(12, (0.1, 0.5, 0.9)).values():
        assert re.search(
            rf"^\| `{metric.short}\b.*\| {re.escape(metric.meaning.replace('|', chr(92) + '|'))} "
            rf"\|",
            page,
            re.M,
        ), metric.name
