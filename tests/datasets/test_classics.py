"""Real series that need no folder and no network."""

from datetime import date

import pytest

from hwds.datasets.classics import Classics


@pytest.mark.parametrize(
    ("frequency", "lasts", "season"),
    [
        (
            "monthly",
            {
                "airpassengers": date(1960, 12, 1),
                "sunspots": date(1983, 12, 1),
                "wineind": date(1994, 8, 1),
            },
            12,
        ),
        (
            "quarterly",
            {
                "ausbeer": date(2008, 7, 1),
                "austres": date(1993, 4, 1),
                "woolyrnq": date(1994, 7, 1),
            },
            4,
        ),
        ("yearly", {"lynx": date(1934, 1, 1)}, 1),
    ],
)
def test_each_group_ends_when_its_sources_say(frequency, lasts, season):
    panel = Classics(frequency=frequency).load()
    ends = panel.table["time"].gather(panel.offsets[1:] - 1).to_list()
    assert dict(zip(panel.series_ids.to_list(), ends, strict=True)) == lasts
    assert panel.season == season
    assert panel.table["target"].null_count() == 0


def test_the_airline_passengers_are_those_of_box_and_jenkins():
    values = Classics().load().series(0)
    assert (len(values), values[0], values[-1], values.sum()) == (144, 112, 432, 40363)
