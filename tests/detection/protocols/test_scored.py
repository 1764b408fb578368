"""The reasons of a row: its main inputs, and what makes them readable."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

from hwds.detection.inputs import UsualValues
from hwds.detection.models.base import Contributions
from hwds.detection.predictions import main_inputs, truth_column
from hwds.detection.reasons import in_words
from hwds.frames.table import Table

NAMES = ("quantity_30d", "quantity_30d_peers", "quantity_30d_z", "channel")


def test_what_is_compared_and_what_peers_do_come_behind_the_main_inputs():
    data = pl.DataFrame(
        {
            "time": [1, 2],
            "quantity_30d": [41.0, 2.0],
            "quantity_30d_peers": [3.0, 3.0],
            "quantity_30d_z": [6.2, -0.1],
            "channel": ["online", "retail"],
        }
    )
    table = Table.build(data, {"covariate": NAMES})
    found = Contributions(NAMES, 0.0, np.array([[-0.5, 0.0, 2.0, 0.1], [-1.0, -1.0, -1.0, 0.3]]))
    told = main_inputs(found, table, UsualValues.unknown())
    assert [each["input"] for each in told[0]] == [
        "quantity_30d_z",
        "channel",
        "quantity_30d",
        "quantity_30d_peers",
    ]
    assert [each["adds"] for each in told[0]] == [2.0, 0.1, -0.5, 0.0]
    assert told[1] == [
        {
            "input": "channel",
            "value": "retail",
            "adds": 0.3,
            "below": None,
            "above": None,
            "share": None,
        }
    ]
    assert in_words(told[0]) == [
        "bought 41 units in 30 days, its peers buy 3",
        "its channel is online",
    ]


def test_a_truth_that_says_no_more_than_the_labels_is_none():
    rows = pl.DataFrame({"label": [1, 0, 1], "same": [1.0, 0.0, 1.0], "more": [1.0, 1.0, 1.0]})
    table = Table.build(rows, {"label": ("label",), "truth": ("same",)})
    assert truth_column(table) == ""
    assert truth_column(replace(table, roles={"label": ("label",), "truth": ("more",)})) == "more"
    assert truth_column(replace(table, roles={"label": ("label",)})) == ""
