import numpy as np
import polars as pl
import pytest

from hwds.core.errors import DataError
from hwds.stats.contrasts import Matrix, Scale, contrast_values


def long(rows):
    return pl.DataFrame(rows, schema=["model", "dataset", "seed", "unit", "value"], orient="row")


def full(
    models=("a", "b"),
    datasets=("d",),
    seeds=(0,),
    units=3,
    value=lambda m, d, s, u: 1.0 + m + 10 * d + 100 * s + u,
):
    return long(
        [
            (model, dataset, seed, f"u{u}", value(m, d, s, u))
            for m, model in enumerate(models)
            for d, dataset in enumerate(datasets)
            for s, seed in enumerate(seeds)
            for u in range(units)
        ]
    )


def test_values_lie_where_unit_seed_and_model_say():
    found = Matrix.of(
        full(datasets=("d", "e"), seeds=(3, 5)).sample(fraction=1.0, shuffle=True, seed=1)
    )
    assert found.values.shape == (6, 2, 2)
    first = found.models.index("a")
    assert found.values[:, :, first].tolist() == [
        [1, 101],
        [2, 102],
        [3, 103],
        [11, 111],
        [12, 112],
        [13, 113],
    ]
    assert found.dataset.tolist() == [0, 0, 0, 1, 1, 1]
    assert (found.datasets, found.seeds) == (("d", "e"), (3, 5))


def test_a_unit_without_a_value_of_some_model_is_left_out_for_all():
    rows = full(units=4).with_columns(
        value=pl.when((pl.col("model") == "b") & (pl.col("unit") == "u1"))
        .then(float("nan"))
        .otherwise("value")
    )
    rows = rows.filter(~((pl.col("model") == "a") & (pl.col("unit") == "u3")))
    found = Matrix.of(rows)
    assert (len(found.values), found.left_out) == (2, 2)


def test_seeds_that_some_model_lacks_are_left_out():
    rows = pl.concat([full(seeds=(0, 1, 2)), full(models=("c",), seeds=(0,))])
    found = Matrix.of(rows)
    assert (found.seeds, found.unshared_seeds) == ((0,), (1, 2))
    with pytest.raises(DataError, match="no seed is shared by a, b"):
        Matrix.of(pl.concat([full(models=("a",), seeds=(0,)), full(models=("b",), seeds=(1,))]))


def test_units_of_another_seed_are_other_units_where_they_are_nested():
    found = Matrix.of(full(seeds=(0, 1)), nested=True)
    assert found.values.shape == (6, 1, 2)
    only = Matrix.of(
        pl.concat([full(models=("a",), seeds=(0, 1)), full(models=("b",), seeds=(0,))]), nested=True
    )
    assert (len(only.values), only.left_out) == (3, 3)


def test_nothing_shared_is_refused():
    rows = pl.concat(
        [full(models=("a",)), full(models=("b",)).with_columns(unit=pl.lit("x") + pl.col("unit"))]
    )
    with pytest.raises(DataError, match="no row is shared by a, b"):
        Matrix.of(rows)


@pytest.mark.parametrize("low", [True, False])
def test_the_mean_of_contrasts_is_the_logarithm_of_the_ratio(low):
    draws = np.random.default_rng(1)
    found = Matrix.of(full(datasets=("d", "e"), units=5, value=lambda *_: draws.uniform(1, 3)))
    scale = Scale(low, True)
    each = contrast_values(found, [(0, 1)], scale)[:, 0, 0]
    means = found.means
    sign = 1 if low else -1
    expected = sign * np.mean([np.log(mean[1] / mean[0]) for mean in means])
    assert np.mean([each[rows].mean() for rows in found.strata]) == pytest.approx(expected)


def test_the_linearisation_is_the_delta_method():
    """The variance of contrasts is that of log(mean b / mean a): var(a)/A^2 + var(b)/B^2 - 2 cov/(A
    B).
    """
    draws = np.random.default_rng(2)
    found = Matrix.of(full(units=50, value=lambda m, *_: draws.uniform(1, 3) + m))
    a, b = found.units.T
    expected = np.var(a, ddof=1) / a.mean() ** 2 + np.var(b, ddof=1) / b.mean() ** 2
    expected -= 2 * np.cov(a, b)[0, 1] / (a.mean() * b.mean())
    assert np.var(contrast_values(found, [(0, 1)], Scale(True, True)), ddof=1) == pytest.approx(
        expected
    )


def test_a_share_is_told_of_a_logarithm_and_margins_are_its_ends():
    for low in (True, False):
        scale = Scale(low, True)
        assert [abs(scale.as_share(end)) for end in scale.bounds(0.01)] == pytest.approx(
            [0.01, 0.01]
        )
    assert Scale(True, True).as_share(np.log(1 / 0.979)) == pytest.approx(
        0.021
    )  # 0.979 against 1: 2.1 % lower
    assert Scale(False, True).as_share(np.log(1.021)) == pytest.approx(0.021)


def test_means_that_are_not_above_zero_are_compared_by_their_difference():
    scale = Scale.of(np.array([[1.0, -0.2]]), "low")
    assert (scale.relative, scale.as_share(0.3), scale.bounds(0.1)) == (False, 0.3, (-0.1, 0.1))
    found = Matrix.of(full(value=lambda m, d, s, u: u - 1.0 - m))
    assert contrast_values(found, [(0, 1)], scale)[:, 0, 0].tolist() == [-1, -1, -1]
