"""Models and features of one's own on two toy cells: what is wrong is a line before anything is
computed.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl
import pytest

from hwds.bandit.models.base import Policy
from hwds.bandit.models.kernels.base import Arms, Kernel
from hwds.bandit.models.ucb1 import UCB1
from hwds.bandit.simulation.play import try_policy
from hwds.core.errors import ConfigError
from hwds.detection.models.base import Classifier, Contributions
from hwds.detection.protocols.base import try_classifier, try_row_features
from hwds.evaluation.cells import _try_on_toys, is_tried
from hwds.evaluation.panel_folds import FromEnd
from hwds.evaluation.protocol import WrongAnswerError
from hwds.forecast.features.lags import Lags
from hwds.forecast.models.naive import Naive
from hwds.forecast.protocols.base import try_forecaster, try_panel_features
from hwds.frames.features.base import PanelFeatures, RowFeatures
from hwds.frames.panel import Forecasts
from tests.support.panels import LastValue, inner_context, monthly_panel
from tests.support.rows import context, toy_rows

PANEL = monthly_panel()
ROWS = toy_rows(300)
ARMS = Arms(("a", "b", "c"), np.array([1.0, 2.0, 3.0]), np.zeros((1, 0)), 100, (0.0, 3.0))


def answering(answer):
    """A forecaster of one's own whose `predict` is a function of means and quantiles."""

    class Fitted:
        def predict(self, history, future):
            last = history.target[history.offsets[1:] - 1]
            mean = np.repeat(last[:, None], future.lengths[0], axis=1)
            return answer(mean, np.repeat(mean[..., None], 3, axis=2))

    class Own(LastValue):
        def learn(self, history, *, horizon, context):
            return Fitted()

    return Own()


FORECASTS = [
    (
        lambda mean, quantiles: mean,
        "asked for 2 series and 6 steps and must return hwds.Forecasts, got a ndarray of",
    ),
    (
        lambda mean, quantiles: Forecasts.of(mean[:, 0], quantiles),
        "must be numbers of shape (2, 6), got float64 of shape (2,)",
    ),
    (
        lambda mean, quantiles: Forecasts.of(mean, quantiles[..., :2]),
        "of shape (2, 6, 3), got float64 of shape (2, 6, 2)",
    ),
    (
        lambda mean, quantiles: Forecasts(mean, quantiles - np.arange(3), np.zeros(2, bool)),
        "'quantiles' must not decrease",
    ),
    (
        lambda mean, quantiles: Forecasts.of(mean.astype(str), quantiles),
        "'mean' must be numbers of shape (2, 6), got <U32",
    ),
    (
        lambda mean, quantiles: Forecasts.of(mean.tolist(), quantiles),
        "'mean' must be an array, got a list",
    ),
    (lambda mean, quantiles: 1 / 0, "ZeroDivisionError: division by zero"),
]


@pytest.mark.parametrize(("answer", "said"), FORECASTS)
def test_a_forecaster_that_answers_wrongly_is_told_what_it_was_asked_and_what_must_come(
    answer, said
):
    with pytest.raises(ConfigError) as refusal:
        _try_on_toys(
            "model: 'mine'",
            lambda: try_forecaster(answering(answer), PANEL, FromEnd(6), inner_context(None), 6),
        )
    assert said in str(refusal.value)
    assert str(refusal.value).startswith("model: 'mine'")
    assert "\n" not in str(refusal.value)


def test_lawful_code_passes_and_that_of_hwds_is_not_tried():
    try_forecaster(LastValue(), PANEL, FromEnd(6), inner_context(None), 6)
    try_panel_features(Lags(), PANEL, 6)
    try_policy(UCB1(), ARMS)
    assert is_tried(LastValue())
    assert not is_tried(Naive())
    assert not is_tried(type("Clustered", (LastValue,), {"toys": False, "__module__": __name__})())


