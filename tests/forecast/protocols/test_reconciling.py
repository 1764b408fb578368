"""Reconciled forecasts of a protocol: they add up, what must stay stays, and nothing of the future
is in them.
"""

from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import polars as pl
import pytest

import hwds.frames.panel as hierarchy
from hwds.core.cache import Cache
from hwds.core.compose import compose
from hwds.core.errors import ConfigError
from hwds.core.serialization import Serializable, load_fitted, save_fitted
from hwds.evaluation.leak_check import check_leaks
from hwds.evaluation.protocol import Cell, RunContext, ScoreSegments
from hwds.experiment.prepare import prepare
from hwds.experiment.spec import check
from hwds.forecast.models.base import Forecaster
from hwds.forecast.models.seasonal_naive import SeasonalNaive
from hwds.forecast.protocols.holdout import Holdout
from hwds.forecast.protocols.walk_forward import WalkForward
from hwds.frames.features.none import None_
from hwds.frames.panel import Forecasts, Panel, aggregates_of_series
from hwds.frames.roles import Roles
from hwds.results.tables import SCORES, TIMINGS, TRUTH, Tables
from hwds.supply.decisions.base import RunForecasts
from hwds.supply.decisions.volume_bands import VolumeBands
from tests.support.panels import AskedAnew, monthly_panel

METHODS = ("bottom_up", "top_down", "mint")
SHOWN = ["mean", "q_0.1", "q_0.5", "q_0.9"]
NAIVE = SeasonalNaive(name="naive")


class Mean(Forecaster):
    """The mean of the last `last` rows of each series, the more rows the more of them: sums do not
    add up.
    """

    local = True
    last: int = 5

    def learn(self, history, *, horizon, context):
        return FittedMean(self.last, context.levels)


@dataclass(frozen=True)
class FittedMean(Serializable):
    last: int
    levels: tuple[float, ...]

    def predict(self, history, future):
        rows = [history.series(i) for i in range(history.n_series)]
        mean = np.array([np.nanmean(row[-self.last - int(abs(row[-1])) % 3 :]) for row in rows])
        spread = np.array([np.nanstd(row[-24:]) for row in rows])
        steps = future.lengths[0]
        whole = np.repeat(mean[:, None], steps, 1)
        width = np.repeat(spread[:, None], steps, 1)[..., None] * (np.array(self.levels) - 0.5)
        return Forecasts.of(whole, whole[..., None] + 3 * width)


def shop(n_series=8, months=72, seed=0):
    """Series of two regions and two kinds, one that begins late, one that ends early, one that ends
    inside the horizon.
    """
    panel = monthly_panel(n_series, months, seed)
    number = pl.col("series_id").str.slice(1).cast(pl.Int64)
    month = pl.int_range(pl.len()).over("series_id")
    table = panel.table.with_columns(
        pl.when(number < 5).then(pl.lit("N")).otherwise(pl.lit("S")).alias("region"),
        pl.when(number % 2 == 0).then(pl.lit("x")).otherwise(pl.lit("y")).alias("kind"),
    )
    late = (pl.col("series_id") == "s1") & (month < months - 4)
    early = (pl.col("series_id") == "s2") & (month > months - 15)
    inside = (pl.col("series_id") == "s3") & (month > months - 4)
    roles = panel.roles | {"static": ("region", "kind"), "level": ("region", "kind")}
    return Panel.build(
        table.filter(~(late | early | inside)), panel.frequency, roles=roles, horizon=6
    )


def context(folder):
    return RunContext(0, features=None_(), cache=Cache(Path(mkdtemp(dir=folder))))


def raw(protocol, frame, model, folder, block=None):
    here, parts = context(folder), []
    for fold in protocol.split(frame):
        size = block or fold.units
        for start in range(0, fold.units, size):
            cell = Cell("m", fold, start, min(start + size, fold.units))
            rows = protocol.evaluate_cell(model, frame, cell, replace(here, fold=fold.name))
            if rows.width:
                parts.append(rows.select(pl.lit(fold.index, pl.Int32).alias("fold"), pl.all()))
    return pl.concat(parts).sort("fold", *protocol.keys)


def settled(protocol, panel, model, folder, block=None):
    frame = protocol.prepare_frame(panel)
    return protocol.postprocess(raw(protocol, frame, model, folder, block))


