"""Models of inspection on tiny images: what they learn, the symmetries they keep, calibration, and
the same bits again.
"""

import numpy as np
import pytest

from hwds.core.errors import ConfigError, DataError
from hwds.core.serialization import load_fitted, save_fitted
from hwds.datasets.simulated.boards import Boards
from hwds.evaluation.leak_check import check_leaks
from hwds.evaluation.protocol import RunContext
from hwds.frames.images import Images
from hwds.inspection.models.base import (
    FEWEST_DEFECTS,
    GRID,
    Inspector,
    best_temperature,
    boards_needed,
    budget_threshold,
    false_alarms_at_most,
    softmax,
    threshold_over_boards,
)
from hwds.inspection.models.cnn import CNN, class_weights
from hwds.inspection.models.embedding_knn import EmbeddingKNN
from hwds.inspection.models.features_xgboost import SHAPE_NAMES, FeaturesXGBoost, measure_shapes
from hwds.inspection.protocols.board_kfold import BoardKFold
from hwds.inspection.views import apply_view, draw_views, undo_view, views_of

STRONG = Boards(boards=30, patches=10, side=16, noise=4, smallest=4, largest=6, faintest=0.9)
"""Strong defects, so that little suffices."""

NETWORK = CNN(
    filters=6, hidden=16, epochs=12, least_steps=20, batch=16, learning_rate=6e-3, shift=1
)
QUICK = CNN(filters=6, hidden=16, epochs=1, least_steps=20, batch=16, learning_rate=6e-3, shift=1)
TREES = FeaturesXGBoost(trees=15)
WINDOWS = EmbeddingKNN(window=7, stride=3, components=8, memory=300)


@pytest.fixture(scope="module")
def parts():
    images = STRONG.load()
    board = images.boards.str.tail(3).cast(int).to_numpy()
    return (
        images.take(board <= 18),
        images.take((board > 18) & (board <= 24)),
        images.take(board > 24),
    )


@pytest.fixture(scope="module")
def fitted(parts):
    return {model: model.fit(parts[0], parts[1], budget=0.1) for model in (NETWORK, TREES, WINDOWS)}


@pytest.mark.parametrize("model", [NETWORK, TREES, WINDOWS], ids=["cnn", "trees", "windows"])
def test_defects_score_higher_and_a_fresh_object_says_the_same(model, parts, fitted, tmp_path):
    said = fitted[model].judge(parts[2])
    bad = parts[2].codes > 0
    order = (said.score[bad][:, None] > said.score[~bad]).mean()
    assert order > (0.75 if model is not WINDOWS else 0.6)
    save_fitted(fitted[model], tmp_path)
    assert (load_fitted(tmp_path).judge(parts[2]).score == said.score).all()
    if said.probability is not None:
        assert said.probability.sum(axis=1) == pytest.approx(np.ones(len(bad)))
        right = (said.probability.argmax(axis=1) == parts[2].codes).mean()
        assert right > np.bincount(parts[2].codes).max() / len(bad)


def test_a_network_has_the_same_bits_again_and_others_under_another_seed(parts, fitted):
    one, again, other = (QUICK.learn(parts[0], RunContext(seed)).weights[0] for seed in (0, 0, 1))
    assert all((a == b).all() for a, b in zip(one, again, strict=True))
    assert any((a != b).any() for a, b in zip(one, other, strict=True))


def test_a_network_passes_the_canary(parts):
    protocol = BoardKFold(folds=2, calibrate=0.4, budget=0.2, explained=1)
    images = parts[0].take(parts[0].boards.str.tail(3).cast(int).to_numpy() <= 8)
    assert set(check_leaks(protocol, "cnn", QUICK, images, RunContext(0))) == {None}


