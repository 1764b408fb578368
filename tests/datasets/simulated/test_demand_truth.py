import pickle
from dataclasses import replace
from datetime import date

import numpy as np
import polars as pl
import pytest

from hwds.core.errors import DataError
from hwds.core.serialization import load_fitted, save_fitted
from hwds.datasets.simulated.hardware_demand import (
    FittedDemandTruth,
    HardwareDemand,
    HardwareDemandTruth,
    next_level,
)
from hwds.datasets.simulated.worlds.hardware import PERSISTENCE, VISITS, HardwareWorld, demand_law
from hwds.forecast.models.base import ForecastContext
from hwds.forecast.models.seasonal_naive import SeasonalNaive
from hwds.frames.panel import Forecasts

LEVELS = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
CUTOFF = date(2022, 12, 1)
CONTEXT = ForecastContext(0, levels=LEVELS, season=12)


def _forecast(dataset, history, future) -> Forecasts:
    return (
        dataset.truth("forecast")
        .learn(history, horizon=12, context=CONTEXT)
        .predict(history, future)
    )


def _same(one: Forecasts, other: Forecasts) -> bool:
    return (
        one.mean.tobytes() == other.mean.tobytes()
        and one.quantiles.tobytes() == other.quantiles.tobytes()
    )


@pytest.fixture(scope="module")
def worlds():
    """Panels of many seeds."""
    return [
        (dataset, dataset.load()) for dataset in (HardwareDemand(seed=seed) for seed in range(24))
    ]


@pytest.fixture(scope="module")
def answers(worlds, cut):
    """Forecasts and actuals of each seed."""
    found = []
    for dataset, panel in worlds:
        history, future, actual = cut(panel, CUTOFF)
        found.append((_forecast(dataset, history, future), actual, history))
    return found


def test_every_quantile_is_reached_as_often_as_it_says(answers):
    for place, level in enumerate(LEVELS):
        shares = np.array(
            [(actual <= forecasts.quantiles[..., place]).mean() for forecasts, actual, _ in answers]
        )
        assert shares.mean() == pytest.approx(
            level, abs=3 * shares.std(ddof=1) / np.sqrt(len(shares))
        )


def test_coverage_is_nominal_at_each_end_of_the_horizon(answers):
    for steps in (slice(0, 3), slice(9, 12)):
        inside = [
            ((actual >= f.quantiles[..., 1]) & (actual <= f.quantiles[..., 5]))[:, steps].mean()
            for f, actual, _ in answers
        ]
        assert np.mean(inside) == pytest.approx(
            0.8, abs=3.5 * np.std(inside, ddof=1) / np.sqrt(len(inside))
        )


def test_probability_integral_transform_is_uniform(answers):
    counts = []
    for forecasts, actual, _ in answers:
        bins = (actual[..., None] > forecasts.quantiles).sum(axis=-1)
        counts.append(np.bincount(bins.ravel(), minlength=len(LEVELS) + 1) / bins.size)
    expected = np.diff([0, *LEVELS, 1])
    errors = np.std(counts, axis=0, ddof=1) / np.sqrt(len(counts))
    assert (np.abs(np.mean(counts, axis=0) - expected) < 3.5 * errors).all()


def test_the_mean_is_unbiased(answers):
    errors = np.array([(actual / forecasts.mean - 1).mean() for forecasts, actual, _ in answers])
    assert errors.mean() == pytest.approx(0, abs=3 * errors.std(ddof=1) / np.sqrt(len(errors)))


