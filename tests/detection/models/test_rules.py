"""Rules that an analyst writes, and those that a tree proposes: what they name, what they are
worth, and their back-test.
"""

import numpy as np
import polars as pl
import pytest

from hwds.core.errors import ConfigError
from hwds.detection.models.classify.rules import Rules
from hwds.detection.predictions import row_predictions, rule_scores
from hwds.detection.reasons import in_words
from hwds.detection.rows import RowContext
from hwds.detection.rules import conditions_by_rule, rule_from_conditions
from hwds.frames.features.none import None_
from hwds.frames.table import Table
from tests.support.composed import composed

LATE = "late: worth > 200 and night = 1"


def payments(count=2000, seed=0):
    rng = np.random.default_rng(seed)
    worth, night = rng.gamma(2, 50, count), rng.integers(0, 2, count)
    bad = ((worth > 200) & (night == 1) & (rng.random(count) < 0.8)) | (rng.random(count) < 0.01)
    data = {
        "worth": worth,
        "night": night,
        "channel": rng.choice(["web", "shop"], count),
        "bad": bad.astype(float),
    }
    card = [f"card {k}" for k in rng.integers(0, 300, count)]
    roles = {
        "label": "bad",
        "entity": "card",
        "amount": "worth",
        "covariate": ("worth", "night", "channel"),
    }
    return Table.build(pl.DataFrame(data | {"card": card}), roles, "EUR")


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("worth > 200 and night = 1", "worth > 200 and night = 1"),
        (
            "late night: worth>=200  and  channel = web",
            "late night: worth >= 200 and channel = web",
        ),
        ("channel != 'shop'", "channel != shop"),
    ],
)
def test_a_rule_is_read(text, title):
    ((name, conditions),) = conditions_by_rule([text]).items()
    assert rule_from_conditions(name, conditions).title == title


def test_rules_by_name_are_those_of_texts():
    written = Rules(rules={"late": ["worth > 200", "night = 1"], "web": "channel = web"}, propose=0)
    texts = Rules(rules=(LATE, "web: channel = web"), propose=0)
    assert [rule_from_conditions(*each).title for each in written.rules.items()] == [
        rule_from_conditions(*each).title for each in texts.rules.items()
    ]


@pytest.mark.parametrize(
    "text",
    [
        *("worth 200", "worth > large", "worth >", "", "worth > 1 or night = 1"),
        *("night == 1", "night => 1", "night = 1 or worth > 2", "worth > nan", "worth < inf"),
    ],
)
def test_what_is_no_rule_is_refused(text):
    with pytest.raises(
        ConfigError, match=r"is no condition such as|compares with no number|has two signs"
    ):
        Rules(rules=[text])


def test_a_name_is_given_once_and_a_text_in_quotes_may_have_signs():
    with pytest.raises(ValueError, match="has 'late' more than once"):
        conditions_by_rule({"late": "worth > 1", "late ": "worth > 2"})
    assert rule_from_conditions("", ("channel = 'a=b'",)).title == ": channel = a=b"


def test_rules_order_rows_by_the_share_that_theirs_had():
    table = payments()
    model = Rules(rules=(LATE, "web: channel = web"), propose=0)
    fitted = model.fit(table, context=RowContext(0))
    late = table.filter((table.data["worth"] > 200) & (table.data["night"] == 1))
    n, base = late.height, table.data["bad"].mean()
    share = (late.data["bad"].sum() + 20 * base) / (n + 20)
    chance = fitted.score_rows(table).probability
    assert chance.max() == pytest.approx(share)
    told = fitted.explain(table)
    assert np.allclose(told.base + told.values.sum(axis=1), fitted.score_rows(table).score)
    rows = row_predictions(fitted, table, table, "test", 50)
    best = rows.sort("score", descending=True).row(0, named=True)
    record, about = in_words(best["reasons"])
    counts = (
        f"({n} rows met it before and {late.data['bad'].sum():.0f} were confirmed, of all "
        f"rows {100 * base:.1f} %)"
    )
    assert record == f"meets the rule late: worth > 200 and night = 1 {counts}"
    assert about.startswith("its worth is ")
    scores = {(each.metric, each.segment): each for each in rule_scores(rows)}
    assert scores["rule_rows", LATE].value == n
    rate = scores["rule_hit_rate", LATE]
    assert rate.value == pytest.approx(late.data["bad"].mean())
    assert rate.ci_low < rate.value < rate.ci_high
    assert scores["rule_money", LATE].value == pytest.approx(
        (late.data["worth"] * late.data["bad"]).sum()
    )


def test_a_tree_proposes_the_rule_that_is_there():
    table = payments()
    scorer = Rules().learn(
        table, stop=table.filter(np.zeros(table.height, bool)), context=RowContext(0)
    )
    first, fresh = scorer.rules[int(scorer.odds.argmax())], payments(seed=1)
    assert {each.input for each in first.conditions} == {"worth", "night"}
    assert fresh.filter(first.holds(fresh)).data["bad"].mean() > 0.6


def test_a_rule_about_what_is_not_there_is_refused():
    with pytest.raises(
        ConfigError,
        match=r"^model\.rules: no input 'wroth' for 'wroth > 3'; did you mean 'worth'\?$",
    ):
        Rules(rules=("wroth > 3",)).fit(payments(), context=RowContext(0))
    protocol, features = (
        composed("dataset=gray_market", "protocol=prequential", "model=classify/xgboost").protocol,
        None_(),
    )
    with pytest.raises(ConfigError, match=r"^model\.rules: no input 'wroth'"):
        protocol.check_inputs({"rival": Rules(rules=("wroth > 3",))}, features, payments())
    protocol.check_inputs({"own": Rules(rules=("worth > 3",))}, features, payments())


def test_rules_are_named_by_their_file_and_reach_the_model_as_conditions():
    words = ["dataset=gray_market", "protocol=prequential", "model=classify/stack_rules"]
    member = composed(*words).model.members[1]
    assert member.rules["pays off elsewhere"] == ("best_pair_share > 0.05", "quantity_30d >= 20")
    rules = composed(
        *words[:2],
        "model=classify/rules",
        'model.rules={few: "quantity < 3", odd: ["quantity = 9"]}',
    ).model.rules
    assert rules == {"few": ("quantity < 3",), "odd": ("quantity = 9",)}
    with pytest.raises(
        ConfigError,
        match=r"^model\.rules: no option 'gray_dsk' of rules; did you mean 'gray_desk'\?$",
    ):
        composed(*words[:2], "model=classify/rules", "model.rules=gray_dsk")


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ({"a: b": "x > 1"}, "is no name of a rule"),
        ({"late": []}, "'late' must be a condition such as"),
        ({"late": 3}, "'late' must be a condition such as"),
        ("late", "must be rules by name"),
        (["late: x > 1", "late: x > 2"], "has 'late' more than once"),
    ],
)
def test_rules_that_are_none_are_refused(rules, said):
    with pytest.raises(ConfigError, match=said):
        Rules(rules=rules)
