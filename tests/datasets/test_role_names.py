"""The keys below `dataset.roles` are the declared roles: a new one is one entry."""

import subprocess
import sys

import polars as pl
import pytest

from hwds.core.errors import ConfigError, DataError
from hwds.datasets.file import File, FileRoles
from hwds.datasets.table import Table, TableRoles

NEW_ROLE = """
from hwds.frames.roles import ROLES, Role
ROLES["weather"] = Role("weather", ("panel", "table"), "Degrees outside.", holds="numbers", low=-90, beside=("past_only",))

from hwds.experiment.spec import check
from hwds.core.compose import compose
from hwds.core.errors import ConfigError

roles = ["dataset.roles.time=month", "dataset.roles.target=units"]
words = ["dataset=file", "dataset.path=sales.csv", *roles, "dataset.roles.past_only=[celsius]"]
panel = check(compose([*words, "dataset.roles.weather=celsius"])).dataset.load()
print(panel.roles["weather"], panel.values("celsius").tolist())
for wrong in ("wether=celsius", "weather=[celsius]"):
    try:
        check(compose([*words, f"dataset.roles.{wrong}"]))
    except ConfigError as error:
        print(error)
"""


def written(tmp_path, table):
    pl.DataFrame(table).write_csv(tmp_path / "sales.csv")
    return str(tmp_path / "sales.csv")


SALES = {
    "month": ["2024-01", "2024-02", "2024-03"],
    "units": [5, 6, 7],
    "street": [9.5, 9.0, 9.0],
    "out": [0.0, 0.5, 1.0],
}
ROLES = {"time": "month", "target": "units", "known_future": "street", "past_only": "out"}


def test_a_new_role_is_one_entry(tmp_path):
    written(tmp_path, {"month": ["2024-01", "2024-02"], "units": [5, 6], "celsius": [-3.5, 1.0]})
    done = subprocess.run(
        [sys.executable, "-c", NEW_ROLE], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert not done.returncode, done.stderr
    read, misspelt, several = done.stdout.splitlines()
    assert read == "('celsius',) [-3.5, 1.0]"
    assert misspelt.startswith("dataset.roles: no key 'wether'")
    assert misspelt.endswith("did you mean 'weather'?")
    assert several.startswith("dataset.roles.weather: must be")


def test_a_column_has_what_it_measures_beside_when_it_is_known(tmp_path):
    roles = ROLES | {"price": "street", "stock_out": "out"}
    panel = File(path=written(tmp_path, SALES), roles=roles).load()
    assert panel.table.columns == ["series_id", "time", "target", "street", "out"]
    assert (panel.roles["price"], panel.roles["stock_out"]) == (("street",), ("out",))


@pytest.mark.parametrize(
    ("roles", "said"),
    [
        ({"cost": "units"}, "dataset.roles.cost: column 'units' has the role target already"),
        (
            {"known_future": None, "price": "street"},
            "column 'street' must be known_future, past_only or static too",
        ),
        (
            {"list_price": "street", "competitor_price": "street"},
            "column 'street' has the role list_price already",
        ),
    ],
)
def test_roles_that_do_not_go_together(tmp_path, roles, said):
    with pytest.raises(ConfigError) as refusal:
        File(path=written(tmp_path, SALES), roles=ROLES | roles).load()
    assert said in str(refusal.value)


def test_a_value_beyond_the_bounds_of_its_role(tmp_path):
    path = written(tmp_path, SALES | {"out": [0.0, 0.5, 1.5], "street": [9.5, -1.0, 9.0]})
    with pytest.raises(
        DataError,
        match=r"^dataset\.roles\.stock_out: row 3 has 1\.5 in column 'out'; must be <= 1\.$",
    ):
        File(path=path, roles=ROLES | {"stock_out": "out"}).load()
    with pytest.raises(
        DataError, match=r"^dataset\.roles\.price: row 2 has -1 in column 'street'; must be >= 0\.$"
    ):
        Table(path=path, roles={"price": "street", "outcome": "units"}).load()


def test_fields_are_documented_by_the_declaration():
    assert "known_future: Numbers known for future rows too" in FileRoles.__doc__
    assert "label_time: The time at which the label became known." in TableRoles.__doc__
