"""Boards: the ideal observer is right as often as the theory of a known signal says, and its
probabilities are true.
"""

import numpy as np
import pytest
from scipy.stats import norm

from hwds.core.errors import ConfigError
from hwds.datasets.simulated.boards import DEFECTS, Boards, KnownPatches
from hwds.evaluation.protocol import RunContext
from hwds.inspection.models.base import budget_threshold, softmax

WORLD = Boards(boards=60, patches=20, side=20, noise=40, smallest=2, largest=5, faintest=0.1)


@pytest.fixture(scope="module")
def patches():
    return list(WORLD.drawn())


def test_the_ideal_observer_is_right_as_often_as_theory_says(patches):
    images = WORLD.load()
    odds = KnownPatches(WORLD).evidence(images)
    said_bad = odds[:, 1:].max(axis=1) > 0
    length = np.array([np.sqrt((each.change**2).sum()) for each in patches]) / WORLD.noise
    right, theory = (said_bad == (images.codes > 0)).astype(float), norm.cdf(length / 2)
    assert 0.8 < theory.mean() < 0.97
    assert abs(right.mean() - theory.mean()) < 3 * np.sqrt(
        (theory * (1 - theory)).mean() / len(theory)
    )
    chance = 1 - softmax(odds)[:, 0]
    doubtful = (chance > 0.2) & (chance < 0.8)
    assert doubtful.sum() > 100
    assert abs(chance[doubtful].mean() - (images.codes[doubtful] > 0).mean()) < 0.08


def test_the_observer_flags_the_budget_of_the_good_images_that_its_threshold_is_chosen_on():
    images = WORLD.load()
    observer = WORLD.truth("inspection").inspector(images, images, 0.05, RunContext(0))
    good = observer.judge(images).score[images.codes == 0]
    assert observer.temperature == 1.0
    assert observer.threshold == budget_threshold(good, 0.05)


def test_a_defect_is_what_its_name_says(patches):
    for kind in DEFECTS:
        mine = [each for each in patches if each.might == kind]
        sign = -1 if kind in ("open", "mousebite", "pin_hole") else 1
        assert all(
            (sign * each.change >= 0).all() and np.abs(each.change).max() > 5 for each in mine
        )
        copper = np.mean(
            [(each.clean * np.abs(each.change)).sum() / np.abs(each.change).sum() for each in mine]
        )
        assert (copper > 125) == (sign < 0)  # copper goes away, or comes where there was none


def test_boards_follow_from_the_seed_and_more_of_them_change_none():
    few, more = (Boards(boards=count, patches=3, side=16).load() for count in (4, 6))
    assert (more.store[:12] == few.store).all()
    assert few.fingerprint == Boards(boards=4, patches=3, side=16).load().fingerprint
    assert few.fingerprint != Boards(boards=4, patches=3, side=16, world_seed=1).load().fingerprint
    assert set(few.data["contrast"]) <= {"faint", "strong"}


def test_more_pixels_than_memory_holds_are_refused():
    with pytest.raises(
        ConfigError,
        match=r"^dataset\.patches: all together have 204,800,000 pixels, more than 100,000,000\.$",
    ):
        Boards(patches=1000).load()
