import sys

import pytest

MODEL = '''
import numpy as np
from dataclasses import dataclass
from hwds.frames.forecasts import Forecasts
from hwds.forecast.models.base import Forecaster

SEEN = []

class Carries(Forecaster):
    """Goes on from what it learned in the fit before."""

    def learn(self, history, *, horizon, context):
        SEEN.append(float(np.nanmean(history.target)))
        return Level(float(np.mean(SEEN)), len(context.levels))

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
    for name in ("carries", "honest"):
        (tmp_path / "conf" / "model" / "mine" / f"{name}.yaml").write_text(f"recipe: leaky_models:{name.capitalize()}\n")
    (tmp_path / "leaky_models.py").write_text(MODEL)
    yield hwds
    sys.modules.pop("leaky_models", None)


def test_one_line_a_model(hwds):
    said = hwds("check-leakage model=forecast/seasonal_naive features=lags rivals=[forecast/naive]")
    assert said.code == 0
    assert said.out.splitlines() == [
        "forecast/seasonal_naive: no leak (bit-identical answers at 2 cutoffs)",
        "forecast/naive: no leak (bit-identical answers at 2 cutoffs)",
        "truth: no leak (bit-identical answers at 2 cutoffs)",
        "features lags: no leak (bit-identical answers at 3 cutoffs)",
    ]


def test_a_users_model_that_leaks_is_told(own):
    said = own("check-leakage model=mine/carries rivals=[mine/honest] dataset=classics")
    assert said.code == 1
    assert "mine/carries: LEAKS (answers differ at " in said.out
    assert "answers changed with the data after the cutoff" in said.out
    assert "mine/honest: no leak" in said.out
    assert own("check-leakage model=mine/honest dataset=classics protocol=holdout").code == 0


def test_wrong_words_are_refused(hwds):
    assert "check-leakage: takes no flag, got '--all'" in hwds("check-leakage --all").line
    assert "did you mean 'forecast/naive'?" in hwds("check-leakage model=forecast/nave").line
