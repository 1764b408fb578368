"""The page of the architecture: it names files that are there, and its picture the packages that
there are.
"""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "architecture.md").read_text()
PACKAGES = {path.relative_to(ROOT / "hwds").parts[0] for path in (ROOT / "hwds").glob("*/**/*.py")}


def test_files_that_it_names_are_there():
    files = {name for name in re.findall(r"`([\w/]+/\w+\.py)`", PAGE) if "mine" not in name}
    assert len(files) > 15
    missing = [
        name
        for name in files
        if not (ROOT / name).is_file() and not (ROOT / "hwds" / name).is_file()
    ]
    assert not missing


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
