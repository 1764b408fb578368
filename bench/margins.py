"""The truth of arbitrage margins that were chosen as the best of routes: `python -m bench.margins
[400]`.

Worlds of 24 SKUs in 5 channels of 2 regions, each price its SKU's times its market's times its own
deviation (8 %); of each cell few sales are seen (a geometric number, 4 on the average), which lie 6
% around it. Of each SKU and pair of channels the best route is chosen, as the decision does; its
margin by medians as they are and by shrunk prices is compared with the truth. Seeds begin at 1,000:
earlier ones were looked at while the prior was chosen.
"""

from __future__ import annotations

import sys

import numpy as np
import polars as pl

from hwds.core.seeds import stream
from hwds.detection.reselling import Reselling, resale_thresholds

SKUS, CHANNELS, REGIONS = 24, 5, ("east", "west")
OWN, SALES, WITHIN = 0.08, 4.0, 0.06
COSTS = Reselling()
FIRST = 1_000


def world(rng: np.random.Generator, heavy: bool) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the lines of a world, and the true price of each cell."""
    base, market = (
        rng.uniform(200, 900, SKUS),
        np.exp(rng.normal(0, 0.12, (CHANNELS, len(REGIONS)))),
    )
    draw = rng.standard_t(4, (SKUS, CHANNELS, len(REGIONS))) / np.sqrt(2) if heavy else None
    own = rng.normal(0, 1, (SKUS, CHANNELS, len(REGIONS))) if draw is None else draw
    true = base[:, None, None] * market * np.exp(OWN * own)
    lines, cells = [], []
    for sku, channel, region in np.ndindex(true.shape):
        price = true[sku, channel, region]
        cells.append((f"s{sku}", f"c{channel}", REGIONS[region], price))
        seen = price * np.exp(rng.normal(0, WITHIN, rng.geometric(1 / SALES)))
        lines += [(f"s{sku}", f"c{channel}", REGIONS[region], 1.0, each, None) for each in seen]
    names = ["sku", "channel", "region", "quantity", "unit_price", "street_price"]
    made = pl.DataFrame(lines, names, orient="row").cast({"street_price": pl.Float64})
    return made, pl.DataFrame(cells, ["sku", "channel", "region", "true"], orient="row")


def judged(rng: np.random.Generator, heavy: bool) -> pl.DataFrame:
    """Return the chosen routes with their true margins.

    By medians as they are the best route is another one.
    """
    lines, cells = world(rng, heavy)
    parts = []
    for how, shrink in (("shrunk", True), ("as they are", False)):
        best = resale_thresholds(lines, COSTS, 3, shrink=shrink)
        for end, names in (
            ("paid", ("bought_in", "from_region")),
            ("there", ("sold_in", "to_region")),
        ):
            other = cells.rename({"channel": names[0], "region": names[1], "true": f"true_{end}"})
            best = best.join(other, on=["sku", *names], how="left", maintain_order="left")
        share = COSTS.risk + pl.when(pl.col("from_region") != pl.col("to_region")).then(
            COSTS.duty
        ).otherwise(0.0)
        true = pl.col("true_there") - (1 + share) * pl.col("true_paid") - COSTS.freight
        parts.append(best.with_columns(true.alias("true"), pl.lit(how).alias("how")))
    return pl.concat(parts)


def main(worlds: int) -> int:
    """Print coverage and bias, of all chosen routes, of those said to pay, and of the ten best of a
    world.
    """
    for heavy in (False, True):
        kind = "Student's t with 4 degrees of freedom" if heavy else "normal"
        sys.stdout.write(f"{worlds} worlds, own deviations {kind}\n")
        sys.stdout.write(f"  {'':<36}{'routes':>9}{'said':>9}{'true':>9}{'bias':>9}{'held':>9}\n")
        rows = pl.concat(
            [
                judged(stream(seed, "margins", kind), heavy).with_columns(world=pl.lit(seed))
                for seed in range(FIRST, FIRST + worlds)
            ]
        )
        ten = pl.col("margin").rank("ordinal", descending=True).over("world", "how") <= 10
        for what, which in (
            ("all", pl.lit(True)),
            ("said to pay", pl.col("margin") > 0),
            ("ten best of a world", ten),
        ):
            for how in ("shrunk", "as they are"):
                part = rows.filter(which & (pl.col("how") == how))
                said, true = float(part["margin"].mean()), float(part["true"].mean())  # type: ignore[arg-type]
                held = (
                    part["true"].is_between(part["margin_low"], part["margin_high"]).mean()
                    if how == "shrunk"
                    else None
                )
                shown = "" if held is None else f"{100 * float(held):.1f} %"  # type: ignore[arg-type]
                bias = f"{100 * (said - true) / abs(true):+.1f} %"
                sys.stdout.write(
                    f"  {what + ', ' + how:<36}{len(part):>9,}{said:>9.1f}{true:>9.1f}{bias:>9}"
                    f"{shown:>9}\n"
                )
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 400))
