"""`hwds describe`: what options, settings and roles mean; the pages of docs/reference say the
same.
"""

import json
from pathlib import Path

import pytest

from hwds.cli.described import about, every_setting, reference_pages
from hwds.core.registry import GROUPS, options
from hwds.results.files import without_html_or_links

ROOT = Path(__file__).resolve().parents[3]
FRAGMENTS = ("Of ", "Adam's")
"""The beginnings of meanings that say something only beside the name."""


def test_every_option_says_what_it_is_and_every_setting_what_it_means():
    for group in GROUPS:
        for name in options(group):
            assert about(group, name), (group, name)
    for group, option, setting in every_setting():
        meaning = setting.meaning.rstrip()
        assert meaning.endswith((".", ")")), (group, option, setting)
        assert len(meaning.split()) > 2, (group, option, setting)
        assert not meaning.startswith(FRAGMENTS), (group, option, setting)


def test_the_reference_in_docs_is_that_of_the_code():
    """`make reference` writes it anew."""
    folder = ROOT / "docs" / "reference"
    texts = reference_pages()
    assert {path.name for path in folder.glob("*")} == set(texts)
    stale = [
        name
        for name, text in texts.items()
        if (folder / name).read_text() != without_html_or_links(text)
    ]
    assert stale == [], "make reference"


def test_one_setting_is_described_with_what_is_below_it(command):
    said = command("describe protocol/off_policy.target_policy")
    assert "\n  target_policy\n    The policy that is evaluated" in said.out
    assert "\n  target_policy.price: null  (> 0 or null)\n" in said.out
    assert "estimator" not in said.out.partition("target_policy.price")[0]


def test_a_setting_is_found_wherever_it_is(command):
    said = json.loads(command("describe largest_step --json").out)
    assert {"decision/optimal_price", "decision/price_choice"} <= set(said)
    (setting,) = said["decision/optimal_price"]["settings"]
    assert setting["meaning"] == "The most that a price may change, as a share of today's."


def test_what_every_experiment_has_is_described(command):
    said = json.loads(command("describe experiment pictures --json").out)
    assert list(said) == ["experiment"]
    (pictures,) = said["experiment"]["settings"]
    assert (pictures["value"], pictures["allowed"]) == ("auto", "auto or true or false")
    names = [
        each["name"]
        for each in json.loads(command("describe experiment --json").out)["experiment"]["settings"]
    ]
    assert {"name", "tags", "seed", "size", "rivals"} <= set(names)


def test_a_setting_is_found_by_its_path_on_the_command_line(command):
    said = json.loads(command("describe protocol.horizon --json").out)
    assert "protocol/holdout" in said
    assert all(title.startswith("protocol/") for title in said)
    assert "protocol.horizont" in command("describe protocol.horizont").line


def test_roles_are_described_by_kind_of_frame(command):
    said = command("describe roles/panel").out
    assert (
        "\n  dataset.roles.target  (one column of numbers, required)\n    The number to forecast."
        in said
    )
    assert "dataset.roles.stock_out  (one column of numbers from 0 to 1)" in said
    assert "cycle" not in said
    assert "roles/runs: " in command("describe roles").out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            "model/forecast/xgbost",
            "model: no option 'forecast/xgbost'; did you mean 'forecast/xgboost'?",
        ),
        (
            "model/forecast/xgboost.treees",
            "model/forecast/xgboost: no setting 'treees'; did you mean 'trees'?",
        ),
        (
            "largst_step",
            "describe: no option and no setting 'largst_step'; did you mean 'largest_step'?",
        ),
        ("roles/pannel", "describe: no frame 'pannel'; did you mean 'panel'?"),
        ("experiment/lstm_forecast", "no group 'experiment' that has settings"),
        (
            "",
            "describe: must be given an option, such as model/forecast/xgboost, a setting, or "
            "roles.",
        ),
    ],
)
def test_a_wrong_name_is_one_line(command, words, said):
    assert said in command(f"describe {words}").line
