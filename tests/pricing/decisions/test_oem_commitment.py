"""`decision=oem_commitment`: what to offer and when to walk away, from a demand model and the
volumes of another run.
"""

import json
from dataclasses import replace
from zipfile import ZipFile

import polars as pl
import pytest

from hwds.core.checksums import write_json, write_parquet
from hwds.core.errors import ConfigError, DataError
from hwds.core.seeds import stream
from hwds.elasticity.protocols.elasticity_recovery import ElasticityRecovery
from hwds.pricing import oem_pictures
from hwds.pricing.contract import VolumeLaw, law_of_run
from hwds.pricing.decisions.oem_commitment import OemCommitment, leak_of_run
from hwds.pricing.demand_evidence import DemandEstimates
from hwds.pricing.oem_commitment import TIERS
from hwds.report.pictures import save_png
from hwds.report.verdict import store_pack
from hwds.results.folder import write_config
from tests.support.price_worlds import price_world

EVIDENCE = price_world(stream(1, "x"), 8, 3)
FIELDS = {"cell": "p2/c0", "kept": 0.6, "draws": 1000}


@pytest.fixture(scope="module")
def verdict():
    return OemCommitment(name="oem_commitment", **FIELDS).of_estimates(EVIDENCE)


def test_the_recommendation_and_the_walk_away_come_first(verdict):
    assert verdict.action == "OFFER"
    first, second = verdict.sentence.split(". ", 1)[0], verdict.sentence.split("WALK AWAY")[1]
    assert first.startswith("OFFER p2/c0 ")
    assert second.startswith(" below ")
    assert verdict.floor_price <= verdict.walk_away <= verdict.offer["price"]
    json.dumps(verdict.as_dict(), allow_nan=False)


def test_tiers_rise_and_the_offered_one_holds_the_floor(verdict):
    tiers = verdict.tiers
    assert tiers.schema == TIERS.schema
    assert (tiers["from_units"].diff().drop_nulls() > 0).all()
    assert (tiers["price"].diff().drop_nulls() < 0).all()
    row = tiers.row(verdict.offer["tier"], named=True)
    assert row["verdict"] == "offer"
    assert min(row["margin_p10"], row["margin_p50"], row["margin_p90"]) >= verdict.rules.floor
    best = tiers.filter(pl.col("verdict").is_in(["offer", "possible"]) & (pl.col("tier") > 0))[
        "net"
    ].max()
    assert row["net"] == best == verdict.offer["net"]


def test_a_floor_that_no_tier_holds_is_a_hold():
    verdict = OemCommitment(margin_floor=0.9, **FIELDS).of_estimates(EVIDENCE)
    assert (verdict.action, verdict.rule, verdict.offer) == ("HOLD", "margin_floor", {})
    assert "WALK AWAY: even the list price is below" in verdict.sentence
    assert len(verdict.excluded["margin_floor"]) == 3


def test_a_buyer_who_buys_anyway_gets_no_contract():
    verdict = OemCommitment(**(FIELDS | {"kept": 1.0})).of_estimates(EVIDENCE)
    assert verdict.action == "HOLD"
    assert set(verdict.excluded) == {"no_gain"}


def test_another_cell_may_be_sold_at_a_loss_and_the_buyers_may_not():
    cost = pl.when(pl.col("cell") == "p0/c0").then(2 * pl.col("price")).otherwise(pl.col("cost"))
    subsidised = DemandEstimates(
        EVIDENCE.cells.with_columns(cost=cost), "EUR", cross=EVIDENCE.cross
    )
    assert OemCommitment(**FIELDS).of_estimates(subsidised).action == "OFFER"
    with pytest.raises(DataError, match=r"cell 'p0/c0' has cost .* sold at a loss\.$"):
        OemCommitment(**(FIELDS | {"cell": "p0/c0"})).of_estimates(subsidised)


def test_it_is_drawn_and_tabled(verdict, tmp_path):
    save_png(oem_pictures.tier_figure(verdict), tmp_path / "a.png")
    save_png(oem_pictures.tornado_figure(verdict), tmp_path / "b.png")
    save_png(oem_pictures.waterfall_figure(verdict), tmp_path / "c.png")
    assert all((tmp_path / f"{name}.png").read_bytes()[:4] == b"\x89PNG" for name in "abc")
    assert len(oem_pictures.TIERS_REPORT.grid_of(verdict, verdict.tiers)) == 4
    assert verdict.waterfall["total"][-1] == pytest.approx(verdict.offer["net"])


def test_the_pack_is_a_page_and_a_workbook_without_formulas(tmp_path):
    named = EVIDENCE.cells.with_columns(product=pl.concat_str(pl.lit("=HYPERLINK("), "product"))
    verdict = OemCommitment(name="oem_commitment", **FIELDS).of_estimates(
        DemandEstimates(named, "EUR", "week")
    )
    page, book = store_pack(tmp_path, OemCommitment, verdict, "oem")
    html = page.read_text()
    assert "WALK AWAY below" in html
    assert "=HYPERLINK(p2" in html
    assert html.count("<svg") == 3
    with ZipFile(book) as parts:
        sheets = {
            name: parts.read(name).decode()
            for name in parts.namelist()
            if name.startswith("xl/worksheets/sheet")
        }
        assert len(sheets) == 6
        assert not any("<f>" in sheet for sheet in sheets.values())
        assert "=HYPERLINK(p2" in parts.read("xl/sharedStrings.xml").decode()
    assert store_pack(tmp_path, OemCommitment, verdict, "none") == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"cell": "p2/c9"}, "decision.cell: no cell 'p2/c9'; did you mean 'p2/c2'?"),
        (
            {"volumes": {"committed": 1, "base": 2}},
            "decision.volumes: needs committed, base, upside; 'upside' is missing.",
        ),
        (
            {"volumes": {"committed": 3, "base": 2, "upside": 4}},
            "decision.volumes: must rise, got 3, 2, 4.",
        ),
        (
            {"discounts": (0.1, 0.05, 0.2)},
            "decision.discounts: must rise from above 0, got [0.1, 0.05, 0.2].",
        ),
    ],
)
def test_mistakes_are_one_line(fields, said):
    with pytest.raises(ConfigError) as refusal:
        OemCommitment(**(FIELDS | fields)).of_estimates(EVIDENCE)
    assert str(refusal.value) == said


