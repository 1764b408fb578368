"""The cells of simulated sales, a device in a channel, and their true parameters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from hwds.core.seeds import stream
from hwds.datasets.simulated.demand.catalogue import CHANNELS, FAMILIES

GENERATIONS = 5
"""Generations of a family that are on sale side by side."""

MEAN = -2.3
"""The mean elasticity of all cells."""

FAMILY, SKU, CHANNEL, OWN = 0.25, 0.35, 0.25, 0.35
"""Standard deviations of what a family, a device, a channel and a cell add to the mean elasticity."""

NEAREST_ZERO = -0.6
"""No true elasticity is nearer to zero."""

LEVEL = 0.6
"""The standard deviation of the log of a cell's mean sales."""

WEEKS = np.array([0.10, 0.15, 0.20, 0.25, 0.40, 0.60, 0.80, 1.0])
"""The shares of all weeks for which a cell may have been sold."""


@dataclass(frozen=True)
class SalesCells:
    """The cells of a world.

    Attributes:
        table: One row a cell: `series_id`, `sku`, `channel`, `family`, `generation`, `list_price`, `cost`, `elasticity`,
            `base` (log of mean sales a week at the list price without promotion), `promotion` (log-lift of a promoted week at
            an unchanged price), `first` (its first week), `device` and `shop` (the numbers of its SKU and its channel).
        substitutes: Whether the column's cell is another generation of the row's family in the same channel, shape (K, K).
    """

    table: pl.DataFrame
    substitutes: np.ndarray

    def __len__(self) -> int:
        return len(self.table)

    def parts(self, nearness: float) -> np.ndarray:
        """Return the weight of each substitute's price, exp(-nearness x the generations between the two), shape (K, K)."""
        generation = self.column("generation")
        apart = np.maximum(np.abs(generation[:, None] - generation) - 1, 0)
        return np.asarray(self.substitutes * np.exp(-nearness * apart))

    def column(self, name: str) -> np.ndarray:
        """Return a column as an array, shape (K,)."""
        return self.table[name].to_numpy()


def family_names(count: int) -> list[str]:
    """Return so many family names: those of the catalogue, then `phone_2` and on."""
    names = [family.name for family in FAMILIES]
    return [names[i % len(names)] + (f"_{i // len(names) + 1}" if i >= len(names) else "") for i in range(count)]


def sales_cells(seed: int, skus: int, channels: int, weeks: int, shortest: int, units: float, lift: float) -> SalesCells:
    """Return the cells of a world: more devices, channels or weeks leave the parameters of the others as they are.

    Args:
        seed: The world's seed.
        skus: Devices.
        channels: Channels, in the order of the catalogue.
        weeks: Weeks of the calendar.
        shortest: The fewest weeks for which a cell is sold.
        units: Mean sales of a cell in a week.
        lift: The mean log-lift of a promoted week.
    """
    families = -(-skus // GENERATIONS)
    names = family_names(families)
    about = [FAMILIES[i % len(FAMILIES)] for i in range(families)]
    of_family = FAMILY * stream(seed, "price_sales", "families").standard_normal(families)
    of_channel = CHANNEL * stream(seed, "price_sales", "channels").standard_normal(len(CHANNELS))
    of_sku = stream(seed, "price_sales", "skus").standard_normal((skus, 3))
    normal = stream(seed, "price_sales", "cells").standard_normal((skus, len(CHANNELS), 3))
    length = stream(seed, "price_sales", "lengths").integers(0, len(WEEKS), (skus, len(CHANNELS)))
    rows = []
    for device in range(skus):
        family, generation = divmod(device, GENERATIONS)
        list_price = round(about[family].list_price * float(np.exp(0.08 * generation + 0.05 * of_sku[device, 1])), 0)
        cost = round(list_price * float(0.45 + 0.04 * np.tanh(of_sku[device, 2])), 2)
        for shop, channel in enumerate(CHANNELS[:channels]):
            own = normal[device, shop]
            elasticity = MEAN + of_family[family] + of_channel[shop] + SKU * of_sku[device, 0] + OWN * own[0]
            sold = max(round(WEEKS[length[device, shop]] * weeks), min(shortest, weeks))
            sku = f"{names[family]}-{generation + 1}"
            rows.append(
                (
                    f"{sku}.{channel.name}", sku, channel.name, names[family], generation + 1, list_price, cost,
                    min(elasticity, NEAREST_ZERO), float(np.log(units) - LEVEL**2 / 2 + LEVEL * own[1]),
                    lift * float(np.exp(0.2 * own[2])), weeks - sold, device, shop,
                )
            )  # fmt: skip
    columns = ["series_id", "sku", "channel", "family", "generation", "list_price", "cost", "elasticity", "base", "promotion"]
    table = pl.DataFrame(rows, schema=[*columns, "first", "device", "shop"], orient="row")
    family_of, shop_of = table["device"].to_numpy() // GENERATIONS, table["shop"].to_numpy()
    same = (family_of[:, None] == family_of) & (shop_of[:, None] == shop_of)
    np.fill_diagonal(same, False)
    return SalesCells(table, same)
