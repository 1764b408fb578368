"""A notebook shows frames, results, fitted models and verdicts as HTML, and progress in place."""

import sys
from datetime import date

import numpy as np
import pandas as pd
import polars as pl
import pytest

import hwds
from hwds.cli.notebook import NotebookLine, _pass_on
from hwds.core.errors import DataError
from hwds.results.tables import Verdict

MONTHS = [date(2019 + month // 12, month % 12 + 1, 1) for month in range(48)]


@pytest.fixture(scope="module")
def sales() -> pl.DataFrame:
    """Three monthly series."""
    rng = np.random.default_rng(0)
    return pl.concat(
        pl.DataFrame({"sku": f"s{sku}", "month": MONTHS, "units": rng.gamma(9, 9, 48)})
        for sku in range(3)
    )


@pytest.fixture(scope="module")
def panel(sales) -> hwds.Panel:
    return hwds.Panel.of(sales, series="sku", time="month", target="units")


def test_frames_and_fitted_models_are_shown(panel):
    shown = panel._repr_html_()
    assert "Panel(3 series, 144 rows" in shown
    assert shown.count("<table>") >= 2, "of the series, and the numbers of the picture"
    assert "<svg" in shown
    assert "s2" in shown
    model = hwds.forecast.Drift().fit(panel, horizon=6)
    assert "ForecastModel(Drift, horizon=6" in model._repr_html_()
    table = hwds.Table.of({"amount": [1.0, 2.0] * 50, "fraud": [0.0, 1.0] * 50}, label="fraud")
    assert "covariate" in table._repr_html_()
    assert "FittedClassifier" in hwds.detection.Logistic().fit(table)._repr_html_()


def test_a_name_of_a_user_is_text(sales):
    wicked = sales.with_columns(sku=pl.lit("<script>x</script>") + pl.col("sku"))
    shown = hwds.Panel.of(wicked, series="sku", time="month", target="units")._repr_html_()
    assert "<script" not in shown


def test_an_evaluation_is_shown_with_its_picture_light_and_dark(panel):
    result = hwds.evaluate(
        hwds.forecast.Drift(), panel, hwds.forecast.WalkForward(windows=2, horizon=6)
    )
    shown = result._repr_html_()
    assert "<svg" in shown
    assert "prefers-color-scheme: dark" in shown
    assert 'data-jp-theme-light="false"' in shown
    assert "http" not in shown.replace("http://www.w3.org", "")


def test_a_verdict_is_shown():
    verdict = Verdict(decision="stock", action="HOLD", rule="few", sentence="HOLD: too few & <b>.")
    assert "HOLD: too few &amp; &lt;b&gt;." in verdict._repr_html_()


def forms_of_pandas(sales):
    """The same sales as a user of pandas or of Nixtla's tools has them, with what must be said."""
    frame = sales.to_pandas()
    period = frame.assign(month=pd.PeriodIndex(frame["month"], freq="M"))
    named = {"series": "sku", "target": "units"}
    nixtla = frame.rename(columns={"sku": "unique_id", "month": "ds", "units": "y"})
    return {
        "index of times": (frame.set_index("month"), named),
        "index of periods": (period.set_index("month"), named),
        "column of periods": (period, {**named, "time": "month"}),
        "two levels": (frame.set_index(["sku", "month"]), named),
        "level that is a column, too": (frame.set_index("sku", drop=False), named),
        "filtered": (frame[frame["units"] > -1].iloc[::-1], named),
        "Nixtla": (nixtla, {}),
        "Nixtla's index": (nixtla.set_index("unique_id"), {}),
        "Nixtla in polars": (pl.from_pandas(nixtla), {}),
    }


@pytest.mark.parametrize(
    "form", forms_of_pandas(pl.DataFrame({"sku": "a", "month": MONTHS, "units": 1.0}))
)
def test_indexes_of_pandas_and_names_of_nixtla_are_taken(sales, panel, form):
    frame, named = forms_of_pandas(sales)[form]
    assert hwds.Panel.of(frame, **named).fingerprint == panel.fingerprint


def test_a_series_of_pandas_is_one_series(sales):
    column = sales.filter(pl.col("sku") == "s1").to_pandas().set_index("month")["units"]
    assert hwds.Panel.of(column, target="units").n_series == 1
    column.index.name = None
    assert hwds.Panel.of(column, target="units").n_series == 1
    with pytest.raises(DataError, match=r"Name it by data\.index\.name = 'month'"):
        hwds.Panel.of(column, target="units", time="month")


@pytest.mark.parametrize(
    ("named", "cure"),
    [
        ({}, "target must be given, such as target='units': there is no column 'y'"),
        ({"target": "units"}, "name the columns that tell series apart, such as series='sku'"),
        ({"target": "unit", "series": "sku"}, "no column 'unit'; did you mean 'units'"),
    ],
)
def test_a_refusal_names_the_cure(sales, named, cure):
    with pytest.raises(DataError, match=cure):
        hwds.Panel.of(sales.to_pandas(), **named)


class Handle:
    def __init__(self, said):
        self.said = said

    def update(self, content, raw):
        self.said.append(content["text/plain"])


def test_progress_is_drawn_in_place(capsys):
    said = []

    def display(content, raw, display_id):
        said.append(content["text/plain"])
        return Handle(said)

    class Process:
        stderr = iter(
            ["hwds: after 1 s: cells 1/3\n", "a warning\n", "hwds: after 2 s: cells 2/3\n"]
        )

    last = []
    _pass_on(Process(), last, NotebookLine(display))
    assert said == ["1 s: cells 1/3", "2 s: cells 2/3"]
    assert last == ["a warning"]
    assert capsys.readouterr().err == ""


def test_there_is_no_notebook_in_a_test():
    assert "ipykernel" not in sys.modules or NotebookLine.here() is None
    assert NotebookLine.here() is None
