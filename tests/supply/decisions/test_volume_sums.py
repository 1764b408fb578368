"""Quantiles of sums against laws that are known exactly."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import polars as pl
import pytest

from hwds.forecast.models.naive import Naive
from hwds.forecast.models.sarima import Sarima
from hwds.forecast.protocols.walk_forward import WalkForward
from hwds.supply.decisions.volume_bands import VolumeBands

from .volume_worlds import STEPS, Autoregression, autoregressions, panel_of, psi_sums, run, told

BANDS = {"committed": 0.1, "base": 0.5, "upside": 0.9}
ANY = VolumeBands(name="volume_bands", floor=None)
SERIES, ROWS = 150, 90


@pytest.fixture(scope="module")
def walks():
    panel = panel_of(autoregressions(SERIES, ROWS, 1.0, seed=1))
    protocol = WalkForward(windows=4, levels=(0.1, 0.5, 0.9), paths=2000)
    tables = run(panel, Naive(), protocol)
    return panel, {
        coupling: told(tables, panel, protocol, ANY, coupling=coupling)
        for coupling in ("paths", "errors")
    }


@pytest.fixture(scope="module")
def swings():
    panel = panel_of(autoregressions(SERIES, ROWS, 0.6, seed=2))
    protocol = WalkForward(windows=5, levels=(0.1, 0.5, 0.9))
    return panel, told(run(panel, Autoregression(phi=0.6), protocol), panel, protocol, ANY)


def walk_law(panel, deals):
    """The mean and the standard deviation of the naive model's own law of each sum: it estimates
    the innovation's spread.
    """
    means, spreads = [], []
    for row in deals.iter_rows(named=True):
        own = panel.table.filter(
            (pl.col("series_id") == row["deal"]) & (pl.col("time") <= row["cutoff"])
        )["target"].to_numpy()
        means.append(STEPS * own[-1])
        spreads.append(np.sqrt(np.mean(np.diff(own) ** 2) * (psi_sums(1.0, STEPS) ** 2).sum()))
    return np.array(means), np.array(spreads)


@pytest.mark.parametrize("coupling", ["paths", "errors"])
def test_a_random_walks_sum_has_its_exact_quantiles(walks, coupling):
    panel, verdict = walks[0], walks[1][coupling]
    deals = verdict.deals.drop_nulls("base")
    assert deals["cutoff"].n_unique() == (4 if coupling == "paths" else 3)
    assert verdict.coupling == coupling
    mean, spread = walk_law(panel, deals)
    for band, level in BANDS.items():
        off = (deals[band].to_numpy() - mean) / spread - NormalDist().inv_cdf(level)
        # paths: 2,000 draws have a standard error of .038 at P10, .028 at P50; errors: the coupling
        # itself is an estimate
        assert abs(off.mean()) < (0.01 if coupling == "paths" else 0.06), band
        assert np.abs(off).max() < 0.17, band


def test_the_sum_of_monthly_quantiles_is_too_wide_and_independence_too_narrow(walks):
    panel, deals = walks[0], walks[1]["errors"].deals.drop_nulls("base")
    _, spread = walk_law(panel, deals)
    exact = 2 * NormalDist().inv_cdf(0.9) * spread
    width = {
        name: (deals[f"upside{name}"] - deals[f"committed{name}"]).to_numpy() / exact
        for name in ("", "_together", "_independent")
    }
    together = np.sqrt(np.arange(1, STEPS + 1)).sum() / np.sqrt((psi_sums(1.0, STEPS) ** 2).sum())
    apart = np.sqrt(np.arange(1, STEPS + 1).sum() / (psi_sums(1.0, STEPS) ** 2).sum())
    assert width["_together"] == pytest.approx(together, rel=1e-6)
    assert together > 1.13
    assert width["_independent"].mean() == pytest.approx(apart, rel=0.02)
    assert width[""].mean() == pytest.approx(1, abs=0.04)


def test_an_autoregressions_sum_is_coupled_by_past_errors(swings):
    panel, deals = swings[0], swings[1].deals.drop_nulls("base")
    spread = np.sqrt((psi_sums(0.6, STEPS) ** 2).sum())
    last = panel.table.select(
        pl.col("series_id").alias("deal"), pl.col("time").alias("cutoff"), "target"
    )
    mean = (
        deals.join(last, ["deal", "cutoff"], maintain_order="left")["target"].to_numpy()
        * (0.6 ** np.arange(1, STEPS + 1)).sum()
    )
    for band, level in BANDS.items():
        off = (deals[band].to_numpy() - mean) / spread - NormalDist().inv_cdf(level)
        assert abs(off.mean()) < 0.1, band  # the joint ranks are those of 150 to 600 past vectors
    together = (deals["upside_together"] - deals["committed_together"]).to_numpy()
    steps = np.sqrt(np.cumsum(0.36 ** np.arange(STEPS)))
    assert together == pytest.approx(2 * NormalDist().inv_cdf(0.9) * steps.sum(), rel=1e-6)
    assert steps.sum() / spread > 1.2


def test_the_back_test_of_a_true_law_covers_what_it_means(swings):
    _, verdict = swings
    assert verdict.action == "COMMIT"
    for band in ("committed", "base", "upside", "optimal"):
        line = verdict.of(band)
        assert line.below_low <= line.level <= line.below_high, line
        assert line.deals == 4 * SERIES
    assert verdict.of("committed[together]").below_high < 0.1
    assert verdict.of("committed[independent]").below_low > 0.1
    assert verdict.of("optimal").cost == min(line.cost for line in verdict.record)


def test_a_sarimas_paths_have_the_law_of_its_own_recursion():
    panel = panel_of(50 + autoregressions(3, 120, 0.7, seed=4))
    protocol = WalkForward(windows=1, paths=20_000)
    model = Sarima(search="fixed", order=(1, 0, 0), seasonal_order=(0, 0, 0))
    tables = run(panel, model, protocol)
    fitted = protocol.fit_all(model, panel.until(panel.lengths - STEPS), _context(protocol))
    deals = told(tables, panel, protocol, ANY).deals
    for i, row in enumerate(deals.iter_rows(named=True)):
        phi = float(np.tanh(fitted.free[i, 0]))
        spread = fitted.sigma[i] * np.sqrt((psi_sums(phi, STEPS) ** 2).sum())
        width = row["upside"] - row["committed"]
        assert width == pytest.approx(2 * NormalDist().inv_cdf(0.9) * spread, rel=0.03)
        assert row["base"] == pytest.approx(
            tables.predictions.filter(pl.col("series_id") == row["deal"])["mean"].sum(),
            abs=0.1 * spread,
        )


def _context(protocol):
    from hwds.evaluation.protocol import RunContext

    return RunContext(3, "final")
