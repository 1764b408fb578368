"""Inverse propensity weighting."""

from __future__ import annotations

from hwds.ope.models.base import Clipped


class IPW(Clipped):
    """The mean reward of the log, each row weighted by the policy's chance of its arm divided by
    the log's chance.

    mean(w r), w = pi / propensity (Horvitz and Thompson 1952): unbiased if the log can show every
    arm of the policy, but its variance grows with the weights; `clip` takes bias for variance
    (Bottou et al. 2013, section 4.4).

    Example:
        python -m hwds model=ope/ipw dataset=price_log protocol=off_policy model.clip=10
    """
