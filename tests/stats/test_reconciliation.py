"""Reconciliation on arrays: against the textbook's formula, by hand, and what it must not
change.
"""

import time

import numpy as np
import pytest

from hwds.stats.reconciliation import ErrorVectors, JointErrors, Reconciler, SumTree, shrinkage

# total = (a + b) + c, with ab = a + b: values in the order total, ab, a, b, c
TREE = SumTree(2, 3, np.array([0, 0, 0, 1, 1]), np.array([0, 1, 2, 0, 1]))
BASE = np.array([[12.0], [5.0], [1.0], [3.0], [5.0]])


def equal(n):
    return JointErrors(np.ones(n), np.zeros((0, n)), 1.0)


def textbook(tree, values, covariance):
    """S (S'W^-1 S)^-1 S'W^-1 y."""
    s = np.vstack([tree.sums.toarray(), np.eye(tree.n_bottom)])
    inverse = np.linalg.inv(covariance)
    return np.linalg.solve(s.T @ inverse @ s, s.T @ inverse @ values)


def randomly(seed=0, vectors=7):
    rng = np.random.default_rng(seed)
    tree = SumTree(
        4, 6, np.array([0] * 6 + [1, 1, 1, 2, 2, 2, 3, 3]), np.array([*range(6), *range(6), 0, 4])
    )
    deviations = rng.uniform(1, 9, 10)
    return (
        tree,
        rng.normal(50, 9, (10, 5)),
        JointErrors(deviations, rng.standard_normal((vectors, 10)), 0.3),
    )


def test_least_squares_by_hand():
    """With W = I: off the total by 12 - 9, off ab by 5 - 4.

    U U' = [[4, 2], [2, 3]], so its solution is (7/8, -1/4).
    """
    bottom = Reconciler(TREE, "mint", equal(5)).bottom(BASE)
    np.testing.assert_allclose(bottom[:, 0], [1 + 7 / 8 - 1 / 4, 3 + 7 / 8 - 1 / 4, 5 + 7 / 8])
    np.testing.assert_allclose(bottom, textbook(TREE, BASE, np.eye(5)))


@pytest.mark.parametrize("vectors", [0, 1, 7, 40])
def test_minimum_trace_is_the_textbooks(vectors):
    tree, values, joint = randomly(vectors=vectors)
    covariance = np.diag(joint.specific) + joint.common @ joint.common.T
    np.testing.assert_allclose(
        Reconciler(tree, "mint", joint).bottom(values),
        textbook(tree, values, covariance),
        rtol=1e-9,
    )


def test_the_covariance_is_the_shrunk_one():
    _, _, joint = randomly()
    correlation = joint.vectors.T @ joint.vectors / len(joint.vectors)
    covariance = np.diag(joint.specific) + joint.common @ joint.common.T
    off = ~np.eye(10, dtype=bool)
    np.testing.assert_allclose(
        covariance[off], (0.7 * np.outer(joint.deviations, joint.deviations) * correlation)[off]
    )
    whole = joint.vectors / np.sqrt(np.square(joint.vectors).mean(0))
    np.testing.assert_allclose(
        JointErrors(joint.deviations, whole, 0.3).specific, 0.3 * joint.deviations**2
    )


@pytest.mark.parametrize("method", ["bottom_up", "top_down", "mint"])
def test_what_adds_up_already_is_left_as_it_is(method):
    rng = np.random.default_rng(1)
    _, _, joint = randomly()
    values = TREE.with_aggregates(rng.uniform(1, 9, (3, 4)))
    five = JointErrors(joint.deviations[:5], joint.vectors[:, :5], 0.3)
    np.testing.assert_allclose(
        Reconciler(TREE, method, five).bottom(values), values[2:], rtol=1e-12
    )


def test_top_down_splits_by_the_proportions_of_the_parts_own_forecasts():
    """12 is split 5 : 5 between ab and c, and ab's 6 is split 1 : 3."""
    np.testing.assert_allclose(
        Reconciler(TREE, "top_down", equal(5)).bottom(BASE)[:, 0], [1.5, 4.5, 6]
    )
    nothing = np.array([[8.0], [0.0], [0.0], [-3.0], [0.0]])
    np.testing.assert_allclose(
        Reconciler(TREE, "top_down", equal(5)).bottom(nothing)[:, 0], [2, 2, 4]
    )


def test_bottom_up_takes_the_bottom():
    assert np.array_equal(Reconciler(TREE, "bottom_up", equal(5)).bottom(BASE), BASE[2:])


def test_a_series_whose_errors_are_small_moves_little():
    joint = JointErrors(np.array([1.0, 1.0, 1e-6, 1.0, 1.0]), np.zeros((0, 5)), 1.0)
    assert Reconciler(TREE, "mint", joint).bottom(BASE)[0, 0] == pytest.approx(1, abs=1e-9)


