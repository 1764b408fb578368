"""Lags: equal to a loop over series, causal to the bit, lawful for each role."""

from dataclasses import asdict, replace
from datetime import date

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwds.core.errors import ConfigError
from hwds.forecast.features.lags import Lags
from hwds.frames.frequency import Frequency
from hwds.frames.panel import Panel
from hwds.frames.roles import Roles

ROLES = Roles(known_future=("price",), past_only=("visits",), static=("launch", "planned_end"))
ROW_COUNTS = st.lists(st.integers(1, 40), min_size=1, max_size=4)
SEEDS = st.integers(0, 2**32 - 1)
SOME = st.lists(st.integers(1, 9), max_size=3, unique=True).map(tuple)
RECIPES = st.builds(
    Lags,
    lags=SOME,
    windows=st.lists(st.integers(0, 9), max_size=3, unique=True).map(tuple),
    season_lags=st.lists(st.integers(1, 3), max_size=2, unique=True).map(tuple),
    season_windows=st.lists(st.integers(1, 3), max_size=2, unique=True).map(tuple),
    alphas=st.lists(st.sampled_from([0.01, 0.3, 0.9]), max_size=2, unique=True).map(tuple),
    differences=st.lists(st.integers(0, 5), max_size=2, unique=True).map(tuple),
    past_lags=SOME,
    season=st.sampled_from([0, 1, 3, 7]),
)


def ragged(counts, seed=0, holes=0.1):
    """Monthly series of these lengths whose levels are nine orders of magnitude apart, with holes
    in the target.
    """
    rng = np.random.default_rng(seed)
    parts = []
    for i, n in enumerate(counts):
        target = rng.lognormal(size=n) * 10.0 ** rng.integers(-3, 7)
        parts.append(
            pl.DataFrame(
                {
                    "series_id": [f"s{i}"] * n,
                    "time": pl.date_range(
                        date(2015, 1 + i, 1), date(2030, 1, 1), "1mo", eager=True
                    ).head(n),
                    "target": pl.Series(
                        np.where(rng.random(n) < holes, np.nan, target), nan_to_null=True
                    ),
                    "price": rng.uniform(1, 2, n),
                    "visits": rng.random(n),
                    "launch": [date(2015, 2, 1)] * n,
                    "planned_end": [date(2018, 6, 1)] * n,
                }
            )
        )
    return Panel.build(pl.concat(parts), Frequency("1mo"), roles=ROLES, season=4)


def by_hand(panel, recipe):
    """The same features of the past by a loop over series in pandas."""
    m, made = recipe.season or panel.season, []
    for i in range(panel.n_series):
        y, rows = pd.Series(panel.series(i)), {}
        visits = pd.Series(panel.block(i, i + 1).values("visits"))
        rows |= {f"lag_{k}": y.shift(k) for k in recipe.lags}
        for w in recipe.windows:
            last = y.shift(1).rolling(w or m)
            rows |= {f"mean_{w or 'season'}": last.mean(), f"std_{w or 'season'}": last.std()}
        rows |= {f"season_lag_{k}": y.shift(k * m) for k in recipe.season_lags}
        for k in recipe.season_windows:
            seasons = np.stack([y.shift(j * m) for j in range(1, k + 1)])
            rows[f"season_mean_{k}"] = seasons.mean(0)
            rows[f"season_std_{k}"] = seasons.std(0, ddof=1) if k > 1 else np.full(len(y), np.nan)
        rows |= {f"ewm_{a:g}": y.ewm(alpha=a).mean().shift(1) for a in recipe.alphas}
        rows |= {
            f"diff_{d or 'season'}": y.shift(1) - y.shift(1 + (d or m)) for d in recipe.differences
        }
        rows |= {f"visits_lag_{k}": visits.shift(k) for k in recipe.past_lags}
        made.append(pd.DataFrame(rows))
    return pd.concat(made)


def poisoned(panel, rows, names, seed):
    """The panel with rubbish in these rows of these columns."""
    rubbish = np.random.default_rng(seed).choice(
        [np.nan, np.inf, -1e300, 1e300, 0.0, -7.5], len(panel.table)
    )
    bad = pl.Series(rows)
    return replace(
        panel,
        table=panel.table.with_columns(
            pl.when(bad).then(pl.lit(pl.Series(rubbish))).otherwise(n).alias(n) for n in names
        ),
    )


def bits(panel, features, rows):
    """The bits of computed columns at these rows, null told from NaN."""
    kept = [panel.table[feature.name].filter(pl.Series(rows)) for feature in features]
    return [
        (column.is_null().to_list(), column.fill_null(0.0).to_numpy().tobytes()) for column in kept
    ]


