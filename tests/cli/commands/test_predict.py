import os
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from .conftest import FILE, SALES, future, months, run_id

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def planned(hwds, sales, once, tmp_path):
    """A run on series with a column that must be planned."""
    once(lambda: finish(hwds, f"{SALES} dataset.roles.known_future=promo"))
    return run_id(tmp_path), sales[1]


@pytest.fixture
def plain(hwds, sales, once):
    """A run on the sales alone."""
    once(lambda: finish(hwds, SALES), "plain")


@pytest.fixture
def simulated(hwds, once):
    """A run on simulated demand."""
    once(
        lambda: finish(hwds, "model=forecast/seasonal_naive size=small compute=serial"), "simulated"
    )


def finish(hwds, line):
    assert hwds(line).code == 0


def test_simulated_demand_is_forecast_up_to_the_planned_end(hwds, simulated, tmp_path):
    said = hwds("predict adhoc")
    assert said.code == 0, said
    assert "have ended or are not planned" in said.out
    from hwds.datasets.simulated.hardware_demand import HardwareDemand

    panel = HardwareDemand(families=2, channels=2, months=72).load()
    forecasts = future(tmp_path)
    assert forecasts.columns == [
        "series_id",
        "cutoff",
        "time",
        "step",
        "mean",
        "q_0.1",
        "q_0.5",
        "q_0.9",
    ]
    assert forecasts.select("series_id", "time").equals(panel.plan.select("series_id", "time"))
    ends = dict(panel.table.select("series_id", "planned_end").unique().iter_rows())
    assert all(
        when <= ends[name] for name, when in forecasts.select("series_id", "time").iter_rows()
    )
    assert forecasts["step"].max() == 12
    assert forecasts["mean"].null_count() == 0
    assert (
        pl.read_csv(next(tmp_path.glob("outputs/runs/*/*/future.csv")))["mean"].to_list()
        == forecasts["mean"].to_list()
    )


def test_a_template_has_the_rows_and_columns_to_fill_in(hwds, planned, tmp_path):
    run, plan = planned
    said = hwds(f"predict {run} --template rows.csv")
    assert (said.code, said.out) == (0, "24 rows to fill in (promo): rows.csv\n")
    rows = pl.read_csv(tmp_path / "rows.csv", try_parse_dates=True)
    assert rows.columns == ["shop", "region", "month", "promo"]
    assert rows["promo"].null_count() == 24
    filled = rows.drop("promo").join(plan, on=["shop", "region", "month"], how="left")
    filled.write_csv(tmp_path / "rows.csv")
    assert hwds(f"predict {run} --future rows.csv").code == 0
    assert len(future(tmp_path)) == 24


def test_without_covariates_no_plan_is_needed(hwds, sales, plain, tmp_path):
    assert hwds(f"predict {run_id(tmp_path)[:6]}").code == 0
    forecasts = future(tmp_path)
    assert forecasts["time"].unique().sort().to_list() == months(date(2024, 1, 1), 6).to_list()
    year_before = sales[0].filter(pl.col("month").is_between(date(2023, 1, 1), date(2023, 6, 1)))
    assert forecasts["mean"].to_list() == year_before["units"].to_list()
    for flag in ("future", "template"):
        assert "no known-future column" in hwds(f"predict adhoc --{flag} plan.csv").line


def test_a_plan_is_asked_for_and_taken(hwds, planned, tmp_path):
    run, _ = planned
    assert "--future: must be given, a file that plans 'promo'" in hwds(f"predict {run}").line
    (tmp_path / "cut.csv").write_text((tmp_path / "plan.csv").read_text().rstrip("\n"))
    said = hwds(f"predict {run} --future cut.csv")
    assert said.code == 0, said
    assert "'cut.csv' does not end with a line break" in said.out
    assert len(future(tmp_path)) == 24


