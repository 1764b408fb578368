import json
import re
from pathlib import Path

import pytest

from hwds.cli.commands.plan import time_basis
from hwds.datasets import Classics
from hwds.experiment.prepare import TimeEstimate, timed_before

from .conftest import SALES


def told(out):
    """Path to (value, origin), from lines of aligned columns."""
    settings = re.sub(r"\n +", "  ", out.rpartition("\n\n")[2])
    lines = [line for line in settings.splitlines() if line]
    start = {len(re.match(r"\S+ +", line)[0]) for line in lines}
    assert len(start) == 1, "values are not aligned"
    return {line.split(":")[0]: tuple(line[min(start) :].rsplit("  ", 1)) for line in lines}


def test_every_value_has_its_origin(hwds):
    said = hwds(
        "plan --all +experiment=lstm_forecast model=forecast/naive protocol.windows=3 size=small"
        " 'rivals=[{forecast/drift: {name: slope}},forecast/seasonal_naive]'"
    )
    assert said.code == 0, said
    found = {
        path: (value.strip(), origin.strip()) for path, (value, origin) in told(said.out).items()
    }
    assert found["model.name"] == ("forecast/naive", "command line")
    assert found["dataset.name"] == ("hardware_demand", "conf/experiment/lstm_forecast.yaml")
    assert found["dataset.recipe"] == (
        "simulated/hardware_demand",
        "conf/dataset/hardware_demand.yaml",
    )
    assert found["protocol.windows"] == ("3", "command line"), "what is typed wins over size=small"
    assert found["dataset.months"] == ("72", "size=small")
    assert found["dataset.noise"] == ("0.18", "default")
    assert found["compute.name"] == ("processes", "conf/config.yaml")
    assert found["protocol.sliding"] == ("null", "default")
    assert found["protocol.levels"] == ("[0.1, 0.5, 0.9]", "default")
    assert found["seed"] == ("0", "conf/config.yaml")
    assert found["rivals"][0].startswith("[slope")
    assert found["rivals"][0].endswith(", forecast/seasonal_naive]")
    assert found["rivals"][1] == "command line"
    assert "{" not in said.out


def test_only_what_is_no_default_is_shown(hwds):
    words = "plan model=forecast/naive dataset=classics protocol.windows=2 rivals=[]"
    lines = hwds(words).out.splitlines()
    assert "protocol.windows:  2               command line" in lines
    assert not [line for line in lines if "  default" in line or "conf/config.yaml" in line]
    left = re.fullmatch(r"(\d+) defaults: --all", lines[-1])
    every = hwds(f"{words} --all").out
    assert "defaults: --all" not in every
    assert len(told(every)) == int(left[1]) + len(told("\n".join(lines[:-1])))


def test_a_plan_as_data_has_the_numbers(hwds):
    words = "plan model=forecast/naive dataset=classics protocol.windows=2 rivals=[]"
    plan = json.loads(hwds(f"{words} --json").out)
    assert [cell["kept"] for cell in plan["cells"]] == [False, False]
    windows = next(row for row in plan["settings"] if row["setting"] == "protocol.windows")
    assert windows == {
        "setting": "protocol.windows",
        "value": 2,
        "origin": "command line",
        "default": False,
    }
    assert plan["seconds"] > 0


def test_no_line_is_wider_than_a_terminal(hwds):
    for more in ("+experiment=stack_forecast --all", "+experiment=xgboost_forecast sweep=asha"):
        said = hwds(f"plan {more} size=small")
        assert said.code == 0, said
        assert max(map(len, said.out.splitlines())) <= 100, more


def test_companions_take_no_time_of_their_own(hwds):
    """What a stack has fitted is there for the equal mean, the median and the best member beside
    it.
    """
    words = (
        "plan model=forecast/stack 'model.members=[forecast/sarima,forecast/mlp]' "
        "dataset=classics protocol=holdout rivals=null"
    )
    plans = [json.loads(hwds(f"{words}{more} --json").out) for more in (" model.combine=equal", "")]
    assert [len(plan["cells"]) for plan in plans] == [1, 4]
    seconds = [plan["seconds"] for plan in plans]
    assert seconds[1] == pytest.approx(seconds[0], rel=0.5)


def test_the_cells_and_the_time(hwds, tmp_path):
    words = (
        "model=forecast/naive rivals=[forecast/drift] dataset=classics compute=serial "
        "protocol.windows=2"
    )
    before = hwds(f"plan {words}").out
    assert "to compute" in before
    assert (
        "on one core, by rows, steps, trees, epochs and this machine's speed: within a factor of "
        "two." in " ".join(before.split())
    )
    assert not list(tmp_path.glob("outputs/runs/*")), "a plan leaves no run"
    assert hwds(words).code == 0
    after = hwds(f"plan {words}").out
    assert "(finished)" in after
    assert after.startswith(
        "forecast/naive with forecast/drift on classics: 4 cells, 4 kept; nothing is left to "
        "compute.\n"
    )
    assert set(timed_before(Classics(name="classics"))) == {"forecast/naive", "forecast/drift"}
    half = hwds(f"plan {words} seed=1 rivals=[forecast/seasonal_naive]").out
    assert "this machine's speed" in half
    assert "on one core, by earlier timings" in hwds(f"plan {words} seed=1").out
    (cell, *_) = tmp_path.glob("outputs/cache/cells/*/*.parquet")
    cell.unlink()
    lines = hwds(f"plan {words}").out.splitlines()
    head = next(line for line in lines if line.startswith("fold"))
    assert head.split() == ["fold", "cutoffs", "forecast/naive", "forecast/drift"]
    assert "4 cells, 3 kept; the rest takes about" in " ".join(lines[:2])


