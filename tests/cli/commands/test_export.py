import polars as pl

from .conftest import SALES, run_id


def test_a_run_is_written_for_other_programs(hwds, sales, tmp_path):
    assert hwds(SALES).code == 0
    run = run_id(tmp_path)
    said = hwds(f"export {run} --to csv --tables scores,settings")
    assert (said.code, said.out.split()) == (
        0,
        [f"outputs/exports/adhoc-{run}/{name}.csv" for name in ("scores", "settings")],
    )
    assert hwds("export adhoc --to parquet --out here").code == 0
    scores = pl.read_parquet(tmp_path / "outputs/runs/adhoc" / run / "scores.parquet")
    assert pl.read_parquet(tmp_path / "here/scores.parquet").equals(scores)
    for line, wanted in (
        ("export adhoc", "export: --to must be given: csv, parquet, xlsx."),
        ("export adhoc --to xls", "got 'xls'; did you mean 'xlsx'?"),
        ("export adhoc --to csv --tables score", "has no table 'score'; did you mean 'scores'?"),
        ("export adhok --to csv", "no run 'adhok' below outputs/runs; did you mean 'adhoc'?"),
        ("export --to csv", "must be followed by one run, got 0"),
    ):
        assert wanted in hwds(line).line
