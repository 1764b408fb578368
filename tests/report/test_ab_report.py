"""The words and the pictures of a test."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from hwds.frames.table import Table
from hwds.report.ab import draw, sentence
from hwds.report.ab_plot import effects_figure
from hwds.report.ab_rates_plot import peeking_figure
from hwds.report.ab_words import conclusion, page
from hwds.results.tables import SCORES, TIMINGS, Tables

TABLE = Table.build(pl.DataFrame({"group": ["A", "B"], "bought": [0, 1]}), {"arm": ("group",), "outcome": ("bought",)})


def effect(metric="effect", model="ab/welch", rule="always_valid", value=0.3, low=0.1, high=0.5, status="ok"):
    numbers = {"value": value, "ci_low": low, "ci_high": high, "p_value": None if low is None else 0.01}
    return {
        "model": model,
        "metric": metric,
        "segment_by": "arm",
        "segment": "B",
        "ci_method": rule,
        "status": status,
    } | numbers


def ratio(p=0.4, status="ok"):
    return {"model": "ab/welch", "metric": "sample_ratio[equal]", "value": 0.7, "p_value": p, "n": 4000, "status": status}


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


def tables(*rows):
    return Tables(pl.DataFrame(rows, schema=SCORES), pl.DataFrame(), pl.DataFrame(schema=TIMINGS))


def test_the_sentence_says_what_is_sure_and_what_is_not():
    said = conclusion(tables(ratio(), effect(), effect(rule="fixed"), UNSURE), "ab/welch", "bought")
    assert "B raises bought by .300 (always-valid interval +.100 to +.500)" in said
    assert "B: no difference in revenue is shown (+1.00, always-valid interval -2.00 to +4.00)" in said
    assert "fixed" not in said
    assert sentence(TABLE, tables(ratio(), effect(value=-0.3, low=-0.5, high=-0.1)), "ab/welch").startswith(
        "B lowers bought by .300"
    )


def test_a_wrong_sample_ratio_comes_first():
    wrong = ratio(1e-9, "sample_ratio_mismatch")
    hidden = effect(value=None, low=None, high=None, status="sample_ratio_mismatch")
    assert "not split as planned" in conclusion(tables(wrong, hidden), "ab/welch")
    assert "no effect is shown" in conclusion(tables(wrong, hidden), "ab/welch")
    assert "no effect can be trusted" in conclusion(tables(wrong, effect()), "ab/welch")


def test_guardrails_and_corrected_p_values_are_told():
    rail = {"model": "ab/welch", "segment_by": "arm", "segment": "B", "ci_method": "always_valid", "status": "ok"}
    rows = [
        ratio(),
        effect(),
        rail | {"metric": "adjusted_p[holm]", "value": 0.04},
        rail | {"metric": "guardrail", "value": -0.02},
        rail | {"metric": "guardrail[revenue]", "value": 0.5},
        rail | {"metric": "guardrail[revenue]", "value": -9.0, "ci_method": "fixed"},
    ]
    text = page(tables(*rows), "ab/welch", "bought")
    assert "| .010 | .040 | always-valid | ok |" in text
    assert "bought of B is not sure (-.020); revenue of B holds (+.500)." in text
    said = conclusion(tables(*rows), "ab/welch", "bought")
    assert said.endswith("GUARDRAIL: B may do more harm to bought than the margin allows.")


def test_an_arm_of_which_nothing_is_known():
    assert conclusion(tables(ratio(), effect(low=None, high=None)), "ab/welch") == "B: nothing is known of the outcome yet."
    assert conclusion(tables(ratio()), "ab/welch") == "ab/welch shows no effect."


def test_the_page_has_ratio_effects_sizes_and_rates():
    needed = {**effect("units_for_effect_seen"), "value": 7527.0, "ci_method": None}
    absurd = {**needed, "metric": "units_for_effect_seen[revenue]", "value": 4e8}
    plan = [
        {**needed, "metric": f"units_for_minimum_detectable_effect{label}", "value": units}
        for label, units in (("", 7527.0), ("[revenue]", 86_700.0))
    ]
    said = page(tables(ratio(), effect(), UNSURE, TRUE, needed, absurd, *plan, *RATES), "ab/welch", "bought")
    assert "(`protocol.minimum_detectable_effect`): 7,527 for bought of B; 86,700 for revenue of B." in said
    assert "4,000 units were to be split equally, as no protocol.allocation was given; chi-square .700, p .400" in said
    assert "| ab/welch | B | bought | 0.300 | 0.100 | 0.500 | .010 |  | always-valid | ok |" in said
    assert "| truth | B | bought |" in said
    assert "finds an effect as large as the one seen: 7,527 for bought of B." in said
    assert "| ab/welch | fixed | 5.0 | 37.0 |" in said


def test_a_panel_for_each_outcome_a_line_for_each_effect_and_the_truth():
    figure = effects_figure(tables(ratio(), effect(), effect(rule="fixed", status="unregistered"), UNSURE, TRUE), "bought")
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["bought", "revenue"]
    assert [len(axes.get_yticks()) for axes in figure.axes] == [2, 1]
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["always valid", "truth", "fixed (unregistered)"]


def test_rates_against_looks():
    figure = peeking_figure(tables(*RATES))
    left = figure.axes[0].get_lines()[0]
    assert left.get_xdata() == pytest.approx([1, 100])
    assert np.asarray(left.get_ydata()) == pytest.approx([5, 37])


def test_pictures_are_drawn_only_of_what_there_is(tmp_path):
    draw(TABLE, tables(ratio(), effect(), *RATES), "ab/welch", tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"effects.png", "ab_peeking.png", "ab_test.md"}
    assert effects_figure(tables(ratio(), effect(value=None, low=None, high=None))) is None
    assert peeking_figure(tables(ratio())) is None
