"""A user's own rows that are not series."""

from datetime import date

import polars as pl
import pytest

from hwds.datasets.table import Table
from hwds.errors import ConfigError, DataError
from hwds.frames.table import Table as TableFrame

CSV = """order,when,customer,country,price,gift,spend,note
0017,2024-03-01,9,NA,19.5,true,1,late
0018,2024-03-02,9,DE,NA,false,2.5,
"""


@pytest.fixture
def path(tmp_path):
    (tmp_path / "orders.csv").write_text(CSV)
    return str(tmp_path / "orders.csv")


def test_columns_get_the_types_that_all_their_values_fit(path):
    frame = Table(path=path, roles={"entity": "customer", "price": "price", "time": "when", "ignore": "note"}).load()
    assert isinstance(frame, TableFrame)
    assert frame.data.drop("row_id").row(0) == ("0017", date(2024, 3, 1), 9, "NA", 19.5, True, 1.0)
    assert frame.data["price"].to_list() == [19.5, None]
    assert frame.roles == {"entity": ("customer",), "price": ("price",), "time": ("when",)}
    assert frame.column("time").dtype == pl.Date


def test_an_input_may_be_a_slice_too(path):
    frame = Table(path=path, roles={"label": "gift", "covariate": ["country", "spend"], "slice": "country"}).load()
    assert frame.roles["slice"] == ("country",)


@pytest.mark.parametrize(
    ("roles", "said"),
    [
        ({}, "dataset.roles: one must be given; roles: label, label_time"),
        (
            {"label": "gift", "covariate": ["spend", "gift"]},
            "dataset.roles.covariate: column 'gift' has the role label already",
        ),
        ({"available_at": "when", "covariate": "when"}, "column 'when' has the role available_at already"),
        ({"label": "gifted"}, "has no column 'gifted'; did you mean 'gift'?"),
        ({"time": "customer", "price": "country"}, "row 2 has 'DE' in column 'country', not a number"),
        ({"time": "note"}, "dataset.roles.time: "),
    ],
)
def test_refused(path, roles, said):
    with pytest.raises((ConfigError, DataError)) as refusal:
        Table(path=path, roles=roles).load()
    assert said in str(refusal.value)
