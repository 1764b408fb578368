"""The gallery of leaks: every trick of `leaks/` is caught by the check that it names, and nothing
in `honest/` is.

A file is a trick: what it defines of `Model`, `Protocol`, `Features` and `FRAME` is taken, the rest
is an honest default.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from hwds.bandit.models.base import Policy
from hwds.bandit.protocols.bandit_simulation import BanditSimulation
from hwds.core.recipe import canonical
from hwds.core.sealed import ForkServer, Given
from hwds.datasets.reading.leakage import giveaways
from hwds.datasets.simulated.price_arms import PriceArms
from hwds.detection.models.base import Classifier
from hwds.detection.models.classify.logistic import Logistic
from hwds.detection.protocols.base import Detection
from hwds.detection.protocols.grouped_kfold import GroupedKFold
from hwds.detection.protocols.prequential import Prequential
from hwds.evaluation.leak_check import check_leaks, check_row_features, check_series_features
from hwds.evaluation.leak_questions import AskSealed, FileWatch, FoldQuestion, MemoryCache
from hwds.evaluation.protocol import GIVEAWAY_LEAK, LEAK_CHECKS, Leak, RunContext
from hwds.forecast.protocols.walk_forward import WalkForward
from hwds.frames.features.base import RowFeatures
from hwds.frames.features.none import None_
from tests.support.leaks import PANEL, InTurn
from tests.support.panels import LastValue
from tests.support.rows import toy_rows

TRICKS, HONEST = (
    sorted(path.stem for path in (Path(__file__).parent / name).glob("*.py"))
    for name in ("leaks", "honest")
)
DAYS = {
    "train_days": 10,
    "stop_days": 2,
    "calibrate_days": 4,
    "delay_days": 3,
    "test_days": 3,
    "windows": 1,
}
QUIET = {"explained": 0, "importance_rows": 0}


@contextmanager
def gallery():
    """Stay in a folder with the data's own file, and what a run before has left; not in memory, of
    which a sealed process has its own.
    """
    before = Path.cwd()
    with TemporaryDirectory() as temporary:
        folder = Path(temporary).resolve()
        PANEL.table.write_csv(folder / "sales.csv")
        PANEL.table.write_csv(folder / "copy.csv")
        PANEL.table.head(5).write_csv(folder / "extra.csv")
        for name in ("outputs/cache/frames/0a", "outputs/runs/adhoc/0b", "temporary"):
            (folder / name).mkdir(parents=True)
        PANEL.table.write_ipc(folder / "outputs/cache/frames/0a/table.arrow")
        PANEL.table.rename({"target": "actual"}).write_parquet(
            folder / "outputs/runs/adhoc/0b/predictions.parquet"
        )
        os.chdir(folder)
        try:
            yield folder
        finally:
            os.chdir(before)


@pytest.fixture(scope="module")
def folder():
    with gallery() as folder:
        yield folder


@pytest.fixture(scope="module")
def watch(folder):
    return FileWatch(frozenset({str(folder / "sales.csv")}))


@pytest.fixture(scope="module")
def server():
    """What forks the sealed processes."""
    with ForkServer([AskSealed.__module__]) as server:
        yield server


def found(trick, watch, server) -> list[Leak]:
    """All that the checks find in a trick."""
    model, protocol, features = (
        getattr(trick, name, None) for name in ("Model", "Protocol", "Features")
    )
    frame = getattr(trick, "FRAME", None)
    if not (model or protocol or features):
        return [Leak("dataset", "", check=GIVEAWAY_LEAK, shows=told) for told in giveaways(frame)]
    leaks = features_leaks(features(), frame, trick, watch, server) if features else []
    if model or protocol:
        protocol, model, frame = asked(protocol, model, frame, trick)
        context = context_of(features)
        with AskSealed(server, watch, kept=True) as here, AskSealed(server, watch) as elsewhere:
            leaks += check_leaks(
                protocol, "m", canonical(model), frame, context, here=here, elsewhere=elsewhere
            )
    return [leak for leak in leaks if leak]


def context_of(features=None):
    return RunContext(0, features=canonical((features or None_)()), cache=MemoryCache.empty())


def is_powerless(trick, watch, server):
    """Whether the answers of a trick are those of an honest model and protocol."""
    protocol, model = (getattr(trick, name, None) for name in ("Protocol", "Model"))
    honest = InTurn if model and issubclass(model, Policy) else None
    return answers(server, watch, protocol, model).equals(answers(server, watch, None, honest))


def answers(server, watch, protocol=None, model=None):
    """The rows of the first fold, from a sealed process."""
    protocol, model, frame = asked(protocol, model, None, None)
    question = FoldQuestion(
        protocol, "m", canonical(model), frame, protocol.split(frame)[0], context_of()
    )
    with AskSealed(server, watch) as sealed:
        return sealed(question).rows


def features_leaks(features, frame, trick, watch, server):
    with AskSealed(server, watch, kept=True) as here, AskSealed(server, watch) as elsewhere:
        ask = {"here": here, "elsewhere": elsewhere}
        if not isinstance(features, RowFeatures):
            return list(check_series_features("f", canonical(features), PANEL, 3, **ask))
        rows = frame or toy_rows(500, days=24, label_time=hasattr(trick, "LABEL_TIME"))
        return list(check_row_features("f", canonical(features), rows, 3, **ask))


def asked(protocol, model, frame, trick):
    """The protocol, the model and the frame of a trick, honest where it has none of its own."""
    settings, own = getattr(trick, "SETTINGS", {}), getattr(trick, "MODEL", {})
    if model and issubclass(model, Policy):
        return BanditSimulation(horizon=60, replications=12), model(), PriceArms().load()
    if (protocol and issubclass(protocol, Detection)) or (model and issubclass(model, Classifier)):
        days = (
            {"folds": 2, "stop_folds": 0, "calibrate_folds": 0, "ignore_time": True}
            if protocol and issubclass(protocol, GroupedKFold)
            else DAYS
        )
        rows = frame or toy_rows(500, days=24, label_time=hasattr(trick, "LABEL_TIME"))
        return (protocol or Prequential)(**(days | QUIET | settings)), (model or Logistic)(), rows
    return (
        (protocol or WalkForward)(**({"windows": 2} | settings)),
        (model or LastValue)(**own),
        PANEL,
    )


def lacking(server):
    with server.start(f"{AskSealed.__module__}:answer_questions", Given()) as process:
        return process.lacking


@pytest.mark.parametrize("name", TRICKS)
def test_every_trick_is_caught_by_the_check_that_it_names(name, watch, server, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", "temporary")
    monkeypatch.setenv("HWDS_GALLERY", "[]")
    trick = import_module(f"tests.contract.leaks.{name}")
    assert trick.CHECK in LEAK_CHECKS
    if getattr(trick, "WALLS", False) and lacking(server):
        pytest.skip("this kernel has no walls")
    leaks = found(trick, watch, server)
    if getattr(trick, "POWERLESS", False) and not leaks:
        assert is_powerless(trick, watch, server)
    else:
        assert trick.CHECK in {leak.check for leak in leaks}, [str(leak) for leak in leaks]


@pytest.mark.parametrize("name", HONEST)
def test_nothing_honest_is_caught(name, watch, server):
    trick = import_module(f"tests.contract.honest.{name}")
    assert [str(leak) for leak in found(trick, watch, server)] == []


def test_the_gallery_is_large_and_says_its_tricks():
    assert len(TRICKS) >= 40
    said = [import_module(f"tests.contract.leaks.{name}").__doc__ for name in TRICKS]
    assert all(said)
    assert len(set(said)) == len(said)
    assert {import_module(f"tests.contract.leaks.{name}").CHECK for name in TRICKS} == set(
        LEAK_CHECKS
    )