def off(rows, panel, column):
    """How far each aggregate is from the sum of its series, in shares of it.

    Of `actual`, over those that have one.
    """
    parts = rows.join(aggregates_of_series(panel, grouped=True), on="series_id").explode("groups")
    keys = ["fold", "cutoff", "step"] if "fold" in rows.columns else ["cutoff", "step"]
    sums = parts.group_by(*keys, pl.col("groups").alias("series_id")).agg(
        pl.col(column).sum().alias("sum")
    )
    both = rows.join(sums, on=[*keys, "series_id"])
    assert len(both) > 20
    return both.select(
        ((pl.col(column) - pl.col("sum")).abs() / (1 + pl.col("sum").abs())).max()
    ).item()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("intervals", ["model", "conformal", "adaptive"])
def test_means_add_up_at_every_level_cutoff_and_step(method, intervals, tmp_path):
    protocol = WalkForward(
        windows=2,
        refit="never",
        gap=1,
        reconcile=method,
        grouped=method != "top_down",
        intervals=intervals,
    )
    rows = settled(protocol, shop(), Mean(), tmp_path)
    base = settled(
        replace(protocol, reconcile="none"), protocol.prepare_frame(shop()), Mean(), tmp_path
    )
    assert off(base, shop(), "mean") > 1e-3
    assert off(rows, shop(), "mean") < 1e-9
    assert rows["cutoff"].n_unique() == 2
    assert rows["step"].unique().sort().to_list() == [2, 3, 4, 5, 6, 7]
    for low, high in pairwise(SHOWN[1:]):
        assert (rows[low] <= rows[high]).all()
    assert not {"groups", "exists", "nonnegative", "window", "summed"} & set(rows.columns)


def test_actuals_are_of_the_series_that_were_asked_and_the_ended_say_nothing_more(tmp_path):
    panel = shop()
    rows = settled(Holdout(horizon=6, reconcile="mint"), panel, Mean(), tmp_path)
    asked = set(rows["series_id"]) & set(panel.series_ids)
    assert asked == {
        "s0",
        "s3",
        "s4",
        "s5",
        "s6",
        "s7",
    }  # s1 begins after the cutoff, s2 has ended before it
    assert off(rows, panel, "actual") < 1e-12
    ended = rows.filter((pl.col("series_id") == "s3") & (pl.col("step") > 3))
    assert ended["actual"].is_null().all()
    assert (
        ended["mean"].is_not_null().all()
    )  # what is forecast of a sum does not tell that a part is about to end
    with_launch = panel.table.filter(pl.col("time") == pl.col("time").max())["target"].sum()
    total = rows.filter((pl.col("series_id") == "total") & (pl.col("step") == 6))["actual"][0]
    assert total < with_launch - 50


def test_bottom_up_leaves_the_bottom_as_it_is(tmp_path):
    protocol = Holdout(horizon=6, reconcile="bottom_up", grouped=True)
    rows = settled(protocol, shop(), Mean(), tmp_path)
    base = settled(
        replace(protocol, reconcile="none"), protocol.prepare_frame(shop()), Mean(), tmp_path
    )
    bottom = pl.col("series_id").str.starts_with("s")
    both = [
        part.filter(
            bottom, pl.col("actual").is_not_null(), pl.col("cutoff") == pl.col("cutoff").max()
        )
        for part in (rows, base)
    ]
    keys = ["series_id", "step"]
    again = (
        both[0].select(*keys, *SHOWN).join(both[1].select(*keys, *SHOWN), on=keys, suffix="_base")
    )
    assert len(again) == 30
    assert all(again[name].equals(again[f"{name}_base"], check_names=False) for name in SHOWN)


def test_minimum_trace_leaves_forecasts_that_add_up(tmp_path):
    whole = monthly_panel(8, 72)
    number = pl.col("series_id").str.slice(1).cast(pl.Int64)
    table = whole.table.with_columns((number % 3).cast(pl.String).alias("group"))
    panel = replace(whole, table=table, roles=whole.roles | {"level": ("group",)})
    protocol = WalkForward(windows=2, reconcile="mint")
    rows = settled(protocol, panel, NAIVE, tmp_path)
    base = settled(
        replace(protocol, reconcile="none"), protocol.prepare_frame(panel), NAIVE, tmp_path
    )
    assert off(base, panel, "mean") < 1e-12
    np.testing.assert_allclose(rows["mean"], base["mean"], rtol=1e-9)
    assert rows["series_id"].n_unique() == 12


