"""The words and the pictures of a test."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from hwds.ab.report.run import ab_grids, draw, effects_figure, peeking_figure
from hwds.ab.report.scores import control_means
from hwds.ab.report.sentences import ab_conclusion, ab_page
from hwds.ab.report.tables import lift_words
from hwds.ab.rows import ab_measures
from hwds.frames.table import Table
from hwds.results.tables import SCORES, TIMINGS, Tables, metrics_table

TABLE = Table.build(
    pl.DataFrame({"group": ["A", "B"], "bought": [0, 1]}),
    {"arm": ("group",), "outcome": ("bought",)},
)


def effect(
    metric="effect",
    model="ab/welch",
    rule="always_valid",
    value=0.3,
    low=0.1,
    high=0.5,
    status="ok",
):
    numbers = {
        "value": value,
        "ci_low": low,
        "ci_high": high,
        "p_value": None if low is None else 0.01,
    }
    return {
        "model": model,
        "metric": metric,
        "segment_by": "arm",
        "segment": "B",
        "ci_method": rule,
        "status": status,
    } | numbers


def ratio(p=0.4, status="ok"):
    return {
        "model": "ab/welch",
        "metric": "sample_ratio[equal]",
        "value": 0.7,
        "p_value": p,
        "n": 4000,
        "status": status,
    }


def rate(looks, share, rule="fixed", metric="false_positive_rate"):
    numbers = {"value": share, "stderr": 0.003, "n": 4000, "step": looks}
    return {"model": "ab/welch", "metric": metric, "ci_method": rule, "status": "ok"} | numbers


RATES = [
    rate(looks, share, metric=metric)
    for metric in ("false_positive_rate", "power")
    for looks, share in ((1, 0.05), (100, 0.37))
]
UNSURE = effect("effect[revenue]", value=1.0, low=-2.0, high=4.0)
TRUE = effect(model="truth", rule=None, value=0.25, low=None, high=None)


MEASURES = ab_measures(
    {"": ("bought", ""), "revenue": ("", "USD")}, 0.8, 100, "holm", 0.9, True, {}
)


def mean(metric, arm, value):
    return {
        "model": "ab/welch",
        "metric": metric,
        "segment_by": "arm",
        "segment": arm,
        "value": value,
        "status": "ok",
    }


def tables(*rows):
    return Tables(
        pl.DataFrame(rows, schema=SCORES),
        pl.DataFrame(),
        pl.DataFrame(schema=TIMINGS),
        metrics_table(MEASURES),
    )


def test_the_sentence_says_what_is_sure_and_what_is_not():
    said = ab_conclusion(
        tables(ratio(), mean("arm_mean", "A", 0.2), effect(), effect(rule="fixed"), UNSURE),
        "ab/welch",
    )
    raised = (
        "B raises bought per unit by 0.300 from the control's 0.200 (always-valid 90 %: "
        "+0.100 to +0.500)"
    )
    assert raised in said
    assert (
        "B: no difference in revenue per unit is shown (+1.00 USD; always-valid 90 %: -2.00 to "
        "+4.00 USD)" in said
    )
    assert "fixed" not in said
    lowered = ab_conclusion(tables(ratio(), effect(value=-0.3, low=-0.5, high=-0.1)), "ab/welch")
    assert lowered.startswith("WORSE: B lowers bought per unit by 0.300 (")


def test_the_mean_is_that_of_the_control_whatever_the_order_of_the_arms():
    arms = [mean("arm_mean", "B", 0.5), mean("arm_mean", "Z", 0.2)]
    assert control_means(tables(ratio(), *arms, effect())) == {"": 0.2}
    assert "from the control's 0.2" in ab_conclusion(tables(ratio(), *arms, effect()), "ab/welch")


def test_the_sentence_says_how_often_the_rule_finds_what_is_not_there():
    rival = [
        row | {"model": "ab/bayes", "ci_method": "bayes", "value": 2 * row["value"]}
        for row in RATES
    ]
    said = ab_conclusion(
        tables(ratio(), effect(rule="fixed", status="unregistered"), *RATES, *rival), "ab/welch"
    )
    assert "+0.500; unregistered)" in said
    assert said.endswith(
        "Without any effect its rule would find one on bought in 37.0 % (95 %: 35.5 to 38.5) of "
        "tests at 100 looks;"
        " the most is 74.0 % (95 %: 72.6 to 75.3), of ab/bayes (posterior)."
    )


def adjusted(p, arm="B", metric="adjusted_p[holm]", rule="always_valid"):
    return effect(metric, rule=rule, value=p, low=None, high=None) | {"segment": arm}


def test_of_several_comparisons_the_corrected_p_value_decides():
    """B's own interval excludes zero; its corrected p-value does not allow to say so."""
    two = [effect(), effect(value=0.6) | {"segment": "C"}]
    for how, called in (("holm", "Holm"), ("bh", "Benjamini and Hochberg")):
        found = [
            adjusted(0.21, metric=f"adjusted_p[{how}]"),
            adjusted(0.002, "C", f"adjusted_p[{how}]"),
        ]
        other = [adjusted(0.0001, arm, f"adjusted_p[{how}]", "fixed") for arm in "BC"]
        said = ab_conclusion(tables(ratio(), *two, *found, *other), "ab/welch")
        assert "B: no difference in bought per unit is shown (+0.300; always-valid 90 %:" in said
        assert "+0.500, corrected p 0.210)" in said
        assert "C raises bought per unit by 0.600 (" in said
        assert f"\nThe p-values are corrected by {called} for 2 comparisons." in said
    assert "B raises" in ab_conclusion(tables(ratio(), *two), "ab/welch")
    assert "Nothing is corrected for the number of comparisons, 2." in ab_conclusion(
        tables(ratio(), *two), "ab/welch"
    )
    assert "corrected" not in ab_conclusion(tables(ratio(), effect(), adjusted(0.01)), "ab/welch")


