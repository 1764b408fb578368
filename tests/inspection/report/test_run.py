"""What a run of inspection says and draws, and how its models are compared."""

from typing import ClassVar

import numpy as np
import polars as pl
import pytest

from hwds.cli.notebook import evaluate
from hwds.core.errors import ConfigError
from hwds.datasets.simulated.boards import Boards
from hwds.inspection.compare import inspection_evidence
from hwds.inspection.models.embedding_knn import EmbeddingKNN
from hwds.inspection.models.features_xgboost import FeaturesXGBoost
from hwds.inspection.protocols.board_kfold import BoardKFold
from hwds.inspection.report import (
    by_kind_grid,
    confusion_figure,
    inspection_sentence,
    judged_images,
    patches_figure,
    reject_figure,
)
from hwds.results.formatting import quote_percent
from hwds.stats.sources import ModelRows
from tests.support.figures import points, texts

TREES, WINDOWS = "inspection/features_xgboost", "inspection/embedding_knn"


@pytest.fixture(scope="module")
def images():
    return Boards(boards=30, patches=8, side=16, noise=10).load()


@pytest.fixture(scope="module")
def done(images):
    protocol = BoardKFold(folds=2, calibrate=0.25, budget=0.1, resamples=50)
    windows = EmbeddingKNN(name=WINDOWS, window=7, stride=4, components=4, memory=100)
    return evaluate(FeaturesXGBoost(name=TREES, trees=8), images, protocol, rivals=[windows])


def test_the_sentence_has_recall_kinds_the_hardest_and_costs(done):
    said = inspection_sentence(None, done.tables, TREES)
    recall = done.tables.headline("recall", TREES)
    share, ends = quote_percent(recall["value"], recall["ci_low"], recall["ci_high"])
    assert said.startswith(f"{TREES} flags {share}{ends} of defects if it may flag 10 % of good ")
    assert "(240 images of 30 unseen boards)." in said
    assert "of kinds rightly" in said
    assert "The hardest kind is '" in said
    assert "A board costs" in said
    assert "It names no kinds." in inspection_sentence(None, done.tables, WINDOWS)
    assert inspection_sentence(None, done.tables, "nobody") == ""


def test_pictures_and_the_table_of_kinds(done, images):
    known = judged_images(done.tables, TREES)
    drawn = confusion_figure(done.tables, TREES)
    (axes,) = drawn.axes
    assert f"{TREES}: kinds of 240 images" in texts(drawn)
    pairs = known.group_by("actual", "predicted").len()
    assert sorted(int(text.get_text()) for text in axes.texts) == sorted(pairs["len"])
    kinds = [tick.get_text() for tick in axes.get_xticklabels()]
    assert kinds == [tick.get_text() for tick in axes.get_yticklabels()][::-1]
    shares = axes.collections[0].get_array()
    for text in axes.texts:  # each number, and its share as a colour, where its kinds are
        across, up = text.get_position()
        cell = {"actual": kinds[::-1][int(up)], "predicted": kinds[int(across)]}
        assert pairs.filter(**cell)["len"].to_list() == [int(text.get_text())]
        share = int(text.get_text()) / known.filter(actual=cell["actual"]).height
        assert shares[int(up), int(across)] == pytest.approx(share)
    assert confusion_figure(done.tables, WINDOWS) is None
    kept, found = reject_figure(done.tables, WINDOWS).axes
    assert set(points(kept)) == {TREES}, "the other names no kinds"
    wrong = (known["predicted"] != known["actual"]).mean()
    assert points(kept)[TREES][-1] == pytest.approx([1.0, wrong])
    assert set(points(found)) == {TREES, WINDOWS}
    for curve in points(found).values():
        assert (np.diff(curve, axis=0) >= 0).all()
        assert curve[-1] == pytest.approx([1.0, 1.0])
    drawn = patches_figure(images, done.tables, WINDOWS)
    assert [len(axes.images) for axes in drawn.axes] == [1, 2] * (3 * known["actual"].n_unique())
    assert sum(" (limit " in text for text in texts(drawn)) == 3 * known["actual"].n_unique()
    assert patches_figure(images, done.tables, TREES) is None
    for figure in (confusion_figure, reject_figure):
        assert figure(done.tables, "nobody") is None
    grid = by_kind_grid(done.tables, TREES)
    assert sum(int(cell) for cell in grid.columns[1].cells) == images.n
    assert by_kind_grid(done.tables, WINDOWS).columns[4].cells[0] == ""


class Named:
    """A run of this protocol."""

    config: ClassVar = {
        "protocol": {
            "recipe": "board_kfold",
            "folds": 2,
            "calibrate": 0.25,
            "budget": 0.1,
            "resamples": 50,
        }
    }


def answers(done, labels):
    rows = done.tables.predictions
    return [
        ModelRows(label, "boards", 0, Named(), label, rows.filter(pl.col("model") == label))
        for label in labels
    ]


def test_models_are_compared_by_board(done):
    for metric in ("recall", "cost"):
        found, left_out = inspection_evidence(answers(done, (TREES, WINDOWS)), metric, 50)
        wanted = [done.tables.headline(metric, label)["value"] for label in (TREES, WINDOWS)]
        assert found.means[0] == pytest.approx(wanted)
        assert left_out == 0
        assert found.matrix.values.shape[0] == 30
    found, _ = inspection_evidence(answers(done, (TREES,)), "accuracy", 50)
    score = done.tables.headline("accuracy", TREES)
    assert found.means[0][0] == pytest.approx(score["value"])
    assert found.errors[0] == pytest.approx(score["stderr"], rel=0.4)
    found, _ = inspection_evidence(answers(done, (TREES,)), "recall", 50)
    assert 0.4 < found.errors[0] / done.tables.headline("recall", TREES)["stderr"] < 2.5
    assert np.isfinite(found.errors).all()


def test_what_cannot_be_compared_is_refused(done):
    with pytest.raises(ConfigError, match=r"^--metric: inspections cannot be compared by 'aurc'"):
        inspection_evidence(answers(done, (TREES, WINDOWS)), "aurc", 50)
    with pytest.raises(
        ConfigError, match=rf"^--metric: '{WINDOWS}' has no accuracy: it names no kinds"
    ):
        inspection_evidence(answers(done, (TREES, WINDOWS)), "accuracy", 50)