def test_a_network_says_the_same_of_every_view_of_an_image(parts, fitted):
    pixels = parts[2].pixels()
    kinds = parts[2].data["kind"]
    turned = Images.of(np.ascontiguousarray(pixels.transpose(0, 2, 1, 3)[:, ::-1]), kinds.to_list())
    turned = Images(turned.data, turned.store, turned.places, parts[2].kinds)
    network = fitted[NETWORK].fitted
    assert network.evidence(turned) == pytest.approx(network.evidence(parts[2]), abs=1e-4)
    maps = network.saliency(parts[2])
    assert maps.shape == (parts[2].n, GRID, GRID)
    assert 0 <= maps.min() <= maps.max() <= 1
    assert network.saliency(turned) == pytest.approx(maps.transpose(0, 2, 1)[:, ::-1], abs=1e-3)


def test_windows_are_farthest_where_the_defect_is(parts, fitted):
    patches = {each.name: each for each in STRONG.drawn()}
    bad = parts[2].take(parts[2].codes > 0)
    maps = fitted[WINDOWS].saliency(bad)
    where = np.array(
        [
            np.abs(patches[name].change).reshape(GRID, 2, GRID, 2).sum(axis=(1, 3))
            for name in bad.names
        ]
    )
    central = where > where.max(axis=(1, 2), keepdims=True) / 2
    assert maps[central].mean() > 1.15 * maps[~central].mean()


def test_windows_see_all_edges():
    pixels = np.random.default_rng(0).integers(100, 110, (24, 20, 24)).astype(np.uint8)
    pixels[20, -1:], pixels[21, :, -2:], pixels[22, :1], pixels[23, :, :2] = 255, 255, 255, 255
    images = Images.of(pixels, ["ok"] * 20 + ["stripe"] * 4)
    score = (
        EmbeddingKNN(window=7, stride=3, components=8, memory=300)
        .learn(images, RunContext(0))
        .evidence(images)[:, 0]
    )
    assert score[20:].min() > 3 * score[:20].max()


def test_maps_of_windows_lie_where_the_defect_does():
    pixels = np.random.default_rng(0).integers(100, 110, (42, 32, 32)).astype(np.uint8)
    pixels[40, 14:17, 23:26], pixels[41, 23:26, 15:18] = 255, 255
    images = Images.of(pixels, ["ok"] * 40 + ["dot"] * 2)
    windows = EmbeddingKNN(memory=1000).learn(images, RunContext(0))
    weight = windows.saliency(images.take(np.arange(42) >= 40)) ** 4
    centres = (np.arange(GRID) + 0.5) * 4
    middle = np.array([weight.sum(axis=2) @ centres, weight.sum(axis=1) @ centres]) / weight.sum(
        axis=(1, 2)
    )
    assert middle == pytest.approx(np.array([[15.5, 24.5], [24.5, 16.5]]), abs=1.5)


def test_the_weight_of_a_class_is_taken_out_again():
    codes = np.repeat([0, 1], [80, 20])
    weight = class_weights(codes, 3)
    assert weight.tolist() == [0.625, 2.5, 1.0]
    # what a balanced fit of no inputs says is even; with the weights taken out it says how often
    # kinds occur
    even = np.zeros(3) - np.log(weight)
    assert softmax(even[None, :2])[0] == pytest.approx([0.8, 0.2])


def test_a_temperature_undoes_what_log_odds_are_too_large_by():
    rng = np.random.default_rng(0)
    odds = rng.normal(size=(20_000, 3)) * 2
    shown = np.array([rng.choice(3, p=each) for each in softmax(odds)])
    assert best_temperature(3.0 * odds, shown) == pytest.approx(3.0, rel=0.05)
    good, bad = np.flatnonzero(shown == 0), np.flatnonzero(shown > 0)
    for defects in (0, FEWEST_DEFECTS - 1):
        few = np.concatenate([good[:200], bad[:defects]])
        assert best_temperature(odds[few], shown[few]) == 1.0
    enough = np.concatenate([good[:10], bad[:FEWEST_DEFECTS]])
    assert best_temperature(odds[enough], shown[enough]) != 1.0


def test_a_budget_holds_for_the_next_good_image():
    rng = np.random.default_rng(0)
    draws = rng.normal(size=(4000, 40))
    over = np.mean([each[0] > budget_threshold(each[1:], 0.05) for each in draws])
    assert 0.035 < over <= 0.06
    assert budget_threshold(np.zeros(18), 0.05) == np.inf