@pytest.fixture
def finished(tmp_path, monkeypatch):
    """The folder of a run whose decision can be written."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "outputs" / "runs" / "volume_commitment" / "abc"
    folder.mkdir(parents=True)
    write_config(folder / "config.yaml", {"experiment": "volume_commitment"})
    return folder


def test_volumes_are_those_of_a_run(finished):
    with pytest.raises(
        ConfigError,
        match=r"volume_commitment/abc has no volumes; run it with decision=volume_bands\.$",
    ):
        law_of_run("volume_commitment", None)
    rows = {
        "deal": ["a", "b", "b"],
        "cutoff": [1, 1, 2],
        "committed": [1.0, 2.0, 80.0],
        "base": [2.0, 3.0, 100.0],
    }
    write_parquet(
        finished / "volume_bands.parquet", pl.DataFrame(rows | {"upside": [3.0, 4.0, 130.0]})
    )
    write_json(
        finished / "decision.json", {"levels": {"committed": 0.1, "base": 0.5, "upside": 0.95}}
    )
    law = law_of_run("volume_commitment", None)
    assert (law.committed, law.base, law.upside, law.levels) == (
        80.0,
        100.0,
        130.0,
        (0.1, 0.5, 0.95),
    )
    assert law.quantile(0.95) == pytest.approx(130.0)
    verdict = OemCommitment(volume_run="volume_commitment", **FIELDS).of_estimates(EVIDENCE)
    assert verdict.as_dict()["deliverable"] is None
    assert verdict.tiers["from_units"].to_list() == [0.0, 50.0, 80.0, 100.0]
    assert "(run volume_commitment/abc, deal b)" in verdict.sentence
    with pytest.raises(
        ConfigError, match=r"decision\.deal: run volume_commitment/abc has no deal 'a'; known: b\."
    ):
        law_of_run("volume_commitment", "a")
    ends = pl.DataFrame(
        rows | {"upside": [3.0, 4.0, 130.0], "latest": [True, False, True]}
    )  # series have their own last cutoffs
    write_parquet(finished / "volume_bands.parquet", ends)
    assert [law_of_run("volume_commitment", deal).base for deal in ("a", "b")] == [2.0, 100.0]


def test_a_deal_is_not_sold_to_another_cell_and_is_capped_by_what_can_be_delivered(finished):
    row = {
        "deal": ["p2/c0"],
        "cutoff": [1],
        "demand_committed": [80.0],
        "demand_base": [100.0],
        "demand_upside": [130.0],
    }
    most = {"most_committed": [85.0], "most_base": [90.0], "most_upside": [95.0]}
    write_parquet(finished / "supply_volumes.parquet", pl.DataFrame(row | most))
    write_json(
        finished / "decision.json", {"levels": {"committed": 0.1, "base": 0.5, "upside": 0.9}}
    )
    decision = OemCommitment(volume_run="volume_commitment", **FIELDS)
    verdict = decision.of_estimates(EVIDENCE)
    assert "capped by what can be delivered, P10 85, P50 90, P90 95" in verdict.sentence
    assert verdict.tiers["from_units"].to_list() == [0.0, 45.0, 72.0, 90.0]
    assert verdict.tiers["units"].max() < 91
    with pytest.raises(
        ConfigError,
        match=r"^decision\.cell: must be 'p2/c0', the deal of decision\.volume_run, got",
    ):
        replace(decision, cell="p2/c1").of_estimates(EVIDENCE)
    with pytest.raises(
        ConfigError, match=r"^decision\.cell: must be given with decision\.volume_run"
    ):
        replace(decision, cell=None).check_protocol(ElasticityRecovery())


def test_the_share_that_leaks_is_that_of_a_detector(finished):
    with pytest.raises(
        ConfigError, match="has no share of gray lines; run it with decision=arbitrage_thresholds"
    ):
        leak_of_run("volume_commitment")
    write_json(finished / "decision.json", {"above": {"lines": 40, "share": 0.3}})
    assert leak_of_run("volume_commitment") == (0.3, "run volume_commitment/abc")


def test_a_lognormal_volume_has_its_quantiles():
    law = VolumeLaw.around(100.0, 0.2, "")
    assert law.quantile(0.5) == pytest.approx(100.0)
    assert law.upside / law.base == pytest.approx(law.base / law.committed)


def test_a_contract_that_never_pays_is_said_and_drawn(tmp_path):
    buyer = pl.DataFrame(
        {
            "cell": ["a"],
            "product": ["p"],
            "channel": ["oem"],
            "price": [100.0],
            "cost": [60.0],
            "units": [10.0],
            "low": [80.0],
            "high": [125.0],
            "elasticity": [-1.2],
            "stderr": [0.3],
            "status": ["identified"],
        }
    )
    never = OemCommitment(kept=1.0, draws=500).of_estimates(DemandEstimates(buyer, "EUR", "week"))
    assert (never.action, never.walk_away) == ("HOLD", None)
    assert "WALK AWAY at any price up to the list price" in never.sentence
    page, _ = store_pack(tmp_path, OemCommitment, never, "oem")
    assert "any price up to the list price" in page.read_text()
