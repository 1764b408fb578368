"""A service of cells that a model answers together: a question names one, the others are those of
the run.
"""

from dataclasses import replace

import pytest

from hwds.core.compose import compose
from hwds.core.errors import DataError
from hwds.evaluation.serving import json_value
from hwds.experiment.final_model import final_context
from hwds.experiment.spec import check
from hwds.serve.bundle.content import panel_cuts
from hwds.serve.services.units import PanelService

WORDS = [
    "+experiment=elasticity_ppml",
    "model=elasticity/loglog_ols",
    "rivals=[]",
    "size=small",
    "compute=serial",
]


@pytest.fixture(scope="module")
def asked():
    """The service, questions about all cells without their last rows, and what is answered to all
    together.
    """
    experiment = check(compose(WORDS))
    panel, protocol, context = (
        experiment.dataset.load(),
        experiment.protocol,
        replace(final_context(experiment), cache=None),
    )
    fitted = protocol.fit_all(experiment.model, panel, context)
    cut, questions = next(panel_cuts(panel, protocol.steps(panel), whole=protocol.together))
    rows = protocol.predict_new(fitted, cut, context).drop("cutoff")
    return (
        PanelService(experiment, fitted, panel, None),
        [question for _, question in questions],
        rows,
    )


def test_a_cell_is_answered_as_among_all(asked):
    service, questions, rows = asked
    some = questions[::9]
    answers = service.answer(some)
    for question, answer in zip(some, answers, strict=True):
        own = rows.filter(series_id=question["series_id"])
        assert answer["rows"] == [json_value(row) for row in own.iter_rows(named=True)]
    assert sum(len(answer["rows"]) for answer in answers) > 20


def test_another_price_sells_another_amount(asked):
    service, questions, rows = asked
    question = next(
        each
        for each in questions
        if (rows.filter(series_id=each["series_id"])["elasticity"][0] or 0) < -0.5
    )
    dearer = question | {"plan": [row | {"price": 1.1 * row["price"]} for row in question["plan"]]}
    (before,), (after,) = service.answer([question]), service.answer([dearer])
    for old, new in zip(before["rows"], after["rows"], strict=True):
        assert new["units"] == pytest.approx(old["units"] * 1.1 ** old["elasticity"])


def test_a_cell_that_the_model_does_not_know_is_refused(asked):
    service, questions, _ = asked
    with pytest.raises(DataError, match="series 'other' was not there when the model was fitted"):
        service.answer([questions[0] | {"series_id": "other"}])
