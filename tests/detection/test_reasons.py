"""Reasons in words."""

from __future__ import annotations

import polars as pl
import pytest

from hwds.detection.inputs import UsualValues
from hwds.detection.reasons import WORDS, companion_inputs, in_words, phrase_of
from hwds.frames.table import Table


def reason(name, value, adds=1.0):
    return {"input": name, "value": value, "adds": adds}


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("quantity_30d", "41.0", "bought 41 units in 30 days"),
        ("quantity_1d", "1", "bought 1 unit in a day"),
        ("orders_7d", "12", "placed 12 orders in 7 days"),
        ("stores_90d", "6", "bought in 6 stores in 90 days"),
        ("amount_7d", "12345.6", "spent 12,346 in 7 days"),
        ("promoted_share", "0.75", "75 % of its lines were bought on promotion"),
        ("cross_channel_90d", "1", "bought through more than one channel in 90 days"),
        (
            "sku_concentration_90d",
            "0.91",
            "spread its units in 90 days as if over 1.1 devices alike",
        ),
        ("customer_confirmed_90d", "3", "3 of its own rows were confirmed in 90 days"),
        ("customer_confirmed_90d", "1", "1 of its own rows was confirmed in 90 days"),
        ("network_confirmed", "1", "1 customer that shares identifiers with it was confirmed"),
        ("network_confirmed", "3", "3 customers that share identifiers with it were confirmed"),
        ("quantity_30d_peers", "53.8", "its peers buy 53.8 units in 30 days"),
        ("tenure_days", "0", "is new"),
        ("tenure_days", "42.1", "has been known for 42 days"),
        ("order_gap_days", "0.00344", "orders again after 5 minutes"),
        ("order_gap_days", "1.25", "orders again after 30 hours"),
        ("best_pair_spread", "-12", "a unit resold in another market loses 12"),
        ("spread", "55.25", "a unit resold on the street earns 55.2"),
        ("loss_at_stake", "2210.0", "its units cost 2,210 less than on the street"),
        ("network_degree", "4", "shares identifiers with 4 other customers"),
        ("customers_sharing_address", "1", "shares its address with 1 other customer"),
        (
            "store_risk_30d",
            "0.31",
            "by those of 30 days 31 % of the rows at its store are expected to be confirmed",
        ),
        (
            "terminal_id_risk_7day_window",
            "0.5",
            "50 % of the rows at its terminal that were investigated in 7 days were confirmed",
        ),
        ("customer_id_nb_tx_30day_window", "90", "the customer paid 90 times in 30 days"),
        ("terminal_count_1d", "1", "1 payment of known outcome came at its terminal in a day"),
        ("customer_mean_7d", "240", "payments of the customer in 7 days are 240 on average"),
        ("usual_ratio", "8.02", "is 8.02 times what the customer pays on average"),
        ("highest_ratio", None, "is of a customer who has not paid before"),
        ("terminal_run", "5", "the last 5 payments that are known at its terminal were frauds"),
        (
            "terminal_fraud_share",
            "0.8",
            "80 % of payments at its terminal since its first fraud were frauds",
        ),
        ("quantity_least_90d", "7", "never bought fewer than 7 units in 90 days"),
        (
            "spread_share_least_90d",
            "0.263",
            "each of its lines in 90 days would earn 26 % or more on the street",
        ),
        (
            "spread_share_least_90d",
            "-0.1",
            "one of its lines in 90 days would earn nothing on the street",
        ),
        ("quantity_30d_z", "6.24", "its units in 30 days: 6.2 deviations above its peers"),
        ("gap_z", "-2.0", "its gap: 2.0 deviations below its peers"),
        ("channel", "online", "its channel is online"),
        ("moon", "0.5", "its moon is 0.5"),
        ("recent", None, "its last rows, in their order, look like those of confirmed cases"),
        ("quantity_30d_peers", "2.0042", "its peers buy 2 units in 30 days"),
        ("quantity_ratio_90d", "0.4", "buys less than usual: 0.4 times its usual quantity"),
        ("quantity_ratio_90d", "3", "buys 3 times its usual quantity"),
        ("amount_ratio", "1", "spends its usual amount"),
        ("quantity_ratio_90d", None, "has no earlier line to compare its quantity with"),
        ("quantity_30d_z", None, "has too few peers to be compared with"),
        ("moon", None, "its moon is not known"),
        ("quantity_30d", None, "its units in 30 days is not known"),
        ("quantity_30d", "NaN", "its units in 30 days is not known"),
    ],
)
def test_an_input_in_words(name, value, said):
    assert in_words([reason(name, value)]) == [said]


