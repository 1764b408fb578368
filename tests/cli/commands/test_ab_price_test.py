"""A user's own table of a price test, from the command line."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

LINE = (
    "+experiment=ab_price_test dataset=table dataset.path=units.parquet dataset.roles.arm=group"
    " dataset.roles.outcome=visit compute=serial size=small"
)


@pytest.fixture
def units(tmp_path):
    rng, n = np.random.default_rng(0), 3000
    group = rng.choice(["A", "B", "C"], n)
    before = rng.normal(0, 1, n)
    visit = (rng.random(n) < 0.2 + 0.1 * (group == "B") + 0.1 * (before > 0)).astype(int)
    data = pl.DataFrame(
        {
            "group": group,
            "visit": visit,
            "before": before,
            "price": np.full(n, -5.0),
            "twice": 2 * visit,
        }
    )
    data.write_parquet(tmp_path / "units.parquet")
    return data


def scores(folder):
    latest = max(
        folder.glob("outputs/runs/*/*/scores.parquet"), key=lambda path: path.stat().st_mtime_ns
    )
    return pl.read_parquet(latest).filter(pl.col("fold").is_null())


def test_the_issues_line_works_as_it_stands(hwds, units, tmp_path):
    said = hwds(f"{LINE} protocol.control=A")
    assert said.code == 0, said.err
    effects = scores(tmp_path).filter(pl.col("metric") == "effect")
    assert effects["model"].unique().sort().to_list() == ["ab/cuped", "ab/revenue", "ab/welch"]
    assert set(effects["segment_by"]) == {"arm"}
    assert set(effects["segment"]) == {"B", "C"}
    assert set(effects["ci_method"]) == {"fixed", "always_valid"}
    assert (
        effects.select("value", "stderr", "ci_low", "ci_high", "p_value")
        .null_count()
        .sum_horizontal()
        .item()
        == 0
    )
    status = dict(effects.select("ci_method", "status").iter_rows())
    assert status == {"fixed": "unregistered", "always_valid": "ok"}


def test_a_covariate_makes_cuped_narrower(hwds, units, tmp_path):
    assert (
        hwds(f"{LINE} protocol.control=A dataset.roles.covariate=before protocol.size=3000").code
        == 0
    )
    own = pl.col("metric") == "effect"
    errors = scores(tmp_path).filter(
        own & (pl.col("segment") == "B") & (pl.col("ci_method") == "fixed")
    )
    by_model = dict(errors.select("model", "stderr").iter_rows())
    assert by_model["ab/cuped"] < by_model["ab/welch"]
    assert set(errors["status"]) == {"ok"}


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("protocol.control=D", "protocol.control: no arm 'D'; known: A, B, C."),
        (
            "protocol.control=A dataset.roles.price=price",
            "dataset.roles.price: row 1 has -5 in column 'price'; must be >= 0.",
        ),
        (
            "protocol.control=A dataset.roles.outcome=twice model=ab/proportions rivals=[]",
            "in column 'twice'; must be 0 or 1.",
        ),
        (
            "protocol.control=A model=ab/stratified rivals=[]",
            "dataset.roles.stratum: must be given for 'ab/stratified'.",
        ),
        ("protocol.control=A protocol.looks=0", "protocol.looks: must be >= 1, got 0."),
        (
            "protocol.control=A model=forecast/naive rivals=[]",
            "model: protocol 'ab_test' asks a comparison",
        ),
        ("protocol.control=A model.rules=[fixd]", "model.rules"),
    ],
)
def test_wrong_input_is_one_line(hwds, units, words, line):
    said = hwds(f"{LINE} {words}")
    assert said.code == 2
    assert line in said.line