def test_shrinkage_is_schaefer_and_strimmers():
    rng = np.random.default_rng(2)
    vectors = rng.standard_normal((12, 5)) + rng.standard_normal((12, 1))
    products = np.einsum("ti,tj->tij", vectors, vectors)
    off = ~np.eye(5, dtype=bool)
    variance = 12 / 11**3 * np.square(products - products.mean(0)).sum(0)[off].sum()
    assert shrinkage(vectors) == pytest.approx(variance / np.square(products.mean(0))[off].sum())
    assert shrinkage(vectors[:1]) == 1
    assert shrinkage(rng.standard_normal((8, 300))) > 0.7
    assert shrinkage(np.repeat(rng.standard_normal((500, 1)), 5, 1)) < 0.02


def learned(errors):
    names = [f"s{i}" for i in range(errors.shape[1])]
    return ErrorVectors.learn(names, errors, np.ones(len(errors)), np.full(errors.shape, 10.0))


def test_a_series_without_past_errors_is_as_wrong_for_its_size_as_others_are():
    errors = np.array([[1.0, 2.0, np.nan], [-1.0, -2.0, np.nan]])
    joint = learned(errors).of(["new", "s1", "s2"], np.array([20.0, 10.0, 40.0]), np.ones(3))
    np.testing.assert_allclose(joint.deviations, [3, 2, 6])
    assert not joint.vectors[:, [0, 2]].any()
    np.testing.assert_allclose(joint.specific[[0, 2]], [9, 36])


@pytest.mark.parametrize(
    "past", [ErrorVectors.nothing(), learned(np.zeros((2, 5)))], ids=["no windows", "exact"]
)
def test_without_errors_a_sum_counts_by_its_number_of_series(past):
    joint = past.of([f"s{i}" for i in range(5)], np.ones(5), TREE.sizes)
    np.testing.assert_allclose(joint.specific, [3, 2, 1, 1, 1])
    assert np.isfinite(Reconciler(TREE, "mint", joint).bottom(BASE)).all()


def test_a_family_of_zeros_is_no_trouble():
    errors = np.array([[3.0, 0.0, 0.0, 0.0, 3.0], [-4.0, 0.0, 0.0, 0.0, -4.0]])
    joint = learned(errors).of([f"s{i}" for i in range(5)], np.ones(5), TREE.sizes)
    bottom = Reconciler(TREE, "mint", joint).bottom(np.array([[7.0], [0.0], [0.0], [0.0], [5.0]]))
    np.testing.assert_allclose(bottom[:2], 0, atol=1e-6)
    assert 5 <= bottom[2, 0] <= 7


def test_errors_of_farther_steps_are_larger_by_one_factor():
    rng = np.random.default_rng(3)
    steps, factor = np.tile([1, 2], 500), np.tile([1.0, 5.0], 500)
    errors = rng.standard_normal((1000, 2)) * [1, 3] * factor[:, None]
    past = ErrorVectors.learn(["a", "b"], errors, steps, np.ones((1000, 2)))
    near, far = (np.square(past.vectors[steps == step]).mean() for step in (1, 2))
    assert near == pytest.approx(far, rel=0.1)
    assert past.deviations[1] / past.deviations[0] == pytest.approx(3, rel=0.1)


def test_draws_go_together_as_past_errors_did():
    rng = np.random.default_rng(4)
    common = rng.standard_normal((40, 1))
    past = learned(
        np.hstack(
            [common, common + 0.1 * rng.standard_normal((40, 1)), rng.standard_normal((40, 1))]
        )
    )
    orders = past.of(["s0", "s1", "s2"], np.ones(3), np.ones(3)).orders(1000, rng)
    assert np.array_equal(np.sort(orders, axis=1)[1], np.arange(1000))
    ranks = orders.argsort(axis=1)
    told = np.corrcoef(ranks)
    assert told[0, 1] > 0.6
    assert abs(told[0, 2]) < 0.35


def test_thousands_of_series_are_cheap():
    rng = np.random.default_rng(5)
    n, families = 5000, 300
    family = np.sort(rng.integers(0, families, n))
    aggregate = np.concatenate([np.zeros(n, int), 1 + family])
    tree = SumTree(families + 1, n, aggregate, np.tile(np.arange(n), 2))
    joint = JointErrors(
        rng.uniform(1, 2, families + 1 + n), rng.standard_normal((36, families + 1 + n)), 0.5
    )
    began = time.perf_counter()
    bottom = Reconciler(tree, "mint", joint).bottom(rng.uniform(1, 9, (families + 1 + n, 100)))
    assert time.perf_counter() - began < 10
    assert np.isfinite(bottom).all()
