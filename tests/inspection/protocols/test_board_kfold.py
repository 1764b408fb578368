"""Folds of boards: nothing of a board on two sides, calibration on other boards, the leak check, and
refusals.
"""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from hwds.core.errors import ConfigError, DataError
from hwds.core.serialization import load_fitted, save_fitted
from hwds.datasets.simulated.boards import Boards
from hwds.evaluation.leak_check import check_leaks
from hwds.evaluation.protocol import Cell, RunContext
from hwds.frames.images import Images
from hwds.inspection.judged import map_as_text, map_from_text
from hwds.inspection.models.embedding_knn import EmbeddingKNN
from hwds.inspection.models.features_xgboost import FeaturesXGBoost
from hwds.inspection.protocols.board_kfold import BoardKFold

WORLD = Boards(boards=24, patches=6, side=16, noise=15)
PROTOCOL = BoardKFold(folds=2, calibrate=0.25, budget=0.2, resamples=20, explained=2)
TREES = FeaturesXGBoost(trees=4, depth=2)
WINDOWS = EmbeddingKNN(window=7, stride=4, components=4, memory=100)
CONTEXT = RunContext(0)


@pytest.fixture(scope="module")
def images():
    return WORLD.load()


def answered(protocol, model, images):
    folds = protocol.split(images)
    return pl.concat(
        [protocol.evaluate_cell(model, images, Cell("m", f, 0, f.units), CONTEXT) for f in folds]
    )


def test_a_board_is_on_one_side_and_calibrates_apart(images):
    for fold in PROTOCOL.split(images):
        learn, calibrate, test = (set(part.boards) for part in PROTOCOL._parts(images, fold.index))
        assert not learn & calibrate
        assert not (learn | calibrate) & test
        assert (len(learn), len(calibrate), len(test)) == (9, 3, 12)
    rows = answered(PROTOCOL, TREES, images)
    assert sorted(rows["image"]) == sorted(images.names)
    more = replace(PROTOCOL, apart=0.6, budget=0.5)
    kept = more.tuning_split(images, 2)
    tested = answered(more, TREES, images)
    assert not set(kept.frame.boards) & set(tested["board"])
    assert kept.frame.n + len(tested) == images.n
    assert "would keep some to choose on" in PROTOCOL.why_not_tunable()


def test_boards_without_a_label_are_in_no_fold_and_move_no_other(images):
    board = images.boards.str.tail(3).cast(int).to_numpy()
    bare = images.with_kinds(images.data["kind"].scatter(np.flatnonzero(board % 3 > 0), None))
    protocol = replace(PROTOCOL, calibrate=0.5)
    folds = protocol.split(bare)
    tested = [protocol._parts(bare, fold.index)[2] for fold in folds]
    assert [(part.n, part.boards.n_unique()) for part in tested] == [
        (fold.units, 4) for fold in folds
    ]
    for part, fold in zip(tested, folds, strict=True):
        turned = protocol.corrupt_after(bare, fold.cutoffs[0], np.random.default_rng(0))
        assert set(bare.boards.filter(pl.Series(turned.codes != bare.codes))) == set(part.boards)
    assert set(check_leaks(protocol, "m", TREES, bare, CONTEXT)) == {None}
    with pytest.raises(
        DataError,
        match=r"^protocol\.folds: must be at most 8, the labelled boards that are tested, got 9\.$",
    ):
        replace(protocol, folds=9).split(bare)


def test_few_boards_and_few_defects_to_calibrate_by_are_remarked_on(images):
    said, temperature = PROTOCOL.warnings_before(images, {})
    assert "chosen on the good images of 3 boards" in said
    assert "at most 20 % of other good images" in said
    assert "of those of new boards up to 40 % may be" in said
    assert "At least 4 boards" in said
    assert "fewer than 10 defects are on the boards that calibrate a fold (7 in one)" in temperature
    assert not replace(PROTOCOL, calibrate=0.5).warnings_before(images, {})


def test_a_budget_that_holds_for_boards_flags_fewer_and_needs_boards(images):
    protocol = replace(PROTOCOL, calibrate=0.5)
    over = replace(protocol, holds_for="boards")
    by_images, by_boards = (answered(each, TREES, images) for each in (protocol, over))
    assert (by_boards["threshold"] >= by_images["threshold"]).all()
    assert by_boards["threshold"].mean() > by_images["threshold"].mean()
    assert by_boards.drop("threshold", "saliency").equals(by_images.drop("threshold", "saliency"))
    with pytest.raises(
        DataError,
        match=r"^protocol\.holds_for: a threshold of 0\.2 over boards needs 4 that calibrate, got "
        r"3; take",
    ):
        replace(PROTOCOL, holds_for="boards").split(images)


