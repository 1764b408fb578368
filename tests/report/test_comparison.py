"""The words, tables and pictures of a comparison."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from hwds.report.comparison import (
    along_grid,
    board_grid,
    cliques,
    comparison_figure,
    comparison_markdown,
    comparison_sentence,
    comparison_title,
    critical_difference_figure,
    effect_amount,
    pairs_grid,
    rank_sentence,
)
from hwds.results.comparison import PAIRS, Comparison
from hwds.results.tables import Measure
from hwds.stats.compare import compare_table

MASE = Measure("mase[m=12]", units="series", meaning="scaled error")
WORDS = {"better": 0.02, "worse": -0.03, "alike": 0.001, "unsure": 0.01, "better, alike": 0.004}


def comparison(*rows, **changes):
    """A comparison of `stack` against rivals: name, verdict, and its effect unless it is that of
    the verdict.
    """
    lines = []
    for rival, verdict, *effect in rows:
        value = effect[0] if effect else WORDS[verdict]
        line = {
            "model": "stack",
            "rival": rival,
            "effect": value,
            "low": value - 0.009,
            "high": value + 0.009,
            "verdict": verdict,
        }
        lines.append(
            dict.fromkeys(PAIRS.schema)
            | line
            | {"p_holm": 0.01, "p_value": 0.01, "method": "bootstrap over series"}
        )
    pairs = pl.DataFrame(lines, schema=PAIRS.schema).sort("effect", descending=True)
    models = ["stack", *(rival for rival, *_ in rows)]
    numbers = {
        "mean": 1.0,
        "stderr": 0.1,
        "median": 0.9,
        "rank": 1.5,
        "win_rate": 0.5,
        "skill": None,
        "set_p": 0.5,
        "n": 96,
    }
    counts = {"n_undefined": 0, "n_failed": 0, "n_fallback": 0, "seconds": 3.0}
    board = pl.DataFrame({"model": models, **numbers, **counts})
    said = {
        "measure": MASE,
        "metrics": {"m3": "mase[m=12]"},
        "task": "forecast",
        "subject": "stack",
        "chosen": "own",
        "family": len(rows),
        "relative": True,
        "margin": None,
        "level": 0.95,
        "leaderboard": board,
        "pairs": pairs,
        "along": pl.DataFrame(),
        "ranks": None,
        "datasets": ("m3",),
        "seeds": (0,),
        "units": "series",
        "sources": ("a/b",),
        "notes": (),
        "trained": False,
    }
    return Comparison(**{**said, **changes})


SENTENCES = [
    ([("theta", "better", 0.021)], {}, "BETTER: stack beats theta by 2.1 % (95 %: 1.2 to 3.0, p 0.010), "
                                       "sure."),
    (
        [("theta", "better", 0.021), ("xgboost", "unsure")], {"family": 5},
        "BETTER: stack beats theta by 2.1 % (95 %: 1.2 to 3.0, p 0.010),"
        " sure after correction for 5 comparisons; cannot be told from xgboost.",
    ),
    ([("a", "worse"), ("b", "unsure")], {}, "WORSE: stack is worse than a by 3.0 % (95 %: 2.1 to 3.9, p "
                                            "0.010),"
     " sure after correction for 2 comparisons; cannot be told from b."),
    (
        [("a", "better"), ("b", "worse")], {"chosen": "best", "family": 3},
        "WORSE: stack, the best here, beats a by 2.0 % (95 %: 1.1 to 2.9, p 0.010)"
        " and is worse than b by 3.0 % (95 %: 2.1 to 3.9, p 0.010),"
        " sure after correction for 3 comparisons of all pairs.",
    ),
    ([("a", "alike"), ("b", "unsure")], {"margin": 0.01}, "ALIKE: stack is as good as a to within 1 %; "
                                                          "cannot be told from b."),
    (
        [("a", "better, alike")], {"margin": 0.02},
        "BETTER: stack beats a by 0.4 % (95 %: -0.5 to 1.3, p 0.010), which is within 2 %, sure.",
    ),
    (
        [(name, "better", 0.02 + 0.01 * i) for i, name in enumerate("abcde")], {},
        "BETTER: stack beats all 5 rivals, the closest of them a by 2.0 % (95 %: 1.1 to 2.9, p 0.010),"
        " sure after correction for 5 comparisons.",
    ),
    ([(name, "unsure") for name in "abcde"], {}, "NOT SURE: stack cannot be told from a, b, c and 2 more."),
]  # fmt: skip


@pytest.mark.parametrize(("rows", "changes", "said"), SENTENCES)
def test_the_sentence(rows, changes, said):
    assert comparison_sentence(comparison(*rows, **changes)) == said


def test_an_amount_without_an_interval_has_none():
    row = {"effect": -0.1, "low": None, "high": None}
    assert effect_amount(comparison(("a", "unsure")), row) == ("10.0 %", "")
    lost = {"effect": 0.66, "low": -2287.0, "high": 1.0}
    assert effect_amount(comparison(("a", "unsure")), lost, sign=True) == (
        "+66.0 %",
        "",
    )
    turned = {"effect": -0.66, "low": -2287.0, "high": 1.0}
    assert effect_amount(comparison(("a", "unsure")), turned) == ("66.0 %", "")
    absolute = comparison(
        ("a", "unsure"), relative=False, measure=Measure("gain", measured_in="USD")
    )
    assert effect_amount(absolute, {"effect": 1.5, "low": 0.5, "high": 2.5}, sign=True) == (
        "+1.50 USD",
        "+0.50 to +2.50 USD",
    )


@pytest.fixture(scope="module")
def real():
    rng = np.random.default_rng(1)
    rows = [
        (model, "d|e", 0, f"u{u}", mean + rng.normal(5, 1))
        for u in range(30)
        for model, mean in (("a", 0), ("b", 3), ("c<i>", 0.1))
    ]
    table = pl.DataFrame(rows, schema=["model", "dataset", "seed", "unit", "value"], orient="row")
    return compare_table(
        table,
        Measure("cost", units="series", measured_in="USD"),
        margin=0.3,
        units="series",
        resamples=200,
    )


def test_tables_say_effect_interval_p_in_this_order(real):
    assert [column.title for column in pairs_grid(real).columns][:4] == [
        "rival",
        "better by",
        "95 % interval",
        "p, Holm",
    ]
    assert len(board_grid(real)) == 3
    assert along_grid(real) is None
    assert comparison_title(real) == "3 models on d|e by cost (lower is better), 30 series"


def test_the_page_has_all_that_is_needed(real):
    text = comparison_markdown(real, "python -m hwds compare x")
    for wanted in (
        comparison_sentence(real),
        "## Leaderboard",
        "Friedman",
        "critical_difference.png",
        "`python -m hwds compare x`",
        "two one-sided",
    ):
        assert wanted in text
    assert "ranks differ" in rank_sentence(real)


def test_bars_join_the_longest_runs_within_the_difference():
    assert cliques([1.0, 1.5, 2.0, 3.0, 3.2], 0.6) == [(0, 1), (1, 2), (3, 4)]
    assert cliques([1.0, 1.1, 1.2], 0.5) == [(0, 2)]
    assert cliques([1.0, 2.0, 3.0], 0.5) == []


def test_the_diagram_names_every_model_and_the_difference(real):
    figure = critical_difference_figure(real)
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert all(any(model in text for text in texts) for model in real.leaderboard["model"])
    assert any(
        text.strip() == f"critical difference {real.ranks.critical_difference:.2f}"
        for text in texts
    )
    assert critical_difference_figure(comparison(("a", "unsure"))) is None


def test_the_forest_has_an_effect_a_rival_and_never_zooms_two_equal_models():
    result = comparison(
        ("naive", "better"), ("theta", "alike", 0.00001), ("drift", "worse"), margin=0.01
    )
    (axes,) = comparison_figure(result).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == result.pairs["rival"].to_list()
    drawn = [line.get_xdata() for line in axes.lines if len(line.get_xdata()) == 1]
    assert np.ravel(drawn) == pytest.approx(100 * result.pairs["effect"].to_numpy())
    tiny = comparison(("theta", "alike", 0.00001))
    equal = replace(tiny, pairs=tiny.pairs.with_columns(low=pl.lit(0.0), high=pl.lit(0.00002)))
    low, high = comparison_figure(equal).axes[0].get_xlim()
    assert low <= -1 < 1 <= high, "a hundredth of a percent is not as wide as the picture"
    assert comparison_figure(replace(tiny, pairs=tiny.pairs.clear())) is None
    wide = replace(tiny, pairs=tiny.pairs.with_columns(low=pl.lit(-2287.0), high=pl.lit(1.0)))
    assert -1100 < comparison_figure(wide).axes[0].get_xlim()[0] < -1000


def test_a_comparison_is_plain_data(real, tmp_path):
    import json

    real.write(tmp_path, comparison_sentence(real), "hwds compare x")
    kept = json.loads((tmp_path / "comparison.json").read_text())
    assert kept["sentence"] == comparison_sentence(real)
    again, command = Comparison.read(tmp_path)
    assert command == "hwds compare x"
    assert comparison_markdown(again, command) == comparison_markdown(real, command)
    assert pl.read_parquet(tmp_path / "comparison.parquet").equals(real.pairs)
    assert not (tmp_path / "along.parquet").exists()