def test_what_was_never_negative_does_not_become_so(tmp_path):
    panel = shop()
    low = panel.table.with_columns(target=(pl.col("target") - 200).clip(0))
    rows = settled(
        Holdout(horizon=6, reconcile="mint", grouped=True),
        replace(panel, table=low),
        Mean(),
        tmp_path,
    )
    assert rows.select(pl.min_horizontal(SHOWN).min()).item() == 0
    assert off(rows, panel, "mean") < 1e-9
    below = panel.table.with_columns(target=pl.col("target") - 200)
    rows = settled(
        Holdout(horizon=6, reconcile="mint", grouped=True),
        replace(panel, table=below),
        Mean(),
        tmp_path,
    )
    assert rows["mean"].min() < 0
    assert off(rows, panel, "mean") < 1e-9


@pytest.mark.parametrize("intervals", ["model", "conformal"])
def test_how_cells_are_cut_does_not_show(intervals, tmp_path):
    protocol = WalkForward(windows=2, reconcile="mint", intervals=intervals)
    whole = settled(protocol, shop(), Mean(), tmp_path)
    assert settled(protocol, shop(), Mean(), tmp_path, block=3).equals(whole)


@pytest.mark.parametrize(
    "protocol", [Holdout(horizon=6), WalkForward(windows=2, refit="never", intervals="adaptive")]
)
def test_nothing_after_the_cutoff_is_in_a_sum(protocol, tmp_path, monkeypatch):
    asked = replace(protocol, reconcile="mint", grouped=True)
    found = check_leaks(
        asked,
        "m",
        Mean(),
        asked.prepare_frame(shop()),
        replace(context(tmp_path), cache=AskedAnew(tmp_path)),
    )
    assert list(found) == [None] * (1 if isinstance(protocol, Holdout) else 2)

    honest = hierarchy._sums

    def peeking(panel, parts, table):
        rows = honest(panel, parts, table)
        return rows.with_columns(
            pl.col("target")
            .shift(-1)
            .over("series_id", order_by="time")
            .fill_null(pl.col("target"))
        )

    monkeypatch.setattr(hierarchy, "_sums", peeking)
    found = check_leaks(
        asked,
        "m",
        Mean(),
        asked.prepare_frame(shop()),
        replace(context(tmp_path), cache=AskedAnew(tmp_path)),
    )
    assert all(leak is not None for leak in found)


def test_without_a_window_to_learn_from_all_still_adds_up_and_it_is_said(tmp_path):
    panel = shop(months=72)
    short = replace(
        panel, table=panel.table.filter(pl.col("time") > pl.col("time").max().dt.offset_by("-12mo"))
    )
    protocol = Holdout(horizon=6, reconcile="mint")
    rows = settled(protocol, short, Mean(), tmp_path)
    assert off(rows, panel, "mean") < 1e-9
    said = protocol.warnings_before(protocol.prepare_frame(short), {})
    assert any("no window before the first cutoff" in remark for remark in said)
    assert "1 of level total, 2 of level region, 3 of level region|kind" in said[0]
    assert "no window" not in " ".join(protocol.warnings_before(protocol.prepare_frame(panel), {}))


@pytest.mark.parametrize("intervals", ["model", "conformal"])
def test_the_months_to_come_add_up_too(intervals, tmp_path):
    panel = shop()
    plan = panel.table.filter(pl.col("time") == pl.col("time").max()).select(
        "series_id", "promotion"
    )
    times = panel.frequency.after(pl.Series([panel.table["time"].max()]), 1)
    panel = replace(
        panel,
        plan=plan.with_columns(pl.lit(times[0]).alias("time")).select(
            "series_id", "time", "promotion"
        ),
    )
    ahead = Holdout(horizon=6, reconcile="mint", grouped=True, intervals=intervals)
    frame = ahead.prepare_frame(panel)
    fitted = ahead.fit_all(Mean(), frame, context(tmp_path))
    save_fitted(fitted, tmp_path / "kept")
    rows = ahead.predict_new(fitted, frame, context(tmp_path))
    assert set(rows["series_id"]) >= {"s0", "s1", "total", "region=N", "kind=x"}
    assert "s2" not in set(rows["series_id"])
    parts = rows.join(aggregates_of_series(panel, grouped=True), on="series_id").explode("groups")
    sums = parts.group_by(pl.col("groups").alias("series_id")).agg(
        pl.col("mean").sum().alias("sum")
    )
    both = rows.join(sums, on="series_id")
    np.testing.assert_allclose(both["mean"], both["sum"], rtol=1e-9)
    assert {"groups", "fold", "exists"}.isdisjoint(rows.columns)
    assert ahead.predict_new(load_fitted(tmp_path / "kept"), frame, context(tmp_path)).equals(rows)