def _pinball(quantiles: np.ndarray, actual: np.ndarray, forecasts: Forecasts) -> float:
    error = actual[..., None] - quantiles
    levels = np.array(LEVELS)
    return float(
        (np.maximum(levels * error, (levels - 1) * error) / forecasts.mean[..., None]).mean()
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda q, middle: q * 1.08,
        lambda q, middle: q / 1.08,
        lambda q, middle: middle * (q / middle) ** 1.3,
        lambda q, middle: middle * (q / middle) ** (1 / 1.3),
        lambda q, middle: q + (middle - np.roll(middle, 1, axis=1)) * 0.1,
    ],
    ids=["higher", "lower", "wider", "narrower", "shifted"],
)
def test_no_perturbed_forecast_is_better(answers, change):
    worse = [
        _pinball(change(f.quantiles, f.quantiles[..., 3:4]), actual, f)
        - _pinball(f.quantiles, actual, f)
        for f, actual, _ in answers
    ]
    assert np.mean(worse) > 2 * np.std(worse, ddof=1) / np.sqrt(len(worse))


def test_the_squared_error_is_least_at_the_mean(answers):
    for factor in (0.93, 1.07):
        worse = [
            ((actual / f.mean - factor) ** 2).mean() - ((actual / f.mean - 1) ** 2).mean()
            for f, actual, _ in answers
        ]
        assert np.mean(worse) > 0


def test_the_seasonal_naive_is_far_from_the_floor(answers, worlds, cut):
    ratios = []
    for (forecasts, actual, history), (_, panel) in zip(answers, worlds, strict=True):
        naive = (
            SeasonalNaive()
            .learn(history, horizon=12, context=CONTEXT)
            .predict(*cut(panel, CUTOFF)[:2])
        )
        scale = np.array(
            [
                np.abs(np.subtract(y[12:], y[:-12])).mean() if len(y) > 12 else np.nan
                for y in map(history.series, range(history.n_series))
            ]
        )
        mase = [
            np.nanmean(np.abs(actual - point).mean(axis=1) / scale)
            for point in (forecasts.quantiles[..., 3], naive.mean)
        ]
        ratios.append(mase[0] / mase[1])
    assert 0.2 < np.mean(ratios) < 0.5


def test_the_filter_equals_conditioning_the_joint_normal(cut):
    dataset = HardwareDemand()
    history, _, _ = cut(dataset.load(), CUTOFF)
    history = history.block(3, 4)
    offers, laws = demand_law(dataset)
    law = laws.take(np.flatnonzero((offers["series_id"] == history.series_ids[0]).to_numpy()))
    rows = law.take(np.zeros(len(history.table), np.int64))
    months, (drift, noise, visits_noise) = (
        len(history.table),
        (law.drift[0], law.noise[0], law.visits_noise[0]),
    )
    moves = np.tril(
        PERSISTENCE ** np.subtract.outer(np.arange(months + 1), np.arange(months + 1)).clip(0)
    )
    first = law.level_variance(history.values("device_age")[:1])
    prior = moves @ np.diag([first[0], *np.full(months, drift**2)]) @ moves.T
    interest = rows.log_interest(history.table)
    seen = np.concatenate(
        [
            np.log(history.target / (1 - history.values("shortage")))
            - interest
            - rows.log_effects(history.table),
            np.log(history.values("web_visits") / VISITS) - interest,
        ]
    )
    places = np.concatenate([np.arange(months), np.arange(1, months + 1)])
    rounding = np.concatenate(
        [1 / (12 * history.target**2), 1 / (12 * history.values("web_visits") ** 2)]
    )
    joint = prior[np.ix_(places, places)] + np.diag(
        np.repeat([noise**2, visits_noise**2], months) + rounding
    )
    gain = np.linalg.solve(joint, prior[places, -1])
    mean, variance = next_level(dataset, law, history)
    assert mean[0] == pytest.approx(gain @ seen, abs=1e-10)
    assert variance[0] == pytest.approx(prior[-1, -1] - gain @ prior[places, -1], abs=1e-10)


