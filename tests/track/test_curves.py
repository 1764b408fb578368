import polars as pl

from hwds.results.tables import SCORES, Measure, Tables, metrics_table
from hwds.track.records import (
    Curve,
    ShownPoints,
    metric_definitions,
    overall_numbers,
    plain_metric_name,
    score_curves,
    tables_to_show,
)


def scored(*rows):
    """Tables of these scores: model, fold, step, metric, aggregate, value, and what else."""
    names = ("model", "fold", "step", "metric", "aggregate", "value")
    lines = [
        dict(zip(names, row[:6], strict=True)) | (row[6] if len(row) > 6 else {}) for row in rows
    ]
    empty = pl.DataFrame()
    return Tables(
        pl.DataFrame(lines, schema=SCORES),
        empty,
        empty,
        metrics_table([Measure("mase[m=12]", meaning="the error")]),
    )


def test_windows_are_in_order_whatever_the_order_of_the_rows_and_a_rival_bears_its_name():
    tables = scored(
        ("b", 10, None, "mase[m=12]", "mean", 3.0),
        ("a", 10, None, "mase[m=12]", "mean", 2.0),
        ("a", 2, None, "mase[m=12]", "mean", 1.0),
        ("a", 2, None, "mase[m=12]", "mean", 9.0, {"segment_by": "family", "segment": "x"}),
        ("a", None, None, "mase[m=12]", "mean", 1.5),
        ("a", None, 2, "mase[m=12]", "mean", 1.8),
        ("a", None, 1, "mase[m=12]", "mean", None),
    )
    window, step = score_curves(tables, "a")
    assert window.axis == "window"
    assert window.points == (
        (2, {"by_window/mase_m_12": 1.0}),
        (10, {"by_window/rivals/b/mase_m_12": 3.0, "by_window/mase_m_12": 2.0}),
    )
    assert step.points == ((2, {"by_step/mase_m_12": 1.8}),)
    assert metric_definitions(tables, "a")["mase_m_12"].meaning == "the error"


def test_the_mean_bears_the_metrics_name_and_other_aggregates_beside_it_their_own():
    tables = scored(
        ("a", None, None, "regret", "mean", 1.0, {"stderr": 0.1}),
        ("a", None, None, "regret", "cvar95", 4.0, {"stderr": 0.4}),
        ("a", None, None, "aucpr", "pooled", 0.8),
        ("b", None, None, "regret", "mean", 2.0, {"stderr": 0.2}),
        ("b", None, None, "regret", "cvar95", 5.0),
    )
    assert overall_numbers(tables, "a") == {
        "regret": 1.0,
        "regret_stderr": 0.1,
        "regret_cvar95": 4.0,
        "aucpr": 0.8,
        "rivals/b/regret": 2.0,
    }


def test_few_metrics_are_the_headline_and_those_of_every_list_and_of_rivals_the_headline():
    every = scored(
        *(
            (model, None, None, metric, aggregate, 1.0)
            for model in ("a", "b")
            for metric in ("mase[m=12]", "wql[3]", "rmse")
            for aggregate in ("mean", "median")
        )
    )
    measures = [
        Measure("mase[m=12]"),
        Measure("wql[3]", beside="always"),
        Measure("rmse", beside="page"),
    ]
    tables = Tables(every.scores, every.predictions, every.timings, metrics_table(measures))
    assert set(overall_numbers(tables_to_show(tables, "a", "mase"), "a")) == {
        "mase_m_12",
        "wql_3",
        "rivals/b/mase_m_12",
    }
    assert {"rmse", "rmse_median", "rivals/b/rmse"} < set(overall_numbers(tables, "a"))


def test_names_are_of_letters_digits_and_underscores():
    names = [
        "mase[m=12]",
        "card_precision@100",
        "recall@precision=0.9",
        "coverage[80%]",
        "pseudo_regret[fixed]",
    ]
    assert [plain_metric_name(name) for name in names] == [
        "mase_m_12",
        "card_precision_at_100",
        "recall_at_precision_0_9",
        "coverage_80",
        "pseudo_regret_fixed",
    ]


def test_points_of_a_growing_curve_are_shown_once_and_curves_do_not_hide_each_other():
    shown, first, other = ShownPoints(), (1, {"loss": 0.5}), (1, {"other": 0.7})
    assert shown.new(Curve("epoch", ())).points == ()
    assert shown.new(Curve("epoch", (first,))).points == (first,)
    assert shown.new(Curve("epoch", (other,))).points == (other,)
    assert shown.new(Curve("epoch", (first, (2, {"loss": 0.4})))).points == ((2, {"loss": 0.4}),)
    assert shown.new(Curve("epoch", (first, (2, {"loss": 0.4})))).points == ()