MAY = pl.col("month") == date(2024, 5, 1)
WRONG = {
    "no column 'promo'": lambda plan: plan.drop("promo"),
    "no row for series 'b|y'; 'promo' must": lambda plan: plan.filter(pl.col("shop") == "a"),
    "no 'promo' for series 'a|y' at 2024-05-01; 4 of 24": lambda plan: plan.filter(~MAY),
    "no 'promo' for series 'a|é' at 2024-05-01; 1 of 24": lambda plan: plan.with_columns(
        promo=pl.when(MAY & (pl.col("shop") == "a") & (pl.col("region") == "é"))
        .then(None)
        .otherwise(pl.col("promo"))
    ),
    "no 'promo' for series 'b|é' at 2024-06-01; 1 of 24": lambda plan: plan.head(23),
    "two rows for series 'a|y' at 2024-01-01": lambda plan: pl.concat([plan, plan.head(1)]),
    "has 0 in column 'month', the data 2023-12-01": lambda plan: plan.with_columns(
        month=pl.int_range(pl.len())
    ),
    "row 1 has 'much' in column 'promo'": lambda plan: plan.with_columns(promo=pl.lit("much")),
}


def test_a_plan_with_holes_is_refused(hwds, planned, tmp_path):
    run, plan = planned
    for said, spoil in WRONG.items():
        spoil(plan).write_csv(tmp_path / "wrong.csv")
        line = hwds(f"predict {run} --future wrong.csv").line
        assert line.startswith("hwds: --future: 'wrong.csv'")
        assert said in line
    assert not list(tmp_path.glob("outputs/runs/*/*/future*"))


def test_a_plan_is_written_as_the_data_is(hwds, sales, tmp_path):
    for name, table in zip(("old.csv", "ahead.csv"), sales, strict=True):
        (tmp_path / name).write_bytes(table.write_csv(separator=";").encode("latin-1"))
    words = (
        "dataset.path=old.csv 'dataset.separator=\";\"' dataset.encoding=latin-1 "
        "dataset.roles.known_future=promo"
    )
    assert hwds(f"{SALES.replace('dataset.path=sales.csv', '')} {words}").code == 0
    assert hwds("predict adhoc --future=ahead.csv").code == 0
    assert future(tmp_path)["series_id"].unique().sort().to_list() == ["a|y", "a|é", "b|y", "b|é"]


def test_a_series_that_ended_needs_no_plan(hwds, sales, tmp_path):
    rows, plan = sales
    ended = (pl.col("shop") == "a") & (pl.col("month") > date(2023, 6, 1))
    rows.filter(~ended).write_csv(tmp_path / "sales.csv")
    plan.filter(pl.col("shop") == "b").write_csv(tmp_path / "plan.csv")
    assert hwds(f"{SALES} dataset.roles.known_future=promo").code == 0
    said = hwds("predict adhoc --future plan.csv")
    assert "2 of 4 series have ended or are not planned" in said.out
    assert future(tmp_path)["series_id"].unique().sort().to_list() == ["b|y", "b|é"]


def test_simulated_demand_takes_a_changed_plan_and_refuses_half_of_it(hwds, simulated, tmp_path):
    from hwds.datasets.simulated.hardware_demand import HardwareDemand

    plan = HardwareDemand(families=2, channels=2, months=72).load().plan
    plan.with_columns(pl.col("price") * 0.9).write_parquet(tmp_path / "cheaper.parquet")
    assert hwds("predict adhoc --future cheaper.parquet").code == 0
    plan.drop("price").write_parquet(tmp_path / "half.parquet")
    assert "no column 'price'" in hwds("predict adhoc --future half.parquet").line


def test_new_data_of_the_same_roles_with_whole_numbers_for_time(hwds, tmp_path):
    values = pl.DataFrame({"month": range(40), "units": [float(value % 4) for value in range(40)]})
    values.write_csv(tmp_path / "line.csv")
    values.select(pl.col("month") + 10, pl.col("units") + 7).head(8).write_parquet(
        tmp_path / "new.parquet"
    )
    assert hwds(f"{FILE} dataset.path=line.csv dataset.season=4 save_model=final").code == 0
    assert "the saved model" in hwds("predict adhoc").out
    assert future(tmp_path)["time"].to_list() == [40, 41, 42, 43, 44, 45]
    assert future(tmp_path)["mean"].to_list() == [0, 1, 2, 3, 0, 1]
    said = hwds(
        "predict adhoc --data new.parquet"
    )  # eight rows: enough to go on from, not for the run's own protocol
    assert said.code == 0, said
    assert future(tmp_path)["time"].to_list() == [18, 19, 20, 21, 22, 23]
    assert future(tmp_path)["mean"].to_list() == [7, 8, 9, 10, 7, 8]


