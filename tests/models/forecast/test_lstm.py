"""The LSTM's own: attention over the window."""

from __future__ import annotations

import numpy as np

from hwds.context import Context
from hwds.models.forecast.lstm import LSTM
from hwds.protocols.cutting import FromEnd, future_of, known_at
from tests.toys import monthly_panel

CONTEXT = Context(3, "fold", levels=(0.1, 0.5, 0.9), season=12, horizon=6)


def test_attention_is_another_network_that_learns_as_well():
    panel, cutoff = monthly_panel(n_series=8, months=60), FromEnd(6)
    history, future = known_at(panel, cutoff), future_of(panel, np.arange(8), cutoff.ends(panel), 6)
    actual = np.stack([panel.series(i)[-6:] for i in range(8)])
    answers = [
        LSTM(units=16, epochs=6, seeds=1, batch=128, attention=attention)
        .fit(history, horizon=6, context=CONTEXT)
        .predict(history, future)
        for attention in (False, True)
    ]
    plain, attentive = (np.abs(answer.quantiles[..., 1] - actual).mean() for answer in answers)
    assert plain != attentive
    assert attentive < 1.3 * plain
