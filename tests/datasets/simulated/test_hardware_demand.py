import time
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from hwds.core.errors import ConfigError
from hwds.core.registry import options, resolve
from hwds.datasets.simulated.hardware_demand import HardwareDemand
from hwds.datasets.simulated.worlds.hardware import PERSISTENCE, DemandLaw, demand_law
from hwds.frames.panel import Panel

PANEL = HardwareDemand().load()


def _rows(dataset: HardwareDemand, panel: Panel) -> DemandLaw:
    offers, law = demand_law(dataset)
    places = {name: place for place, name in enumerate(offers["series_id"])}
    return law.take(np.array([places[name] for name in panel.table["series_id"]]))


def test_the_option_is_found_by_its_recipe():
    assert "hardware_demand" in options("dataset")
    assert resolve("dataset", "simulated/hardware_demand") is HardwareDemand


def test_shape():
    assert 60 <= PANEL.n_series <= 120
    assert PANEL.season == 12
    assert PANEL.horizon == 12
    assert PANEL.unit == "units"
    assert PANEL.table["time"].n_unique() == 108
    assert (PANEL.lengths < 108).all(), "a device outlives the calendar"
    late = PANEL.table["time"].gather(PANEL.offsets[:-1]) > PANEL.table["time"].min()
    assert late.sum() > PANEL.n_series / 2
    assert PANEL.table.null_count().sum_horizontal()[0] == 0


def test_units_are_whole_and_far_from_zero():
    for seed in range(4):
        target = HardwareDemand(seed=seed, families=8, channels=6).load().target
        assert (target == np.round(target)).all()
        assert target.min() >= 5


def test_same_settings_same_bytes():
    assert HardwareDemand().load().fingerprint == PANEL.fingerprint
    assert HardwareDemand(seed=1).load().fingerprint != PANEL.fingerprint


@pytest.mark.parametrize(
    "more", [{"families": 6}, {"channels": 6}, {"months": 120}, {"horizon": 24}]
)
def test_more_of_anything_leaves_what_was_there(more):
    table = HardwareDemand(**more).load().table.filter(pl.col("time") <= PANEL.table["time"].max())
    assert_frame_equal(
        table.filter(pl.col("series_id").is_in(PANEL.series_ids.to_list())), PANEL.table
    )


def test_more_customers_and_plants_change_nothing(monkeypatch):
    larger = replace(HardwareDemand().world(), n_customers=9_000, n_plants=12)
    monkeypatch.setattr(HardwareDemand, "world", lambda self: larger)
    assert HardwareDemand(name="larger").load().fingerprint == PANEL.fingerprint


def test_the_plan_has_the_horizon_of_every_series_still_sold_up_to_its_planned_end():
    last = PANEL.table["time"].max()
    alive = PANEL.table.filter((pl.col("time") == last) & (pl.col("months_to_end") > 0)).sort(
        "series_id"
    )
    planned = PANEL.plan.group_by("series_id").agg(pl.len().cast(pl.Int64)).sort("series_id")
    assert planned["series_id"].to_list() == alive["series_id"].to_list()
    assert planned["len"].to_list() == alive["months_to_end"].clip(upper_bound=12).to_list()
    assert planned["len"].min() < 12 == planned["len"].max()
    assert PANEL.plan["time"].min() == PANEL.frequency.after(pl.Series([last]), 1)[0]
    assert PANEL.plan.columns == ["series_id", "time", *PANEL.roles.known_future]
    assert PANEL.plan.null_count().sum_horizontal()[0] == 0


def test_the_plan_is_what_then_comes():
    longer = HardwareDemand(months=120).load().table
    both = PANEL.plan.join(longer, on=["series_id", "time"], suffix="_then")
    assert len(both) > len(PANEL.plan) / 2
    for name in PANEL.roles.known_future:
        assert (both[name] == both[f"{name}_then"]).all()


def test_statics_agree_with_the_calendar():
    table = PANEL.table.with_columns(
        year=pl.col("time").dt.year().cast(pl.Int64), month=pl.col("time").dt.month().cast(pl.Int64)
    )
    months = {
        name: (pl.col("year") - pl.col(name).dt.year()) * 12
        + pl.col("month")
        - pl.col(name).dt.month()
        for name in ("launch", "planned_end")
    }
    assert table.select((months["launch"] == pl.col("device_age")).all()).item()
    assert table.select((-months["planned_end"] == pl.col("months_to_end")).all()).item()
    assert table["months_to_end"].min() == 0


