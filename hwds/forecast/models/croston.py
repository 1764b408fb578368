"""Croston's method for intermittent demand, and its variants."""

from __future__ import annotations

from typing import Any, Literal

from hwds.forecast.statistical import DemandLevel


class Croston(DemandLevel):
    """Croston's method for intermittent demand: the size of a demand over the wait for it, each
    series alone.

    statsforecast's Croston models; Croston (1972), "Forecasting and stock control for intermittent
    demands"; `sba` takes off the bias (Syntetos and Boylan 2005, "The accuracy of intermittent
    demand estimates"). Quantiles are those of a demand that comes by chance and is as large as one
    of the past. Seasonal naive as a counted fallback, also where a series is negative.

    Attributes:
        form: `classic` smooths both by 0.1, `optimised` by what fits best between 0.1 and 0.3,
            `sba` is the classic by 0.95.
    """

    imports = ("statsforecast",)
    form: Literal["classic", "optimised", "sba"] = "optimised"

    def library(self) -> Any:
        """Return the model of the form."""
        from statsforecast.models import CrostonClassic, CrostonOptimized, CrostonSBA

        forms = {"classic": CrostonClassic, "optimised": CrostonOptimized, "sba": CrostonSBA}
        return forms[self.form]()
