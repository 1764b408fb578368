from datetime import date

import numpy as np
import polars as pl
import pytest

from hwds.core.compose import compose
from hwds.core.errors import ConfigError
from hwds.evaluation.panel_folds import AtLaunch, future_of, panel_known_at, select_series
from hwds.evaluation.protocol import Cell, RunContext
from hwds.experiment.spec import check
from hwds.forecast.lifecycle.design import (
    LaunchRows,
    LaunchTerms,
    calendar_numbers,
    has_predecessors,
    with_age,
)
from hwds.forecast.lifecycle.fitting import fit_growth, log_increase
from hwds.forecast.lifecycle.pooling import (
    Level,
    NormalEquations,
    filter_columns,
    fit_level,
    pool_coefficients,
)
from hwds.forecast.models.analog import Analog, FittedAnalog
from hwds.forecast.models.base import ForecastContext
from hwds.forecast.protocols.launch import Launch
from hwds.frames.frequency import Frequency
from hwds.frames.panel import Panel
from hwds.frames.roles import Roles

LEVELS = (0.1, 0.5, 0.9)
MONTHS = pl.date_range(date(2015, 1, 1), date(2040, 1, 1), "1mo", eager=True)


def generations(
    *, count=6, months=66, gap=9, noise=0.02, luck=0.0, curve=None, seed=0, aged=True, life=10_000
):
    """Two families in two channels, a generation every `gap` months.

    The course of sales is that of its family.
    """
    rng = np.random.default_rng(seed)
    parts = []
    for family, slow in (("phone", 1.0), ("watch", 2.0)):
        for generation in range(count):
            begin = gap * generation + (0 if family == "phone" else 3)
            for channel, share in (("retail", 1.0), ("online", 0.5)):
                age = np.arange(min(months - begin, life))
                course = (
                    np.log1p(-0.6 * np.exp(-age / slow)) - age / 30 if curve is None else curve(age)
                )
                month = np.array([MONTHS[int(begin + a)].month for a in age])
                price = 500.0 * np.exp(-0.01 * age + 0.05 * rng.standard_normal(len(age)))
                log = (
                    7
                    + np.log(share)
                    + course
                    + 0.3 * (month == 12)
                    - 1.5 * np.log(price / price[0])
                )
                log = log + luck * rng.standard_normal() + noise * rng.standard_normal(len(age))
                columns = {
                    "series_id": f"{family}-{generation:02d}.{channel}",
                    "time": MONTHS[begin : begin + len(age)],
                    "target": np.exp(log),
                    "price": price,
                    "device_age": age.astype(float),
                    "family": family,
                    "channel": channel,
                    "sku": f"{family}-{generation}",
                }
                parts.append(pl.DataFrame(columns))
    known = ("price", "device_age") if aged else ("price",)
    roles = Roles(known_future=known, static=("family", "channel", "sku"))
    return Panel.build(pl.concat(parts), Frequency("1mo"), roles=roles, horizon=12)


def asked(panel, after=1, horizon=12, launch=-1, **settings):
    """The fitted model, the forecasts and what happened, of the last launch but some."""
    cut = Launch(after=after, launches=100, horizon=horizon).cutoffs(panel)
    cutoff = [
        one
        for one in cut
        if (panel.lengths[one.alive(panel, one.ends(panel))] >= after + horizon).all()
    ][launch]
    assert isinstance(cutoff, AtLaunch)
    series, ends = np.flatnonzero(cutoff.alive(panel, cutoff.ends(panel))), cutoff.ends(panel)
    context = ForecastContext(0, levels=LEVELS, season=12)
    history, future = panel_known_at(panel, cutoff), future_of(panel, series, ends, horizon)
    fitted = Analog(**settings).learn(history, horizon=horizon, context=context)
    known = panel_known_at(select_series(panel, series), cutoff)
    told = fitted.predict(known, future) if after else fitted.launch(history, future)
    actual = np.stack([panel.series(i)[ends[i] : ends[i] + horizon] for i in series])
    return fitted, told, actual