@pytest.mark.parametrize(("boards", "most"), [(1, 0.525), (3, 0.2875), (19, 0.0975)])
def test_a_budget_does_not_hold_for_few_boards_whose_images_are_alike(boards, most):
    rng = np.random.default_rng(0)
    draws = rng.normal(size=(2000, boards + 1, 1)) + 0.5 * rng.normal(size=(2000, boards + 1, 20))
    over = np.mean([each[0, 0] > budget_threshold(each[1:].ravel(), 0.05) for each in draws])
    assert false_alarms_at_most(0.05, boards) == pytest.approx(most)
    assert (0.1 if boards < 4 else 0.045) < over < most
    assert boards_needed(0.05) == 19


def test_a_budget_over_boards_holds_for_the_next_board_of_any_size():
    rng = np.random.default_rng(0)
    boards = np.repeat(np.arange(40), np.tile([4, 28], 20))
    over = []
    for _ in range(2000):
        level = rng.normal(size=41)
        good = level[boards] + 0.5 * rng.normal(size=len(boards))
        over.append(level[40] + 0.5 * rng.normal() > threshold_over_boards(good, boards, 0.05))
    assert 0.02 < np.mean(over) <= 0.05
    assert threshold_over_boards(np.arange(36.0), np.repeat(np.arange(18), 2), 0.05) == np.inf
    assert (
        threshold_over_boards(np.arange(19.0), np.arange(19), 0.05)
        == budget_threshold(np.arange(19.0), 0.05)
        == 18
    )


def test_views_are_undone_and_images_are_moved():
    pixels = np.arange(2 * 4 * 4 * 1, dtype=np.uint8).reshape(2, 4, 4, 1)
    views = views_of("all", (4, 4, 1))
    assert len({apply_view(pixels, view).tobytes() for view in views}) == len(views) == 8
    assert all(
        (undo_view(apply_view(pixels, view)[..., 0], view) == pixels[..., 0]).all()
        for view in views
    )
    assert len(views_of("all", (4, 6, 1))) == 4
    moved = draw_views(pixels.repeat(50, axis=0), "none", 1, np.random.default_rng(0))
    assert len({each.tobytes() for each in moved[:50]}) == 9


def test_openings_take_small_things_away_and_leave_large_ones():
    blank = np.zeros((2, 32, 32, 1), np.uint8)
    blank[:, :, 4:14] = 255
    spotted = blank.copy()
    spotted[1, 15:18, 22:25] = 255
    clean, dirty = measure_shapes(spotted)
    place = SHAPE_NAMES.index("light_wiped_3")
    assert clean.shape == (len(SHAPE_NAMES),)
    assert clean[place] == 0
    assert dirty[place] == pytest.approx(9 / 1024)
    assert dirty[SHAPE_NAMES.index("light_regions")] == 2


def test_numbers_of_an_image_do_not_depend_on_those_beside_it():
    pixels = np.concatenate(list(Boards(boards=4, patches=5).load().blocks()))
    alone = np.concatenate(
        [measure_shapes(pixels[place : place + 1]) for place in range(len(pixels))]
    )
    np.testing.assert_array_equal(
        alone.astype(np.float32), measure_shapes(pixels).astype(np.float32)
    )


def test_what_cannot_be_learned_is_refused(parts):
    learn, calibrate, _ = parts
    good = learn.take(learn.codes == 0)
    with pytest.raises(
        DataError, match=r"^dataset: all \d+ images are 'ok'; good ones and defects are needed"
    ):
        TREES.fit(good, calibrate)
    with pytest.raises(
        ConfigError, match=r"^model\.window: must be <= 16, a side of the images, got 17\.$"
    ):
        EmbeddingKNN(window=17).learn(learn, RunContext(0))
    with pytest.raises(
        DataError, match=r"^protocol\.calibrate: none of the boards that calibrate has a good image"
    ):
        Inspector.calibrated(
            WINDOWS.learn(learn, RunContext(0)), calibrate.take(calibrate.codes > 0), 0.05
        )
