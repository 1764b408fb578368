"""Checks of a choice of price before anything is computed."""

from __future__ import annotations

from collections.abc import Mapping

from hwds.core.errors import ConfigError, nearest
from hwds.pricing.offers import Offers
from hwds.pricing.rule import PriceTerms


def check_offers(offers: Offers, terms: PriceTerms, cost: float | None) -> None:
    """Refuse offers that lack what the rule reads.

    Raises:
        ConfigError: The current arm is not there (with the nearest) or has left, a price or a cost is missing, or there are no
            counts.
    """
    if terms.current is not None and terms.current not in offers.arms:
        raise ConfigError(f"decision.current: no arm '{terms.current}'{nearest(terms.current, offers.arms)}")
    if terms.current is not None and offers.find(terms.current).absent:
        raise ConfigError(f"decision.current: arm '{terms.current}' is no longer offered at the end.")
    if terms.certainty == "always_valid" and offers.measured != "conversions":
        raise ConfigError("decision.certainty: always_valid needs outcomes of 0 and 1; take 'posterior'.")
    wants = {
        "ladder": bool(terms.ladder),
        "margin_floor": terms.margin_floor is not None,
        "largest_step": terms.largest_step is not None,
        "cost": cost is not None,
    }
    option = next((name for name, wanted in wants.items() if wanted), None)
    bare = next((offer.arm for offer in offers.all if offer.price is None), None)
    if option and bare is not None:
        raise ConfigError(f"decision.{option}: needs the price of every arm, and arm '{bare}' has no price of its own.")
    if bare is not None and offers.measured == "conversions" and offers.unit != "conversions":
        raise ConfigError(f"decision.prices: must name the price of arm '{bare}': conversions alone say nothing of prices.")
    costless = next((offer.arm for offer in offers.all if offer.cost is None), None)
    if terms.margin_floor is not None and costless is not None:
        raise ConfigError(f"decision.margin_floor: needs decision.cost, for the data has no cost of arm '{costless}'.")
    if terms.largest_step is not None and terms.current is not None and not offers.find(terms.current).price:
        raise ConfigError(f"decision.largest_step: is a share of the current price, and that of '{terms.current}' is 0.")


def check_counts(counts: Mapping[str, tuple[int, int]]) -> None:
    """Refuse numbers that are not counts, or of fewer than two arms.

    Raises:
        ConfigError: They are not.
    """
    if len(counts) < 2:
        raise ConfigError(f"counts: must be of two arms or more, got {len(counts)}.")
    for arm, pair in counts.items():
        if any(count < 0 or count != int(count) for count in pair):
            raise ConfigError(f"counts: of arm '{arm}' must be whole numbers >= 0, got {tuple(pair)}.")