@settings(max_examples=80, deadline=None)
@given(ROW_COUNTS, SEEDS, RECIPES)
def test_equals_a_loop_over_series(counts, seed, recipe):
    panel = ragged(counts, seed)
    table, expected = recipe.compute(panel).table, by_hand(panel, recipe)
    largest = np.repeat(
        np.fmax.reduceat(np.nan_to_num(np.abs(panel.target)), panel.offsets[:-1]), panel.lengths
    )
    largest = np.maximum(largest, panel.values("visits"))
    for name in expected:
        found, wanted = table[name].to_numpy(), expected[name].to_numpy()
        assert (np.isnan(found) == np.isnan(wanted)).all(), name
        assert (np.isnan(found) | (np.abs(found - wanted) <= 1e-9 * largest)).all(), name


@settings(max_examples=60, deadline=None)
@given(ROW_COUNTS, SEEDS, RECIPES)
def test_bits_of_a_series_do_not_depend_on_its_neighbours(counts, seed, recipe):
    panel = ragged(counts, seed)
    together = recipe.compute(panel)
    features = recipe.columns(panel.roles, 1).features
    for i, n in enumerate(panel.lengths):
        alone = recipe.compute(panel.block(i, i + 1))
        assert bits(together.block(i, i + 1), features, [True] * n) == bits(
            alone, features, [True] * n
        )


@pytest.mark.parametrize("huge", [1e12, 1e90])
def test_a_huge_series_leaves_a_tiny_one_its_precision(huge):
    tiny = np.random.default_rng(0).random(200) * 1e-3
    table = pl.DataFrame(
        {
            "series_id": ["a"] * 200 + ["b"] * 200,
            "time": list(range(200)) * 2,
            "target": [*(tiny * huge), *tiny],
        }
    )
    recipe = Lags(windows=(7, 28), alphas=(0.1,))
    panel = recipe.compute(Panel.build(table, Frequency("1i"))).block(1, 2)
    alone = pd.Series(tiny).shift(1)
    np.testing.assert_allclose(panel.values("mean_28"), alone.rolling(28).mean(), rtol=1e-12)
    np.testing.assert_allclose(
        panel.values("std_7"),
        [alone[max(t - 6, 0) : t + 1].std() if t > 6 else np.nan for t in range(200)],
        rtol=1e-12,
    )
    np.testing.assert_allclose(
        panel.values("ewm_0.1"), pd.Series(tiny).ewm(alpha=0.1).mean().shift(1), rtol=1e-12
    )


@settings(max_examples=80, deadline=None)
@given(ROW_COUNTS, SEEDS, RECIPES, st.integers(0, 39))
def test_causal_to_the_bit(counts, seed, recipe, cut):
    panel = ragged(counts, seed)
    known = panel.positions <= cut
    bad = poisoned(panel, panel.positions >= cut, ["target", "visits"], seed)
    bad = poisoned(bad, panel.positions > cut, ["price"], seed + 1)
    features = recipe.columns(panel.roles, 1).features
    assert bits(recipe.compute(panel), features, known) == bits(
        recipe.compute(bad), features, known
    )


@settings(max_examples=80, deadline=None)
@given(ROW_COUNTS, SEEDS, RECIPES, st.integers(1, 8), st.integers(0, 30))
def test_each_step_reads_only_what_is_known_at_the_cutoff(counts, seed, recipe, horizon, cut):
    recipe = replace(recipe, step_lags=(horizon, horizon + 2))
    panel = ragged(counts, seed)
    ahead = panel.positions >= cut
    bad = poisoned(panel, ahead, ["target", "visits"], seed)
    plan = recipe.columns(panel.roles, horizon)
    true, blind = recipe.compute(panel), recipe.compute(bad)
    for where, steps in (("origin", 1), ("step", horizon)):
        rows = ahead & (panel.positions < cut + steps)
        assert bits(true, plan.at(where), rows) == bits(blind, plan.at(where), rows)


def test_future_rows_without_a_target_are_served():
    panel = ragged([30, 12, 1], holes=0.0)
    ends = np.maximum(panel.lengths - 4, 0)
    history, rows = panel.until(ends), pl.Series(panel.positions >= np.repeat(ends, panel.lengths))
    unknown = pl.lit(None, pl.Float64)
    future = replace(
        panel, table=panel.table.filter(rows).with_columns(target=unknown, visits=unknown)
    ).block(0, 2)
    recipe = Lags(step_lags=(4,))
    whole, split = recipe.compute(panel.block(0, 2)), recipe.compute(history.followed_by(future))
    for feature in recipe.columns(panel.roles, 4).features:
        steps = 4 if feature.at == "step" else 1
        step = whole.positions - np.repeat(ends[:2], whole.lengths)
        rows = (step >= 0) & (step < steps)
        assert bits(whole, [feature], rows) == bits(split, [feature], rows), feature.name