def test_of_several_arms_the_rates_of_one_and_of_any_are_told():
    name = "family_false_positive_rate"
    family = [
        rate(n, p, metric=f"{name}[{how}]")
        for how, p in (("holm", 0.04), ("none", 0.5))
        for n in (1, 100)
    ]
    found = tables(
        ratio(), effect(rule="fixed"), effect(rule="fixed") | {"segment": "C"}, *RATES, *family
    )
    assert (
        "one on bought in 37.0 % (95 %: 35.5 to 38.5) of tests at 100 looks with one arm, and in "
        "any of all 2 arms in"
        " 4.0 % (95 %: 3.4 to 4.7) corrected by Holm, 50.0 % (95 %: 48.5 to 51.5) uncorrected."
        in ab_conclusion(found, "ab/welch")
    )
    *_, rates = ab_grids(found, "ab/welch")
    rows = [list(row) for row in zip(*(column.cells for column in rates.columns), strict=True)]
    assert rows == [
        ["ab/welch", "fixed", "one", "5.0", "37.0", "37.0"],
        ["ab/welch", "fixed", "any of 2, corrected by Holm", "4.0", "4.0", ""],
        ["ab/welch", "fixed", "any of 2, uncorrected", "50.0", "50.0", ""],
    ]
    assert rates.caption.startswith("False winners in bought, % of 4,000 simulated tests")
    posterior = [row | {"ci_method": "bayes"} for row in (*RATES, *family)]
    assert "corrected by" not in ab_conclusion(
        tables(ratio(), effect(rule="bayes"), *posterior), "ab/welch"
    )


