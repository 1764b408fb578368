"""Demand instead of sales."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from hwds.core.compose import compose
from hwds.core.errors import ConfigError, DataError
from hwds.datasets.base import as_demand
from hwds.experiment.spec import check
from tests.support.panels import monthly_panel


def panel_with(sales, past):
    panel = monthly_panel(n_series=1, months=len(sales))
    told = {
        "target": pl.Series(sales, dtype=pl.Float64),
        "visits": pl.Series(past, dtype=pl.Float64),
    }
    return replace(panel, table=panel.table.with_columns(**told))


def test_sales_are_divided_by_the_share_that_was_served():
    panel = panel_with([10, 10, 0, 4, None, 5], [0, 0.5, 1, None, 0.5, 0.2])
    assert as_demand(panel, unserved="visits").table["target"].to_list() == [
        10,
        20,
        None,
        4,
        None,
        6.25,
    ]


def test_sales_without_stock_are_no_demand():
    panel = panel_with([10, 3, 0, 4, 5], [2, 0, 0, None, -1])
    assert as_demand(panel, stock="visits").table["target"].to_list() == [10, None, None, 4, None]


@pytest.mark.parametrize("share", [1.2, -0.1, 30.0])
def test_what_is_no_share_is_refused(share):
    said = (
        rf"dataset.unserved: series 's0' has {share} at 2018-03-01 in column 'visits', not a "
        rf"share from 0 to 1\."
    )
    with pytest.raises(DataError, match=said):
        as_demand(panel_with([1, 1, 1], [0, 0, share]), unserved="visits")


@pytest.mark.parametrize("field", ["unserved", "stock"])
def test_the_column_must_be_past_only(field):
    for name, said in (("visit", "did you mean 'visits'"), ("promotion", "known: visits")):
        with pytest.raises(
            ConfigError, match=rf"dataset.{field}: no past-only column '{name}'; {said}"
        ):
            as_demand(panel_with([1, 1, 1], [0, 0, 0]), **{field: name})


def test_a_file_is_read_so(tmp_path):
    months = pl.date_range(pl.date(2020, 1, 1), pl.date(2020, 4, 1), "1mo", eager=True)
    pl.DataFrame({"month": months, "units": [8, 6, 0, 2], "lost": [0.0, 0.25, 1.0, 0.0]}).write_csv(
        tmp_path / "sales.csv"
    )
    roles = ["time=month", "target=units", "past_only=lost"]
    words = [
        "dataset=file",
        f"dataset.path={tmp_path / 'sales.csv'}",
        *(f"dataset.roles.{role}" for role in roles),
    ]
    dataset = check(compose([*words, "dataset.unserved=lost"])).dataset
    assert dataset.frame().table["target"].to_list() == [8, 8, None, 2]
    assert check(compose(words)).dataset.frame().table["target"].to_list() == [8, 6, 0, 2]


def test_simulated_demand_is_what_was_asked_for():
    sales, demand = (
        check(compose(["dataset=hardware_demand", "size=small", *more])).dataset
        for more in ([], ["dataset.unserved=shortage"])
    )
    told, wanted = demand.frame(), sales.frame()
    short = wanted.values("shortage") > 0
    assert short.any()
    np.testing.assert_array_equal(told.target[~short], wanted.target[~short])
    np.testing.assert_allclose(
        told.target[short] * (1 - wanted.values("shortage")[short]), wanted.target[short]
    )
    assert told.fingerprint != wanted.fingerprint