def test_new_data_needs_no_split_and_keeps_the_horizon(hwds, tmp_path):
    values = pl.DataFrame({"month": range(40), "units": [float(value % 4) for value in range(40)]})
    values.write_csv(tmp_path / "new.csv")
    values.with_columns(split=pl.lit(["train"] * 33 + ["test"] * 7).list.explode()).write_csv(
        tmp_path / "line.csv"
    )
    words = FILE.replace("protocol.horizon=6", "dataset.roles.split=split")
    assert hwds(f"{words} dataset.path=line.csv dataset.season=4").code == 0
    said = hwds("predict adhoc --data new.csv")
    assert (said.code, "line break" in said.out) == (0, False)
    assert future(tmp_path)["time"].to_list() == list(range(40, 47))
    (tmp_path / "new.csv").write_text((tmp_path / "new.csv").read_text().rstrip("\n"))
    assert "'new.csv' does not end with a line break" in hwds("predict adhoc --data new.csv").out


def test_the_saved_model_gives_the_bytes_of_the_fit_on_all_rows_in_a_fresh_process(hwds, tmp_path):
    line = (
        "model=forecast/xgboost model.trees=5 size=small compute=serial features=lags "
        "protocol=holdout"
    )
    assert hwds(line).code == 0
    said = hwds(f"predict {run_id(tmp_path)}")
    assert "fitted on all rows" in said.out
    fitted = future(tmp_path)
    (folder,) = tmp_path.glob("outputs/runs/adhoc/*")
    assert hwds(f"{line} save_model=final").code == 0
    assert [folder] == list(tmp_path.glob("outputs/runs/adhoc/*"))
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "hwds", "predict", folder.name],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "the saved model" in done.stdout
    assert future(tmp_path).equals(fitted)


def test_a_run_of_older_code_is_found_and_forecast(hwds, plain, tmp_path):
    (folder,) = tmp_path.glob("outputs/runs/adhoc/*")
    old = folder.rename(folder.with_name("0123456789abcdef"))
    for command in ("predict 0123", "show 0123"):
        said = hwds(command)
        assert said.code == 0, said
        assert str(old.relative_to(tmp_path)) in said.out
    assert (old / "future.csv").is_file()
    assert not folder.exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("", "must be followed by one run, got 0"),
        ("a b", "must be followed by one run, got 2"),
        ("adhoc --dta x", "no flag '--dta'; did you mean '--data'?"),
        ("adhoc --data", "--data must be followed by a file"),
        ("adhoc --future --data x", "--future must be followed by a file"),
        ("nothing", "no run 'nothing'"),
        ("adhoc --data nope.csv", "no file 'nope.csv'"),
    ],
)
def test_wrong_words_are_refused(hwds, plain, words, said):
    assert said in hwds(f"predict {words}").line


def test_data_of_a_dataset_that_reads_no_file_is_refused(hwds, simulated):
    assert "must be on dataset=file" in hwds("predict adhoc --data new.csv").line


def test_a_kept_classifier_judges_the_rows_that_are_too_young_for_labels(hwds, tmp_path):
    asked = "dataset=handbook_simulator model=classify/logistic protocol=prequential"
    assert hwds(f"{asked} size=small save_model=final compute=serial").code == 0
    said = hwds("predict adhoc")
    assert said.code == 0, said
    assert "the saved model" in said.out
    judged = future(tmp_path)
    from hwds.datasets.simulated.handbook_simulator import HandbookSimulator

    times = HandbookSimulator(customers=500, days=100).load().column("time")
    last = times.max().replace(hour=0, minute=0, second=0)
    assert judged.height == (times >= last - timedelta(days=6)).sum()
    assert judged["probability"].is_between(0, 1).all()
    assert "there is nothing to plan" in hwds("predict adhoc --future plan.csv").line
