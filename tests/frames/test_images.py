"""Images: what is refused, what is read of the store, and what a worker gets."""

import numpy as np
import polars as pl
import pytest

from hwds.core.errors import DataError
from hwds.frames.images import Images

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 5, 4), dtype=np.uint8)
KINDS = ["ok", "open", None, "short", "ok", "open"]


@pytest.fixture
def images():
    return Images.of(PIXELS, KINDS, board=["a", "a", "b", "b", "c", "c"], line=["x"] * 6)


def test_some_images_share_the_store_and_a_worker_maps_it(images, tmp_path):
    some = images.take(images.codes > 0)
    assert some.store is images.store
    assert (some.pixels()[..., 0] == PIXELS[[1, 3, 5]]).all()
    assert some.names.to_list() == ["1", "3", "5"]
    assert images.codes.tolist() == [0, 1, -1, 2, 0, 1]
    assert (images.kinds, images.static) == (("ok", "open", "short"), ("kind", "line"))
    some.write(tmp_path)
    read = Images.read(tmp_path)
    assert isinstance(read.store, np.memmap)
    assert (read.fingerprint, read.kinds) == (some.fingerprint, some.kinds)
    assert read.fingerprint != images.fingerprint
    assert read.with_kinds(pl.Series(["short"] * 3)).fingerprint != read.fingerprint


def test_images_that_other_boards_have_too_are_counted():
    pixels = PIXELS.copy()
    pixels[2] = pixels[4] = pixels[0]
    pixels[1] = pixels[3]
    images = Images.of(
        pixels, ["ok", "open", "ok", "open", "open", "ok"], board=["a", "a", "b", "a", "c", "c"]
    )
    assert images.copies() == (3, 3)


@pytest.mark.parametrize(
    ("pixels", "kind", "more", "told"),
    [
        (
            PIXELS.astype(float),
            KINDS,
            {},
            r"^dataset: pixels must be whole numbers of 8 bits, .* got float64 of shape",
        ),
        (
            PIXELS[..., None].repeat(2, axis=3),
            KINDS,
            {},
            r"or with 1 or 3 channels behind, got uint8 of shape \(6, 5, 4, 2\)",
        ),
        (
            PIXELS[:5],
            KINDS,
            {"image": list("abcdef")},
            r"^dataset: 5 images and 6 rows that say what they show\.$",
        ),
        (PIXELS, KINDS, {"image": list("abcdea")}, r"^dataset: two images have the name 'a'\.$"),
        (PIXELS, KINDS, {"board": ["a", None, *"bcde"]}, r"^dataset: row 2 has no board\.$"),
    ],
    ids=["type", "channels", "count", "names", "board"],
)
def test_what_is_refused(pixels, kind, more, told):
    with pytest.raises(DataError, match=told):
        Images.of(pixels, kind, **more)


def test_a_label_that_is_no_kind_is_refused_with_the_nearest():
    data = pl.DataFrame({"image": ["1"], "board": ["1"], "kind": ["opne"]})
    with pytest.raises(
        DataError,
        match=r"^dataset: image '1' has the label 'opne', which is no kind; did you mean 'open'\?$",
    ):
        Images.build(data, PIXELS[:1], kinds=("open", "short"))
