"""What a demand model hands to a decision: refused where it cannot be, drawn from as its law
says.
"""

import numpy as np
import polars as pl
import pytest

from hwds.core.errors import DataError
from hwds.pricing.demand_draws import DemandDraws
from hwds.pricing.demand_evidence import DEMAND_CELLS, DemandEstimates


def cells(**changes):
    columns = {
        "cell": ["A/web", "B/web", "A/oem"],
        "product": ["A", "B", "A"],
        "channel": ["web", "web", "oem"],
        "price": [100.0, 80.0, 90.0],
        "cost": [60.0, 50.0, 60.0],
        "units": [10.0, 5.0, 40.0],
        "low": [90.0, 80.0, 85.0],
        "high": [110.0, 80.0, 95.0],
        "elasticity": [-2.0, None, -3.0],
        "stderr": [0.5, None, 0.3],
        "status": ["identified", "no_variation", "weak"],
    }
    return pl.DataFrame(columns | changes)


def test_missing_columns_that_may_be_are_filled():
    evidence = DemandEstimates(cells())
    assert evidence.cells.columns == list(DEMAND_CELLS)
    assert evidence.cells["lag"].to_list() == [0.0, 0.0, 0.0]
    assert evidence.known.tolist() == [True, False, True]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"price": [100.0, 0.0, 90.0]}, "evidence: cell 'B/web': price must be > 0, got 0.0."),
        (
            {"price": [100.0, float("nan"), 90.0]},
            "evidence: cell 'B/web': price must be a number, got nan.",
        ),
        ({"price": [100.0, None, 90.0]}, "evidence: cell 'B/web': price must be given, got None."),
        ({"units": [-1.0, 5.0, 40.0]}, "evidence: cell 'A/web': units must be >= 0, got -1.0."),
        ({"cost": [60.0, -1.0, 60.0]}, "evidence: cell 'B/web': cost must be >= 0, got -1.0."),
        ({"low": [120.0, 80.0, 85.0]}, "evidence: cell 'A/web': high must be >= low, got 110.0."),
        (
            {"stderr": [0.5, None, None]},
            "evidence: cell 'A/oem': stderr must be there where elasticity is, got None.",
        ),
        (
            {"status": ["identified", "no_variation", "sure"]},
            "evidence: cell 'A/oem': status must be one of identified, weak, no_variation, "
            "endogenous?, got sure.",
        ),
        (
            {"cell": ["A/web", "A/web", "A/oem"]},
            "evidence: cell 'A/web': cell must be there once, got A/web.",
        ),
        (
            {"product": ["A", "A", "A"]},
            "evidence: cell 'A/web': channel must be there once for its product, got web.",
        ),
    ],
)
def test_a_value_that_cannot_be_is_refused_in_one_line(changes, said):
    with pytest.raises(DataError) as refusal:
        DemandEstimates(cells(**changes))
    assert str(refusal.value) == said


EYE = np.eye(3)


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"draws": np.zeros((4, 2))}, "evidence.draws: must have the shape (4, 3), got (4, 2)."),
        ({"draws": np.full((4, 3), np.nan)}, "evidence.draws: must hold numbers."),
        (
            {"cross": np.eye(3)},
            "evidence.cross: must be 0 on the diagonal, for own elasticities are in the cells.",
        ),
        (
            {"draws_lag": np.zeros((4, 3))},
            "evidence.draws: must be given with draws_lag and draws_cross, which go with them.",
        ),
        (
            {"draws": np.zeros((4, 3)), "draws_lag": np.zeros((5, 3))},
            "evidence.draws_lag: must have the shape (4, 3), got (5, 3).",
        ),
        (
            {"cross_own_stderr": np.eye(3)},
            "evidence.cross_own_stderr: must be between 0 and cross_stderr, which must be given.",
        ),
        ({"cross_stderr": np.eye(3)}, "evidence.cross: must be given with cross_stderr."),
        ({"covariance": -np.eye(3)}, "evidence.covariance: must have no negative eigenvalue."),
        ({"covariance": np.triu(np.ones((3, 3)))}, "evidence.covariance: must be symmetric."),
        ({"unit": "units"}, "evidence.unit: must be a currency, such as EUR, got 'units'."),
    ],
)
def test_arrays_that_do_not_fit_are_refused(arrays, said):
    with pytest.raises(DataError) as refusal:
        DemandEstimates(cells(), **arrays)
    assert str(refusal.value) == said


def test_a_column_with_another_name_is_refused_with_the_nearest():
    with pytest.raises(DataError, match="no column 'price'; did you mean 'prices'"):
        DemandEstimates(cells().rename({"price": "prices"}))