def test_maps_are_kept_of_the_best_and_the_worst_of_each_kind(images):
    rows = answered(PROTOCOL, WINDOWS, images)
    kept = rows.filter(pl.col("saliency").is_not_null())
    assert kept.group_by("actual").len()["len"].max() <= 4  # two a fold
    assert set(kept["actual"]) == set(rows["actual"])
    assert map_as_text(map_from_text(kept["saliency"][0])) == kept["saliency"][0]
    assert answered(PROTOCOL, TREES, images)["saliency"].is_null().all()


class Peeking(BoardKFold):
    """Chooses the threshold on the boards that are scored."""

    def evaluate_cell(self, model, frame, cell, context):
        rows = super().evaluate_cell(model, frame, cell, context)
        good = rows.filter(pl.col("actual") == "ok")["score"]
        return rows.with_columns(pl.lit(good.quantile(0.8)).alias("threshold"))


def test_the_canary_passes_and_catches_a_threshold_of_the_scored_boards(images):
    for model in (TREES, WINDOWS):
        assert set(check_leaks(PROTOCOL, "m", model, images, CONTEXT)) == {None}
    assert set(check_leaks(PROTOCOL, "truth", WORLD.truth("inspection"), images, CONTEXT)) == {None}
    peeking = Peeking(folds=2, calibrate=0.25, budget=0.2, resamples=20, explained=0)
    assert {leak.check for leak in check_leaks(peeking, "m", WINDOWS, images, CONTEXT) if leak} == {
        "future"
    }


def test_a_model_is_kept_and_judges_images_without_a_label(images, tmp_path):
    some = np.arange(images.n) % 10 == 0
    known = images.with_kinds(images.data["kind"].scatter(np.flatnonzero(some), None))
    fitted = PROTOCOL.fit_all(TREES, known, CONTEXT)
    said = PROTOCOL.predict_new(fitted, known, CONTEXT)
    assert said["image"].to_list() == images.names.filter(pl.Series(some)).to_list()
    assert said["flagged"].to_list() == (said["score"] > said["threshold"]).to_list()
    save_fitted(fitted, tmp_path)
    assert PROTOCOL.predict_new(load_fitted(tmp_path), known, CONTEXT).equals(said)
    assert any("have no label" in line for line in PROTOCOL.warnings_before(known, {}))
    with pytest.raises(
        DataError, match=r"^dataset: all images have a label, so that there is none to judge\.$"
    ):
        PROTOCOL.predict_new(fitted, images, CONTEXT)


def test_what_does_not_suffice_is_refused(images):
    with pytest.raises(
        DataError,
        match=r"^protocol\.folds: must be at most 24, the labelled boards that are tested, got "
        r"25\.$",
    ):
        replace(PROTOCOL, folds=25).split(images)
    with pytest.raises(
        DataError,
        match=r"^protocol\.budget: a threshold of 0\.01 needs 99 good images on the boards that "
        r"cal",
    ):
        replace(PROTOCOL, budget=0.01).split(images)
    for which, told in ((images.codes == 0, "'ok'"), (images.codes > 0, "defects, none is 'ok'")):
        with pytest.raises(
            DataError,
            match=rf"^dataset: all \d+ images are {told}; good ones and defects are needed",
        ):
            PROTOCOL.split(images.take(which))
    blank = Images.of(np.zeros((8, 8, 8), np.uint8), [None] * 8, board=list("aabbccdd"))
    with pytest.raises(DataError, match=r"^dataset: no image has a label\.$"):
        PROTOCOL.split(blank)
    with pytest.raises(
        ConfigError, match=r"^model\.window: must be <= 16, a side of the images, got 17\.$"
    ):
        PROTOCOL.check_models({"windows": replace(WINDOWS, window=17)}, images)
    with pytest.raises(
        DataError,
        match=r"^dataset: images must have 8 pixels along each side at least, got 4 x 9\.$",
    ):
        PROTOCOL.check_models({}, Images.of(np.zeros((2, 9, 4), np.uint8), ["ok", "open"]))
    with pytest.raises(
        ConfigError, match=r"^protocol\.segments: no static column 'sise'; did you mean 'size'\?$"
    ):
        PROTOCOL.labels(images, "sise")
    with pytest.raises(
        ConfigError, match=r"^protocol\.headline: no metric 'recal'; did you mean 'recall'\?$"
    ):
        replace(PROTOCOL, headline="recal").check_names()
