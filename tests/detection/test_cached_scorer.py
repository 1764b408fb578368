"""Members of a classifier stack: learned once for the stack and its rivals, with the same bits from
disk.
"""

from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest

from hwds.core.cache import Cache
from hwds.detection.models.anomaly.robust_z import RobustZ
from hwds.detection.models.classify.logistic import Logistic
from hwds.detection.models.classify.random_forest import RandomForest
from hwds.detection.models.classify.stack import Stack
from hwds.detection.models.classify.xgboost import XGBoost
from tests.support.rows import context, toy_rows, windows


class Counted(Logistic):
    """Counts its fits."""

    fits: ClassVar[list[int]] = []

    def learn(self, train, *, stop, context):
        self.fits.append(len(train.data))
        return super().learn(train, stop=stop, context=context)


STACK = Stack(
    members=(Counted(), XGBoost(trees=12), RandomForest(trees=6), RobustZ()),
    calibration="platt",
    name="stack",
)


def fitted(model, told):
    train, stop, calibrate, _ = windows(toy_rows())
    return model.fit(train, stop=stop, calibrate=calibrate, context=told)


def bits(found):
    test = windows(toy_rows())[3]
    return [
        found.score_rows(test).score.tobytes(),
        found.score_rows(test).probability.tobytes(),
        found.explain(test).values.tobytes(),
    ]


def test_a_stack_and_its_rivals_learn_each_member_once_and_score_the_same_bits(tmp_path):
    Counted.fits.clear()
    plain = {model.name: bits(fitted(model, context())) for model in (STACK, *STACK.companions())}
    assert len(Counted.fits) == 3
    kept = replace(context(), cache=Cache(tmp_path))
    for model in (STACK, *STACK.companions(), STACK):
        assert bits(fitted(model, kept)) == plain[model.name]
    assert len(Counted.fits) == 4
    fitted(STACK, replace(kept, seed=1))
    fitted(STACK, replace(kept, fold="other"))
    assert len(Counted.fits) == 6


@pytest.mark.parametrize("rubbish", [b"", b"hwds stored 1\n cut off", b"x" * 1000])
def test_a_damaged_file_is_learned_again(tmp_path, rubbish):
    kept = replace(context(), cache=Cache(tmp_path))
    train, stop, _, test = windows(toy_rows())
    first = kept.learned(Logistic(), train, stop)
    (file,) = tmp_path.rglob("*.hwds")
    whole = file.read_bytes()
    file.write_bytes(rubbish)
    assert np.array_equal(kept.learned(Logistic(), train, stop).score(test), first.score(test))
    assert file.read_bytes() == whole
