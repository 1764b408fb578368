"""Asking for more replications computes only the new ones, and the tables are those of a run that
was asked for all at once.
"""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from hwds.bandit.models.base import Policy
from hwds.bandit.models.kernels.base import BatchKernel
from hwds.bandit.models.thompson import Thompson
from hwds.bandit.models.ucb1 import UCB1
from hwds.bandit.protocols import bandit_simulation
from hwds.bandit.protocols.bandit_simulation import BanditSimulation
from hwds.core.cache import Cache
from hwds.datasets.simulated.price_arms import PriceArms
from hwds.evaluation.cells import CellCache, Job
from hwds.evaluation.compute.serial import Serial
from hwds.evaluation.run_cells import RunWork, cut_cells, evaluate_cells
from hwds.frames.world import World

LABELS = {"experiment": "trial", "dataset": "arms", "task": "bandit", "seed": 0}


class Draws(Policy):
    """Any arm, by batches."""

    def kernel(self, arms):
        def select(state, step, segments, contexts, active, generator):
            return generator.integers(0, arms.count, len(segments))

        return BatchKernel(lambda seed: None, select, lambda state, *seen: state)


class Silent:
    """Is told, and says nothing."""

    def begin(self, cells, cached):
        """The number of cells."""

    def finish_cell(self, error):
        """A cell."""
        assert not error

    def show_score(self, model, fold, metric, value):
        """A model's fold."""


@pytest.fixture
def played(monkeypatch):
    """Play so many replications with the cells of a folder: the tables, and how many of each model
    were computed.
    """
    monkeypatch.setattr(bandit_simulation, "STEPS_IN_CELL", 3000)  # blocks of a hundred
    monkeypatch.setattr(bandit_simulation, "BATCHED_STEPS_IN_CELL", 3000)
    world = PriceArms(means=(0.3, 0.2)).load()
    models = {"thompson": Thompson(), "ucb1": UCB1(), "draws": Draws()}

    def play(replications: int, folder: Path):
        protocol, cache = (
            BanditSimulation(horizon=30, batch=3, replications=replications),
            CellCache(Cache(folder)),
        )
        job = Job(protocol, models, None, 0, 1, "cpu", World, Path(), folder)
        folds = protocol.split(world)
        work = RunWork(
            cut_cells(job, folds, world, cache),
            folds,
            LABELS,
            measures=protocol.measures(world),
            oracle_scores=protocol.oracle_scores(world),
        )
        found = evaluate_cells(job, world, work, Serial(), cache, Silent())
        new = found.timings.filter(~found.timings["cached"])
        computed = (new["stop"] - new["start"]).sum()
        assert computed % len(models) == 0
        return found, computed // len(models)

    return play


def test_only_the_new_ones_are_computed(played, tmp_path):
    at_once = {
        replications: played(replications, tmp_path / f"fresh{replications}")
        for replications in (130, 250, 420)
    }
    assert {replications: computed for replications, (_, computed) in at_once.items()} == {
        130: 130,
        250: 250,
        420: 420,
    }
    for replications, new in ((130, 130), (250, 120), (250, 0), (420, 170), (420, 0)):
        found, computed = played(replications, tmp_path / "kept")
        assert computed == new, replications
        for name in ("scores", "predictions"):
            assert _bytes(getattr(found, name)) == _bytes(
                getattr(at_once[replications][0], name)
            ), name


def test_asking_for_fewer_takes_whole_blocks_and_what_fits_of_the_last(played, tmp_path):
    assert played(250, tmp_path)[1] == 250
    assert played(130, tmp_path)[1] == 30
    assert played(180, tmp_path)[1] == 50
    assert played(250, tmp_path)[1] == 0


def test_a_single_fold_is_all_folds_together(played, tmp_path):
    scores = played(120, tmp_path)[0].scores
    own = scores.filter(scores["fold"] == 0).drop("fold")
    total = scores.filter(
        scores["fold"].is_null()
        & ~scores["metric"].is_in(["difference"])
        & (scores["model"] != "truth")
    )
    assert own.equals(total.drop("fold"))
    assert np.isfinite(own["value"].drop_nulls().to_numpy()).all()


def _bytes(table):
    held = BytesIO()
    table.write_parquet(held)
    return held.getvalue()