def test_the_terminal_has_the_effects_and_the_rates():
    better = mean("probability_better", "B", 0.99) | {"model": "ab/bayes", "ci_method": "bayes"}
    bayes = effect("posterior_effect", "ab/bayes", "bayes") | {"p_value": None}
    fixed = effect(
        "effect[revenue]", rule="always_valid", status="beyond_size", value=1.0, low=-2.0, high=4.0
    )
    lift = effect("lift", value=0.25, low=0.08, high=0.449) | {"p_value": None}
    found, rates = ab_grids(
        tables(ratio(), effect(), lift, effect(rule="fixed"), fixed, bayes, better, TRUE, *RATES),
        "ab/welch",
    )
    rows = list(zip(*(column.cells for column in found.columns), strict=True))
    assert rows[0] == (
        *("ab/welch", "B", "bought", "+25.0 (+8.0 to +44.9)", "0.300", "0.100 to 0.500"),
        *("0.010", "", "always-valid"),
    )
    assert rows[1][2:] == (
        "revenue, USD",
        "",
        "1.00",
        "-2.00 to 4.00",
        "0.010",
        "",
        "always-valid ‡",
    )
    assert rows[2][6:] == ("P 0.990", "", "posterior")
    assert rows[3] == ("truth", "B", "bought", "", "0.250", "", "", "", "")
    assert found.caption.startswith("Effects of B against the control. Sample ratio: 4,000 units")
    assert found.caption.endswith("‡: beyond size.")
    assert [column.brief for column in found.columns][1] == "", "one arm needs no column"
    assert [column.cells for column in rates.columns] == [
        ("ab/welch",),
        ("fixed",),
        ("",),
        ("5.0",),
        ("37.0",),
        ("37.0",),
    ]


def test_relative_effects_lead_and_stand_for_the_intervals_of_the_others():
    lift = effect("lift", value=0.25, low=0.08, high=0.449) | {"p_value": None}
    (found,) = ab_grids(tables(ratio(), effect(), lift), "ab/welch")
    assert [column.brief for column in found.columns] == [
        "model",
        "",
        "outcome",
        "lift, %\n(90 %)",
        "effect",
        "",
        "p",
        "",
        "rule",
    ]
    said = ab_conclusion(tables(ratio(), mean("arm_mean", "A", 1.2), effect(), lift), "ab/welch")
    assert said.startswith(
        "BETTER: B raises bought per unit by 25.0 %, 0.300 from the control's 1.20 (always-valid 90 %: "
        "+8.0 to +44.9 %, "
    )


@pytest.mark.parametrize(
    ("lift", "said"),
    [
        ((-0.0003, -0.0005, -0.0001), "-0.030 (-0.050 to -0.010)"),
        ((0.3, -0.4, 1.2), "+30 (-40 to +120)"),
        ((0.034, 0.01, 0.06), "+3.4 (+1.0 to +6.0)"),
    ],
)
def test_a_lift_has_the_decimals_of_its_interval(lift, said):
    assert lift_words(lift) == said


def test_a_wrong_sample_ratio_comes_first():
    wrong = ratio(1e-9, "sample_ratio_mismatch")
    hidden = effect(value=None, low=None, high=None, status="sample_ratio_mismatch")
    assert "not split as planned" in ab_conclusion(tables(wrong, hidden), "ab/welch")
    assert "no effect is shown" in ab_conclusion(tables(wrong, hidden), "ab/welch")
    assert "no effect can be trusted" in ab_conclusion(tables(wrong, effect()), "ab/welch")


def test_guardrails_and_corrected_p_values_are_told():
    rail = {
        "model": "ab/welch",
        "segment_by": "arm",
        "segment": "B",
        "ci_method": "always_valid",
        "status": "ok",
    }
    rows = [
        ratio(),
        effect(),
        rail | {"metric": "adjusted_p[holm]", "value": 0.04},
        rail | {"metric": "guardrail", "value": -0.02, "ci_high": 0.1},
        rail | {"metric": "guardrail[revenue]", "value": 0.005, "ci_high": 0.1},
        rail
        | {"metric": "guardrail[revenue]", "value": -9.0, "ci_high": -8.0, "ci_method": "fixed"},
    ]
    text = ab_page(tables(*rows), "ab/welch")
    assert "| 0.010 | 0.040 | always-valid (any look) | ok |" in text
    assert "bought of B is not sure (-2 %); revenue of B holds (+0.5 %)." in text


