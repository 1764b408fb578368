import pytest

from hwds.report.wording import brief, column, counted, duration, percent


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
    assert column(values) == cells


@pytest.mark.parametrize(
    ("value", "stderr", "text"),
    [
        (0.8123, None, ".812"),
        (-0.5, None, "-.500"),
        (1.2345, None, "1.23"),
        (0.8123, 0.0211, ".812 ± .021"),
        (1.004, 0.0234, "1.004 ± .023"),
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
    ("seconds", "text"), [(None, ""), (0.04, "< 0.1 s"), (9.96, "10 s"), (99.4, "99 s"), (200, "3.3 min"), (7560, "2.1 h")]
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_counts():
    assert (counted(1, "answers"), counted(2, "answers"), counted(1, "series")) == ("1 answer", "2 answers", "1 series")