def errors(told, actual):
    return np.abs(told.quantiles[..., 1] - actual).sum() / actual.sum()


@pytest.mark.parametrize("after", [0, 1, 5])
@pytest.mark.parametrize("aged", [True, False])
def test_a_launch_like_the_others_is_foretold(after, aged):
    fitted, told, actual = asked(generations(aged=aged), after)
    assert errors(told, actual) < 0.05
    assert not told.fallback.any()
    assert [kind.name for kind in fitted.terms.kinds] == ["family", "channel"]
    assert [cohort.name for cohort in fitted.terms.cohorts] == ["sku"]
    assert fitted.terms.age == ("device_age" if aged else "")


def test_prices_to_come_are_heeded():
    panel = generations()
    cutoff = Launch().cutoffs(panel)[-1]
    series, ends = np.flatnonzero(cutoff.alive(panel, cutoff.ends(panel))), cutoff.ends(panel)
    fitted = Analog().learn(
        panel_known_at(panel, cutoff),
        horizon=12,
        context=ForecastContext(0, levels=LEVELS, season=12),
    )
    known, future = (
        panel_known_at(select_series(panel, series), cutoff),
        future_of(panel, series, ends, 12),
    )
    plain = fitted.predict(known, future).quantiles[..., 1]
    dearer = future.with_table(future.table.with_columns(price=pl.col("price") * 1.1))
    ratio = fitted.predict(known, dearer).quantiles[..., 1] / plain
    assert ratio == pytest.approx(1.1**-1.5, abs=0.01)


def test_what_was_sold_moves_the_level_by_as_much_as_launches_differ():
    moved = {}
    for name, luck, noise in (("luck", 0.5, 0.05), ("noise", 0.02, 0.3)):
        panel = generations(luck=luck, noise=noise, count=7, gap=8, months=64)
        cutoff = Launch().cutoffs(panel)[-1]
        series, ends = np.flatnonzero(cutoff.alive(panel, cutoff.ends(panel))), cutoff.ends(panel)
        history = panel_known_at(panel, cutoff)
        fitted = Analog().learn(
            history, horizon=6, context=ForecastContext(0, levels=LEVELS, season=12)
        )
        known, future = (
            panel_known_at(select_series(panel, series), cutoff),
            future_of(panel, series, ends, 6),
        )
        doubled = known.with_table(known.table.with_columns(target=pl.col("target") * 2))
        change = (
            fitted.predict(doubled, future).quantiles[..., 1]
            / fitted.predict(known, future).quantiles[..., 1]
        )
        moved[name] = np.log2(change[:, 0]).mean()
    assert moved["luck"] > 0.8
    assert moved["noise"] < 0.3


def test_intervals_cover_what_they_say():
    hits, count = 0, 0
    for seed in range(4):
        panel = generations(luck=0.3, noise=0.15, seed=seed, count=5, gap=10, months=60)
        _, told, actual = asked(panel, horizon=6)
        hits += ((told.quantiles[..., 0] <= actual) & (actual <= told.quantiles[..., 2])).sum()
        count += actual.size
    assert 0.6 < hits / count < 0.97


@pytest.mark.parametrize(("curve", "shape"), [("bass", (-3.5, -1.5)), ("gompertz", (1.2, -1.8))])
def test_a_growth_curve_is_found_again(curve, shape):
    age = np.tile(np.arange(30.0), 6)
    series = np.repeat(np.arange(6), 30)
    log = log_increase(curve, age, np.array(shape)) + np.repeat(np.arange(6.0), 30)
    found = fit_growth(
        curve,
        log,
        ["a", "a", "a", "b", "b", "b"],
        LaunchRows(log, age, series, series, np.zeros(6)),
    )
    assert found.usual == pytest.approx(shape, abs=0.02)
    assert np.array(found.shapes) == pytest.approx(np.array([shape, shape]), abs=0.02)


