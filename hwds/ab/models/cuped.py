"""Comparison of means adjusted for what was known before the test."""

from __future__ import annotations

import numpy as np
from numpy import ndarray

from hwds.ab.intervals import satterthwaite
from hwds.ab.models.base import ArmEstimate, EffectEstimator
from hwds.ab.sample import ComparisonNeeds, SampleArm, SampleRoles, UnitMoments


class Cuped(EffectEstimator):
    """The difference of means less what covariates from before the test explain (CUPED); without a
    covariate it is Welch's.

    Deng, Xu, Kohavi and Walker, Improving the sensitivity of online controlled experiments (WSDM
    2013), with any number of covariates and one slope for both arms, from the variation within
    them. A covariate must not be touched by the test.
    """

    def needs(self, roles: SampleRoles) -> ComparisonNeeds:
        """Return the covariates."""
        inputs = roles.of("covariate")
        return ComparisonNeeds(inputs=inputs, simpler=not inputs)

    def estimate(self, own: SampleArm, control: SampleArm) -> ArmEstimate:
        """Return the adjusted difference, with the variance of the analysis of covariance, each arm
        with its own residuals.
        """
        slope, inverse, slopes_used = _covariate_slope(own.total, control.total)
        mean, other_mean = self._means(own.total, control.total, slope)
        error, other = (
            _residual_variance(own.total, slope) / own.total.n,
            _residual_variance(control.total, slope) / control.total.n,
        )
        free = own.total.n + control.total.n - 2
        with np.errstate(
            divide="ignore", invalid="ignore"
        ):  # as many slopes as units: the error is not known
            df_share = np.where(free > slopes_used, (free - slopes_used) / free, np.nan)
        df = satterthwaite(error, own.total.n, other, control.total.n) * df_share
        wider = _slope_inflation(own.total, control.total, inverse) / df_share
        return ArmEstimate.of(
            mean,
            error * wider,
            other_mean,
            other * wider,
            df,
            _shared_variance(own.total, control.total, slope),
        )

    @staticmethod
    def _means(own: UnitMoments, control: UnitMoments, slope: ndarray) -> tuple[ndarray, ndarray]:
        """Return the arms' means where both have the covariates of all units."""
        whole = (own.n[..., None] * own.mean + control.n[..., None] * control.mean) / (
            own.n + control.n
        )[..., None]
        level = np.sum(whole[..., 1:] * slope, axis=-1)
        return _adjusted_mean(own.mean, slope) + level, _adjusted_mean(control.mean, slope) + level


def _covariate_slope(own: UnitMoments, control: UnitMoments) -> tuple[ndarray, ndarray, ndarray]:
    """Return the slopes (theta) of the outcome on the covariates within two arms, pooled, shape
    B + (k - 1,), of least norm if covariates repeat.

    Returns:
        The slopes, the inverse of the covariates' sums of squares within arms, and the number of
        independent covariates.
    """
    weight, other = (own.n - 1)[..., None, None], (control.n - 1)[..., None, None]
    within = weight * own.cov + other * control.cov
    inputs = within[..., 1:, 1:]
    rank = (
        np.linalg.matrix_rank(inputs, hermitian=True)
        if inputs.shape[-1]
        else np.zeros(inputs.shape[:-2])
    )
    inverse = np.linalg.pinv(inputs, hermitian=True)
    return np.squeeze(inverse @ within[..., 1:, :1], -1), inverse, np.asarray(rank)


def _shared_variance(own: UnitMoments, control: UnitMoments, slope: ndarray) -> ndarray:
    """Return the squared standard error of slope x covariates of all units, which both adjusted
    means have in common.
    """
    weight, other = (own.n - 1)[..., None, None], (control.n - 1)[..., None, None]
    cov = (weight * own.cov + other * control.cov)[..., 1:, 1:] / (weight + other)
    return np.asarray(np.einsum("...i,...ij,...j->...", slope, cov, slope) / (own.n + control.n))


def _slope_inflation(own: UnitMoments, control: UnitMoments, inverse: ndarray) -> ndarray:
    """Return the factor by which the slopes' error raises the variance: it grows with the distance
    of the arms' covariates.
    """
    distance = own.mean[..., 1:] - control.mean[..., 1:]
    return 1 + np.einsum("...i,...ij,...j->...", distance, inverse, distance) / (
        1 / own.n + 1 / control.n
    )


def _adjusted_mean(mean: ndarray, slope: ndarray) -> ndarray:
    return mean[..., 0] - np.sum(mean[..., 1:] * slope, axis=-1)


def _residual_variance(arm: UnitMoments, slope: ndarray) -> ndarray:
    """Return the variance of the outcome less slope x covariates."""
    cross = 2 * np.sum(slope * arm.cov[..., 0, 1:], axis=-1)
    explained = np.einsum("...i,...ij,...j->...", slope, arm.cov[..., 1:, 1:], slope)
    return np.maximum(arm.variance - cross + explained, 0.0)
