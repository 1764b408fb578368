"""Events joined to a file of exposures: each unit's from its first exposure on, units without an
event among them.
"""

from __future__ import annotations

import polars as pl
import pytest

from hwds.ab.units import units_of_events
from hwds.core.errors import ConfigError, DataError
from hwds.datasets.table import Table

EXPOSURES = """user,variant,at,country,age
a,B,2024-03-02,de,30
a,B,2024-03-05,fr,31
b,A,2024-03-01,de,40
c,A,2024-03-03,fr,50
"""
EVENTS = """user,at,revenue,visits
a,2024-03-01,100,1
a,2024-03-02,10,2
a,2024-03-09,5,1
b,2024-03-04,7,3
z,2024-03-04,900,9
"""
ROLES = {
    "entity": "user",
    "arm": "variant",
    "time": "at",
    "outcome": "revenue",
    "stratum": "country",
}


def dataset(folder, exposures=EXPOSURES, events=EVENTS, **roles):
    for name, text in (("shown.csv", exposures), ("events.csv", events)):
        (folder / name).write_text(text, encoding="utf-8")
    return Table(
        path=str(folder / "events.csv"), exposures=str(folder / "shown.csv"), roles=ROLES | roles
    )


def test_events_count_from_the_first_exposure_on_and_who_did_nothing_counts(tmp_path):
    frame = dataset(tmp_path).load()
    assert frame.data["events_before"].sum() == 1
    units = units_of_events(frame).data.sort("user")
    wanted = {
        "user": ["a", "b", "c"],
        "variant": ["B", "A", "A"],
        "country": ["de", "de", "fr"],
        "age": [30, 40, 50],
        "revenue": [15.0, 7.0, 0.0],
        "visits": [3, 3, 0],
        "rows": [2, 1, 0],
    }
    assert units.select(*wanted).to_dict(as_series=False) == wanted
    assert (
        units["at"].to_list()
        == pl.Series(["2024-03-02", "2024-03-01", "2024-03-03"]).str.to_date().to_list()
    )


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (
            {"exposures": EXPOSURES + "b,B,2024-03-09,de,40\n"},
            "1 of 3 units are in several arms, 'b' first",
        ),
        ({"events": EVENTS.replace("visits", "variant")}, "the arm 'variant' stands in"),
        ({"outcome": "revenues"}, "no column 'revenues'"),
        (
            {"exposures": EXPOSURES.replace("a,B,2024-03-05", "a,B,")},
            "row 2 of '.*shown.csv' has no value in column 'at'",
        ),
        (
            {"events": EVENTS.replace("b,2024-03-04", "b,")},
            "row 4 of '.*events.csv' has no value in column 'at'",
        ),
        (
            {"exposures": EXPOSURES.replace("2024-03-0", "2024-03-01T10:00:0")},
            "must hold dates in both files",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(tmp_path, changed, said):
    with pytest.raises(DataError, match=said):
        dataset(tmp_path, **changed).load()


def test_the_roles_that_join_must_be_given(tmp_path):
    made = dataset(tmp_path)
    with pytest.raises(
        ConfigError, match=r"dataset.roles.time: must be given with dataset.exposures"
    ):
        Table(
            path=made.path,
            exposures=made.exposures,
            roles={k: v for k, v in ROLES.items() if k != "time"},
        ).load()
