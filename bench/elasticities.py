"""Elasticities of simulated worlds: the table of the bars, over many seeds (`python -m
bench.elasticities [SEEDS [WORLDS]]`).

Written to `bench/elasticities.txt`: recovery of the truth by each model, with and without
endogenous prices; how often instruments are within two errors of the truth; the bias of pseudo-likelihood by mean units; the rate at which a placebo is
rejected in null worlds, with clustered and independent errors.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from hwds.core.seeds import stream
from hwds.datasets.simulated.price_sales import PriceSales
from hwds.elasticity.fitted import ElasticityContext
from hwds.elasticity.models.base import ElasticityModel
from hwds.elasticity.models.iv import IV
from hwds.elasticity.models.loglog_ols import LoglogOLS
from hwds.elasticity.models.network import Network
from hwds.elasticity.models.pooled import Pooled
from hwds.elasticity.models.ppml import PPML
from hwds.elasticity.models.stack import Stack
from hwds.elasticity.sweeping import fit_ppml

SEEDS, NULL_WORLDS, BIAS_WORLDS, STACKS, LASTING_WORLDS = 25, 500, 400, 10, 400
FEW = 30
"""Rows under which a cell has few."""


def main(seeds: int, worlds: int) -> None:
    """Print all tables, and keep them."""
    lines: list[str] = []
    for part in (
        recovery(seeds),
        endogenous(seeds),
        lasting(LASTING_WORLDS),
        stacks(min(seeds, STACKS)),
        bias(),
        placebo(worlds),
        large(),
    ):
        for line in (*part, ""):
            print(line, flush=True)
            lines.append(line)
    Path(__file__).with_suffix(".txt").write_text("\n".join(lines[:-1]) + "\n")


WITHIN = (
    "common elasticity within two errors of the cells' mean",
    "mean of the cells within two errors of theirs",
    "effect of the lagged price within two errors",
    "Anderson and Rubin's interval holds the cells' mean",
    "intervals of cells hold the truth",
    "the same, of cells that prices identify",
)
"""What is counted of `elasticity/iv`."""


def recovery(seeds: int) -> Iterator[str]:
    """Yield the recovery of the truth without endogenous prices."""
    models = {
        "elasticity/pooled": Pooled(),
        "elasticity/network": Network(),
        "elasticity/ppml_common": PPML(common="all"),
        "elasticity/ppml": PPML(),
        "elasticity/loglog_ols": LoglogOLS(),
        "elasticity/loglog_ols, all cells": LoglogOLS(least_rows=4),
    }
    yield from _recovered(f"price_sales, 160 cells, {seeds} seeds", models, PriceSales(), seeds)


def endogenous(seeds: int) -> Iterator[str]:
    """Yield the recovery of the truth where sellers price demand shocks."""
    models = {
        "elasticity/iv": IV(),
        "elasticity/pooled": Pooled(),
        "elasticity/loglog_ols": LoglogOLS(),
    }
    dataset = PriceSales(endogeneity=0.5, pass_through=0.9, shock_persistence=0.8)
    yield from _recovered(
        f"price_sales_endogenous, 160 cells, {seeds} seeds", models, dataset, seeds
    )


def lasting(worlds: int) -> Iterator[str]:
    """Yield how often `elasticity/iv` is within two errors of the truth if shocks last."""
    dataset = PriceSales(
        skus=10, weeks=60, endogeneity=0.5, pass_through=0.9, shock_persistence=0.8
    )
    rows = []
    for seed in range(1000, 1000 + worlds):
        world = replace(dataset, seed=seed)
        panel = world.load()
        true = panel.series_ids.to_frame().join(
            world.parameters(), "series_id", "left", maintain_order="left"
        )["elasticity"]
        fitted = IV().learn(panel, ElasticityContext(0))
        table, notes = fitted.table, fitted.estimates.notes
        inside = table["ci_low"].le(true) & table["ci_high"].ge(true)
        sure = table["status"] == "identified"
        assert fitted.estimates.covariance is not None
        error = float(np.sqrt(fitted.estimates.covariance.mean()))
        mean, away = float(true.mean()), abs(table["lag"][0] - dataset.pull_forward)  # type: ignore[arg-type]
        rows.append(
            (
                abs(notes["common_elasticity"] - mean) < 2 * notes["common_stderr"],
                abs(float(table["elasticity"].mean()) - mean) < 2 * error,  # type: ignore[arg-type]
                away < 2 * table["lag_stderr"][0],
                notes["anderson_rubin_low"] <= mean <= notes["anderson_rubin_high"],
                inside.mean(),
                (inside & sure).sum(),
                sure.sum(),
            )
        )
    found = np.array(rows, float)
    shares = [*found[:, :5].mean(axis=0), found[:, 5].sum() / found[:, 6].sum()]
    yield f"elasticity/iv, shocks that last (.8 a week), 40 cells, {worlds} worlds"
    for name, share in zip(WITHIN, shares, strict=True):
        yield f"  {name:<58} {100 * share:5.1f} %"


def _recovered(
    title: str, models: Mapping[str, ElasticityModel], dataset: PriceSales, seeds: int
) -> Iterator[str]:
    form = "{:<34} {:>6} {:>7} {:>9} {:>11} {:>9} {:>12}"
    yield title
    yield form.format("", "RMSE", "bias", "coverage", "wrong sign", "answered", "RMSE, n<30")
    errors: dict[str, list[np.ndarray]] = {name: [] for name in models}
    notes: dict[str, list[Mapping[str, float]]] = {name: [] for name in models}
    for seed in range(seeds):
        world = replace(dataset, seed=seed)
        panel = world.load()
        true = panel.series_ids.to_frame().join(
            world.parameters(), "series_id", "left", maintain_order="left"
        )["elasticity"]
        for name, model in models.items():
            fitted = model.learn(panel, ElasticityContext(0))
            table = fitted.table
            notes[name].append(fitted.estimates.notes)
            columns = [
                table[name].fill_null(float("nan")).to_numpy()
                for name in ("elasticity", "ci_low", "ci_high")
            ]
            errors[name].append(np.stack([*columns, true.to_numpy(), panel.lengths.astype(float)]))
    for name, estimates in errors.items():
        slope, low, high, truth, rows = np.concatenate(estimates, axis=1)
        known = np.isfinite(slope)
        error, few = (slope - truth)[known], known & (rows < FEW)
        few_rmse = f"{np.sqrt(np.mean((slope - truth)[few] ** 2)):.3f}" if few.any() else "-"
        yield form.format(
            name,
            f"{np.sqrt(np.mean(error**2)):.3f}",
            f"{error.mean():+.3f}",
            f"{100 * np.mean((low <= truth) & (truth <= high), where=known):.1f} %",
            f"{100 * np.mean(slope > 0, where=known):.2f} %",
            f"{100 * known.mean():.0f} %",
            few_rmse,
        )
    for name, known_notes in notes.items():
        yield from _agreement(name, known_notes)


def _agreement(name: str, notes: list[Mapping[str, float]]) -> Iterator[str]:
    """Yield how far answers are from those of the pooled model, where a model says so."""
    if "outside_pooled" in notes[0]:
        outside, apart = (
            np.array([each[key] for each in notes]) for key in ("outside_pooled", "mean_apart")
        )
        yield (
            f"{name}: {100 * outside.mean():.2f} % of answers outside the interval of "
            f"elasticity/pooled, and flagged;"
        )
        yield (
            f"  its mean is at most {np.abs(apart).max():.2f} standard errors from that of "
            f"elasticity/pooled"
        )


def stacks(seeds: int) -> Iterator[str]:
    """Yield the recovery of the truth by a stack and by each of its members, and the weights."""
    members = {"elasticity/pooled": Pooled(), "elasticity/network": Network()}
    yield f"elasticity/stack, price_sales, 160 cells, {seeds} seeds"
    yield "{:<34} {:>6} {:>7}".format("", "RMSE", "weight")
    named = tuple(replace(model, name=name) for name, model in members.items())
    found: dict[str, list[tuple[float, float]]] = {
        name: [] for name in ("elasticity/stack", *members)
    }
    for seed in range(seeds):
        world = PriceSales(seed=seed)
        panel = world.load()
        true = panel.series_ids.to_frame().join(
            world.parameters(), "series_id", "left", maintain_order="left"
        )["elasticity"]
        stack = Stack(members=named).learn(panel, ElasticityContext(0))
        for name, fitted in zip(found, (stack, *stack.members), strict=True):
            weight = stack.estimates.notes.get(f"weight_{name}", np.nan)
            found[name].append(
                (float(np.mean((fitted.estimates.slopes - true.to_numpy()) ** 2)), weight)
            )
    for name, each in found.items():
        squares, weight = np.array(each).mean(axis=0)
        share = "" if np.isnan(weight) else f"{weight:.2f}"
        yield f"{name:<34} {np.sqrt(squares):>6.3f} {share:>7}"


def bias() -> Iterator[str]:
    """Yield the mean estimate of a true elasticity of -2 by mean units a period: pseudo-likelihood
    and the textbook's.
    """
    form = "{:>12} {:>9} {:>10} {:>14} {:>12}"
    yield (
        f"a true elasticity of -2, 200 periods, sd of log price .15, 40 cells, {BIAS_WORLDS} worlds"
    )
    yield form.format("mean units", "zeros", "PPML", "s.e. of mean", "log(units+1)")
    for units in (0.3, 1, 2, 5, 30, 100):
        estimates = np.array([_estimates(units, seed) for seed in range(BIAS_WORLDS)])
        error = estimates[:, 0].std(ddof=1) / np.sqrt(BIAS_WORLDS)
        cells = (
            f"{100 * estimates[:, 2].mean():.0f} %",
            f"{estimates[:, 0].mean():.3f}",
            f"{error:.3f}",
            f"{estimates[:, 1].mean():.3f}",
        )
        yield form.format(f"{units:g}", *cells)


def _estimates(units: float, seed: int) -> tuple[float, float, float]:
    rng = stream(seed, "bias", str(units))
    cell, period = np.repeat(np.arange(40), 200), np.tile(np.arange(200), 40)
    price = 0.15 * rng.standard_normal(8000)
    log_mean = (
        0.5 * rng.standard_normal(40)[cell] + 0.2 * rng.standard_normal(200)[period] - 2 * price
    )
    sold = rng.poisson(units * np.exp(log_mean) / np.exp(log_mean).mean()).astype(float)
    slope = float(fit_ppml(sold, price[:, None], cell, period).beta[0])
    logs = np.log1p(sold)
    centred = price - np.bincount(cell, price)[cell] / 200
    return slope, float(centred @ logs / (centred @ centred)), float(np.mean(sold == 0))


def placebo(worlds: int) -> Iterator[str]:
    """Yield how often prices to come seem to matter, in worlds in which they do not."""
    yield (
        f"placebo: price of the next week, set by product, {worlds} worlds of 12 products in 6 "
        f"channels and 40 weeks"
    )
    yield "a product's channels share a shock of sd .3 in each week; nominal 5 %"
    rejected = {
        "clustered by product and week": 0,
        "clustered by product (12, wild bootstrap)": 0,
        "independent": 0,
    }
    for seed in range(worlds):
        p_values = _placebo_p(seed)
        for name, p in zip(rejected, p_values, strict=True):
            rejected[name] += p < 0.05
    for name, count in rejected.items():
        share = count / worlds
        yield (
            f"  {name:<45} {100 * share:5.1f} % (s.e. "
            f"{100 * np.sqrt(share * (1 - share) / worlds):.1f})"
        )


def _placebo_p(seed: int) -> tuple[float, float, float]:
    """Return p-values of the price to come: clustered by product and week, by product, and of
    independent errors.
    """
    from scipy.stats import norm

    rng = stream(seed, "null_world")
    products, channels, weeks = 12, 6, 40
    shape = (products, channels, weeks)
    price = np.broadcast_to(0.12 * rng.standard_normal((products, 1, weeks)), shape)
    shock = 0.3 * rng.standard_normal((products, 1, weeks))
    season = 0.3 * rng.standard_normal(weeks)
    log_mean = (
        np.log(8) + 0.5 * rng.standard_normal((products, channels, 1)) + season - 2 * price + shock
    )
    sold = rng.poisson(np.exp(log_mean)).astype(float)
    now, ahead = price[..., :-1].ravel(), price[..., 1:].ravel()
    units = sold[..., :-1].ravel()
    cell = np.repeat(np.arange(products * channels), weeks - 1)
    period = np.tile(np.arange(weeks - 1), products * channels)
    product = cell // channels
    fit = fit_ppml(units, np.column_stack([now, ahead]), cell, period)
    both = fit.variance([product * weeks + period])
    few = fit.variance([product], stream(seed, "wild"))
    n, k = fit.scores.shape
    dispersion = np.mean((fit.units - fit.mean) ** 2 / np.maximum(fit.mean, 1e-300)) * n / (n - k)
    # the variance that takes rows as independent with one dispersion
    independent = 2 * norm.sf(abs(fit.beta[1]) / np.sqrt(fit.bread[1, 1] * dispersion))
    return float(both.p_values[1]), float(few.p_values[1]), float(independent)


def large() -> Iterator[str]:
    """Yield the seconds of large panels."""
    panel = PriceSales(skus=400, channels=5, shortest=100).load()
    began = time.process_time()
    Pooled().learn(panel, ElasticityContext(0))
    seconds = time.process_time() - began
    yield (
        f"elasticity/pooled, {panel.n_series:,} cells x 100 weeks ({len(panel.table):,} rows): "
        f"{seconds:.0f} s of one core"
    )


if __name__ == "__main__":
    given = [int(word) for word in sys.argv[1:3]]
    main(*given, *(SEEDS, NULL_WORLDS)[len(given) :])