def test_shortages_are_mixed_as_they_occur():
    """Brute force: shares drawn from the chain, demand from its normal law."""
    dataset = HardwareDemand(noise=0.05, drift=0.01)
    panel = dataset.load()
    hit = panel.table.with_row_index().filter(
        (pl.col("shortage") > 0) & (pl.col("months_to_end") > 12) & (pl.col("device_age") > 20)
    )
    place = hit["index"][0]
    series = int(np.searchsorted(panel.offsets, place, side="right")) - 1
    own = panel.block(series, series + 1)
    now = place - int(panel.offsets[series]) + 1
    history, future = (
        replace(own, table=own.table[:now]),
        replace(own, table=own.table[now : now + 12]),
    )
    answer = _forecast(dataset, history, future)
    calm = replace(
        history,
        table=history.table.with_columns(
            pl.col("shortage") * 0, pl.col("target") / (1 - pl.col("shortage"))
        ),
    )
    assert (answer.mean[:, 0] < 0.95 * _forecast(dataset, calm, future).mean[:, 0]).all()
    assert answer.mean[0, 11] == pytest.approx(
        _forecast(dataset, calm, future).mean[0, 11], rel=0.01
    )

    row = dataset.parameters().filter(pl.col("series_id") == own.series_ids[0]).row(0, named=True)
    rng = np.random.default_rng(1)
    out, size = (
        np.ones(200_000, bool),
        rng.choice([0.15, 0.3, 0.5], (12, 200_000), p=[0.5, 0.3, 0.2]),
    )
    law = demand_law(dataset)[1].take(
        np.flatnonzero((demand_law(dataset)[0]["series_id"] == own.series_ids[0]).to_numpy())
    )
    (level,), (variance,) = next_level(dataset, law, history)
    level = level + np.sqrt(variance) * rng.standard_normal(200_000)
    rows = law.take(np.zeros(12, np.int64))
    known = rows.log_interest(future.table) + rows.log_effects(future.table)
    for step in range(12):
        out = rng.random(200_000) < np.where(out, row["outage_stay"], row["outage_start"])
        sold = np.exp(known[step] + level + row["noise"] * rng.standard_normal(200_000)) * (
            1 - out * size[step]
        )
        assert answer.mean[0, step] == pytest.approx(sold.mean(), rel=0.005)
        assert answer.quantiles[0, step] == pytest.approx(np.quantile(sold, LEVELS), rel=0.02)
        level = PERSISTENCE * level + row["drift"] * rng.standard_normal(200_000)


def test_nothing_after_the_cutoff_is_used(cut, monkeypatch):
    dataset = HardwareDemand()
    history, future, actual = cut(dataset.load(), CUTOFF)
    clean = _forecast(dataset, history, future)
    rubbish = pl.Series(np.random.default_rng(0).lognormal(20, 5, actual.size))
    poisoned = future.table.with_columns(
        rubbish.alias(name) for name in ("target", "shortage", "web_visits")
    )
    assert _same(clean, _forecast(dataset, history, replace(future, table=poisoned)))

    def drawn(*_, **__):
        raise AssertionError("the truth has looked at what has not happened yet")

    monkeypatch.setattr(HardwareWorld, "normals", drawn)
    monkeypatch.setattr(HardwareWorld, "outages", property(drawn))
    assert _same(clean, _forecast(HardwareDemand(name="afresh"), history, future))


def test_a_longer_world_gives_the_same_forecasts(cut):
    short, long = HardwareDemand(months=96), HardwareDemand(months=120)
    asked = short.load().table["time"].max()
    asked = asked.replace(year=asked.year - 1)
    history, future, _ = cut(short.load(), asked)
    assert _same(_forecast(short, history, future), _forecast(long, history, future))


def test_any_block_of_series_gets_the_same_bits(cut):
    dataset = HardwareDemand()
    history, future, _ = cut(dataset.load(), CUTOFF)
    whole, part = (
        _forecast(dataset, history, future),
        _forecast(dataset, history.block(3, 7), future.block(3, 7)),
    )
    assert part.mean.tobytes() == whole.mean[3:7].tobytes()
    assert part.quantiles.tobytes() == whole.quantiles[3:7].tobytes()


