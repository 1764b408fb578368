"""`dataset.join`: a finished run's forecasts as a column, and what is refused of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import polars as pl
import pytest
import yaml

from hwds.core.compose import compose
from hwds.core.errors import ConfigError, DataError
from hwds.datasets.base import Join, with_joined
from hwds.experiment.spec import check
from hwds.results.folder import RunFolder
from tests.support.panels import monthly_panel

CONFIG = {"dataset": {}, "model": {"name": "forecast/drift"}, "protocol": {}, "seed": 0}


def month(i):
    return date(2018 + i // 12, i % 12 + 1, 1)


def predictions(
    names=("s0", "s1"), cutoffs=(10, 12, 14), steps=4, model="forecast/drift", shift=0.0, late=None
):
    """Forecasts that say at which month they were made.

    The cutoffs of the series in `late` are months later.
    """
    rows = []
    for fold, cut in enumerate(cutoffs):
        for name in names:
            made = cut + (late or {}).get(name, 0)
            rows += [
                (
                    model,
                    fold,
                    name,
                    month(made),
                    month(made + step),
                    step,
                    1e6,
                    made + shift,
                    made - 0.5,
                )
                for step in range(1, steps + 1)
            ]
    columns = ["model", "fold", "series_id", "cutoff", "time", "step", "actual", "mean", "q_0.1"]
    return pl.DataFrame(rows, schema=columns, orient="row").with_columns(
        pl.col("mean", "q_0.1", "actual").cast(pl.Float64)
    )


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Lays a finished run of an experiment."""
    monkeypatch.chdir(tmp_path)

    def lay(rows, name="prices/0123abcd", future=None):
        folder = RunFolder.of(*name.split("/")).path
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.yaml").write_text(yaml.safe_dump(CONFIG))
        for table in ("predictions", "scores", "timings"):
            rows.write_parquet(folder / f"{table}.parquet")
        if future is not None:
            future.write_parquet(folder / "future.parquet")
        return folder

    return lay


def join(**more):
    return Join(**({"run": "prices", "as": "rival"} | more))


def of(panel, name="s0", column="rival"):
    return panel.table.filter(pl.col("series_id") == name)[column].to_list()


def test_a_row_has_the_last_forecast_before_it(run):
    run(predictions())
    panel = with_joined(monthly_panel(3, 24), [join()])
    assert of(panel) == [None] * 11 + [10, 10, 12, 12, 14, 14, 14, 14] + [None] * 5
    assert of(panel, "s2") == [None] * 24
    assert panel.roles.known_future == ("promotion", "rival")
    assert dict(panel.vintages.sources) == {"rival": "the mean of run prices/0123abcd"}


def test_a_run_is_found_by_path_id_and_experiment_and_a_quantile_or_a_rivals_forecast_is_taken(
    run, tmp_path
):
    folder = run(pl.concat([predictions(), predictions(model="forecast/zero", shift=0.25)]))
    plain = monthly_panel(2, 24)
    for name in (str(folder), "0123", "prices/0123abcd", "prices"):
        assert of(with_joined(plain, [join(run=name)]))[11] == 10
    both = with_joined(plain, [join(column="q_0.1", **{"as": "low"}), join(model="forecast/zero")])
    assert both.roles.known_future == ("promotion", "low", "rival")
    assert (of(both, column="low")[11], of(both)[11]) == (9.5, 10.25)
    assert both.vintages.sources["rival"] == "the mean of run prices/0123abcd, forecast/zero"


def test_the_fingerprint_changes_with_the_forecasts_alone(run):
    plain = monthly_panel(2, 24)
    run(predictions())
    first = with_joined(plain, [join()]).fingerprint
    run(predictions(), "prices/4567")
    assert with_joined(plain, [join(run="4567")]).fingerprint == first
    run(predictions(shift=1e-9), "prices/4567")
    assert len({first, plain.fingerprint, with_joined(plain, [join(run="4567")]).fingerprint}) == 3


def test_what_predict_forecast_counts_from_the_end_of_the_data(run):
    future = predictions(cutoffs=(23,)).drop("model", "fold", "actual")
    run(predictions(), future=future)
    panel = with_joined(monthly_panel(2, 24), [join()])
    from hwds.evaluation.panel_folds import FromEnd, future_of, series_at

    end = FromEnd(0)
    ahead = future_of(panel, series_at(panel, end), end.ends(panel), 5)
    assert of(ahead) == [23] * 4 + [None]
    assert of(panel)[19:] == [None] * 5


def test_what_a_fit_knew_of_other_series_counts_as_known_later(run):
    """Counted back from each series' own end: the cutoff of s1 lies three months after that of s0,
    and one fit saw both.
    """
    run(predictions(late={"s1": 3}))
    panel = with_joined(monthly_panel(2, 24), [join()])
    made = (
        panel.vintages.table.filter(pl.col("series_id") == "s0")
        .select("made_at", "value")
        .unique()
        .sort("value")
    )
    assert made.rows() == [(month(13), 10.0), (month(15), 12.0), (month(17), 14.0)]
    assert of(panel)[11:19] == [None, None, None, 10, None, 12, None, 14]