def test_an_arm_of_which_nothing_is_known():
    assert (
        ab_conclusion(tables(ratio(), effect(low=None, high=None)), "ab/welch")
        == "NOT SURE: B: nothing is known of bought yet."
    )
    assert ab_conclusion(tables(ratio()), "ab/welch") == "ab/welch shows no effect."


def test_the_page_has_ratio_effects_sizes_and_rates():
    needed = {**effect("units_for_effect_seen"), "value": 7527.0, "ci_method": None}
    absurd = {**needed, "metric": "units_for_effect_seen[revenue]", "value": 4e8}
    plan = [
        {**needed, "metric": f"units_for_minimum_detectable_effect{label}", "value": units}
        for label, units in (("", 7527.0), ("[revenue]", 86_700.0))
    ]
    means = [
        mean("arm_mean", "A", 0.2),
        mean("arm_mean[revenue]", "A", 7.362),
        mean("arm_mean", "B", 0.5),
    ]
    said = ab_page(
        tables(ratio(), *means, effect(), UNSURE, TRUE, needed, absurd, *plan, *RATES), "ab/welch"
    )
    assert "The control's means per unit: bought 0.200, revenue 7.36 USD." in said
    assert (
        "(`protocol.minimum_detectable_effect`): 7,527 for bought of B; 86,700 for revenue of B."
        in said
    )
    assert (
        "4,000 units were to be split equally, as no protocol.allocation was given; chi-square "
        "0.700, p 0.400" in said
    )
    assert (
        "| **ab/welch** | B | bought | 0.300 | 0.100 to 0.500 | 0.010 | always-valid (any look) | "
        "ok |" in said
    )
    assert "| truth | B | bought | 0.250 |" in said
    assert "finds an effect as large as the one seen: 7,527 for bought of B." in said
    assert "| **ab/welch** | fixed | 5.0 | 37.0 | 37.0 |" in said
    assert (
        "| model | rule | 1 look | 100 looks | power, 100 looks |\n| :-- | :-- | --: | --: | --: |"
        in said
    )


def test_a_panel_for_each_outcome_a_line_for_each_effect_and_the_truth():
    lines = [
        effect(),
        effect(rule="fixed", status="unregistered"),
        UNSURE,
        TRUE,
        mean("arm_mean[revenue]", "A", 7.0),
    ]
    figure = effects_figure(tables(ratio(), *lines), "ab/welch")
    titles = ["bought per unit", "revenue, USD per unit; the control's mean is 7.00 USD"]
    assert [axes.get_title(loc="left") for axes in figure.axes] == titles
    assert figure.get_suptitle() == "Effect of B against the control, with 90 % intervals"
    assert [tick.get_text() for tick in figure.axes[0].get_yticklabels()] == ["ab/welch", ""], (
        "a model is named once"
    )
    assert [len(axes.get_yticks()) for axes in figure.axes] == [2, 1]
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["always-valid", "truth", "fixed (unregistered)"]


def test_rates_against_looks():
    figure = peeking_figure(tables(*RATES), "ab/welch")
    left = figure.axes[0].get_lines()[0]
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["10 %, what the level of the intervals promises", "ab/welch (fixed)"]
    assert left.get_xdata() == pytest.approx([1, 100])
    assert np.asarray(left.get_ydata()) == pytest.approx([5, 37])


def test_pictures_are_drawn_only_of_what_there_is(tmp_path):
    draw(TABLE, tables(ratio(), effect(), *RATES), "ab/welch", tmp_path)
    assert {path.name for path in tmp_path.iterdir() if path.suffix != ".svg"} == {
        "effects.png",
        "ab_peeking.png",
        "ab_test.md",
    }
    assert (
        effects_figure(tables(ratio(), effect(value=None, low=None, high=None)), "ab/welch") is None
    )
    assert peeking_figure(tables(ratio()), "ab/welch") is None