def test_the_time_of_another_file_or_of_other_settings_says_nothing(hwds, sales):
    """Every file is the dataset `file`; a budget of 1u takes another time than one of 60u."""
    words = f"{SALES} compute=serial model=forecast/naive"
    assert hwds(words).code == 0
    assert "by earlier timings" in hwds(f"plan {words} seed=1").out
    Path("other.csv").write_bytes(Path("sales.csv").read_bytes())
    assert "by rows, steps" in hwds(f"plan {words} dataset.path=other.csv seed=1").out
    assert hwds(f"{SALES} compute=serial model=forecast/auto model.budget=1u").code == 0
    assert (
        "by earlier timings"
        in hwds(f"plan {SALES} compute=serial model=forecast/auto model.budget=1u seed=1").out
    )
    longer = hwds(f"plan {SALES} compute=serial model=forecast/auto model.budget=60u").out
    assert "at most about" in longer
    assert "by budgets, which need not be used up" in longer


def test_smaller_cells_beside_work_are_no_budgets():
    assert "budgets" in time_basis(TimeEstimate(9.0, by_work=True, by_budget=True))
    assert "budgets" not in time_basis(TimeEstimate(9.0, at_most=True, by_work=True))


def test_a_long_run_is_offered_within_a_budget(hwds):
    words = "plan dataset=weekly_sales protocol.windows=4"
    offered = "For a forecast within a minute per window: model=forecast/auto model.budget=60s."
    assert offered in hwds(f"{words} model=forecast/lstm model.epochs=90").out.splitlines()
    assert (
        "the rest takes at most about 4 minutes."
        in hwds(f"{words} model=forecast/auto model.budget=60s").out
    )
    assert offered not in hwds(f"{words} model=forecast/naive").out
    many = hwds(
        "plan protocol.windows=60 protocol.stride=1 model=forecast/lstm"
    ).out  # seconds a window
    assert re.search(r"the rest\stakes\sabout\s\d+\sminutes\.", many)
    assert offered not in many


def test_the_segments_of_a_file_of_ones_own(hwds, sales):
    words = f"{SALES} dataset.roles.static=[region] protocol.segments=[region]"
    lines = hwds(f"plan {words}").out.splitlines()
    assert "Scores by region, too: y, é." in lines
    assert any(line.split()[:2] == ["protocol.segments:", "[region]"] for line in lines)
    said = hwds(
        f"plan {words}".replace(
            "=[region] protocol.segments=[region]", "=[region] protocol.segments=[regoin]"
        )
    )
    assert said.line == "hwds: protocol.segments: no column 'regoin'; did you mean 'region'?"
    assert hwds(words).code == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("model=forecast/nave", "no option 'forecast/nave'; did you mean 'forecast/naive'?"),
        ("-m seed=1,2", "plan: no flag '-m'"),
        ("seed=1,2", "several values"),
        ("dataset=file", "dataset.path: must be given."),
        ("word", "'word': is not path.to.key=value"),
    ],
)
def test_wrong_words_are_refused(hwds, words, said):
    assert said in hwds(f"plan {words}").line


def test_features_say_what_they_are_computed_without(hwds, tmp_path):
    rows = [
        f"c{day % 5},2024-{1 + day // 28:02d}-{1 + day % 28:02d},{day % 7 + 1},{int(day % 9 == 0)}"
        for day in range(150)
    ]
    (tmp_path / "orders.csv").write_text("\n".join(["customer,when,quantity,label", *rows, ""]))
    roles = "dataset.roles.label=label dataset.roles.time=when dataset.roles.entity=customer"
    said = hwds(
        f"plan dataset=table dataset.path=orders.csv {roles} model=classify/logistic "
        f"protocol=prequential features=purchases"
    )
    assert said.code == 0, said.err
    lacking = "order, sku, store, channel, unit_price, promotion, returned_at"
    assert (
        f"Features 'purchases' are computed without {lacking}: the data has no column of that name."
        in " ".join(said.out.split())
    )
    unused = hwds(
        "plan model=forecast/naive features=lags rivals=[] dataset=classics protocol=holdout"
    )
    assert "Features 'lags' were not used: no model here reads a feature set." in unused.out


def test_cutoffs_that_the_data_gave_are_explained_and_those_of_a_sweep_leave_history(hwds):
    words = "plan dataset=classics model=forecast/naive compute=serial"
    said = hwds(words).out
    assert (
        "12 cutoffs, 12 rows apart, by the length of the data: 2,804 rows (233.7 seasons) lie "
        "before the first." in " ".join(said.split())
    )
    assert "by the length of the data" not in hwds(f"{words} protocol.windows=3").out
    sweep = "sweep=grid 'sweep.space.protocol.sliding={choice:[60,90]}' sweep.windows=2"
    default, three = (hwds(f"{words}{more} {sweep}").out for more in ("", " protocol.windows=3"))
    assert "inner window" in default
    windows = [out.partition("inner window")[2].partition("\n\n")[0] for out in (default, three)]
    assert windows[0] == windows[1]
