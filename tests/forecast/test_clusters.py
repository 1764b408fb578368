"""Series that come in families: declared they count as one, undeclared a remark says so."""

from datetime import date

import numpy as np
import polars as pl
import pytest

from hwds.cli.notebook import evaluate
from hwds.core.errors import ConfigError
from hwds.forecast.compare import forecast_evidence
from hwds.forecast.protocols.walk_forward import WalkForward
from hwds.frames.panel import Panel
from hwds.stats.contrasts import Scale
from hwds.stats.sources import ModelRows
from tests.support.finished_runs import MASE, forecasts, source
from tests.support.panels import LastValue

MONTHS = pl.date_range(date(2015, 1, 1), date(2022, 12, 1), "1mo", eager=True)


def families(count=5, each=8, alike=1.0):
    """Series whose trend, which the last value misses, is that of their family."""
    rng = np.random.default_rng(4)
    parts = []
    for family in range(count):
        trend = alike * rng.normal(0, 2)
        for series in range(each):
            own = trend + 0.1 * rng.normal()
            values = 300 + own * np.arange(len(MONTHS)) + rng.normal(0, 9, len(MONTHS))
            parts.append(
                pl.DataFrame({"time": MONTHS, "units": values}).select(
                    pl.lit(f"s{family}{series}").alias("series"),
                    pl.lit(f"f{family}").alias("family"),
                    pl.lit(f"c{series}").alias("colour"),
                    "time",
                    "units",
                )
            )
    keys = {"series": "series", "time": "time", "target": "units", "season": 12, "horizon": 6}
    table = pl.concat(parts)
    return Panel.of(table, frequency="1mo", static=("family", "colour"), **keys)


def protocol(**changes):
    return WalkForward(windows=8, stride=6, **changes)


def interval(tables):
    row = tables.scores.filter(
        (pl.col("metric") == "skill_mase[m=12]") & pl.col("fold").is_null()
    ).row(0, named=True)
    return row["value"], row["ci_high"] - row["ci_low"]


def test_series_of_a_declared_family_count_as_one_in_run_and_comparison():
    panel = families()
    alone = evaluate(LastValue(), panel, protocol()).tables
    together = evaluate(LastValue(), panel, protocol(cluster=("family",))).tables
    assert set(together.predictions["cluster"]) == {f"f{i}" for i in range(5)}
    assert interval(together)[0] == interval(alone)[0]
    assert interval(together)[1] > 1.3 * interval(alone)[1]
    whole = evaluate(LastValue(), panel, protocol(cluster=("family", "colour"))).tables
    assert interval(whole) == pytest.approx(interval(alone))


def test_a_comparison_reads_the_clusters_of_its_runs():
    rows = forecasts({"m/a": 1.0, "m/b": 1.3}, series=24, origins=6)
    named = rows.with_columns(cluster=pl.col("series_id").str.slice(1, 1))
    found = {}
    for name, table in (("alone", rows), ("together", named)):
        run = source(table)
        answers = [
            ModelRows(model, "toys", 0, run, model, run.rows(model)) for model in ("m/a", "m/b")
        ]
        evidence, _ = forecast_evidence(answers, MASE, 200)
        scale = Scale.of(evidence.means, "low")
        found[name] = evidence.effects([(0, 1)], scale)[0]
    assert found["together"].value == pytest.approx(found["alone"].value)
    assert (found["together"].clusters, found["alone"].clusters) == (3, 24)
    assert "clusters" in found["together"].method
    assert found["together"].difference(0.95)[0] <= 0 < found["alone"].difference(0.95)[0]


def remarks(panel, **changes):
    made = protocol(**changes)
    tables = evaluate(LastValue(), panel, made).tables
    found = made.doubts(panel, tables.predictions, sure=True)
    return [each for each in found if each.startswith("Series of one ")]


def test_a_column_that_explains_the_differences_is_remarked_with_its_interval():
    (remark,) = remarks(families())
    assert remark.startswith(
        "Series of one family differ in the same way: with protocol.cluster=[family] "
    )
    assert "count as 5, and the 95 % interval is " in remark
    assert remarks(families(alike=0.0)) == []
    assert remarks(families(), cluster=("family",)) == [
        "Series of one family count as one: 5 independent groups."
    ]


def test_a_column_that_is_not_static_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match=r"protocol.cluster: no static column 'famly'.*family"):
        evaluate(LastValue(), families(), protocol(cluster=("famly",)))
