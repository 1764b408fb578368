import pytest

from hwds.results.formatting import (
    brief,
    column_texts,
    counted,
    duration,
    first_to_last,
    interval,
    p_value_text,
    percent,
    probability_text,
    quote_percent,
    signed,
    with_errors,
)


@pytest.mark.parametrize(
    ("values", "cells"),
    [
        ([0.81234, None], ("0.812", "")),
        ([0.5, 12.345], ("0.50", "12.35")),
        ([12345.6, 1.0], ("12,346", "1")),
        ([0.01234], ("0.0123",)),
        ([0.0], ("0.000",)),
        ([float("inf"), 1.0], ("inf", "1.000")),
    ],
)
def test_a_column_has_the_same_decimals(values, cells):
    assert column_texts(values) == cells


@pytest.mark.parametrize(
    ("value", "stderr", "text"),
    [
        (0.8123, None, "0.812"),
        (-0.5, None, "-0.500"),
        (1.2345, None, "1.23"),
        (0.0441, None, "0.0441"),
        (0.00001, 0.0, "0.0000100 ± 0.0000000"),
        (12345.6, None, "12,346"),
        (-0.0001, 0.5, "0.00 ± 0.50"),
        (1893.2, 109.4, "1,893 ± 109"),
        (0.8123, 0.0211, "0.812 ± 0.021"),
        (1.004, 0.0234, "1.004 ± 0.023"),
    ],
)
def test_a_number_in_a_sentence(value, stderr, text):
    assert brief(value, stderr) == text


@pytest.mark.parametrize(
    ("share", "stderr", "text"),
    [
        (0.12, 0.03, "12 % ± 3"),
        (0.024, 0.006, "2.4 % ± 0.6"),
        (0.5, None, "50 %"),
        (0.051, None, "5.1 %"),
        (0.01, 0.0004, "1.00 % ± 0.04"),
    ],
)
def test_a_percentage_has_the_decimals_of_its_error(share, stderr, text):
    assert percent(share, stderr) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, ""),
        (0.04, "< 0.1 s"),
        (9.96, "10 s"),
        (99.4, "99 s"),
        (200, "3.3 min"),
        (7560, "2.1 h"),
    ],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_the_first_to_the_last_of_numbers_is_not_that_of_their_texts():
    assert [first_to_last(each) for each in ([101, 95], [7, 7], [])] == ["95 to 101", "7", ""]


def test_counts():
    assert (counted(1, "answers"), counted(2, "answers"), counted(1, "series")) == (
        "1 answer",
        "2 answers",
        "1 series",
    )


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (8.0, "USD", "8.00 USD"),
        (149.9, "€", "149.90 €"),
        (12345.6, "EUR", "12,346 EUR"),
        (0.00459, "USD", "0.00459 USD"),
        (98.21, "conversions", "98.2 conversions"),
    ],
)
def test_money_has_two_decimals_where_they_matter(value, unit, text):
    assert brief(value, None, unit) == text


def test_a_difference_and_its_interval_have_the_same_decimals():
    assert interval(-0.00226, -0.0193, 0.0147, sign=True) == ("-0.0023", "-0.0193 to +0.0147")
    assert interval(1.65, -1.353, 4.652, "USD", sign=True) == ("+1.65 USD", "-1.35 to +4.65 USD")
    assert interval(1.0, float("-inf"), 2.0) == ("1.00", "-inf to 2.00")
    assert (signed(0.5), signed(-2.0, "USD")) == ("+0.500", "-2.00 USD")


def test_columns_with_errors_and_p_values():
    assert with_errors([0.00586, 0.00828, None], [0.00142, None, None]) == (
        "0.00586 ± 0.00142",
        "0.00828",
        "none",
    )
    assert [p_value_text(p) for p in (1.0, 0.0361, 0.00042, 1e-9)] == [
        "1.000",
        "0.036",
        "0.0004",
        "< 0.0001",
    ]


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.9732, "97.3 %"),
        (0.9995, "> 99.9 %"),
        (0.0004, "< 0.1 %"),
        (0.5, "50.0 %"),
        (0.001, "0.1 %"),
    ],
)
def test_a_probability_is_never_certain(share, text):
    assert probability_text(share) == text


@pytest.mark.parametrize(
    ("share", "low", "high", "text"),
    [
        (0.12, 0.06, 0.18, "12 % (95 %: 6 to 18)"),
        (0.3, -50.14, 0.99, "30 %"),
        (0.3, -0.99, 50.14, "30 %"),
        (12.5, 11.0, 14.0, "1250 % (95 %: 1100 to 1400)"),
        (0.3, None, None, "30 %"),
    ],
)
def test_a_share_with_its_interval(share, low, high, text):
    assert "".join(quote_percent(share, low, high)) == text
