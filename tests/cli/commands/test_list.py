"""`hwds list GROUP/OPTION`: what an option is, and what its settings mean."""

import json
import re

import pytest

from hwds.cli.commands.list import first_sentence
from hwds.core.registry import GROUPS, options
from hwds.core.settings import read_yaml


def test_an_option_is_described_with_its_settings(command):
    said = command("list model/forecast/xgboost")
    assert said.code == 0
    assert said.out.startswith(
        "model/forecast/xgboost: Gradient-boosted trees over the windows of all series: "
    )
    assert (
        "\n  objective: quantile  (quantile, tweedie or poisson)\n    `quantile`; or for counts"
        in said.out
    )
    assert (
        "\n  power: 1.5  (> 1 to < 2)\n    The power of `tweedie`, between 1 (counts) and 2 "
        "(sizes).\n" in said.out
    )
    assert (
        "\n  learning_rate: 0.06  (> 0)\n    The share of each tree that is added; a third of it "
        "where" in said.out
    )


def test_values_are_those_of_the_options_yaml(command):
    found = json.loads(command("list --json model/forecast/sarima_airline").out)[
        "model/forecast/sarima_airline"
    ]
    search = next(each for each in found["settings"] if each["name"] == "search")
    assert search["value"] == "fixed"
    assert search["allowed"] == "exact_stepwise, css_stepwise or fixed"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            "model/forecast/xgbost",
            "model: no option 'forecast/xgbost'; did you mean 'forecast/xgboost'?",
        ),
        ("mdel/forecast/xgboost", "no group 'mdel' that has settings; did you mean 'model'?"),
        ("experiment/lstm_forecast", "no group 'experiment' that has settings"),
        (
            "model model/forecast/xgboost",
            "list: takes groups or options, got both 'model' and 'model/forecast/xgboost'.",
        ),
    ],
)
def test_a_wrong_name_is_one_line(command, words, said):
    assert said in command(f"list {words}").line


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"a: \xff\n", "mine.yaml: is no UTF-8 (byte 3)."), (b"- a > 1\n", "must be a map")],
)
def test_a_file_of_rules_that_cannot_be_read_is_one_line(command, tmp_path, content, said):
    file = tmp_path / "conf" / "rules" / "mine.yaml"
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    assert said in command("list rules").line


def test_every_option_has_a_whole_sentence_in_lines_of_a_terminal(command):
    assert max(map(len, command("list").out.splitlines())) <= 100
    for group, rows in json.loads(command("list --json").out).items():
        for row in rows:
            about = re.sub(r" \[needs hwds\[.*\]\]$", "", row["about"])
            assert re.match(r"[A-Z0-9`].*[.?]$", about), (group, row)
            assert len(about.split()) <= 25, (group, row)


def test_an_option_with_settings_of_its_own_has_a_sentence_of_its_own(command):
    """Its class is described elsewhere in the list, unless the class needs these settings."""
    listed = json.loads(command("list --json").out)
    for group in GROUPS:
        about = {row["option"]: row["about"] for row in listed[group]}
        for name, file in options(group).items():
            recipe = (read_yaml(file.read_text(), file) or {}).get("recipe", name)
            assert recipe == name or about[name] != about.get(recipe), f"{group}/{name}"


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("Scores a row (Liu, Ting and Zhou 2008). Fewer is better.", "Scores a row (Liu, Ting and"),
        ("Bounds by Li et al. 2022, ECOD. `rules` has them.", "Bounds by Li et al. 2022, ECOD."),
        ("One sentence without an end", "One sentence without an end"),
    ],
)
def test_the_first_sentence_ends_where_the_next_begins(text, first):
    assert first_sentence(text).startswith(first)
    assert "Fewer" not in first_sentence(text)
    assert "rules" not in first_sentence(text)