@pytest.mark.parametrize(("curve", "shape"), [("bass", (-3.5, -1.5)), ("gompertz", (1.2, -1.8))])
def test_a_life_of_growth_adds_up_to_one(curve, shape):
    assert np.exp(log_increase(curve, np.arange(400.0), np.array(shape))).sum() == pytest.approx(
        1, abs=1e-6
    )


def test_launches_of_unlike_kinds_keep_their_own_growth():
    age = np.tile(np.arange(40.0), 16)
    series = np.repeat(np.arange(16), 40)
    shapes = np.array([(-4.0, -2.0), (-2.5, -1.2)])[series % 2]
    log = log_increase("bass", age, shapes.T)
    found = fit_growth(
        "bass", log, ["slow", "fast"] * 8, LaunchRows(log, age, series, series, np.zeros(16))
    )
    fast, slow = found.shapes
    assert found.words == ("fast", "slow")
    assert slow[0] < found.usual[0] < fast[0]


@pytest.mark.parametrize("curve", ["bass", "gompertz"])
def test_a_growth_curve_foretells_sales_that_follow_it(curve):
    shape = np.array({"bass": (-3.0, -1.8), "gompertz": (1.2, -2.2)}[curve])
    panel = generations(
        curve=lambda age: 3 + log_increase(curve, age.astype(float), shape), count=5
    )
    _, told, actual = asked(panel, after=3, curve=curve)
    assert errors(told, actual) < 0.06


def test_whitening_is_that_of_the_dense_covariance():
    level = Level(keep=0.9, change=0.3, launch=2.0)
    state = np.zeros((6, 6))
    for i in range(6):
        for j in range(6):
            low = min(i, j)
            variance = level.launch * level.keep ** (2 * low) + level.change * sum(
                level.keep ** (2 * k) for k in range(low)
            )
            state[i, j] = variance * level.keep ** abs(i - j)
    covariance = state + np.eye(6)
    done = filter_columns(np.eye(6), np.ones(6, bool), np.array([0, 6]), level)
    assert done.white @ covariance @ done.white.T == pytest.approx(np.eye(6), abs=1e-12)
    ahead = np.array([state[-1, j] * level.keep for j in range(6)])  # cov(next level, row j)
    assert done.state[0] == pytest.approx(np.linalg.solve(covariance, ahead))
    assert np.prod(done.spread**2) == pytest.approx(np.linalg.det(covariance))


def test_a_row_without_a_target_is_passed_over_and_series_do_not_touch():
    level = Level(keep=0.95, change=0.2, launch=1.0)
    rng = np.random.default_rng(0)
    values, known = rng.standard_normal((9, 1)), np.ones(9, bool)
    known[[1, 6]] = False
    both = filter_columns(values, known, np.array([0, 4, 9]), level)
    for first, last, place in ((0, 4, 0), (4, 9, 1)):
        alone = filter_columns(
            values[first:last], known[first:last], np.array([0, last - first]), level
        )
        assert np.array_equal(alone.white, both.white[first:last])
        assert alone.state[0] == both.state[place]
    assert both.white[1] == 0.0
    assert np.isnan(both.spread[6])


def test_the_movement_of_levels_is_found_again():
    rng = np.random.default_rng(1)
    parts = []
    for _ in range(150):
        level = 0.5 * rng.standard_normal()
        for _ in range(40):
            parts.append(level + 0.2 * rng.standard_normal())
            level = 0.95 * level + 0.1 * rng.standard_normal()
    found = fit_level(np.array(parts), np.arange(0, 6001, 40), Level())
    assert found.keep == pytest.approx(0.95, abs=0.02)
    assert found.noise == pytest.approx(0.04, rel=0.1)
    assert found.change * found.noise == pytest.approx(0.01, rel=0.25)
    assert found.launch * found.noise == pytest.approx(0.25, rel=0.3)


