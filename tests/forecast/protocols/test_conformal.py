"""Conformal intervals of a protocol: calibrated before the cutoff, pooled over series, kept with
the final model.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import polars as pl
import pytest

from hwds.core.cache import Cache
from hwds.core.serialization import Serializable, load_fitted, save_fitted
from hwds.evaluation.protocol import Cell, RunContext
from hwds.forecast.models.base import Forecaster
from hwds.forecast.models.seasonal_naive import SeasonalNaive
from hwds.forecast.postprocessing import CalibratedModel
from hwds.forecast.protocols.holdout import Holdout
from hwds.forecast.protocols.walk_forward import WalkForward
from hwds.frames.features.none import None_
from hwds.frames.panel import Forecasts
from tests.support.panels import LastValue, monthly_panel

LEVELS = (0.1, 0.25, 0.5, 0.75, 0.9)
SHOWN = [f"q_{level:g}" for level in LEVELS]


class Narrow(Forecaster):
    """The last value, with quantiles that are much too near."""

    local = True
    width: float = 0.01

    def learn(self, history, *, horizon, context):
        return FittedNarrow(context.levels, self.width)


@dataclass(frozen=True)
class FittedNarrow(Serializable):
    levels: tuple[float, ...]
    width: float

    def predict(self, history, future):
        last = history.target[history.offsets[1:] - 1]
        mean = np.repeat(last[:, None], future.lengths[0], axis=1)
        return Forecasts.of(mean, mean[..., None] + self.width * (np.array(self.levels) - 0.5))


def raw(protocol, panel, model, folder, block=None):
    """The rows of a run, with their fold."""
    context = RunContext(0, features=None_(), cache=Cache(Path(mkdtemp(dir=folder))))
    parts = []
    for fold in protocol.split(panel):
        size = block or fold.units
        for start in range(0, fold.units, size):
            cell = Cell("m", fold, start, min(start + size, fold.units))
            rows = protocol.evaluate_cell(model, panel, cell, replace(context, fold=fold.name))
            if rows.width:
                parts.append(rows.select(pl.lit(fold.index, pl.Int32).alias("fold"), pl.all()))
    return pl.concat(parts).sort("fold", *protocol.keys)


def settled(protocol, panel, model, folder, block=None):
    return protocol.postprocess(raw(protocol, panel, model, folder, block))


def noisy(n_series=60, months=90, seed=0):
    return monthly_panel(n_series, months, seed)


def coverage(rows, low="q_0.1", high="q_0.9"):
    return rows.select(pl.col("actual").is_between(low, high).mean()).item()


def test_intervals_cover_where_the_models_own_did_not_and_points_stay(tmp_path):
    own = settled(Holdout(horizon=6, levels=LEVELS), noisy(), Narrow(), tmp_path)
    rows = settled(
        Holdout(horizon=6, levels=LEVELS, intervals="conformal"), noisy(), Narrow(), tmp_path
    )
    assert coverage(own) < 0.05
    assert coverage(rows) == pytest.approx(0.8, abs=0.12)
    assert rows.select("actual", "mean", "q_0.5").equals(own.select("actual", "mean", "q_0.5"))
    assert rows["calibrated"].all()


def test_what_is_kept_has_no_trace_of_inner_windows(tmp_path):
    own = settled(Holdout(horizon=6, levels=LEVELS), noisy(6), Narrow(), tmp_path)
    rows = settled(
        Holdout(horizon=6, levels=LEVELS, intervals="conformal"), noisy(6), Narrow(), tmp_path
    )
    assert rows.columns == [*own.columns, "calibrated"]
    assert not {"window", "nonnegative", "available_at"} & set(own.columns)
    assert rows.height == own.height


@pytest.mark.parametrize("intervals", ["conformal", "adaptive"])
@pytest.mark.parametrize("align", ["calendar", "end"])
def test_how_units_are_cut_does_not_show(intervals, align, tmp_path):
    panel = noisy(12, 80)
    panel = panel.until(
        np.array([80, 80, 80, 61, 80, 80, 30, 80, 74, 80, 80, 80])
    )  # some have ended, one is short
    protocol = WalkForward(
        windows=3, horizon=6, levels=LEVELS, intervals=intervals, align=align, refit="every_2"
    )
    whole = settled(protocol, panel, Narrow(), tmp_path)
    assert whole.equals(settled(protocol, panel, Narrow(), tmp_path, block=3))
    assert whole.equals(settled(protocol, panel, Narrow(), tmp_path, block=1))
    assert whole["calibrated"].all()


def test_exact_data_gets_no_width(tmp_path):
    panel = monthly_panel(4, 72)
    season = 50 + 10 * np.sin(2 * np.pi * panel.positions / 12)
    exact = replace(panel, table=panel.table.with_columns(target=pl.Series(np.round(season, 6))))
    rows = settled(
        Holdout(horizon=6, levels=LEVELS, intervals="conformal"), exact, Wide(), tmp_path
    )
    assert (rows["actual"] - rows["q_0.5"]).abs().max() == 0
    assert all(rows[name].equals(rows["q_0.5"].alias(name)) for name in SHOWN)
    assert rows["calibrated"].all()


class Wide(SeasonalNaive):
    """The seasonal naive with quantiles that are far too wide."""

    def learn(self, history, *, horizon, context):
        class Fitted:
            def predict(self, history, future):
                plain = (
                    SeasonalNaive()
                    .learn(history, horizon=horizon, context=context)
                    .predict(history, future)
                )
                wide = plain.mean[..., None] + 30 * (np.array(context.levels) - 0.5)
                return Forecasts.of(plain.mean, wide)

        return Fitted()


def test_a_series_that_was_never_negative_is_not_forecast_below_zero(tmp_path):
    panel = noisy(30, 80)
    low = panel.table.with_columns(target=(pl.col("target") - 60).clip(0))
    below = panel.table.with_columns(target=pl.col("target") - 200)
    for table, least in ((low, 0.0), (below, -np.inf)):
        rows = settled(
            Holdout(horizon=6, levels=LEVELS, intervals="conformal"),
            replace(panel, table=table),
            Narrow(),
            tmp_path,
        )
        assert rows["q_0.1"].min() >= least
    assert rows["q_0.1"].min() < 0


def test_quantiles_do_not_cross(tmp_path):
    for intervals in ("conformal", "adaptive"):
        protocol = WalkForward(windows=3, horizon=6, levels=LEVELS, intervals=intervals)
        rows = settled(protocol, noisy(8), SeasonalNaive(), tmp_path)
        assert (np.diff(rows.select(SHOWN).to_numpy(), axis=1) >= 0).all()


def test_panels_too_short_for_an_inner_window_keep_the_models_own_and_say_so(tmp_path):
    protocol = Holdout(horizon=6, levels=LEVELS, intervals="conformal")
    panel = monthly_panel(4, 12)
    rows = settled(protocol, panel, Narrow(), tmp_path)
    own = settled(Holdout(horizon=6, levels=LEVELS), panel, Narrow(), tmp_path)
    assert rows.select(SHOWN).equals(own.select(SHOWN))
    _, said = protocol.warnings_after(protocol.split(panel), rows)
    assert said.startswith("24 of 24 forecasts have the model's own intervals: ")


def test_fallbacks_teach_nothing_of_the_model(tmp_path):
    class Sometimes(Narrow):
        """Leaves every other series to something simpler, with errors that are huge."""

        def learn(self, history, *, horizon, context):
            fitted = super().learn(history, horizon=horizon, context=context)

            class Half:
                def predict(self, history, future):
                    plain = fitted.predict(history, future)
                    lost = np.array([int(name[1:]) % 2 == 1 for name in history.series_ids])
                    shift = np.where(lost, 1e4, 0.0)[:, None]
                    return Forecasts.of(
                        plain.mean + shift, plain.quantiles + shift[..., None], lost
                    )

            return Half()

    protocol = Holdout(horizon=6, levels=LEVELS, intervals="conformal")
    mixed = settled(protocol, noisy(40), Sometimes(), tmp_path)
    even = pl.Series([int(name[1:]) % 2 == 0 for name in noisy(40).table["series_id"]])
    alone = settled(
        protocol, replace(noisy(40), table=noisy(40).table.filter(even)), Narrow(), tmp_path
    )
    assert mixed.filter(~pl.col("fallback")).select(SHOWN).equals(alone.select(SHOWN))


def test_one_more_fit_serves_all_inner_windows(tmp_path):
    class Counted(LastValue):
        """Counts its fits."""

        local = False

        def learn(self, history, *, horizon, context):
            FITS.append(int(history.lengths.max()))
            return LastValue.learn(self, history, horizon=horizon, context=context)

    FITS.clear()
    rows = raw(Holdout(horizon=6, intervals="conformal"), monthly_panel(4, 60), Counted(), tmp_path)
    assert FITS == [54, 54 - 18]
    assert sorted(rows["window"].unique()) == [-3, -2, -1, 0]


FITS: list[int] = []


def test_cells_are_those_of_other_intervals_where_they_carry_the_same():
    panel = monthly_panel()
    for kind, windows in {
        "model": [0, 0, 0],
        "conformal": [3, 3, 3],
        "adaptive": [3, 0, 0],
    }.items():
        protocol = WalkForward(windows=3, intervals=kind)
        assert [protocol.fold_settings(fold) for fold in protocol.split(panel)] == windows
    assert {"intervals", "calibration"} <= set(WalkForward.fields_not_in_key)


def test_the_final_model_is_kept_with_its_calibration(tmp_path):
    panel = noisy(30, 72)
    panel = replace(panel, roles=panel.roles | {"known_future": ()})
    protocol = Holdout(horizon=6, levels=LEVELS, intervals="conformal")
    context = RunContext(0, "final", features=None_(), cache=Cache(tmp_path / "cells"))
    fitted = protocol.fit_all(Narrow(), panel, context)
    assert isinstance(fitted, CalibratedModel)
    save_fitted(fitted, tmp_path / "model")
    rows = protocol.predict_new(fitted, panel, context)
    again = protocol.predict_new(load_fitted(tmp_path / "model"), panel, context)
    plain = Holdout(horizon=6, levels=LEVELS)
    own = plain.predict_new(plain.fit_all(Narrow(), panel, context), panel, context)
    assert again.equals(rows)
    assert rows.select("mean", "q_0.5").equals(own.select("mean", "q_0.5"))
    assert ((rows["q_0.9"] - rows["q_0.1"]) > 10 * (own["q_0.9"] - own["q_0.1"])).all()
    assert not {"window", "nonnegative", "scale_abs"} & set(rows.columns)


def test_what_is_foreseen_is_what_would_have_been_settled(tmp_path):
    """The final model of a shorter history answers as the protocol does at that cutoff, bit for
    bit.
    """
    panel = noisy(20, 78)
    panel = replace(panel, roles=panel.roles | {"known_future": ()})
    protocol = Holdout(horizon=6, levels=LEVELS, intervals="conformal")
    rows = settled(protocol, panel, SeasonalNaive(), tmp_path)
    shorter = panel.until(panel.lengths - 6)
    context = RunContext(0, "end-6", features=None_(), cache=Cache(tmp_path / "cells"))
    shown_again = protocol.predict_new(
        protocol.fit_all(SeasonalNaive(), shorter, context), shorter, context
    )
    keys = ["series_id", "step"]
    assert shown_again.sort(keys).select(SHOWN).equals(rows.sort(keys).select(SHOWN))
