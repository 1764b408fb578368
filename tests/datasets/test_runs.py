"""A user's own runs: a file, its roles, and a column that gives the remaining life away."""

import polars as pl
import pytest

from hwds.core.errors import ConfigError, DataError
from hwds.datasets.runs import Runs, RunsRoles

ROLES = RunsRoles(entity="pump", cycle="hour", event="failed")


@pytest.fixture
def table():
    lives = {"a": 12, "b": 9, "c": 15}
    rows = [
        (name, t, (t * 7919) % 13 / 3, int(t == life), life - t)
        for name, life in lives.items()
        for t in range(1, life + 1)
    ]
    return pl.DataFrame(rows, schema=["pump", "hour", "heat", "failed", "left"], orient="row")


def test_all_numbers_without_a_role_are_sensors(table, tmp_path):
    table.drop("left").write_csv(tmp_path / "pumps.csv")
    runs = Runs(path=str(tmp_path / "pumps.csv"), roles=ROLES, unit="hours").load()
    assert (runs.sensors, runs.n, int(runs.events.sum()), runs.unit) == (("heat",), 3, 3, "hours")


def test_a_column_that_is_the_remaining_life_is_refused_until_it_is_named(table, tmp_path):
    path = str(tmp_path / "pumps.parquet")
    table.write_parquet(path)
    with pytest.raises(
        DataError,
        match=r"^dataset: column 'left' gives the remaining life away: .* 1\.0000 in the last part",
    ):
        Runs(path=path, roles=ROLES).load()
    ignored = RunsRoles(entity="pump", cycle="hour", event="failed", ignore="left")
    assert Runs(path=path, roles=ignored).load().sensors == ("heat",)
    assert Runs(path=path, roles=ROLES, trust=("left",)).load().sensors == ("heat", "left")


def test_roles_that_are_missing_and_names_that_are_taken(table, tmp_path):
    with pytest.raises(ConfigError, match=r"^dataset\.roles\.entity: must be given\.$"):
        Runs(path="x.csv", roles=RunsRoles(cycle="hour")).load()
    table.drop("left").rename({"heat": "entity"}).write_csv(tmp_path / "pumps.csv")
    with pytest.raises(ConfigError, match="hwds gives the name 'entity' to another column"):
        Runs(
            path=str(tmp_path / "pumps.csv"),
            roles=RunsRoles(entity="pump", cycle="hour", sensor="entity"),
        ).load()
