"""Members of a classifier stack: learned once for the stack and its rivals, with the same bits from disk."""

from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest

from hwds.execution.inner import InnerWindows
from hwds.models.anomaly.robust_z import RobustZ
from hwds.models.classify.logistic import Logistic
from hwds.models.classify.random_forest import RandomForest
from hwds.models.classify.stack import Stack
from hwds.models.classify.xgboost import XGBoost
from tests.toy_rows import context, toy_rows, windows


class Counted(Logistic):
    """Counts its fits."""

    fits: ClassVar[list[int]] = []

    def learn(self, train, *, stop, context):
        self.fits.append(len(train.data))
        return super().learn(train, stop=stop, context=context)


STACK = Stack(members=(Counted(), XGBoost(trees=12), RandomForest(trees=6), RobustZ()), calibration="platt", name="stack")


def fitted(model, told):
    train, stop, calibrate, _ = windows(toy_rows())
    return model.fit(train, stop=stop, calibrate=calibrate, context=told)


def bits(found):
    test = windows(toy_rows())[3]
    return [found.judge(test).score.tobytes(), found.judge(test).probability.tobytes(), found.explain(test).values.tobytes()]


def test_a_stack_and_its_rivals_learn_each_member_once_and_score_the_same_bits(tmp_path):
    Counted.fits.clear()
    plain = {model.name: bits(fitted(model, context())) for model in (STACK, *STACK.beside())}
    assert len(Counted.fits) == 3
    kept = replace(context(), answers=InnerWindows(tmp_path))
    for model in (STACK, *STACK.beside(), STACK):
        assert bits(fitted(model, kept)) == plain[model.name]
    assert len(Counted.fits) == 4
    fitted(STACK, replace(kept, seed=1))
    fitted(STACK, replace(kept, fold="other"))
    assert len(Counted.fits) == 6


@pytest.mark.parametrize("rubbish", [b"", b"PK\x03\x04 cut off", b"x" * 1000])
def test_a_damaged_file_is_learned_again(tmp_path, rubbish):
    kept = replace(context(), answers=InnerWindows(tmp_path))
    train, stop, _, test = windows(toy_rows())
    first = kept.learned(Logistic(), train, stop)
    (file,) = tmp_path.rglob("*.zip")
    file.write_bytes(rubbish)
    assert np.array_equal(kept.learned(Logistic(), train, stop).score(test), first.score(test))
    assert file.stat().st_size > 1000
