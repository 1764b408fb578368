"""What README and docs/ show is what their commands make: outputs and pictures."""

from __future__ import annotations

import re

import pytest
from PIL import Image

from tests.support.shown import (
    MOST,
    README,
    ROOT,
    THEMES,
    Shell,
    comparable,
    pictures,
    shown,
    with_outputs,
)

PICTURES = pictures()
PAGES = {path: path.read_text() for path in (README, *(ROOT / "docs").glob("*.md"))}
AGAIN = "run `make pictures`, and look at what changed"


@pytest.fixture(scope="module")
def shell(tmp_path_factory):
    """One folder for all commands, as a reader has."""
    return Shell(tmp_path_factory.mktemp("reader"))


def test_readme_shows_what_its_commands_print(shell):
    text = README.read_text()
    assert len(list(shown(text))) >= 4
    assert with_outputs(text, shell) == text, AGAIN


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.name)
def test_a_picture_shows_what_its_commands_make(picture, shell):
    now = picture.text(picture.page(shell))
    assert len(now) > 100
    for theme in THEMES:
        assert picture.shown(theme) == now, AGAIN


def test_every_picture_is_small_and_stands_beside_its_commands():
    files = {picture.file(theme) for picture in PICTURES for theme in THEMES}
    assert files == set(PICTURES[0].file("light").parent.glob("*.png"))
    for picture in PICTURES:
        (text,) = [text for text in PAGES.values() if f"pictures/{picture.name}-light.png" in text]
        assert all(command in text for command in picture.commands)
        assert re.search(
            rf'dark\)" srcset="[a-z/]*pictures/{picture.name}-dark\.png"><img src='
            rf'"[a-z/]*pictures/{picture.name}-light\.png" alt="[^"]{{20,}}"',
            text,
        )
        sizes = {Image.open(picture.file(theme)).size for theme in THEMES}
        assert len(sizes) == 1
        assert max(picture.file(theme).stat().st_size for theme in THEMES) <= MOST


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("a  0.61   60  9.8 s\n──\n", "a 0.61  60    30 s\n────\n", True),
        ("runs/a/0123456789abcdef", "runs/a/fedcba9876543210", True),
        ("page (1,080 KB)", "page (990 KB)", True),
        ("80 % better", "81 % better", False),
        ("a 0.61 60", "a 0.62 60", False),
    ],
)
def test_times_and_ids_may_differ_and_nothing_else(one, other, same):
    assert (comparable(one) == comparable(other)) is same


def test_a_changed_output_is_written_and_an_unchanged_one_is_left(tmp_path):
    page = "```console\n$ echo took \\\n    3 s\ntook 5 s\n$ head -1 sales.csv\nsku\n```\n"
    heads = "sku,month,units,price,orders"
    assert with_outputs(page, Shell(tmp_path)) == page.replace("\nsku\n", f"\n{heads}\n")