def test_blocks_are_shrunk_by_as_much_as_the_data_says():
    rng = np.random.default_rng(2)
    design = rng.standard_normal((2000, 60))
    real = np.append(0.5 * rng.standard_normal(30), np.zeros(30))
    target = design @ real + 0.7 * rng.standard_normal(2000)
    normal = NormalEquations.of(np.column_stack([target, design]), 2000)
    found = pool_coefficients(normal, np.repeat([0, 1], 30), np.zeros(2, bool), np.ones(2), 1.0, 12)
    assert found.noise == pytest.approx(0.49, rel=0.1)
    assert found.variances[0] * found.noise == pytest.approx(np.mean(real[:30] ** 2), rel=0.05)
    assert found.variances[1] < 0.01 * found.variances[0]
    assert np.abs(found.coefficients[30:]).max() < 0.02


def test_a_column_comes_back_or_is_of_one_launch():
    began = np.array([0, 0, 5, 5, 9, 9])
    assert has_predecessors(np.array([0, 1, 0, 1, 0, 1]), began)
    assert not has_predecessors(np.array([0, 0, 1, 1, 2, 2]), began)
    assert has_predecessors(np.array([0, 1, 2]), np.zeros(3, int))


@pytest.mark.parametrize(
    ("every", "first", "second"),
    [
        ("1mo", date(2019, 12, 1), date(2020, 1, 1)),
        ("3mo", date(2019, 10, 1), date(2020, 1, 1)),
        ("1w", date(2020, 1, 6), date(2020, 1, 13)),
    ],
)
def test_a_calendar_counts_steps(every, first, second):
    low, high = calendar_numbers(pl.Series([first, second]), Frequency(every))
    assert high - low == 1


def test_it_is_saved_and_gives_the_same_bits(tmp_path):
    panel = generations(count=4, months=48)
    fitted, _, _ = asked(panel, curve="bass", horizon=6)
    fitted.save(tmp_path)
    loaded = FittedAnalog.load(tmp_path)
    cutoff = Launch(horizon=6).cutoffs(panel)[-1]
    series, ends = np.flatnonzero(cutoff.alive(panel, cutoff.ends(panel))), cutoff.ends(panel)
    known, future = (
        panel_known_at(select_series(panel, series), cutoff),
        future_of(panel, series, ends, 6),
    )
    assert np.array_equal(
        loaded.predict(known, future).quantiles, fitted.predict(known, future).quantiles
    )
    assert np.array_equal(loaded.launch(known, future).mean, fitted.launch(known, future).mean)


def test_bad_series_are_answered_and_counted_and_cost_the_others_nothing(recwarn):
    rng = np.random.default_rng(0)
    good = 100 + 10 * rng.standard_normal(60)
    bad = {
        "constant": np.full(60, 7.0),
        "zero": np.zeros(60),
        "one": np.array([5.0]),
        "huge": 1e12 * (1 + 0.1 * rng.random(60)),
        "negative": -good,
        "missing": np.where(np.arange(60) % 7 == 3, good, np.nan),
        "nothing": np.full(60, np.nan),
        "good": good,
    }
    parts = [
        pl.DataFrame(
            {"series_id": name, "time": MONTHS[60 - len(values) : 60], "target": values}
        ).with_columns(pl.col("target").fill_nan(None))
        for name, values in bad.items()
    ]
    panel = Panel.build(pl.concat(parts), Frequency("1mo"), horizon=6)
    fitted = Analog().learn(panel, horizon=6, context=ForecastContext(0, levels=LEVELS, season=12))
    told = fitted.predict(panel, future_of(panel, np.arange(8), panel.lengths, 6))
    by_name = dict(
        zip(panel.series_ids, zip(told.fallback, told.quantiles[:, 0, 1], strict=True), strict=True)
    )
    assert {name for name, (fallback, _) in by_name.items() if fallback} == {
        "zero",
        "negative",
        "nothing",
    }
    assert by_name["constant"][1] == pytest.approx(7, rel=0.1)
    assert by_name["good"][1] == pytest.approx(100, rel=0.15)
    assert by_name["huge"][1] == pytest.approx(1.05e12, rel=0.1)
    assert np.isfinite(told.mean[[name != "nothing" for name in panel.series_ids]]).all()
    assert (np.diff(told.quantiles, axis=-1) >= 0)[
        [name != "nothing" for name in panel.series_ids]
    ].all()
    assert not recwarn.list


