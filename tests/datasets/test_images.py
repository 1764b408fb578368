"""A user's own images: folders and archives, what they become, and every mistake in one line."""

import numpy as np
import pytest
from PIL import Image

from hwds.core.errors import ConfigError, DataError
from hwds.datasets.images import ImageRoles, Images

PIXELS = np.random.default_rng(0).integers(0, 256, (4, 6, 8), dtype=np.uint8)
ROLES = ImageRoles(file="name", label="defect", group="board", static=("line",))
ROWS = [
    "name,defect,board,line",
    "a.png,ok,1,x",
    "b.png,open,1,x",
    "c.png,,2,y",
    "sub/d.PNG,ok,2,y",
]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "sub").mkdir()
    for name, pixels in zip(("a.png", "b.png", "c.png", "sub/d.PNG"), PIXELS, strict=True):
        Image.fromarray(pixels).save(tmp_path / name)
    (tmp_path / "labels.csv").write_text("\n".join(ROWS))
    return tmp_path


def loaded(folder, **more):
    return Images(
        **{"path": str(folder), "labels": str(folder / "labels.csv"), "roles": ROLES} | more
    ).load()


def test_a_folder_and_an_archive_give_the_same_images(folder):
    images = loaded(folder)
    assert isinstance(images.store, np.memmap)
    assert (images.pixels()[..., 0] == PIXELS).all()
    assert images.codes.tolist() == [0, 1, -1, 0]
    assert images.data.select("image", "board", "line").row(3) == ("sub/d.PNG", "2", "y")
    np.savez(folder / "all.npz", images=PIXELS)
    assert loaded(folder, path=str(folder / "all.npz")).fingerprint == images.fingerprint


def test_one_colour_picture_makes_all_of_three_channels_and_bits_are_grey_levels(folder):
    Image.fromarray(np.stack([PIXELS[0]] * 3, axis=2)).save(folder / "a.png")
    assert loaded(folder).shape == (6, 8, 3)
    for name in ("a.png", "b.png", "c.png", "sub/d.PNG"):
        Image.fromarray(PIXELS[0] > 100).save(folder / name)
    assert (loaded(folder).pixels()[0, ..., 0] == 255 * (PIXELS[0] > 100)).all()


def corrupt(folder):
    (folder / "b.png").write_bytes((folder / "b.png").read_bytes()[:60])


def no_picture(folder):
    (folder / "b.png").write_text("hello")


def other_size(folder):
    Image.fromarray(PIXELS[0][:, :5].copy()).save(folder / "b.png")


def deep(folder):
    Image.fromarray(PIXELS[0].astype(np.uint16)).save(folder / "b.png")


def absent(folder):
    (folder / "b.png").unlink()


def nameless(folder):
    (folder / "labels.csv").write_text("\n".join([ROWS[0], ",ok,1,x"]))


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (corrupt, r"^dataset\.path: image 'b\.png' cannot be read: [^\n]+\.$"),
        (no_picture, r"^dataset\.path: image 'b\.png' cannot be read: [^\n]+\.$"),
        (
            other_size,
            r"^dataset\.path: image 'b\.png' has 5 x 6 pixels, and 'a\.png' 8 x 6; all must have "
            r"one size\.$",
        ),
        (deep, r"^dataset\.path: image 'b\.png' is of mode I;16; it must have 8 bits a channel\.$"),
        (absent, r"^dataset\.path: there is no image 'b\.png' below '"),
        (nameless, r"^dataset\.labels: .*labels\.csv' row 1 names no file\.$"),
    ],
)
def test_a_file_that_is_wrong_is_named(folder, harm, told):
    harm(folder)
    with pytest.raises(DataError, match=told):
        loaded(folder)


def test_settings_that_do_not_fit_are_refused(folder):
    with pytest.raises(
        DataError,
        match=r"label 'open', which is no kind; it must be one of 'ok', 'short'|which is no kind",
    ):
        loaded(folder, kinds=("short",))
    with pytest.raises(ConfigError, match=r"^dataset\.roles\.label: must be given\.$"):
        loaded(folder, roles=ImageRoles(file="name"))
    with pytest.raises(
        ConfigError,
        match=r"^dataset\.roles\.file: must be given, for a folder of images has no order\.$",
    ):
        loaded(folder, roles=ImageRoles(label="defect"))
    with pytest.raises(DataError, match=r"is neither a folder nor an npz archive\.$"):
        loaded(folder, path=str(folder / "nowhere"))
    with pytest.raises(
        DataError,
        match=r"^dataset\.labels: '.*labels\.csv' has no column 'defct'; did you mean 'defect'\?$",
    ):
        loaded(folder, roles=ImageRoles(file="name", label="defct"))
    np.savez(folder / "few.npz", images=PIXELS[:3])
    with pytest.raises(DataError, match=r"^dataset\.labels: 4 rows for the 3 images of "):
        loaded(folder, path=str(folder / "few.npz"))
    (folder / "bad.npz").write_text("no archive")
    with pytest.raises(DataError, match=r"^dataset\.path: '.*bad\.npz' cannot be read as npz: "):
        loaded(folder, path=str(folder / "bad.npz"))
    np.savez(folder / "other.npz", imagse=PIXELS)
    with pytest.raises(DataError, match=r"has no array 'images'; did you mean 'imagse'\?$"):
        loaded(folder, path=str(folder / "other.npz"))
