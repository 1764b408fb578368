"""A user's own rows that are not series."""

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from hwds.core.errors import ConfigError, DataError
from hwds.datasets.table import Table
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
    frame = Table(
        path=path, roles={"entity": "customer", "price": "price", "time": "when", "ignore": "note"}
    ).load()
    assert isinstance(frame, TableFrame)
    assert frame.data.drop("row_id").row(0) == ("0017", date(2024, 3, 1), 9, "NA", 19.5, True, 1.0)
    assert frame.data["price"].to_list() == [19.5, None]
    assert frame.roles == {"entity": ("customer",), "price": ("price",), "time": ("when",)}
    assert frame.column("time").dtype == pl.Date


def test_an_input_may_be_a_slice_too(path):
    frame = Table(
        path=path, roles={"label": "gift", "covariate": ["country", "spend"], "slice": "country"}
    ).load()
    assert frame.roles["slice"] == ("country",)


@pytest.mark.parametrize(
    ("roles", "said"),
    [
        ({}, "dataset.roles: one must be given; roles: label, id, link, label_time"),
        (
            {"label": "gift", "covariate": ["spend", "gift"]},
            "dataset.roles.covariate: column 'gift' has the role label already",
        ),
        (
            {"available_at": "when", "covariate": "when"},
            "column 'when' has the role available_at already",
        ),
        ({"label": "gifted"}, "has no column 'gifted'; did you mean 'gift'?"),
        (
            {"time": "customer", "price": "country"},
            "row 2 has 'DE' in column 'country', not a number",
        ),
        ({"time": "note"}, "dataset.roles.time: "),
    ],
)
def test_refused(path, roles, said):
    with pytest.raises((ConfigError, DataError)) as refusal:
        Table(path=path, roles=roles).load()
    assert said in str(refusal.value)