def test_scores_by_level(tmp_path):
    protocol = Holdout(horizon=6, reconcile="mint", segments=("level",))
    frame = protocol.prepare_frame(shop())
    rows = protocol.postprocess(raw(protocol, frame, NAIVE, tmp_path)).drop("fold")
    told = [
        score
        for score, _ in ScoreSegments.of(protocol, frame).scores(protocol.score, rows, [])
        if score.metric == "mase[m=12]"
    ]
    found = {score.segment: score.n for score in told if score.aggregate == "mean"}
    assert found == {"region": 2, "region|kind": 3, "series": 6, "total": 1}


def test_refusals(tmp_path):
    bare = monthly_panel()
    with pytest.raises(ConfigError, match=r"protocol\.reconcile: needs a hierarchy"):
        Holdout(reconcile="mint").prepare_frame(bare)
    with pytest.raises(
        ConfigError, match=r"protocol\.align: must be calendar with reconcile=mint, got end"
    ):
        WalkForward(reconcile="mint", align="end").check_names()
    with pytest.raises(ConfigError, match=r"protocol\.paths: must be 0 with reconcile=mint, got 5"):
        Holdout(reconcile="mint", paths=5).check_names()
    with pytest.raises(
        ConfigError, match=r"protocol\.grouped: must be false with reconcile=top_down"
    ):
        Holdout(reconcile="top_down", grouped=True).check_names()
    assert Holdout().prepare_frame(bare) is bare


def test_a_split_of_ones_own_is_the_cutoff(tmp_path):
    panel = shop()
    last = panel.table["time"].max()
    split = (
        pl.when(pl.col("time") > pl.lit(last).dt.offset_by("-4mo"))
        .then(pl.lit("test"))
        .otherwise(pl.lit("train"))
    )
    roles: Roles = panel.roles | {"split": "split"}
    own = replace(panel, table=panel.table.with_columns(split.alias("split")), roles=roles)
    rows = settled(Holdout(reconcile="mint"), own, Mean(), tmp_path)
    assert rows["step"].max() == 4
    assert rows["cutoff"].n_unique() == 1
    assert off(rows, panel, "mean") < 1e-9


def prepared(*words):
    said = [
        "dataset=hardware_demand",
        "size=small",
        "model=forecast/seasonal_naive",
        "protocol=holdout",
        "protocol.horizon=6",
    ]
    return prepare(check(compose([*said, *words])))


def test_another_way_to_add_up_takes_the_finished_cells_and_a_truth_of_single_series_is_not_asked(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    mint, up = (prepared(f"protocol.reconcile={method}") for method in ("mint", "bottom_up"))
    assert list(mint.work.cells.values()) == list(up.work.cells.values())
    assert mint.folder.path != up.folder.path
    assert set(mint.job.models) == {"forecast/seasonal_naive"}
    assert "total" in mint.frame.series_ids
    plain = prepared()
    assert TRUTH in plain.job.models
    assert not set(mint.work.cells.values()) & set(plain.work.cells.values())


def test_deals_are_made_of_the_datasets_own_series(tmp_path):
    protocol = Holdout(name="holdout", horizon=6, reconcile="mint")
    frame = protocol.prepare_frame(shop())
    rows = protocol.postprocess(raw(protocol, frame, Mean(), tmp_path)).drop("fold")
    for deal, names in (((), {"s0", "s3", "s4", "s5", "s6", "s7"}), (("region",), {"N", "S"})):
        tables = Tables(pl.DataFrame(schema=SCORES), rows, pl.DataFrame(schema=TIMINGS))
        run = RunForecasts(tables, frame, "mean", protocol, None)
        windows = VolumeBands(name="volume_bands", deal=deal)._windows(rows, run)
        assert set(windows.keys["deal"]) == names
        assert len(windows.keys) == 6
