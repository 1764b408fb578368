"""AI4I: its labels are those of the file, no failure is an input, and where it is to be had."""

import pytest

from hwds.core.errors import ConfigError, DataError
from hwds.datasets.ai4i import MEASURED, Ai4i


@pytest.mark.data
@pytest.mark.parametrize(
    ("failure", "count"),
    [
        ("any", 339),
        ("tool_wear", 46),
        ("heat", 115),
        ("power", 95),
        ("overstrain", 98),
        ("random", 19),
    ],
)
def test_each_failure_may_be_the_label_and_none_is_an_input(failure, count):
    table = Ai4i(failure=failure).load()
    assert (len(table.data), int(table.column("label").cast(int).sum())) == (10_000, count)
    assert set(table.data.columns) - {"row_id"} == {"piece", "failure", *MEASURED.values()}
    assert table.data["piece"].n_unique() == 10_000


@pytest.mark.data
def test_fewer_pieces_are_the_first_ones():
    assert (
        Ai4i(pieces=7).load().data["piece"].to_list()
        == Ai4i().load().data["piece"].head(7).to_list()
    )


def test_what_is_wrong_is_refused_in_a_line(monkeypatch):
    with pytest.raises(ConfigError, match=r"^Ai4i\.failure: must be 'any', 'tool_wear'"):
        Ai4i(failure="heta")
    monkeypatch.delenv("HWDS_DATA", raising=False)
    with pytest.raises(
        DataError,
        match=r"^dataset: ai4i2020 is not at hand, for HWDS_DATA names no folder: AI4I 2020",
    ):
        Ai4i().load()