def test_a_fit_that_serves_many_cutoffs_of_a_calendar_keeps_them(run):
    rows = predictions().with_columns(fold=pl.lit(0))
    run(rows.filter((pl.col("series_id") == "s0") | (pl.col("cutoff") > month(10))))
    panel = with_joined(monthly_panel(2, 24), [join()])
    assert panel.vintages.table.filter(pl.col("series_id") == "s0")[
        "made_at"
    ].unique().sort().to_list() == [
        month(10),
        month(12),
        month(14),
    ]


@pytest.mark.parametrize("names", [("phones", "tablets"), ("family=phones", "family=tablets")])
def test_the_forecast_of_a_family_is_that_of_each_of_its_series(run, names):
    run(
        predictions(names=names).with_columns(
            mean=pl.col("mean") + (pl.col("series_id") == names[1]) * 0.5
        )
    )
    plain = monthly_panel(3, 24)
    family = (
        pl.when(pl.col("series_id") == "s2").then(pl.lit("tablets")).otherwise(pl.lit("phones"))
    )
    table = plain.table.with_columns(family=family)
    plain = replace(plain, table=table, roles=plain.roles | {"static": ("family",)})
    panel = with_joined(plain, [join(on="family")])
    assert [of(panel, name)[11] for name in ("s0", "s1", "s2")] == [10, 10, 10.5]
    with pytest.raises(
        ConfigError,
        match=r"dataset.join\[0\].on: no static or level column 'famly'; did you mean 'family'\?",
    ):
        with_joined(plain, [join(on="famly")])


REFUSED = {
    r"dataset.join\[0\].run: no run 'pricse' below .*; did you mean 'prices'\?": {"run": "pricse"},
    r"dataset.join\[0\].as: must be the name of a new column, got 'promotion'": {"as": "promotion"},
    r"dataset.join\[0\].as: must be the name of a new column, got 'target'": {"as": "target"},
    r"dataset.join\[0\].column: 'q_0.2' is not forecast by the run; did you mean 'q_0.1'\?": {
        "column": "q_0.2"
    },
    r"dataset.join\[0\].column: 'actual' is what happened, and no forecast; known: mean, q_0.1": {
        "column": "actual"
    },
    r"dataset.join\[0\].model: run prices/0123abcd has no model 'drift'; did you mean "
    r"'forecast/drift'\?": {"model": "drift"},
}


@pytest.mark.parametrize("said", REFUSED)
def test_refusals(run, said):
    run(predictions())
    with pytest.raises(ConfigError, match=said):
        with_joined(monthly_panel(2, 24), [join(**REFUSED[said])])


def test_a_run_that_is_not_finished_or_no_forecast_is_refused(run):
    folder = run(predictions().drop("series_id"))
    with pytest.raises(ConfigError, match=r"run: run prices/0123abcd is no forecast of series"):
        with_joined(monthly_panel(2, 24), [join()])
    (folder / "scores.parquet").unlink()
    with pytest.raises(
        ConfigError, match=r"dataset.join\[0\].run: run prices/0123abcd is not finished"
    ):
        with_joined(monthly_panel(2, 24), [join()])


def test_a_run_that_has_nothing_in_common_is_refused_in_one_line(run):
    run(predictions(names=("x",)))
    with pytest.raises(DataError, match="its first series is 'x', the dataset's 's0'; see 'on'"):
        with_joined(monthly_panel(2, 24), [join()])
    run(predictions(cutoffs=(100,)))
    with pytest.raises(
        DataError,
        match="its rows are 2026-06-01 to 2026-09-01, the dataset's 2018-01-01 to 2019-12-01",
    ):
        with_joined(monthly_panel(2, 24), [join()])
    run(predictions().with_columns(pl.col("time", "cutoff").to_physical()))
    with pytest.raises(DataError, match="tells time as Int32, the dataset as Date"):
        with_joined(monthly_panel(2, 24), [join()])


def test_a_run_in_other_steps_is_refused_for_its_dates_do_not_mean_the_same(run):
    quarters = predictions().with_columns(
        time=pl.col("cutoff").dt.offset_by(pl.format("{}q", "step"))
    )
    run(quarters)
    with pytest.raises(
        DataError, match="run prices/0123abcd does not forecast in the dataset's steps of 1mo"
    ):
        with_joined(monthly_panel(2, 48), [join()])


def words(item):
    return ["dataset=hardware_demand", f"dataset.join=[{item}]"]


def test_in_yaml_the_column_is_named_by_as():
    (item,) = check(compose(words("{run: prices, column: q_0.9, as: rival}"))).dataset.join
    assert (item.run, item.column, item.as_) == ("prices", "q_0.9", "rival")
    for wrong, told in {
        "{run: prices}": r"dataset.join\[0\].as: must be given.",
        "{run: prices, as: rival, colum: mean}": r"dataset.join\[0\]: no key 'colum'; did you "
        r"mean 'column'\?",
        "prices": r"dataset.join\[0\]: must be a mapping, got 'prices'.",
        "{run: 3, as: rival}": r"dataset.join\[0\].run: must be text, got 3.",
    }.items():
        with pytest.raises(ConfigError, match=told):
            check(compose(words(wrong)))
    with pytest.raises(ConfigError):
        Join(run="prices", as_="rival")


def test_only_series_take_a_join():
    with pytest.raises(ConfigError, match="dataset: no key 'join'"):
        compose(["dataset=price_arms", "dataset.join=[]"])
