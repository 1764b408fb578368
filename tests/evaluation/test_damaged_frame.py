"""A frame that lies damaged before workers is written again, or refused in a line; failures
overwrite no results.
"""

import dataclasses
from pathlib import Path

import polars as pl
import pytest

from hwds.cli.run import require_no_worse
from hwds.core.errors import CellError, HwdsError
from hwds.evaluation.cells import Job, lay_frame
from hwds.evaluation.protocol import Cell
from hwds.evaluation.workers import share_out, worker_pool
from hwds.forecast.models.naive import Naive
from hwds.forecast.protocols.holdout import Holdout
from hwds.frames.features.none import None_
from hwds.frames.panel import Panel
from hwds.results.folder import RunFolder
from hwds.results.tables import SCORES, TIMINGS, Tables, metrics_table
from tests.support.panels import monthly_panel


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)


def test_a_worker_refuses_a_damaged_frame_in_a_line_and_laying_it_mends_it(tmp_path):
    panel, folder, protocol = monthly_panel(), tmp_path / "frames" / "f", Holdout(horizon=3)
    job = Job(protocol, {"naive": Naive()}, None_(), 0, 1, "cpu", Panel, folder, tmp_path / "cells")
    cell = Cell("naive", protocol.split(panel)[0], 0, panel.n_series)
    lay_frame(panel, folder)
    flip(folder / "table.arrow")
    with (
        pytest.raises(
            HwdsError, match=r"table\.arrow: is damaged; the same command writes it again\.$"
        ),
        worker_pool(job) as workers,
    ):
        list(share_out(workers, job, [cell], 1))
    lay_frame(panel, folder)
    assert job.read_frame().fingerprint == panel.fingerprint


def test_results_with_more_failures_do_not_overwrite_earlier_ones(tmp_path):
    folder = RunFolder(tmp_path / "e" / "1a")
    timing = {
        "model": "m",
        "fold": 0,
        "start": 0,
        "stop": 1,
        "seconds": 1.0,
        "cached": False,
        "status": "ok",
    }
    good = Tables(
        pl.DataFrame(schema=SCORES),
        pl.DataFrame(),
        pl.DataFrame([timing], schema=TIMINGS),
        metrics_table(()),
    )
    bad = dataclasses.replace(
        good, timings=pl.DataFrame([timing | {"status": "no luck"}], schema=TIMINGS)
    )
    require_no_worse(folder, bad)
    folder.write_tables(bad)
    require_no_worse(folder, good)
    folder.write_tables(good)
    require_no_worse(folder, good)
    with pytest.raises(
        CellError,
        match=r"^1 of 1 cells failed; the earlier results of e/1a, with no failures, are kept\.$",
    ):
        require_no_worse(folder, bad)