def test_peers_are_told_beside_the_input():
    own = reason("quantity_30d", "41.0")
    assert in_words([own, reason("quantity_30d_peers", "3.0", 0.5)]) == [
        "bought 41 units in 30 days, its peers buy 3"
    ]
    assert in_words([reason("quantity_30d_z", "6.2", 3.0), own]) == [
        "bought 41 units in 30 days, 6.2 deviations above its peers"
    ]
    far = reason("quantity_7d_z", "4", 0.5)
    assert in_words([own, far]) == [
        "bought 41 units in 30 days, its units in 7 days: 4.0 deviations above its peers"
    ]


def test_what_peers_do_is_said_before_how_far_they_are():
    told = [
        reason("quantity_30d_z", "6.2", 3.0),
        reason("quantity_30d", "41", -0.1),
        reason("quantity_30d_peers", "3", 0.0),
    ]
    assert in_words(told) == ["bought 41 units in 30 days, its peers buy 3"]
    assert companion_inputs("quantity_30d_z") == ("quantity_30d", "quantity_30d_peers")
    assert companion_inputs("quantity_30d") == ("quantity_30d_peers",)


def test_a_kind_of_buyers_is_no_ground_without_what_the_row_does():
    peers = reason("quantity_30d_peers", "65", 2.0) | {"below": 0.99, "above": 0.0}
    assert in_words([peers, reason("quantity_30d", "12", 0.1)]) == [
        "bought 12 units in 30 days, among peers who buy 65 units (more than in 99 % of rows)"
    ]


def test_a_usual_number_is_a_reason_only_where_nothing_is_unusual():
    usual = reason("quarter_end_share_90d", "0.06", 3.0) | {"below": 0.8, "above": 0.1}
    odd = reason("stores_90d", "6", 1.0) | {"below": 0.97, "above": 0.0}
    assert in_words([usual, odd]) == ["bought in 6 stores in 90 days (more than in 97 % of rows)"]
    assert in_words([usual]) == [
        "6.0 % of its lines in 90 days were bought at the end of a quarter"
    ]


def test_inputs_of_one_topic_make_one_sentence():
    told = [
        reason("spread", "55", 1.0),
        reason("quantity_30d", "41", 0.7),
        reason("quantity_7d", "12", 0.6),
        reason("orders_7d", "5", 0.1),
        reason("moon", "1", 0.05),
    ]
    assert in_words(told) == [
        "bought 41 units in 30 days",
        "a unit resold on the street earns 55",
        "placed 5 orders in 7 days",
    ]
    assert in_words(told, most=1) == ["bought 41 units in 30 days"]
    assert in_words([]) == []


def test_a_value_says_whether_it_is_high_or_low():
    def said(name, value, below, above):
        return in_words([reason(name, value) | {"below": below, "above": above}])

    assert said("moon", "7", 0.973, 0.01) == ["its moon is 7 (more than in 97 % of rows)"]
    assert said("moon", "7", 0.02, 0.95) == ["its moon is 7 (less than in 95 % of rows)"]
    assert said("moon", "7", 0.6, 0.3) == ["its moon is 7"]
    assert said("promotion", "1", 0.93, 0.0) == ["is bought on promotion (unlike 93 % of rows)"]
    assert said("tenure_days", "0", 0.0, 0.96) == ["is new (unlike 96 % of rows)"]
    assert said("quantity_30d", "41", 1.0, 0.0) == [
        "bought 41 units in 30 days (more than in 99 % of rows)"
    ]


def test_that_nobody_looked_is_no_ground_beside_others():
    none = [reason("customer_labels_90d", "0", 3.0), reason("spread", "55", 1.0)]
    assert in_words(none) == ["a unit resold on the street earns 55"]
    assert in_words(none[:1]) == ["none of its own rows were investigated in 90 days"]


