"""The pages of the architecture and of its rooms: they name files that are there, and the packages
that there are, and so does the picture.
"""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE, ROOMS = ((ROOT / "docs" / name).read_text() for name in ("architecture.md", "rooms.md"))
PACKAGES = {path.relative_to(ROOT / "hwds").parts[0] for path in (ROOT / "hwds").glob("*/**/*.py")}


@pytest.mark.parametrize("page", [PAGE, ROOMS], ids=["architecture", "rooms"])
def test_files_that_it_names_are_there(page):
    files = {name for name in re.findall(r"`([\w/]+/\w+\.py)`", page) if "mine" not in name}
    assert len(files) > 15
    missing = [
        name
        for name in files
        if not (ROOT / name).is_file() and not (ROOT / "hwds" / name).is_file()
    ]
    assert not missing


def test_names_are_in_the_files_that_it_says():
    """As in `run_sweep` in `cli/sweep.py`, and `best_trial` (`search/rungs.py`)."""
    named = re.findall(r"`(?:[A-Z]\w+\.)?(\w+)`\s(?:in\s|\()`([\w/]+/\w+\.py)`", PAGE)
    assert len(named) > 15
    for name, file in named:
        path = next(root / file for root in (ROOT, ROOT / "hwds") if (root / file).is_file())
        assert re.search(rf"\b{name}\b", path.read_text()), name


def test_names_of_the_leak_check_are_there():
    section = PAGE.split("## What the leak check tries")[1].split("## ")[0]
    cells = [line.split("|")[-2] for line in section.splitlines() if line.startswith("| ")]
    names = {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}
    folder = ROOT / "hwds" / "evaluation"
    code = "".join((folder / f"leak_{name}.py").read_text() for name in ("check", "questions"))
    assert len(names) > 5
    assert not [name for name in names if not re.search(rf"^(def|class) {name}\b", code, re.M)]


def test_its_table_and_its_picture_have_every_package():
    table = set(
        re.findall(
            r"`(\w+)`",
            "".join(line.split("|")[1] for line in PAGE.splitlines() if line.startswith("| `")),
        )
    )
    picture = set(
        re.findall(
            r'text-anchor="middle" fill="#1f2430"[^>]*>(\w+)<',
            (ROOT / "docs" / "architecture.svg").read_text(),
        )
    )
    assert table == picture == PACKAGES


def test_every_room_has_a_row_with_its_tests():
    rows = re.findall(r"^\| (\w+) \| .*`make test ARGS=tests/(\w+)` \|", ROOMS, re.M)
    assert [room for room, _ in rows] == [folder for _, folder in rows]
    assert {room for room, _ in rows} == PACKAGES
    assert all((ROOT / "tests" / room).is_dir() for room, _ in rows)
