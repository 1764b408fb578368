"""Scores by segment change no cell and no other score, on any executor."""

from __future__ import annotations

import shutil

import polars as pl

from tests.support.slow_project import cells

SEGMENTS = "protocol.segments=[channel,family]"


def newest(folder):
    """The scores of the latest run of a folder."""
    return max(
        folder.glob("outputs/runs/*/*/scores.parquet"), key=lambda path: path.stat().st_mtime_ns
    )


def scores(folder):
    """The scores and the page of the latest run of a folder."""
    return pl.read_parquet(newest(folder)), (newest(folder).parent / "leaderboard.md").read_text()


def test_segments_are_scored_beside_the_total_from_the_same_cells(project, run_here):
    other = project.parent / "other"
    shutil.copytree(project, other)
    assert run_here(project, "compute=serial", "protocol.windows=2")[0] == 0
    before, total = cells(project), scores(project)[0]
    code, out, err = run_here(project, "compute=serial", "protocol.windows=2", SEGMENTS)
    assert (code, err) == (0, "")
    assert "by channel\n" not in out
    assert cells(project) == before, "segments compute no cell again"
    found, page = scores(project)
    assert found.filter(pl.col("segment_by").is_null()).equals(total)
    parts = found.filter(pl.col("segment_by") == "channel")
    assert parts["segment"].null_count() == 0
    assert set(parts["aggregate"]) == {"mean", "median", "pooled"}
    assert set(parts["fold"]) == {0, 1, None}
    count = pl.col("n") + pl.col("n_undefined")
    mean = (pl.col("metric") == "mae") & (pl.col("aggregate") == "mean") & pl.col("step").is_null()
    for fold in (pl.col("fold").is_null(), pl.col("fold") == 1):
        whole = total.filter(mean & fold).group_by("model").agg(count.sum())
        assert (
            parts.filter(mean & fold)
            .group_by("model")
            .agg(count.sum())
            .sort("model")
            .equals(whole.sort("model"))
        )
    assert "## mase[m=12] by channel" in page
    assert "## mase[m=12] by family" in page
    assert (
        run_here(other, "compute=processes", "compute.workers=2", "protocol.windows=2", SEGMENTS)[0]
        == 0
    )
    assert newest(project).read_bytes() == newest(other).read_bytes()


def test_failures_are_counted_in_their_own_segment(project, run_here):
    words = (
        "model.fail=true",
        "protocol.windows=2",
        "compute=serial",
        "protocol.stride=12",
        "compute.max_failed=1",
    )
    assert run_here(project, *words, "protocol.segments=[channel]")[0] == 3
    found = scores(project)[0].filter(
        (pl.col("model") == "mine/slow") & (pl.col("status") == "ok") & pl.col("fold").is_null()
    )
    total = found.filter(pl.col("segment_by").is_null())["n_failed"].unique().to_list()
    parts = found.filter(pl.col("segment_by") == "channel").unique("segment")["n_failed"]
    assert total == [parts.sum()]
    assert parts.min() > 0
