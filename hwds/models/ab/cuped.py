"""Comparison of means adjusted for what was known before the test."""

from __future__ import annotations

import numpy as np

from hwds.metrics.ab import satterthwaite
from hwds.metrics.ab_sample import Arm, Moments, Needs, Roles
from hwds.models.ab.estimating import Estimate, Estimator


class Cuped(Estimator):
    """The difference of means less what covariates from before the test explain (CUPED); without a covariate it is Welch's.

    Deng, Xu, Kohavi and Walker, Improving the sensitivity of online controlled experiments (WSDM 2013), with any number of
    covariates and one slope for both arms, from the variation within them. A covariate must not be touched by the test.

    Example:
        python -m hwds +experiment=ab_price_test model=ab/cuped rivals=[]
    """

    def needs(self, roles: Roles) -> Needs:
        """The covariates."""
        inputs = roles.of("covariate")
        return Needs(inputs=inputs, simpler=not inputs)

    def estimate(self, own: Arm, control: Arm) -> Estimate:
        """The adjusted difference; its variance is that of the analysis of covariance, each arm with its own residuals."""
        slope, inverse, spent = _slope(own.total, control.total)
        value = _adjusted(own.total.mean, slope) - _adjusted(control.total.mean, slope)
        error, other = _residual(own.total, slope) / own.total.n, _residual(control.total, slope) / control.total.n
        free = own.total.n + control.total.n - 2
        with np.errstate(divide="ignore", invalid="ignore"):  # as many slopes as units: the error is not known
            left = np.where(free > spent, (free - spent) / free, np.nan)
        df = satterthwaite(error, own.total.n, other, control.total.n) * left
        return Estimate(value, np.sqrt((error + other) / left * _of_slopes(own.total, control.total, inverse)), df)


def _slope(own: Moments, control: Moments) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The slopes of the outcome on the covariates within arms, shape B + (k - 1,); the least ones where covariates repeat.

    Returns:
        The slopes, the inverse of the covariates' sums of squares within arms, and the number of independent covariates.
    """
    weight, other = (own.n - 1)[..., None, None], (control.n - 1)[..., None, None]
    within = weight * own.cov + other * control.cov
    inputs = within[..., 1:, 1:]
    spent = np.linalg.matrix_rank(inputs, hermitian=True) if inputs.shape[-1] else np.zeros(inputs.shape[:-2])
    inverse = np.linalg.pinv(inputs, hermitian=True)
    return np.squeeze(inverse @ within[..., 1:, :1], -1), inverse, np.asarray(spent)


def _of_slopes(own: Moments, control: Moments, inverse: np.ndarray) -> np.ndarray:
    """How the error of the slopes stretches the variance: by more, the further apart the arms' covariates are."""
    apart = own.mean[..., 1:] - control.mean[..., 1:]
    return 1 + np.einsum("...i,...ij,...j->...", apart, inverse, apart) / (1 / own.n + 1 / control.n)


def _adjusted(mean: np.ndarray, slope: np.ndarray) -> np.ndarray:
    return mean[..., 0] - np.sum(mean[..., 1:] * slope, axis=-1)


def _residual(arm: Moments, slope: np.ndarray) -> np.ndarray:
    """The variance of the outcome less slope x covariates."""
    cross = 2 * np.sum(slope * arm.cov[..., 0, 1:], axis=-1)
    explained = np.einsum("...i,...ij,...j->...", slope, arm.cov[..., 1:, 1:], slope)
    return np.maximum(arm.variance - cross + explained, 0.0)
