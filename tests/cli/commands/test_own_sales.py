"""Decisions on prices from a user's own sales, as a CSV, and the pack of a contract beside the
results.
"""

import json

import numpy as np
import polars as pl

from hwds.core.seeds import stream

WORDS = (
    "model=elasticity/pooled protocol=elasticity_estimate compute=serial dataset=file "
    "dataset.path=sales.csv dataset.season=52"
    " dataset.roles.series=[sku,channel] dataset.roles.time=week dataset.roles.target=units "
    "dataset.roles.price=price"
    " dataset.roles.known_future=[price] dataset.roles.static=[sku,channel]"
)


def write_sales():
    """Two devices in two channels for a year, prices that move every month.

    The demand of one is above all doubt elastic.
    """
    rng, rows = stream(1, "sales"), []
    weeks = pl.date_range(pl.date(2024, 1, 1), pl.date(2024, 12, 30), "1w", eager=True)
    for sku in ("lamp", "kettle"):
        for channel in ("web", "shop"):
            price = np.repeat(50 * np.exp(rng.normal(0, 0.12, 14)), 4)[: len(weeks)].round(2)
            units = rng.poisson(200 * (price / 50) ** -2.5)
            rows.append(
                pl.DataFrame(
                    {"sku": sku, "channel": channel, "week": weeks, "price": price, "units": units}
                )
            )
    pl.concat(rows).with_columns(cost=pl.lit(30.0)).write_csv("sales.csv")


def test_own_sales_become_prices_and_a_contract(hwds, tmp_path):
    write_sales()
    missing = hwds(f"{WORDS} decision=optimal_price")
    needs = (
        "decision 'optimal_price' needs the cost of a unit; decision.objective=revenue does not."
    )
    assert missing.line == f"hwds: dataset.roles.cost: must be given, for {needs}"
    costs = "dataset.roles.cost=cost dataset.roles.known_future=[price,cost]"
    said = hwds(
        f"{WORDS} decision=optimal_price {costs} decision.currency=EUR decision.freight=null"
    )
    assert said.code == 0, said.err
    (folder,) = tmp_path.glob("outputs/runs/adhoc/*")
    found = json.loads((folder / "decision.json").read_text())
    prices = pl.read_parquet(folder / "optimal_price.parquet")
    assert len(prices) == found["cells"] == 4
    assert found["unit"] == "EUR"
    assert said.out.splitlines()[1].startswith(f"{found['action']:<10}")
    assert (prices["price"] - 50).abs().max() < 25
    assert np.allclose(prices["elasticity"], -2.5, atol=0.4)
    assert (folder / "price_curves.png").is_file()
    offer = f"{WORDS} {costs} decision=oem_commitment decision.currency=EUR decision.kept=.6"
    packed = hwds(f"{offer} decision_pack=oem")
    assert packed.code == 0, packed.err
    assert "decision_pack.html and decision_pack.xlsx are for those who decide" in packed.out
    assert pl.read_parquet(folder / "timings.parquet")["cached"].all()
    assert "EUR" in (folder / "decision_pack.html").read_text()
    assert (folder / "decision_pack.xlsx").read_bytes()[:2] == b"PK"
    assert hwds(offer).code == 0
    assert not list(folder.glob("decision_pack*"))
