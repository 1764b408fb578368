"""What every registered classifier and detector promises: reasons that add up, the same bytes
twice, and from disk.
"""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from hwds.core.compose import compose
from hwds.core.registry import options
from hwds.detection.models.base import FittedClassifier
from hwds.experiment.spec import check
from tests.support.rows import context, toy_rows, windows

NAMED = (
    "anomaly/tails_gray",
    "classify/few_labels_gray",
    "classify/rules_gray",
    "classify/stack_rules",
)
"""Those that read inputs by name, which the rows here do not have; they are the recipes of others.
"""

MODELS = [
    name
    for name in options("model")
    if name.startswith(("classify/", "anomaly/")) and name not in NAMED
]
EXACT = ("logistic", "random_forest", "robust_z")
"""Those that compute in double precision."""

ROOT = Path(__file__).resolve().parents[2]
AGAIN = """
import sys
from pathlib import Path
import numpy as np
from hwds.detection.models.base import FittedClassifier
from tests.support.rows import toy_rows, windows
test = windows(toy_rows())[3]
for folder in sorted(Path(sys.argv[1]).iterdir()):
    fitted = FittedClassifier.load(folder)
    said = fitted.score_rows(test)
    told = [part for part in (said.score, said.probability, said.p_value, fitted.explain(test).values) if part is not None]
    np.savez(folder / "again.npz", *told)
"""


@cache
def recipe(model):
    """At the small size, calibrated where that is not against its meaning."""
    asked = [
        "dataset=fraud_handbook",
        "protocol=prequential",
        "size=small",
        "model.calibration=platt",
    ]
    return check(compose([f"model={model}", *asked])).model


def learned(model):
    train, stop, calibrate, _ = windows(toy_rows())
    return recipe(model).fit(train, stop=stop, calibrate=calibrate, context=context())


@cache
def fitted(model):
    return learned(model)


def answers(found):
    test = windows(toy_rows())[3]
    said = found.score_rows(test)
    return [
        part
        for part in (said.score, said.probability, said.p_value, found.explain(test).values)
        if part is not None
    ]


@pytest.mark.parametrize("model", MODELS)
def test_reasons_add_up_to_the_score(model):
    test = windows(toy_rows())[3]
    found = fitted(model)
    why, score = found.explain(test), found.score_rows(test).score
    assert why.values.shape == (len(test.data), len(why.names))
    assert len(set(why.names)) == len(why.names)
    exact = model.rpartition("/")[2] in EXACT
    np.testing.assert_allclose(
        why.base + why.values.sum(axis=1),
        score,
        atol=1e-9 if exact else 1e-5,
        rtol=0 if exact else 1e-5,
    )


@pytest.mark.parametrize("model", MODELS)
def test_a_probability_is_one_and_rises_with_the_score(model):
    test = windows(toy_rows())[3]
    said = fitted(model).score_rows(test)
    assert said.score.dtype == np.float64
    assert said.score.shape == said.probability.shape == (len(test.data),)
    assert 0 <= said.probability.min() <= said.probability.max() <= 1
    assert np.diff(said.probability[np.argsort(said.score, kind="stable")]).min() >= 0


@pytest.mark.parametrize("model", MODELS)
def test_the_same_bytes_twice(model):
    assert [part.tobytes() for part in answers(learned(model))] == [
        part.tobytes() for part in answers(fitted(model))
    ]


def test_the_same_from_disk_in_a_fresh_process(tmp_path):
    for number, model in enumerate(MODELS):
        folder = tmp_path / f"{number:02}"
        folder.mkdir()
        fitted(model).save(folder)
        assert not [path for path in folder.rglob("*") if path.suffix in (".pkl", ".joblib")]
    done = subprocess.run(
        [sys.executable, "-c", AGAIN, str(tmp_path)],
        check=True,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.stdout + done.stderr == "", "TensorFlow says nothing of its own"
    for number, model in enumerate(MODELS):
        with np.load(tmp_path / f"{number:02}" / "again.npz", allow_pickle=False) as again:
            told = [again[name].tobytes() for name in again.files]
        assert told == [part.tobytes() for part in answers(fitted(model))], model
        assert isinstance(fitted(model), FittedClassifier)