def test_costs_are_refused_where_they_matter():
    DemandEstimates(cells(cost=[60.0, 50.0, 60.0])).require_costs("x")
    with pytest.raises(DataError, match=r"cell 'B/web' has cost 81 and price 80: sold at a loss\."):
        DemandEstimates(cells(cost=[60.0, 81.0, 60.0])).require_costs("x")
    with pytest.raises(
        DataError,
        match=r"decision\.objective=profit needs the cost of a unit, and cell 'B/web' has none",
    ):
        DemandEstimates(cells(cost=[60.0, None, 60.0])).require_costs("decision.objective=profit")


def test_draws_have_the_joint_law():
    covariance = np.array([[0.25, np.nan, 0.1], [np.nan] * 3, [0.1, np.nan, 0.09]])
    drawn = (
        DemandEstimates(cells(), covariance=covariance).sample(40_000, np.random.default_rng(1)).own
    )
    assert np.isnan(drawn[:, 1]).all()
    assert np.allclose(drawn[:, [0, 2]].mean(0), [-2.0, -3.0], atol=0.02)
    assert np.allclose(np.cov(drawn[:, [0, 2]].T), [[0.25, 0.1], [0.1, 0.09]], atol=0.01)


def test_few_degrees_of_freedom_have_heavy_tails():
    drawn = (
        DemandEstimates(cells(df=[5.0, None, None])).sample(40_000, np.random.default_rng(1)).own
    )
    beyond = (
        np.abs(drawn[:, 0] + 2) > 2.571 * 0.5
    ).mean()  # the 95 % bound of t with 5 degrees of freedom
    assert beyond == pytest.approx(0.05, abs=0.004)


def test_given_draws_are_taken_without_replacement():
    given = np.arange(12.0).reshape(4, 3)
    drawn = DemandEstimates(cells(), draws=given).sample(4, np.random.default_rng(1)).own
    assert sorted(drawn[:, 0]) == given[:, 0].tolist()


def test_cross_effects_are_drawn_where_there_are_any():
    cross, stderr = np.zeros((3, 3)), np.zeros((3, 3))
    cross[0, 1], stderr[0, 1] = 0.4, 0.1
    evidence = DemandEstimates(cells(), cross=cross, cross_stderr=stderr)
    assert evidence.pairs.tolist() == [[0, 1]]
    drawn = evidence.sample(10_000, np.random.default_rng(1)).cross
    assert drawn.shape == (10_000, 1)
    assert drawn.mean() == pytest.approx(0.4, abs=0.01)
    assert drawn.std() == pytest.approx(0.1, abs=0.01)


def test_cross_effects_of_one_slope_move_together():
    apart = 1 - np.eye(3)
    evidence = DemandEstimates(cells(), cross=0.2 * apart, cross_stderr=0.1 * apart)
    drawn = evidence.sample(4000, np.random.default_rng(1)).cross
    assert np.allclose(drawn, drawn[:, :1])
    assert drawn.sum(1).std() == pytest.approx(6 * 0.1, rel=0.03)


def test_pairs_may_have_errors_of_their_own_beside_the_common_one():
    apart = 1 - np.eye(3)
    arrays = {"cross": 0.2 * apart, "cross_stderr": 0.1 * apart, "cross_own_stderr": 0.08 * apart}
    drawn = DemandEstimates(cells(), **arrays).sample(20_000, np.random.default_rng(1)).cross
    assert drawn.std(0) == pytest.approx(0.1, rel=0.03)
    assert np.corrcoef(drawn.T)[0, 1] == pytest.approx(0.36, abs=0.03)
    errors = np.linspace(-2, 2, 50)
    given = DemandEstimates(
        cells(),
        draws=np.full((50, 3), -2.0),
        draws_cross=errors,
        **arrays | {"cross_own_stderr": 0 * apart},
    )
    assert np.sort(given.sample(50, np.random.default_rng(1)).cross[:, 3]) == pytest.approx(
        0.2 + 0.1 * errors
    )


def test_the_effect_of_the_price_before_has_one_error_for_all_cells():
    evidence = DemandEstimates(cells(lag=[0.4, 0.4, 0.2], lag_stderr=[0.1, 0.1, 0.05]))
    drawn = evidence.sample(4000, np.random.default_rng(1)).lag
    assert drawn.std(0) == pytest.approx([0.1, 0.1, 0.05], rel=0.03)
    assert np.corrcoef(drawn.T) == pytest.approx(np.ones((3, 3)))
    lasting = DemandDraws.of(evidence, 4000, np.random.default_rng(2), objective="revenue")
    assert lasting.own.std(0) == pytest.approx(
        [np.hypot(0.5, 0.1), 0.0, np.hypot(0.3, 0.05)], rel=0.04
    )