def test_a_successor_takes_sixty_per_cent_at_its_launch():
    effects = []
    for seed in range(4):
        dataset = HardwareDemand(seed=seed)
        panel = dataset.load()
        rows = replace(_rows(dataset, panel), cannibalisation=np.zeros(len(panel.table)))
        demand = np.log(panel.target / (1 - panel.values("shortage")))
        other = demand - rows.log_interest(panel.table) - rows.log_effects(panel.table)
        launched = panel.values("successor_launched")
        for row in np.flatnonzero(np.diff(launched) > 0) + 1:
            same = panel.table["series_id"][int(row)] == panel.table["series_id"][int(row) - 3]
            if same:
                effects.append(other[row : row + 2].mean() - other[row - 2 : row].mean())
    error = np.std(effects) / np.sqrt(len(effects))
    assert error < 0.03
    assert np.mean(effects) == pytest.approx(np.log(0.4), abs=3 * error)


def test_the_fall_is_plain_in_the_raw_data():
    falls = []
    for seed in range(4):
        table = (
            HardwareDemand(seed=seed)
            .load()
            .table.with_columns(
                fall=pl.col("target") / pl.col("target").shift(1).over("series_id"),
                launch_now=pl.col("successor_launched").diff().over("series_id"),
            )
        )
        falls += table.filter(pl.col("launch_now") == 1)["fall"].to_list()
    assert np.median(falls) == pytest.approx(0.4, abs=0.06)


def test_the_price_of_a_device_falls_once_it_is_succeeded():
    table = PANEL.table.with_columns(since=pl.col("successor_launched").cum_sum().over("series_id"))
    before = table.filter((pl.col("successor_launched") == 0) & (pl.col("promotion") == 0))
    after = table.filter((pl.col("since") > 1) & (pl.col("promotion") == 0))
    mean = [part.group_by("series_id").agg(pl.col("price").mean()) for part in (before, after)]
    both = mean[0].join(mean[1], on="series_id", suffix="_after")
    assert (both["price_after"] / both["price"]).mean() < 0.92


def test_parameters_are_those_of_the_data():
    dataset = HardwareDemand(families=8, channels=6)
    panel = dataset.load()
    parameters = panel.table.select("series_id").join(
        dataset.parameters(), on="series_id", how="left", maintain_order="left"
    )
    month = panel.table["time"].dt.month().to_numpy()
    season = parameters.select(pl.col("^season_.*$")).to_numpy()[np.arange(len(month)), month - 1]
    demand = np.log(panel.target / (1 - panel.values("shortage")))
    known = season + parameters["promotion"].to_numpy() * panel.values("promotion")
    inside = (
        (panel.positions > 0)
        & (panel.values("months_to_end") > 8)
        & (panel.values("device_age") > 10)
    )
    steady = inside[1:] & (np.diff(panel.values("successor_launched")) == 0)
    change = np.diff(demand - known)[steady]
    price = (
        np.diff(np.log(panel.values("price")))[steady]
        * parameters["elasticity"].to_numpy()[1:][steady]
    )
    slope = (price @ change) / (price @ price)
    error = np.std(change - slope * price) / np.sqrt(price @ price)
    assert error < 0.1
    assert slope == pytest.approx(1, abs=4 * error)
    assert dataset.parameters()["cannibalisation"].unique().to_list() == [0.6]


def test_visits_show_next_months_level():
    now, ahead = [], []
    for series in range(PANEL.n_series):
        table = PANEL.block(series, series + 1)
        rows = _rows(HardwareDemand(), table)
        interest = rows.log_interest(table.table)
        level = (
            np.log(table.target / (1 - table.values("shortage")))
            - interest
            - rows.log_effects(table.table)
        )
        visits = np.log(table.values("web_visits")) - interest
        now.append((np.diff(visits)[:-1] * np.diff(level)[:-1]).mean())
        ahead.append((np.diff(visits)[:-1] * np.diff(level)[1:]).mean())
    assert np.mean(ahead) > np.mean(now) + 2 * np.std(ahead) / np.sqrt(len(ahead))


def test_holidays_peak_in_retail_and_not_in_enterprise():
    parameters = HardwareDemand().parameters()
    december = {
        channel: parameters.filter(pl.col("series_id").str.ends_with(channel))["season_12"]
        for channel in ("retail", "enterprise")
    }
    assert december["retail"].min() > 0.3
    assert december["enterprise"].max() < 0.2
    assert parameters.select(pl.sum_horizontal("^season_.*$").abs().max()).item() < 1e-9


def test_the_level_is_stationary_in_the_law():
    law = demand_law(HardwareDemand())[1]
    one = law.level_variance(np.full(len(law.drift), 10))
    assert law.level_variance(np.full(len(law.drift), 11)) == pytest.approx(
        PERSISTENCE**2 * one + law.drift**2
    )


@pytest.mark.parametrize(
    "wrong",
    [{"families": 9}, {"channels": 0}, {"months": 12}, {"cannibalisation": 1.0}, {"noise": 0.0}],
)
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        HardwareDemand(**wrong)


def test_loading_is_fast():
    start = time.process_time()
    HardwareDemand(seed=987).load()
    assert time.process_time() - start < 1.0
