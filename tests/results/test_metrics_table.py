import polars as pl

from hwds.forecast.metrics import forecast_metrics
from hwds.results.folder import RunFolder
from hwds.results.tables import METRICS, Measure, Tables, metrics_table

EMPTY = pl.DataFrame({"model": []})


def test_a_run_keeps_what_its_metrics_say_of_themselves(tmp_path):
    metrics = [
        Measure(
            "aucpr",
            meaning="average precision",
            better="high",
            units="rows",
            beside="page",
            reference="a/b",
        )
    ]
    folder = RunFolder(tmp_path)
    folder.write_tables(Tables(EMPTY, EMPTY, EMPTY, metrics_table(metrics)))
    assert folder.read_tables().measure("aucpr") == metrics[0]
    (tmp_path / "metrics.parquet").unlink()
    assert folder.read_tables().measure("aucpr") == Measure("aucpr"), (
        "a run of before shows its names"
    )


def test_a_metric_is_found_by_its_full_and_its_short_name():
    tables = Tables(
        EMPTY, EMPTY, EMPTY, metrics_table(forecast_metrics(4, (0.1, 0.5, 0.9)).values())
    )
    assert dict(tables.metrics.schema) == METRICS
    assert tables.measure("mase").name == tables.measure("mase[m=4]").name == "mase[m=4]"
    assert tables.measure("pinball[q=0.9]").name == "pinball[q=0.9]"
    assert tables.measure("unheard") == Measure("unheard")