def test_a_hole_in_the_history_only_widens(cut):
    dataset = HardwareDemand()
    history, future, _ = cut(dataset.load(), CUTOFF)
    late = pl.col("time") > date(2022, 6, 1)
    hidden = history.table.with_columns(
        pl.when(~late).then(pl.col(name)).alias(name) for name in ("target", "web_visits")
    )
    full, holed = (
        _forecast(dataset, history, future),
        _forecast(dataset, replace(history, table=hidden), future),
    )
    spread = [np.log(f.quantiles[:, 0, 5] / f.quantiles[:, 0, 1]) for f in (full, holed)]
    assert (spread[1] > spread[0] * 1.1).all()


def test_nothing_is_sold_after_the_end_and_nothing_said_without_a_plan(cut):
    dataset = HardwareDemand()
    history, future, _ = cut(dataset.load(), CUTOFF)
    over = future.table.with_columns(planned_end=pl.lit(date(2023, 3, 1)))
    forecasts = _forecast(dataset, history, replace(future, table=over))
    assert (forecasts.mean[:, :3] > 0).all()
    assert (forecasts.mean[:, 3:] == 0).all()
    assert (forecasts.quantiles[:, 3:] == 0).all()
    unknown = future.table.with_columns(
        price=pl.when(pl.col("time") < date(2023, 12, 1)).then(pl.col("price"))
    )
    forecasts = _forecast(dataset, history, replace(future, table=unknown))
    assert np.isnan(forecasts.mean[:, 11]).all()
    assert np.isnan(forecasts.quantiles[:, 11]).all()
    assert np.isfinite(forecasts.mean[:, :11]).all()


def test_the_plan_is_heeded(cut):
    dataset = HardwareDemand()
    history, future, _ = cut(dataset.load(), CUTOFF)
    cheaper = future.table.with_columns(pl.col("price") * 0.9)
    ratio = (
        _forecast(dataset, history, replace(future, table=cheaper)).mean
        / _forecast(dataset, history, future).mean
    )
    elasticity = history.series_ids.to_frame().join(
        dataset.parameters(), on="series_id", maintain_order="left"
    )["elasticity"]
    assert ratio == pytest.approx(np.repeat(0.9 ** elasticity.to_numpy()[:, None], 12, axis=1))


def test_it_is_saved_and_pickled(cut, tmp_path):
    dataset = HardwareDemand(seed=3)
    history, future, _ = cut(dataset.load(), CUTOFF)
    fitted = dataset.truth("forecast").learn(history, horizon=12, context=CONTEXT)
    save_fitted(fitted, tmp_path)
    loaded = load_fitted(tmp_path)
    assert isinstance(loaded, FittedDemandTruth)
    assert _same(loaded.predict(history, future), fitted.predict(history, future))
    assert pickle.loads(pickle.dumps(dataset.truth("forecast"))) == HardwareDemandTruth(
        dataset=dataset
    )


def test_a_series_of_another_world_is_refused(cut):
    history, future, _ = cut(HardwareDemand().load(), CUTOFF)
    with pytest.raises(DataError, match=r"series 'watch-\d\.\w+' is not of this simulated world"):
        _forecast(HardwareDemand(families=3), history, future)


def test_demand_is_not_touched_by_shortages_to_come(worlds, cut):
    """Of a year that begins in an outage: quantiles of demand are reached as often as they say, and
    knowledge is the same.
    """
    shares = []
    for dataset, _ in worlds:
        asked = replace(dataset, unserved="shortage")
        history, future, actual = cut(asked.frame(), CUTOFF)
        told = _forecast(asked, history, future)
        shares.append(
            [(actual <= told.quantiles[..., place]).mean() for place in range(len(LEVELS))]
        )
        of_sales = _forecast(dataset, cut(dataset.load(), CUTOFF)[0], future)
        assert (told.mean > of_sales.mean).all()
    spread = np.std(shares, axis=0, ddof=1) / np.sqrt(len(shares))
    assert (np.abs(np.mean(shares, axis=0) - LEVELS) < 3 * spread).all()
