"""Sliding moments: right, exact about where a window ends, and made of their own window alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwds.forecast import columns as windows
from hwds.forecast.columns import window_moments

VALUES = st.lists(st.one_of(st.floats(-1e6, 1e6), st.just(float("nan"))), min_size=1, max_size=60)


def by_hand(values, size, stride):
    mean, deviation = np.full(len(values), np.nan), np.full(len(values), np.nan)
    for t in range((size - 1) * stride, len(values)):
        window = values[t - (size - 1) * stride : t + 1 : stride]
        mean[t] = window.mean()
        if size > 1:
            deviation[t] = window.std(ddof=1)
    return mean, deviation


@settings(max_examples=150, deadline=None)
@given(VALUES, st.lists(st.integers(1, 20), min_size=1, max_size=3), st.integers(1, 5))
def test_equals_each_window_by_itself(values, sizes, stride):
    values = np.array(values)
    found = window_moments(values, sizes, stride)
    for size in sizes:
        mean, deviation = by_hand(values, size, stride)
        np.testing.assert_allclose(found[size][0], mean, rtol=1e-12, atol=1e-9)
        np.testing.assert_allclose(found[size][1], deviation, rtol=1e-9, atol=1e-7)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 7), st.integers(1, 200))
def test_bits_do_not_depend_on_what_stands_before(seed, size, stride, before):
    rng = np.random.default_rng(seed)
    own = rng.random(300)
    alone = window_moments(own, [size, 3], stride)[size]
    behind = window_moments(
        np.append(np.resize([1e12, -1e300, np.nan, 3.7e-9], before), own), [size], stride
    )[size]
    whole = (size - 1) * stride
    for a, b in zip(alone, behind, strict=True):
        np.testing.assert_array_equal(a[whole:], b[before + whole :])


@pytest.mark.parametrize("stride", [1, 6])
def test_bits_do_not_depend_on_the_block(monkeypatch, stride):
    values = np.random.default_rng(0).random(5000)
    once = window_moments(values, [7, 28], stride)
    monkeypatch.setattr(windows, "BLOCK", 101)
    for size, (mean, deviation) in window_moments(values, [7, 28], stride).items():
        np.testing.assert_array_equal(mean, once[size][0])
        np.testing.assert_array_equal(deviation, once[size][1])


@pytest.mark.parametrize("size", [2, 7, 28, 365])
def test_a_high_level_costs_little_precision(size):
    noise = np.random.default_rng(0).standard_normal(2000)
    exact = window_moments(noise, [size])[size][1]
    lifted = window_moments(noise + 1e8, [size])[size][1]
    np.testing.assert_allclose(lifted, exact, rtol=1e-6, atol=1e-7)


def test_a_constant_has_no_spread():
    mean, deviation = window_moments(np.full(100, 1e12 / 3), [28])[28]
    assert mean[-1] == pytest.approx(1e12 / 3, rel=1e-15)
    assert deviation[-1] <= 1e-12 * mean[-1]


def test_no_size_and_no_rows():
    assert window_moments(np.ones(3), []) == {}
    assert window_moments(np.empty(0), [3])[3][0].shape == (0,)
