import sys
from datetime import date

import numpy as np
import polars as pl
import pytest

from hwds.core import keys

MODEL = '''
import numpy as np
from dataclasses import dataclass
from pathlib import Path
from hwds.frames.panel import Forecasts
from hwds.forecast.models.base import Forecaster

SEEN = []
OUTPUTS = Path("outputs")
try:
    SALES = Path("sales.csv").read_text()
except OSError:
    SALES = ""

class Carries(Forecaster):
    """Goes on from what it learned in the fit before."""

    def learn(self, history, *, horizon, context):
        SEEN.append(float(np.nanmean(history.target)))
        return Level(float(np.mean(SEEN)), len(context.levels))

class Reads(Forecaster):
    """Reads what an earlier run left, in its module and in its fit."""

    def learn(self, history, *, horizon, context):
        return Level(float(len((OUTPUTS / "notes.txt").read_text())), len(context.levels))

class Honest(Forecaster):
    """The mean of the history."""

    def learn(self, history, *, horizon, context):
        return Level(float(np.nanmean(history.target)), len(context.levels))

@dataclass(frozen=True)
class Level:
    value: float
    levels: int

    def predict(self, history, future):
        shape = (history.n_series, int(future.lengths[0]))
        return Forecasts.of(np.full(shape, self.value), np.full((*shape, self.levels), self.value))
'''


@pytest.fixture
def own(hwds, tmp_path):
    (tmp_path / "conf" / "model" / "mine").mkdir(parents=True)
    for name in ("carries", "reads", "honest"):
        (tmp_path / "conf" / "model" / "mine" / f"{name}.yaml").write_text(
            f"recipe: leaky_models:{name.capitalize()}\n"
        )
    (tmp_path / "leaky_models.py").write_text(MODEL)
    for found in (keys.file_of_module, keys._spec):  # of a module of this name elsewhere
        found.cache_clear()
    yield hwds
    assert "leaky_models" not in sys.modules  # it is imported behind walls alone


def test_one_line_a_model(hwds):
    said = hwds("check-leakage model=forecast/seasonal_naive features=lags rivals=[forecast/naive]")
    assert said.code == 0
    lines = said.out.splitlines()
    found, (tried, *_, unseen, size) = lines[:4], lines[4:]  # a kernel without walls adds a line
    assert size == "size=small: a leak in what it caps is seen by size=full alone."
    assert found == [
        "forecast/seasonal_naive: no leak (bit-identical answers at 2 cutoffs)",
        "forecast/naive: no leak (bit-identical answers at 2 cutoffs)",
        "truth: no leak (bit-identical answers at 2 cutoffs)",
        "features lags: no leak (bit-identical answers at 3 cutoffs)",
    ]
    assert tried.startswith(
        "tried: rubbish after each cutoff; folds asked first to last, last to first in a fresh "
        "process, "
    )
    assert "worlds" not in tried
    assert "what a model does only where it is not behind walls" in unseen


def test_a_users_model_that_leaks_is_told(own):
    said = own("check-leakage model=mine/carries rivals=[mine/honest] dataset=classics")
    assert said.code == 1
    assert "mine/carries: LEAKS (answers differ at " in said.out
    assert (
        "answers changed when the same was asked again: something is kept from one fit to another."
        in said.out
    )
    assert "mine/honest: no leak" in said.out
    assert own("check-leakage model=mine/honest dataset=classics protocol=holdout").code == 0


def sales(folder, **more):
    """A file of three series, with more columns."""
    when = pl.date_range(date(2020, 1, 1), date(2023, 12, 1), "1mo", eager=True)
    noise = np.random.default_rng(0).normal(100, 10, 3 * len(when))
    table = pl.DataFrame(
        {"sku": np.repeat(["a", "b", "c"], len(when)), "month": [*when] * 3, "units": noise}
    )
    table.with_columns(**more).write_csv(folder / "sales.csv")


FILE = (
    "dataset=file dataset.path=sales.csv dataset.roles.series=sku dataset.roles.time=month "
    "dataset.roles.target=units"
)


def test_files_that_a_module_or_a_fit_reads_are_told(own, tmp_path):
    sales(tmp_path)
    (tmp_path / "outputs").mkdir()
    (tmp_path / "outputs" / "notes.txt").write_text("what came of it")
    said = own(f"check-leakage model=mine/reads {FILE} protocol.horizon=3")
    assert said.code == 1
    assert "reads outputs/notes.txt, what another run left." in said.out
    assert "reads sales.csv, the data's own file." in said.out
    assert "mine/reads: LEAKS (" in said.out


def test_a_column_that_gives_the_target_away_is_told_or_trusted(own, tmp_path):
    sales(tmp_path, visits=pl.col("units").shift(-12).over("sku"))
    words = (
        f"check-leakage model=forecast/naive {FILE} dataset.roles.past_only=visits "
        f"dataset.season=12 protocol.horizon=3"
    )
    assert (
        "column 'visits' gives the target away: it goes with the target 12 rows later"
        in own(words).line
    )
    assert own(f"{words} dataset.trust=[visits]").code == 0
    assert (
        "dataset.trust: no role names a column 'visit'; did you mean 'visits'?"
        in own(f"{words} dataset.trust=[visit]").line
    )


def test_wrong_words_are_refused(hwds):
    assert "check-leakage: no flag '--all'; known: " in hwds("check-leakage --all").line
    assert "did you mean 'forecast/naive'?" in hwds("check-leakage model=forecast/nave").line


def test_a_module_that_ends_its_process_is_refused_in_one_line(own, tmp_path):
    (tmp_path / "leaky_models.py").write_text("import os\nos._exit(3)\n")
    said = own("check-leakage model=mine/honest dataset=classics")
    assert "ends its process when it is imported" in said.line
