"""Tables whose columns are declared once, and verdicts that hold them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import polars as pl
import pytest

from hwds.report.grid import declared_grid
from hwds.report.words import say, spoken
from hwds.results.tables import Column, Declared, Verdict, with_interval

LINES = Declared.of(
    Column("plant", "text", "The plant.", "plant", "plant"),
    with_interval(
        Column("cost", "number", "Cost of a step.", "cost, {{ unit }}", "cost"), brief="95 %"
    ),
    Column("fill", "share", "The share that is served.", "served, %", "served\n%"),
    Column("both", "made", "", "share of cost", show="{{ fill | share }} of {{ cost | brief }}"),
)
ROWS = LINES.frame([("a", 1.0, 0.5, 1.25, 0.981), ("b", None, None, None, None)])


@dataclass(frozen=True)
class Terms:
    level: float = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanVerdict(Verdict):
    files: ClassVar = {"plan_lines": "lines"}
    stored = ("terms.level",)
    words = """
    {{ action }} for {{ lines | length }} plants
    {%- if missing_value is none %} at {{ terms.level | percent }}{% endif %}: {{ note }}
    """

    terms: Terms
    missing_value: float | None
    lines: pl.DataFrame


def test_a_declaration_is_schema_reference_and_grid():
    assert list(LINES.schema) == ["plant", "cost", "cost_low", "cost_high", "fill"]
    assert ROWS.schema == LINES.schema
    assert LINES.reference().splitlines()[1] == "| `cost` | Float64 | Cost of a step. |"
    grid = declared_grid(LINES, ROWS, unit="EUR", own="{{ 'b' }}", caption="{{ unit }}:")
    assert [(each.title, each.brief, each.cells) for each in grid.columns] == [
        ("plant", "plant", ("a", "b")),
        ("cost, EUR", "cost", ("1.000", "")),
        ("95 %", "95 %", ("0.500 to 1.250", "")),
        ("served, %", "served\n%", ("98.1", "")),
        ("share of cost", "", ("98.1 of 1.00", "of")),
    ]
    assert (grid.own, grid.caption) == ({1}, "EUR:")


def test_columns_are_chosen_by_name_and_hidden_by_a_condition():
    assert [each.name for each in LINES.select("fill plant cost_high")] == ["fill", "plant"]
    hidden = Declared.of(Column("plant", "text", "", "plant", when="{{ unit == 'USD' }}"))
    assert declared_grid(hidden, ROWS, unit="EUR").columns[0].cells == ("", "")


def test_a_verdict_stores_values_of_its_terms_and_no_tables():
    verdict = spoken(
        PlanVerdict(
            decision="plan", action="GO", rule="none", terms=Terms(), missing_value=None, lines=ROWS
        ),
        note="done.",
    )
    assert verdict.sentence == "GO for 2 plants at 95 %: done."
    assert verdict.tables() == {"plan_lines": ROWS}
    assert verdict.as_dict() == {
        "decision": "plan",
        "action": "GO",
        "rule": "none",
        "excluded": {},
        "sentence": verdict.sentence,
        "missing_value": None,
        "level": 0.95,
    }


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ 0.12 | quoted_percent(0.06, 0.18) }}", "12 % (95 %: 6 to 18)"),
        ("{{ -0.12 | quoted_percent(-0.18, -0.06, less=true) }}", "12 % (95 %: 6 to 18)"),
        ("{{ 0.05 | quoted_share(-0.11, 0.21) }}", "5 % (95 %: 0 to 21)"),
        ("{{ 1893.2 | money('USD') }}", "1,893 USD"),
        ("{{ 1.65 | size(-1.35, 4.65, 'USD', sign=true) }}", "+1.65 USD"),
        ("{{ 1.65 | ends(-1.35, 4.65, 'USD') }}", "-1.35 to 4.65 USD"),
        ("{{ none | percent }}", ""),
        ("{{ 1 | counted('deals') }},\n    {{ 0.9999 | chance }}", "1 deal, > 99.9 %"),
    ],
)
def test_each_kind_of_number_is_rounded_one_way(template, text):
    assert say(template) == text


def test_an_unknown_name_is_an_error():
    with pytest.raises(Exception, match="'volume' is undefined"):
        say("{{ volume }}", Terms())