def orders(n=400, **columns):
    """A table of orders of which 10 % are frauds.

    What is known before the label says a little of it.
    """
    rng = np.random.default_rng(0)
    fraud = rng.random(n) < 0.1
    told = {
        "date": [date(2024, 1, 1) + timedelta(days=i // 10) for i in range(n)],
        "order": [f"o{i}" for i in range(n)],
        "customer": [f"c{number}" for number in rng.integers(0, 50, n)],
        "channel": rng.choice(["retail", "online"], n),
        "quantity": rng.poisson(2 + 4 * fraud),
        "fraud": fraud.astype(int),
    }
    return pl.DataFrame(told | columns)


FRAUD = orders()["fraud"].to_numpy()
ROLES = {"label": "fraud", "entity": "customer", "time": "date"}


def given(tmp_path, table, **settings):
    table.write_parquet(tmp_path / "bids.parquet")
    return Table(path=str(tmp_path / "bids.parquet"), **({"roles": ROLES} | settings)).load()


def test_with_a_label_all_other_columns_are_inputs(tmp_path):
    assert given(tmp_path, orders()).inputs == ("order", "channel", "quantity")
    roles = ROLES | {"ignore": "order", "slice": "channel"}
    frame = given(tmp_path, orders(), roles=roles)
    assert frame.inputs == (
        "channel",
        "quantity",
    )  # scores are told by it, and it is an input all the same
    assert "order" not in frame.data.columns
    assert given(tmp_path, orders(), roles=ROLES | {"covariate": "quantity"}).inputs == (
        "quantity",
    )


def test_without_a_label_nothing_becomes_an_input(tmp_path):
    frame = given(tmp_path, orders(), roles={"arm": "channel", "outcome": "fraud"})
    assert frame.roles == {"arm": ("channel",), "outcome": ("fraud",)}


GIVEAWAYS = {
    "its values": (FRAUD * 5.0 + np.linspace(0, 1, 400), r"average precision 1\.000 of its values"),
    "its falling values": (
        -FRAUD * 5.0 + np.linspace(0, 1, 400),
        r"average precision 1\.000 of its falling values",
    ),
    "the mean label of its values": (
        np.where(FRAUD, "blocked", "shipped"),
        "of the mean label of its values",
    ),
    "codes": (
        np.where(FRAUD, 3, np.arange(400) % 7 + (np.arange(400) % 7 >= 3)),
        "of the mean label of its values",
    ),
    "what is there": (
        np.where(FRAUD, np.linspace(0, 1, 400), np.nan),
        "it is null exactly where 'fraud' is 0",
    ),
    "what is missing": (np.where(FRAUD, np.nan, 1.0), "it is null exactly where 'fraud' is 1"),
}


@pytest.mark.parametrize("kind", GIVEAWAYS)
def test_a_column_that_gives_the_label_away_is_refused_until_it_is_named(tmp_path, kind):
    values, said = GIVEAWAYS[kind]
    table = orders(outcome=pl.Series(values, nan_to_null=True))
    with pytest.raises(
        DataError,
        match=rf"^dataset\.roles\.ignore: column 'outcome' alone gives the label away: "
        rf".*{said}.*trust",
    ):
        given(tmp_path, table)
    assert "outcome" not in given(tmp_path, table, roles=ROLES | {"ignore": "outcome"}).data.columns
    assert "outcome" in given(tmp_path, table, trust=["outcome"]).inputs
    with pytest.raises(DataError, match="gives the label away"):
        given(tmp_path, table, roles=ROLES | {"covariate": ["quantity", "outcome"]})


def test_names_alone_and_few_rows_give_nothing_away(tmp_path):
    one_each = orders(reference=[f"r{i}" for i in range(400)])  # in its own rows each name is right
    assert "reference" in given(tmp_path, one_each).inputs
    few = orders(outcome=FRAUD).head(20)
    assert few["fraud"].sum() < 8
    assert "outcome" in given(tmp_path, few).inputs


def test_labels_that_are_not_known_yet_count_neither_way(tmp_path):
    unknown = pl.Series(np.where(np.arange(400) % 3 == 0, np.nan, FRAUD), nan_to_null=True)
    table = orders(fraud=unknown, found=pl.Series(np.where(FRAUD, 1.0, np.nan), nan_to_null=True))
    with pytest.raises(DataError, match="column 'found' alone gives the label away"):
        given(tmp_path, table)


def test_bad_columns_of_a_labelled_table(tmp_path):
    with pytest.raises(DataError, match="has no column 'quantitty'; did you mean 'quantity'"):
        given(tmp_path, orders(), trust=["quantitty"])
    with pytest.raises(
        DataError, match=r"^dataset\.roles\.ignore: column 'items' holds List\(Int64\), no input"
    ):
        given(tmp_path, orders(items=[[1, 2]] * 400))


def test_instants_with_and_without_a_zone_are_not_mixed(tmp_path):
    mixed = "when,fraud\n2024-03-01T10:00,1\n2024-03-01T11:00Z,0\n"
    (tmp_path / "mixed.csv").write_text(mixed)
    with pytest.raises(
        DataError,
        match=r"mixed.csv' row 2 has '2024-03-01T11:00Z' in column 'when', a time zone, where the "
        r"first",
    ):
        Table(path=str(tmp_path / "mixed.csv"), roles={"label": "fraud", "time": "when"}).load()


@pytest.mark.parametrize(("falling", "which"), [(False, "last"), (True, "first")])
def test_rows_of_a_day_in_the_order_of_their_labels_are_refused_until_their_times_are_trusted(
    tmp_path, falling, which
):
    day = pl.Series([date(2024, 3, 1) + timedelta(days=i // 40) for i in range(400)])
    table = orders(day=day).sort("day", "fraud", descending=[False, falling])
    roles = {"label": "fraud", "time": "day"}
    with pytest.raises(
        DataError,
        match=rf"rows of one 'day' stand in the order of 'fraud', those of label 1 {which} "
        rf"\(100\.0%",
    ):
        given(tmp_path, table, roles=roles)
    assert given(tmp_path, table, roles=roles, trust=["day"]).height == 400
    assert (
        given(tmp_path, table.sample(fraction=1.0, shuffle=True, seed=0), roles=roles).height == 400
    )
