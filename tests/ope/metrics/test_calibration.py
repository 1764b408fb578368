"""Propensities against a model of the log: right ones are left alone, wrong ones are refuted, in
each kind of log.
"""

from __future__ import annotations

import numpy as np
import pytest

from hwds.ope.support import LEAST_SHOWN, fit_log_model

N = 4000


class Logged:
    """Four arms by a segment's own law, in which one arm is not on offer to the first segment."""

    def __init__(self, seed=0, repeat=1):
        rng = np.random.default_rng(seed)
        self.law = np.array([[0.7, 0.2, 0.1, 0.0], [0.1, 0.6, 0.1, 0.2], [0.05, 0.05, 0.6, 0.3]])
        self.segment = np.repeat(rng.integers(3, size=N // repeat), repeat)
        uniform = np.repeat(rng.random(N // repeat), repeat)
        self.action = (np.cumsum(self.law[self.segment], axis=1) < uniform[:, None]).sum(axis=1)
        self.propensity = self.law[self.segment, self.action]
        self.draw = np.repeat(np.arange(N // repeat), repeat)
        self.order = rng.permutation(N)

    def checks(self, propensity, clusters=None):
        groups = {f"segment={place}": self.segment == place for place in range(3)}
        return fit_log_model(
            self.action, np.eye(3)[self.segment], self.order, clusters
        ).calibrations(propensity, groups)


@pytest.fixture(scope="module")
def log():
    return Logged()


def refuted(tests):
    """The arm and the group of the tests that refute."""
    return {(test.arm, test.group) for test in tests if test.refuted}


def test_right_propensities_are_left_alone_though_an_arm_is_not_on_offer_everywhere(log):
    tests = log.checks(log.propensity)
    assert refuted(tests) == set()
    assert {test.group for test in tests} == {None, "segment=0", "segment=1", "segment=2"}
    whole = next(test for test in tests if test.arm is None and test.group is None)
    assert whole.ratio == pytest.approx(1, abs=5 * whole.stderr)
    assert whole.n == N - N // 5
    assert (3, "segment=0") not in {
        (test.arm, test.group) for test in tests
    }  # it is never shown there


@pytest.mark.parametrize("factor", [1 / 1.2, 1.2])
def test_a_factor_is_refuted_with_its_size(log, factor):
    tests = log.checks(log.propensity * factor)
    assert (None, None) in refuted(tests)
    whole = next(test for test in tests if test.arm is None and test.group is None)
    assert whole.ratio == pytest.approx(1 / factor, rel=0.02)


def test_one_arm_or_one_segment_is_named(log):
    assert (2, None) in refuted(
        log.checks(np.where(log.action == 2, log.propensity / 1.4, log.propensity))
    )
    found = refuted(log.checks(np.where(log.segment == 1, log.propensity / 1.4, log.propensity)))
    assert (None, "segment=1") in found
    assert (None, "segment=0") not in found


def test_permuted_propensities_and_another_policys_are_refuted(log):
    rng = np.random.default_rng(1)
    assert refuted(log.checks(rng.permutation(log.propensity)))
    assert refuted(log.checks(np.full(N, 0.25)))
    assert refuted(log.checks(np.bincount(log.action)[log.action] / N))
    assert not refuted(
        log.checks(np.minimum(log.propensity * 1.005, 1))
    )  # two digits of a propensity are no fault


def test_rows_of_one_draw_are_one_piece_of_evidence():
    wrong = 0
    for seed in range(20):
        log = Logged(seed, repeat=8)
        wrong += bool(refuted(log.checks(log.propensity, log.draw)))
    assert wrong == 0
    assert refuted(log.checks(log.propensity / 1.5, log.draw))


def test_a_log_that_always_shows_the_same_and_one_of_few_rows():
    one = fit_log_model(np.zeros(200, int), np.ones((200, 1)), np.arange(200))
    right, half = one.calibrations(np.ones(200), {}), one.calibrations(np.full(200, 0.5), {})
    assert [(test.ratio, test.stderr, test.p_value) for test in right] == [(1.0, 0.0, 1.0)] * 2
    assert all(test.refuted for test in half)
    few = LEAST_SHOWN
    assert (
        fit_log_model(np.zeros(few, int), np.ones((few, 1)), np.arange(few)).calibrations(
            np.ones(few), {}
        )
        == []
    )
