"""Estimator, the recipe of an off-policy estimator, and the base of those that clip weights."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy import ndarray
from pydantic import BeforeValidator

from hwds.core.recipe import LEAST, MOST, Once, Positive, Recipe
from hwds.ope.estimates import EstimatorTerms, LogEvidence, tune_by_slope

# Estimator: the recipe of an off-policy estimator, and what its YAML fields are written with.

Learner = Literal["frequency", "ridge", "logistic", "xgboost"]
"""A reward model, cross-fitted; `hwds.ope.inquiry` has them."""


def _slope_or(most: float, nothing: bool = False) -> BeforeValidator:
    """Return one refusal for all that is neither `slope` nor a number in its range."""

    def checked(value: Any) -> Any:
        number = (
            isinstance(value, int | float) and not isinstance(value, bool) and LEAST <= value < most
        )
        if number or value == "slope" or (nothing and value is None):
            return value
        raise ValueError(f"must be slope or a number above 0 and below {most:g}")

    return BeforeValidator(checked)


Tuned = Annotated[float | Literal["slope"], _slope_or(MOST)]
"""A parameter that is given, or chosen by SLOPE."""

TunedLevel = Annotated[float | Literal["slope"], _slope_or(1.0)]
"""The same for one between 0 and 1."""

Clip = Annotated[float | Literal["slope"] | None, _slope_or(MOST, nothing=True)]
"""The same where null leaves the weights alone."""

LIMIT_QUANTILES = (1, 0.999, 0.99, 0.975, 0.95, 0.9, 0.8, 0.65, 0.5)

Candidates = Annotated[tuple[Positive, ...], Once]


class Estimator(Recipe):
    """The recipe that `model=ope/...` chooses: it estimates the value of a policy from the log of
    another.

    A field `reward_model` says that it wants one. Class attributes say what else it wants and how
    it may be worked on: `needs_propensity`; `weighs`, its error grows where few rows count, so that
    a small effective sample size is refused; `asks_price`, it compares prices, not arms, and its
    propensities are densities; `local`, always False: a log is one unit.
    """

    needs_propensity: ClassVar[bool] = True
    weighs: ClassVar[bool] = True
    asks_price: ClassVar[bool] = False
    local: ClassVar[bool] = False

    @property
    def learner(self) -> Learner | None:
        """The reward model it wants; None where it wants none."""
        learner_name: Learner | None = getattr(self, "reward_model", None)
        return learner_name

    def needed_imports(self) -> dict[str, tuple[str, ...]]:
        """Return the package of a reward model of boosted trees."""
        trees = self.learner == "xgboost"
        return super().needed_imports() | ({"reward_model": ("xgboost",)} if trees else {})

    def estimate(self, log: LogEvidence) -> EstimatorTerms:
        """Return the estimate as its parts, row by row."""
        raise NotImplementedError(f"{type(self).__name__}.estimate")

    def weights(self, log: LogEvidence) -> ndarray | None:
        """Return the weight of each row before clipping or shrinking, shape (n,).

        None where there are no propensities.
        """
        return None if log.propensity is None else log.weights


def weight_limits(candidates: tuple[float, ...], weights: ndarray) -> list[float]:
    """Return the candidates for a limit of weights, largest and so least biased first.

    Where none are given they are quantiles of the weights, none below 1: smaller weights do no
    harm.
    """
    if candidates:
        return sorted(candidates, reverse=True)
    quantiles = np.quantile(weights, LIMIT_QUANTILES)
    return sorted({max(float(value), 1.0) for value in quantiles}, reverse=True)


def weight_limit(log: LogEvidence, used: ndarray, known: float | None) -> tuple[float, bool]:
    """Return the bound of the weights, and whether it holds for any draw: the least known bound, or
    the largest weight seen.
    """
    bounds = [bound for bound in (known, log.largest_weight) if bound is not None]
    return (min(bounds), True) if bounds else (float(np.max(used, initial=0.0)), False)


# The base of estimators that weigh rows by propensities, and may tame the weights.


class Weighted(Estimator):
    """An estimate of weighted rows: the mean of rewards, or a reward model's mean corrected by its
    weighted errors.

    Class attributes: `parameter`, the field of what tames the weights, which is given or chosen by
    SLOPE; `normalised`, whether the weights are divided by their sum.
    """

    parameter: ClassVar[str]
    normalised: ClassVar[bool] = False

    def estimate(self, log: LogEvidence) -> EstimatorTerms:
        """Return the terms under the parameter that is given, or that SLOPE chooses."""
        given = getattr(self, self.parameter)
        if given == "slope":
            return tune_by_slope(self.choices(log), lambda each: self.terms_at(log, each))
        return self.terms_at(log, given)

    def choices(self, log: LogEvidence) -> list[float]:
        """Return the parameters among which SLOPE chooses, the least biased first."""
        raise NotImplementedError(f"{type(self).__name__}.choices")

    def terms_at(self, log: LogEvidence, parameter: Any) -> EstimatorTerms:
        """Return the terms under one parameter."""
        raise NotImplementedError(f"{type(self).__name__}.terms_at")

    def terms(
        self, log: LogEvidence, weights: ndarray, parameter: float | None, most: float | None
    ) -> EstimatorTerms:
        """Return the terms of tamed weights.

        Args:
            log: The log.
            weights: Of each row, shape (n,).
            parameter: What tamed them; None where nothing did.
            most: What none of them exceeds; None where that is not known.
        """
        modelled = self.learner is not None
        return EstimatorTerms(
            log.expected if modelled else None,
            weights * (log.errors if modelled else log.reward),
            weights if self.normalised else np.ones(len(weights)),
            *weight_limit(log, weights, most),
            parameter,
            biased=parameter is not None,
            learned=modelled,
        )


class Clipped(Weighted):
    """An estimate of weighted rows that may clip the weights.

    Attributes:
        clip: Larger weights become this; null leaves them, `slope` chooses among the candidates.
        candidates: Clips for `slope` to choose among; none takes quantiles of the weights.
    """

    parameter: ClassVar[str] = "clip"

    clip: Clip = None
    candidates: Candidates = ()

    def choices(self, log: LogEvidence) -> list[float]:
        """Return the candidates, or quantiles of the weights."""
        return weight_limits(self.candidates, log.weights)

    def terms_at(self, log: LogEvidence, parameter: float | None) -> EstimatorTerms:
        """Return the terms of clipped weights: the rows show the error of a reward model, as it was
        fitted without them.
        """
        weights = log.weights if parameter is None else np.minimum(log.weights, parameter)
        return replace(self.terms(log, weights, parameter, parameter), learned=False)
