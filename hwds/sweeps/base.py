"""Sweep: the recipe of a search over configs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any, ClassVar

from hwds.recipe import Recipe


class Sweep(Recipe):
    """What `sweep=` chooses: which other settings of an experiment are tried.

    Class attribute `searches`: whether anything is.

    Attributes:
        space: What is searched, a tree like the config's whose leaf is a one-key mapping:
            `{model: {units: {choice: [32, 64]}, learning_rate: {loguniform: [1e-4, 1e-2]}}}`. Kinds: `choice`, `grid` (each
            of a list), `uniform`, `loguniform`, `randint` (the upper bound excluded), `quniform` ([lower, upper, step]).
            A value may bring others that make sense with it alone:
            `objective: {choice: [quantile, {tweedie: {power: {uniform: [1.1, 1.9]}}}]}`. So may a whole option:
            `model: {choice: [forecast/theta, {forecast/xgboost: {depth: {randint: [2, 9]}}}]}`; one without a space takes
            that of its class. Empty takes that of the model's class.
    """

    searches: ClassVar[bool] = False

    space: Mapping[str, Any] = field(default_factory=dict)
