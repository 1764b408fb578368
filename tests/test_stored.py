"""Fitted models on disk, without pickle."""

import json
import pickle
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from hwds.errors import DataError
from hwds.models.forecast.seasonal_naive import FittedSeasonalNaive, SeasonalNaive
from hwds.stored import Stored, class_at, class_path, load_fitted, save_fitted


@dataclass(frozen=True)
class Everything(Stored):
    """One field of each kind."""

    weights: np.ndarray
    layers: tuple[np.ndarray, ...]
    booster: bytes
    levels: tuple[float, ...]
    title: str
    nothing: Any
    recipe: SeasonalNaive


def everything():
    return Everything(
        np.array([[1.5, np.nan]], np.float32),
        (np.arange(3), np.array("text")),
        b"\x00\xff\x01",
        (0.1, 0.5),
        "é",
        None,
        SeasonalNaive(name="forecast/seasonal_naive", season=4),
    )


def test_every_kind_of_field_comes_back(tmp_path):
    before = everything()
    before.save(tmp_path)
    after = Everything.load(tmp_path)
    np.testing.assert_array_equal(after.weights, before.weights)
    assert after.weights.dtype == np.float32
    assert [layer.tolist() for layer in after.layers] == [[0, 1, 2], "text"]
    assert (after.booster, after.levels, after.title, after.nothing) == (before.booster, before.levels, before.title, None)
    assert isinstance(after.booster, bytes)
    assert after.recipe == before.recipe


def test_saving_twice_gives_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        everything().save(tmp_path / name)
    assert (tmp_path / "a" / "fields.json").read_bytes() == (tmp_path / "b" / "fields.json").read_bytes()


def test_a_fitted_model_is_found_again_by_its_class(tmp_path):
    fitted = FittedSeasonalNaive(12, (0.1, 0.5, 0.9))
    save_fitted(fitted, tmp_path / "model")
    assert load_fitted(tmp_path / "model") == fitted
    assert class_at(class_path(FittedSeasonalNaive)) is FittedSeasonalNaive


def test_an_empty_folder_has_no_model(tmp_path):
    with pytest.raises(DataError, match="no saved model"):
        load_fitted(tmp_path)


def test_a_model_of_another_version_is_refused_in_one_line(tmp_path):
    save_fitted(FittedSeasonalNaive(12, (0.5,)), tmp_path)
    kept = json.loads((tmp_path / "fields.json").read_text())
    (tmp_path / "fields.json").write_text(json.dumps(kept | {"gone": ["plain", 1]}))
    with pytest.raises(DataError, match="of another version"):
        load_fitted(tmp_path)
    (tmp_path / "class.json").write_text('"hwds.models.forecast.seasonal_naive:Gone"')
    with pytest.raises(DataError, match=r"another version of 'hwds\.models\.forecast\.seasonal_naive:Gone'"):
        load_fitted(tmp_path)


def test_nothing_is_pickled(tmp_path):
    save_fitted(everything().recipe and FittedSeasonalNaive(4, (0.5,)), tmp_path)
    for file in tmp_path.iterdir():
        with pytest.raises((pickle.UnpicklingError, UnicodeDecodeError, ValueError, KeyError, EOFError)):
            pickle.loads(file.read_bytes())
    json.loads((tmp_path / "fields.json").read_text())


def test_an_array_of_objects_is_refused_on_loading(tmp_path):
    Everything(np.array([{}], object), (), b"", (), "", None, SeasonalNaive()).save(tmp_path)
    with pytest.raises(ValueError, match="allow_pickle"):
        Everything.load(tmp_path)
