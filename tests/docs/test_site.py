"""The documentation site: it builds without a warning, its links lead somewhere, it asks for nothing
from outside, and everybody can read it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import defaultdict
from html.parser import HTMLParser
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from urllib.parse import unquote, urldefrag

import pytest

from tests.support import axe
from tests.support.browser import DESK, PHONE, chromium

ROOT = Path(__file__).resolve().parents[2]
TABLET = (768, 1024)
SHOWN = (
    "index.html",
    "gallery.html",
    "tutorials/price.html",
    "understand/error-bars.html",
    "lookup/commands.html",
)
"""Pages that are opened in a browser."""


STILL = "document.head.insertAdjacentHTML('beforeend', '<style>* {transition: none !important}</style>')"
"""A colour that is on its way to another is judged by neither."""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The site, built as `make docs` builds it, with no run at hand; what was printed."""
    site = tmp_path_factory.mktemp("site")
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "NO_MKDOCS_2_WARNING": "1",
        "HWDS_OUTPUTS": str(site / "none"),
    }
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site / "html")],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return site / "html", done.stdout + done.stderr


class References(HTMLParser):
    """The places of a page and what it refers to."""

    def __init__(self) -> None:
        super().__init__()
        self.places: set[str] = set()
        self.links: set[str] = set()
        self.assets: set[str] = set()

    def handle_starttag(self, tag, attrs):
        found = {key: value or "" for key, value in attrs}
        self.places |= {found[key] for key in ("id", "name") if key in found}
        if tag == "a" and "href" in found:
            self.links.add(found["href"])
        if tag == "link" and found.get("rel") not in ("canonical", "next", "prev"):
            self.assets.add(found.get("href", ""))
        self.assets |= {found[key] for key in ("src", "srcset", "poster", "data") if key in found}


@pytest.fixture(scope="module")
def pages(built):
    read = {}
    for path in sorted(built[0].rglob("*.html")):
        read[path] = References()
        read[path].feed(path.read_text(encoding="utf-8"))
    return read


def test_it_builds_without_a_warning(built, pages):
    assert "WARNING" not in built[1]
    assert len(pages) > 90


def test_every_link_and_anchor_leads_somewhere(pages):
    broken = defaultdict(list)
    for page, found in pages.items():
        for target in found.links | found.assets:
            name, place = urldefrag(target)
            if re.match(r"[a-z]+:", target) or page.name == "404.html":
                continue
            other = (page.parent / unquote(name)).resolve() if name else page
            known = pages[other].places if other in pages else None
            if not other.is_file() or (place and known is not None and unquote(place) not in known):
                broken[page.name].append(target)
    assert broken == {}


def test_no_page_asks_for_anything_from_outside(built, pages):
    outside = re.compile(r"(https?:)?//")
    assert [
        (page.name, each)
        for page, found in pages.items()
        for each in found.assets
        if outside.match(each)
    ] == []
    assert [
        path.name
        for path in built[0].rglob("*.css")
        if re.search(r"(@import|url\()\s*['\"]?(https?:)?//", path.read_text(encoding="utf-8"))
    ] == []


def test_the_gallery_has_a_card_for_each_shipped_experiment(built, pages):
    shipped = {path.stem for path in (ROOT / "conf" / "experiment").glob("*.yaml")}
    gallery = next(found for page, found in pages.items() if page.name == "gallery.html")
    assert shipped <= gallery.places
    text = (built[0] / "gallery.html").read_text(encoding="utf-8")
    assert all(f"+experiment={name}" in text for name in shipped)


def test_a_card_shows_the_verdict_and_the_picture_of_the_newest_run(tmp_path, monkeypatch):
    monkeypatch.setenv("HWDS_OUTPUTS", str(tmp_path))
    spec = spec_from_file_location("hooks", ROOT / "docs" / "site" / "hooks.py")
    hooks = module_from_spec(spec)
    spec.loader.exec_module(hooks)
    assert hooks.finished("price_bandit") == (
        ROOT / "docs" / "tutorials" / "pictures" / "price.svg",
        "",
    )
    assert hooks.finished("ai4i") == (None, "")
    for number, verdict in enumerate(("NOT SURE", "BETTER")):
        run = tmp_path / "runs" / "ai4i" / f"{number}"
        run.mkdir(parents=True)
        (run / "conclusion.txt").write_text(f"{verdict}  and more\nrest\n")
        (run / "leaderboard.svg").write_text("<svg/>")
        os.utime(run / "conclusion.txt", (number, number))
    assert hooks.finished("ai4i") == (run / "leaderboard.svg", "BETTER  and more")


def test_a_notebook_has_the_code_and_the_outputs_of_its_page(built):
    stored = json.loads((built[0] / "tutorials" / "price.ipynb").read_text(encoding="utf-8"))
    cells = [cell for cell in stored["cells"] if cell["cell_type"] == "code"]
    assert cells[0]["source"] == ["!hwds +experiment=price_bandit size=small"]
    assert "bandit/price_thompson" in "".join(cells[0]["outputs"][0]["text"])
    assert any("data:image/svg+xml" in "".join(cell["source"]) for cell in stored["cells"])


@pytest.fixture(scope="module")
def browser():
    with chromium() as opened:
        yield opened


@pytest.mark.chromium
@pytest.mark.parametrize("size", [DESK, TABLET, PHONE], ids=lambda size: str(size[0]))
@pytest.mark.parametrize("name", SHOWN)
def test_a_page_fits_its_screen_and_asks_for_files_of_the_site_alone(built, browser, name, size):
    with browser.page(built[0] / name, size) as tab:
        assert tab.ask("document.documentElement.scrollWidth <= innerWidth")
        assert [url for url in tab.requests if not url.startswith("file:")] == []
        assert tab.complaints == []


@pytest.mark.chromium
@pytest.mark.parametrize("scheme", ["default", "slate"])
@pytest.mark.parametrize("name", SHOWN)
def test_axe_finds_nothing_wrong_with_a_page(built, browser, name, scheme):
    with browser.page(built[0] / name) as tab:
        tab.ask(f"document.querySelector('input[data-md-color-scheme={scheme}]').click()")
        tab.until(f"document.body.dataset.mdColorScheme === '{scheme}'")
        tab.ask(STILL)
        assert axe.violations(tab) == []


@pytest.mark.chromium
def test_search_finds_a_word_without_a_server(built, browser):
    with browser.page(built[0] / "index.html") as tab:
        tab.ask("document.querySelector('[data-md-toggle=search]').click(), 0")
        tab.ask(
            "(box => { box.focus(); box.value = 'elasticity';"
            " box.dispatchEvent(new Event('keyup', {bubbles: true}));"
            " box.dispatchEvent(new Event('input', {bubbles: true})); })"
            "(document.querySelector('.md-search__input')), 0"
        )
        tab.until("document.querySelectorAll('.md-search-result__item').length > 2")
        found = tab.ask("document.querySelector('.md-search-result__item').textContent")
    assert "elasticit" in found.lower()