class Computed(PanelFeatures):
    """Lags of another kind."""

    how: str = "all"

    def columns(self, roles, horizon):
        return Lags().columns(roles, horizon)

    def compute(self, panel):
        whole = Lags().compute(panel)
        return {"table": whole.table, "few": panel, "all": whole}[self.how]


def test_features_must_be_as_planned():
    try_panel_features(Computed(), PANEL, 6)
    with pytest.raises(
        WrongAnswerError, match="compute of 120 rows must return a Panel, got a DataFrame"
    ):
        try_panel_features(Computed(how="table"), PANEL, 6)
    with pytest.raises(
        WrongAnswerError, match=r"must add '.*', which its plan names, as floats, got no such"
    ):
        try_panel_features(Computed(how="few"), PANEL, 6)


class Scoring(Classifier):
    """Scores by what is spent, or wrongly."""

    how: str = "right"

    def learn(self, train, *, stop, context):
        return self

    def score(self, rows):
        spent = rows.data["spent"].to_numpy()
        wrong = {
            "list": spent.tolist(),
            "two": np.stack([spent, spent], 1),
            "nan": np.full(len(spent), np.nan),
            "flags": spent > 1,
        }
        return wrong.get(self.how, spent)

    def explain(self, rows):
        spent = rows.data["spent"].to_numpy()
        return {"bare": spent, "many": Contributions(("spent", "age"), 0.0, spent[:, None])}.get(
            self.how, Contributions(("spent",), 0.0, spent[:, None])
        )


class Spent(RowFeatures):
    """One number a row, or fewer."""

    few: bool = False

    def compute(self, table):
        return pl.DataFrame(
            {"twice": 2 * table.data["spent"].head(3 if self.few else table.height)}
        )


@pytest.mark.parametrize(
    ("how", "said"),
    [
        (
            "list",
            r"score of \d+ rows must return an array of numbers of shape \(\d+,\), got a list",
        ),
        ("two", r"of shape \(\d+,\), got float64 of shape \(\d+, 2\)"),
        ("nan", r"got \d+ that are not finite"),
        ("flags", r"got bool of shape"),
        ("bare", r"explain of \d+ rows must return hwds.detection.Contributions, got a ndarray"),
        ("many", r"values of shape \(\d+, 2\), one for each name, got \(\d+, 1\)"),
    ],
)
def test_a_classifier_must_score_each_row(how, said):
    try_classifier(Scoring(), ROWS, context())
    with pytest.raises(WrongAnswerError, match=said):
        try_classifier(Scoring(how=how), ROWS, context())


def test_row_features_are_one_a_row():
    try_row_features(Spent(), ROWS)
    with pytest.raises(
        WrongAnswerError, match=r"compute of \d+ rows must return as many, in their order, got 3"
    ):
        try_row_features(Spent(few=True), ROWS)


class Counts(NamedTuple):
    """The settings of a policy that counts."""

    arm: int


def init(settings, state):
    state[:] = 0


def select(settings, state, visit, stream):
    return settings.arm


def update(settings, state, visit, arm, outcome):
    state[arm] += outcome


class Counting(Policy):
    """Counts what each arm brings."""

    size: int = 3
    arm: int = 0

    def kernel(self, arms):
        return Kernel(Counts(self.arm), self.size, init, select, update)


def test_a_policy_with_too_small_a_state_is_a_line_and_does_not_end_the_process():
    try_policy(Counting(), ARMS)
    with pytest.raises(IndexError, match="index 1 is out of bounds for axis 0 with size 1"):
        try_policy(Counting(size=1, arm=1), ARMS)
    with pytest.raises(
        WrongAnswerError,
        match=r"a state of 3 numbers must return one of the arms \[0, 1, 2\], got 5",
    ):
        try_policy(Counting(arm=5), ARMS)
    with pytest.raises(WrongAnswerError, match=r"one of the arms \[0, 1\], got 2"):
        try_policy(Counting(arm=2), ARMS)