def test_a_long_season_that_was_not_seen_whole_is_not_carried_on():
    """Waves that take in two closed weeks rise beyond all bounds in the part of the year that was
    not seen.
    """
    rng, weeks = (
        np.random.default_rng(0),
        pl.date_range(date(2023, 1, 2), date(2024, 1, 1), "1w", eager=True)[:34],
    )
    closed = np.isin(np.arange(34), (1, 2))
    sales = [np.exp(rng.normal(3, 1) - 4 * closed + rng.normal(0, 0.5, 34)) for _ in range(60)]
    parts = [
        pl.DataFrame({"series_id": f"s{i}", "time": weeks, "target": values})
        for i, values in enumerate(sales)
    ]
    panel = Panel.build(pl.concat(parts), Frequency("1w"), roles=Roles(), horizon=6)
    assert panel.season == 52
    median = Analog().fit(panel, horizon=6).predict()["q_0.5"]
    assert panel.target.min() < median.min()
    assert median.max() < panel.target.max()


def test_nothing_to_learn_from_is_a_counted_fallback():
    times = MONTHS[:30]
    parts = [
        pl.DataFrame({"series_id": name, "time": times[at:], "target": 0.0})
        for name, at in (("a", 0), ("b", 20))
    ]
    panel = Panel.build(pl.concat(parts), Frequency("1mo"), horizon=4)
    protocol = Launch(horizon=4)
    (fold,) = protocol.split(panel)
    for after in (0, 1):
        protocol = Launch(horizon=4, after=after)
        (fold,) = protocol.split(panel)
        rows = protocol.evaluate_cell(Analog(), panel, Cell("m", fold, 0, 2), RunContext(0))
        assert rows["fallback"].all()
        assert len(rows) == 4


def test_an_age_that_is_no_column_is_refused():
    with pytest.raises(
        ConfigError,
        match=r"model\.age: no known-future column 'devise_age'; did you mean 'device_age'",
    ):
        asked(generations(count=3, months=48), horizon=4, age="devise_age")


def test_the_option_is_composed():
    assert isinstance(check(compose(["model=forecast/analog", "protocol=launch"])).model, Analog)


def test_a_hole_in_a_column_known_ahead_takes_the_value_of_the_row_before():
    prices = [1.0, 2.0, None, 4.0, 1.0, 3.0, None, None]
    table = pl.DataFrame(
        {
            "series_id": ["a"] * 4 + ["b"] * 4,
            "time": [date(2024, month, 1) for month in (1, 2, 3, 4)] * 2,
            "target": [5.0, 6.0, 7.0, 8.0] * 2,
            "price": prices,
        }
    )
    panel = with_age(
        Panel.build(table, Frequency("1mo"), roles=Roles(known_future=("price",))), "", 0
    )
    terms = LaunchTerms.learn(panel, season=1, age="", floor=1.0)
    (within,) = [columns for name, columns in terms.blocks(panel) if name == "effects"]
    filled = np.array([1.0, 2.0, 2.0, 4.0, 1.0, 3.0, 3.0, 3.0])
    rises = np.log(filled)  # both series begin at a price of 1
    np.testing.assert_allclose(within[:, 0] / within[3, 0], rises / rises[3])
