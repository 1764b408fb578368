"""Several feature sets of rows as one."""

from dataclasses import replace

import polars as pl
import pytest

from hwds.core.compose import compose
from hwds.core.errors import ConfigError
from hwds.detection.features.arbitrage import Arbitrage
from hwds.detection.features.entity_risk import EntityRisk
from hwds.detection.features.network import Network
from hwds.detection.features.recent import Recent
from hwds.experiment.spec import check
from hwds.frames.features.together import Together
from tests.detection.features.moment_rows import order_lines, seen_ahead


def test_its_columns_are_those_of_its_parts_in_order():
    table = order_lines(0)
    parts = Arbitrage(), EntityRisk(), Network(), Recent()
    got = Together(parts=parts).compute(table)
    assert got.equals(pl.concat([part.compute(table) for part in parts], how="horizontal"))


def test_a_later_part_reads_the_columns_of_earlier_ones():
    table = order_lines(0)
    got = Together(parts=(Arbitrage(), Recent(inputs=("spread",), length=2))).compute(table)
    spread = Arbitrage().compute(table)
    wanted = Recent(inputs=("spread",), length=2).compute(table.with_inputs(spread))
    assert got["recent"].equals(wanted["recent"])


def test_it_refuses_what_a_part_refuses_and_two_columns_of_one_name():
    table = order_lines(0)
    bare = replace(table, data=table.data.drop("payment"))
    with pytest.raises(ConfigError, match="no column 'payment'"):
        Together(parts=(Arbitrage(), Network())).check(bare)
    with pytest.raises(ConfigError, match="makes the column 'spread', which is there already"):
        Together(parts=(Arbitrage(name="one"), Arbitrage(name="two"))).compute(table)


def test_what_comes_later_changes_no_row():
    assert not seen_ahead(Together(parts=(Arbitrage(), EntityRisk(), Network())), order_lines(1))


def test_the_gray_markets_parts_are_composed_from_their_options():
    features = check(
        compose(
            [
                "dataset=gray_market",
                "features=gray_market",
                "model=classify/logistic",
                "protocol=prequential",
            ]
        )
    )
    names = [part.name for part in features.features.parts]
    assert names == ["purchases", "peers", "arbitrage", "entity_risk", "network"]