@settings(max_examples=30, deadline=None)
@given(RECIPES)
def test_the_plan_is_what_is_computed(recipe):
    panel = ragged([9, 3])
    names = [feature.name for feature in recipe.columns(panel.roles, 3).features]
    made = recipe.compute(panel)
    assert made.table.columns == [*panel.table.columns, *names]
    assert set(made.table.select(names).dtypes) <= {pl.Float64}
    assert Lags(**asdict(recipe)) == recipe


def test_the_defaults_are_few_and_say_how_they_scale():
    plan = Lags().columns(Roles(), 12)
    scales = {feature.name: feature.scale for feature in plan.at("origin")}
    assert len(scales) == 13
    assert {
        scales[name]
        for name in ("lag_1", "mean_3", "mean_season", "season_lag_1", "season_mean_2", "ewm_0.3")
    } == {"level"}
    assert {scales[name] for name in ("std_3", "season_std_2", "diff_1", "diff_season")} == {
        "spread"
    }
    assert {feature.scale for feature in plan.at("step")} == {"none"}


@pytest.mark.parametrize(
    ("season", "horizon", "at"),
    [(12, 12, "step"), (12, 13, "origin"), (0, 1, "origin")],
    ids=["known", "short", "not given"],
)
def test_a_season_is_read_at_the_step_where_it_is_known(season, horizon, at):
    plan = {
        feature.name: feature.at
        for feature in Lags(season=season, season_lags=(1, 2)).columns(Roles(), horizon).features
    }
    assert plan["season_lag_1"] == plan["season_mean_2"] == plan["season_std_2"] == at
    assert plan["season_lag_2"] == ("step" if season * 2 >= horizon else "origin")
    assert plan["lag_1"] == "origin"


REFUSALS = [
    (
        {"step_lags": (12, 6)},
        "features.step_lags: 6 is shorter than the horizon 12: unknown at steps 7 to 12.",
    ),
    (
        {"step_lags": (11,)},
        "features.step_lags: 11 is shorter than the horizon 12: unknown at step 12.",
    ),
    (
        {"price": ("visits",)},
        "features.price: 'visits' is past_only; it must be known_future, to be read at the steps "
        "ahead.",
    ),
    (
        {"price": ("target",)},
        "features.price: 'target' is the target; it must be known_future, to be read at the steps "
        "ahead.",
    ),
    (
        {"price": ("prise",)},
        "features.price: no known_future column 'prise'; did you mean 'price'?",
    ),
    ({"launch": "price"}, "features.launch: 'price' is known_future; it must be static."),
    (
        {"planned_end": "planed_end"},
        "features.planned_end: no static column 'planed_end'; did you mean 'planned_end'?",
    ),
]


@pytest.mark.parametrize(("fields", "message"), REFUSALS)
def test_refused_in_one_line(fields, message):
    with pytest.raises(ConfigError) as refusal:
        Lags(**fields).columns(ROLES, 12)
    assert str(refusal.value) == message


def test_a_name_is_taken_once():
    with pytest.raises(
        ConfigError, match="'lag_1' is a column of the dataset already \\(past_only\\)"
    ):
        Lags().columns(Roles(past_only=("lag_1",)), 1)
    with pytest.raises(ConfigError, match="'season_lag_1' would be computed twice"):
        Lags().columns(Roles(past_only=("season",)), 1)


@pytest.mark.parametrize(
    "fields",
    [
        {"lags": (0,)},
        {"lags": (2, 2)},
        {"alphas": (1.0,)},
        {"windows": (-1,)},
        {"cycles": ("moon",)},
    ],
)
def test_wrong_values_are_refused_when_the_recipe_is_made(fields):
    with pytest.raises(ConfigError):
        Lags(**fields)


def test_without_roles_and_without_a_season():
    panel = Panel.build(
        pl.DataFrame({"series_id": ["a"] * 3, "time": [1, 2, 3], "target": [1.0, 2.0, 4.0]}),
        Frequency("1i"),
    )
    table = Lags().compute(panel).table
    assert table["lag_1"].to_list() == [None, 1.0, 2.0]
    assert table["mean_season"].to_list() == [None, 1.0, 2.0]
    assert table["std_season"].to_list() == [None, None, None]