def test_a_text_is_a_ground_where_it_is_rare():
    rare = reason("sku", "earbuds-6") | {"above": 0.96, "share": 0.03}
    common = reason("channel", "web", 3.0) | {"above": 0.2, "share": 0.3}
    assert in_words([common, rare]) == ["its sku is earbuds-6, as in only 3.0 % of rows"]
    assert in_words([common]) == ["its channel is web, as in 30 % of rows"]
    assert in_words([rare | {"share": 0.0}]) == [
        "its sku is earbuds-6, as in less than 0.1 % of rows"
    ]
    assert in_words([rare | {"input": "zip", "value": "10115"}]) == [
        "its zip is 10115, as in only 3.0 % of rows"
    ]


def test_texts_are_ranked_by_how_many_rows_have_them():
    many = [f"order {k}" for k in range(2000)]
    data = pl.DataFrame(
        {"sku": ["a"] * 1200 + ["b"] * 600 + [None] * 200, "order": many, "units": range(2000)}
    )
    rows = Table.build(data, {"covariate": ("sku", "order", "units")})
    usual = UsualValues.learn(rows)
    assert usual.text_shares("sku", "b") == pytest.approx((0.3, 0.6))
    assert usual.text_shares("sku", "new") == pytest.approx((0.0, 1.0))
    assert usual.text_shares("order", "order 7") == (0.0, 0.0)
    assert usual.text_shares("sku", None) == usual.text_shares("units", "3") == (None, None)


def test_of_a_rule_its_record_and_what_it_is_about_are_said():
    name = "rule large line: units > 5 and sku = a"
    record = "12 rows met it before and 3 were confirmed, of all rows 2.0 %"
    rule = reason(name, record, 2.0)
    units = reason("units", "9", 0.0) | {"below": 0.97, "above": 0.01}
    said = [f"meets the {name} ({record})", "its units is 9 (more than in 97 % of rows)"]
    assert in_words([rule, units]) == said
    assert companion_inputs(name) == ("units", "sku")
    assert companion_inputs("rule units > 5") == ("units",)


def test_the_number_that_is_unusual_is_said_of_a_topic():
    usual = reason("orders_7d", "2", 3.0) | {"below": 0.8, "above": 0.1}
    odd = reason("orders_90d", "40", 1.0) | {"below": 0.97, "above": 0.0}
    assert in_words([usual, odd]) == ["placed 40 orders in 90 days (more than in 97 % of rows)"]


def test_a_share_that_is_shrunk_is_told_by_its_rows():
    risk = reason("store_risk_30d", "0.21", 2.0)
    counts = [reason("store_confirmed_30d", "3", 0.1), reason("store_labels_30d", "12", -0.1)]
    assert in_words([risk, *counts]) == [
        "of the rows at its store 12 were investigated in 30 days and 3 confirmed"
    ]
    high = [risk | {"below": 0.97, "above": 0.02}, *counts]
    assert in_words(high)[0].endswith(
        "were investigated in 30 days and 3 confirmed (more than in 97 % of rows)"
    )
    clean = [
        reason("store_risk_30d", "0.1"),
        reason("store_confirmed_30d", "0", 0.0),
        reason("store_labels_30d", "12", 0.0),
    ]
    assert in_words(clean) == [
        "none of the rows at its store was confirmed of 12 that were investigated in 30 days"
    ]
    none = [reason("customer_confirmed_90d", "0", 0.0), reason("customer_labels_90d", "0", 0.0)]
    assert in_words([reason("customer_risk_90d", "0.05"), *none]) == [
        "none of its own rows was investigated in 90 days"
    ]
    assert companion_inputs("store_risk_30d") == ("store_confirmed_30d", "store_labels_30d")


def test_risks_of_two_places_are_two_sentences():
    told = [
        reason("store_risk_30d", "0.3"),
        reason("store_risk_90d", "0.2", 0.4),
        reason("address_risk_30d", "0.1", 0.3),
    ]
    assert len(in_words(told)) == 2


def test_no_pattern_hides_another():
    patterns = [each["input"] for each in WORDS["phrases"]]
    names = [pattern for pattern in patterns if pattern.isidentifier()]
    assert len(names) == len(set(names))
    assert all(phrase_of(name, 1.0) for name in names)
