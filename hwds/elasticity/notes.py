"""Notes: the facts about a fit that stand beside its answers, such as the first stage of instruments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

PREFIX = "fit_"
"""The prefix of the columns of notes in the rows of a run, each the same number for all cells of a model."""

SPREAD = "sd_"
"""The prefix of standard deviations."""

WEIGHT = "weight_"
"""The prefix of the weights of a stack's members."""

MISSED = "missed_"
"""The prefix of standard deviations of elasticities that networks do not know."""

INSTRUMENTS = ("first_stage_f", "price_residual_t", "anderson_rubin_low", "anderson_rubin_high")
"""Notes on instruments that a sentence reads."""

MEANINGS = {
    "mean_elasticity": "mean that cells are shrunk to, through their groups",
    "mean_stderr": "its standard error",
    "overdispersion": "a, with the variance mean + a mean^2 of a cell's units",
    "cluster_ratio": "variance of the common slope with clustered errors over that with independent ones",
    "serial_ratio": "variance of a cell's slope over that with independent periods, by the correlation of one with the next",
    "first_stage_f": "F of the instruments in the regression of the price on them; below 10 they are weak",
    "price_residual_t": "t of the part of the price that instruments do not explain; beyond 2, prices answer demand",
    "common_elasticity": "elasticity of all cells together, with instruments",
    "common_stderr": "its standard error, the first stage bootstrapped",
    "anderson_rubin_low": "lower end of the common elasticities that Anderson and Rubin's test does not reject",
    "anderson_rubin_high": "upper end of them; the test is as good with weak instruments",
    "price_slope": "slope of the utility by the price",
    "price_slope_stderr": "its standard error, clustered",
    "nesting": "nesting parameter: 0 for plain logit, near 1 where products of a nest are near the same",
    "nesting_stderr": "its standard error, clustered",
    "nesting_first_stage_f": "F of the instruments of the share within nests, given the price",
    "rhat": "largest potential scale reduction of an elasticity: beyond 1.05 chains disagree, and more draws are needed",
    "divergences": "draws whose path left the posterior: more than a few, and model.acceptance must be nearer to 1",
    "residual_share": "share of the price's variance within cells that the trees leave",
    "clusters": "clusters of errors",
    "sd_cross_family": "standard deviation of what families add to the effect of substitutes",
    "sd_cross_product": "standard deviation of what pairs of products add",
    "sd_cross_pair": "standard deviation of what pairs of cells add",
    "pooled_mean": "mean elasticity of the same cells by elasticity/pooled",
    "outside_pooled": "share of cells whose answer the interval of elasticity/pooled excludes",
    "mean_apart": "mean distance from elasticity/pooled, in its standard errors of the mean",
    "between_networks": "standard deviation of an elasticity between the networks of the ensemble",
    "price_gap_r2": "share of the variance of the next change of price gaps between channels that is foreseen, held out",
    "arbitrage_skill": "share of the deviance of gaps wide enough for arbitrage that is foreseen, held out",
    "sd_cell": "standard deviation of cells' elasticities around their groups'",
    "sd_promotion": "standard deviation of cells' promotion effects",
}
"""The meaning of each note."""


TITLES = {
    "mean_stderr": "mean elasticity, s.e.",
    "first_stage_f": "first stage, F",
    "price_residual_t": "residual of the price, t",
    "common_stderr": "common elasticity, s.e.",
    "anderson_rubin_low": "Anderson-Rubin, lower end",
    "anderson_rubin_high": "Anderson-Rubin, upper end",
    "price_slope_stderr": "price slope, s.e.",
    "nesting_stderr": "nesting, s.e.",
    "nesting_first_stage_f": "first stage of nests, F",
    "rhat": "R-hat",
    "price_gap_r2": "price gap, R2",
}
"""Titles of the notes whose names do not read well."""


def title(name: str) -> str:
    """Return what a note is called."""
    return TITLES.get(name, name.replace("_", " "))


def meaning(name: str) -> str:
    """Return what a note measures."""
    if name.startswith(WEIGHT):
        return f"weight of {name.removeprefix(WEIGHT)}, learned on price moves that no member was fitted to"
    if name.startswith(MISSED):
        return f"standard deviation of what the networks miss of each {name.removeprefix(MISSED)}, held out"
    return MEANINGS.get(name) or f"standard deviation of the elasticities of each {name.removeprefix(SPREAD)}"


def note_columns(notes: Mapping[str, float]) -> list[pl.Expr]:
    """Return a column for each note, null where it is not a number."""
    values = {name: None if np.isnan(value) else float(value) for name, value in notes.items()}
    return [pl.lit(value, pl.Float64).alias(PREFIX + name) for name, value in values.items()]


def notes_of(rows: pl.DataFrame) -> dict[str, float | None]:
    """Return the notes of one model's rows by name; those that the model has none of are left out.

    Ends of an Anderson-Rubin interval that are there and null say that the test rejects every elasticity.
    """
    if rows.is_empty():
        return {}
    first: dict[str, Any] = rows.row(0, named=True)
    notes = {name.removeprefix(PREFIX): value for name, value in first.items() if name.startswith(PREFIX)}
    weak = notes.get("first_stage_f") is not None and "price_residual_t" in notes
    return {name: value for name, value in notes.items() if value is not None or (weak and name in INSTRUMENTS)}
