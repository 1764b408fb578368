"""Reports as pages: self-contained, escaped, readable by everybody."""

import re
from html.parser import HTMLParser

import numpy as np
import polars as pl
import pytest

from hwds.report.comparison import critical_difference_figure
from hwds.report.grid import grid_of
from hwds.report.page_parts import (
    DARK_COLOURS,
    LIGHT_COLOURS,
    Code,
    GridTable,
    Listing,
    Page,
    Picture,
    Section,
    Text,
    contrast,
    readable_colour,
    svg,
)
from hwds.report.pages import comparison_page
from hwds.report.pictures import as_svg
from hwds.results.tables import Measure
from hwds.stats.compare import compare_table

EMPTY = {"meta", "br", "img", "link", "path", "use", "input", "wbr"}
WICKED = "<script>alert('x')</script>"


class Reader(HTMLParser):
    """Checks that what is opened is closed, and gathers tags with their attributes."""

    def __init__(self, text):
        super().__init__()
        self.open, self.found = [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if tag not in EMPTY:
            assert self.open.pop() == tag

    def all(self, tag):
        return [attributes for name, attributes in self.found if name == tag]


@pytest.fixture(scope="module")
def page():
    rng = np.random.default_rng(1)
    rows = [
        (model, WICKED, 0, f"u{u}", mean + rng.normal(5, 1))
        for u in range(30)
        for model, mean in (("a", 0.0), (WICKED, 3.0), ("c|d", 0.1))
    ]
    table = pl.DataFrame(rows, schema=["model", "dataset", "seed", "unit", "value"], orient="row")
    return comparison_page(
        compare_table(table, Measure("cost", units="series"), units="series", resamples=200),
        f"hwds {WICKED}",
    )


def test_a_page_is_whole_and_asks_nothing_of_a_network(page):
    text = page.html()
    reader = Reader(text)
    assert "default-src 'none'" in reader.all("meta")[1]["content"]
    for tag, attributes in reader.found:
        for name in ("src", "href", "xlink:href", "action", "data"):
            value = attributes.get(name) or "#"
            assert value.startswith(("#", "data:image/png;base64,")), (tag, value)
    assert not re.search(r"https?:|url\((?!#)|@import", text)


def test_what_users_named_is_text(page):
    text = page.html()
    assert WICKED not in text
    assert "&lt;script&gt;" in text
    assert len(Reader(text).all("script")) == 1
    assert page.markdown().count("<script") == 1, "only inside the fence of the command"
    dirty = Page(
        WICKED,
        WICKED,
        WICKED,
        (Section(WICKED, (Text(WICKED), Listing((WICKED,)), Code(WICKED, WICKED))),),
    )
    assert len(Reader(dirty.html()).all("script")) == 1
    assert dirty.markdown().count("<script") == 1, "only inside the fence of code"


def test_the_conclusion_comes_first(page):
    text = page.html()
    assert text.index('class="lead"') < text.index("<h2>") < text.index("<table>")
    assert page.markdown().split("\n\n")[1].startswith("BETTER: c|d, the best here, beats ")


def test_tables_have_headers_for_rows_and_columns():
    grid = grid_of(
        [("model", "model"), ("mean, x", "")],
        [["a", "1"], ["truth", "2"]],
        own="a",
        caption="Scores:",
    )
    reader = Reader(GridTable(grid).html())
    assert [each.get("scope") for each in reader.all("th")] == ["col", "col", "row", "row"]
    assert [each.get("class") for each in reader.all("tr")] == [None, "own", "truth"]
    assert reader.all("div")[0] == {
        "class": "scroll",
        "role": "group",
        "tabindex": "0",
        "aria-label": "Scores",
    }


def test_pictures_have_words_and_the_colours_of_the_page(page, tmp_path):
    reader = Reader(page.html())
    assert [each["role"] for each in reader.all("svg")] == [
        "img",
        "img",
    ]  # the effects, and the ranks
    assert reader.all("svg")[0]["aria-label"]
    (tmp_path / "a.png").write_bytes(b"x")
    shown = Picture.of_png(tmp_path / "a.png", 'a "b" <c>')
    assert Reader(shown.html()).all("img")[0]["alt"] == 'a "b" <c>'
    assert shown.markdown() == '![a "b" &lt;c>](a.png)'


def test_a_drawing_is_the_same_each_time_and_its_ids_are_its_own():
    rng = np.random.default_rng(2)
    rows = [(model, "d", 0, f"u{u}", rng.normal(5, 1)) for u in range(20) for model in "abc"]
    table = pl.DataFrame(rows, schema=["model", "dataset", "seed", "unit", "value"], orient="row")
    found = compare_table(table, Measure("cost"), resamples=200)
    first, again = (svg(as_svg(critical_difference_figure(found)), "x") for _ in range(2))
    assert first == again
    ids = [attributes["id"] for _, attributes in Reader(first).found if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert all(each.startswith(ids[0].split("-")[0]) for each in ids)
    assert not re.search(r"(fill|stroke): #", first), "every colour is one of the page"
    assert set(re.findall(r"url\(#([^)]+)\)", first)) <= set(ids)


@pytest.mark.parametrize("colours", [LIGHT_COLOURS, DARK_COLOURS])
def test_text_stands_out_from_its_ground(colours):
    """WCAG 2.2, 1.4.3: 4.5 to 1."""
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.005), (
        "the palest grey that text on white may have"
    )
    for ground in ("paper", "soft", "note"):
        for ink in ("ink", "grey", "own", "naive") if ground == "paper" else ("ink",):
            assert contrast(colours[ink], colours[ground]) >= 4.5, (ground, ink)
    for colour in (
        "#1f6fb4",
        "#d9822b",
        "#2e8b57",
        "#7d8590",
        "#000000",
        "#ffffff",
        "#ffff00",
        "#0000ff",
    ):
        assert contrast(readable_colour(colour, colours["paper"]), colours["paper"]) >= 4.5, colour
    assert readable_colour("#1f6fb4", "#ffffff") == "#1f6fb4", "what stands out is left as it is"


def test_on_paper_a_wide_table_has_the_columns_of_a_terminal():
    titles = [("model", "model"), *((f"column {i}", "" if i % 2 else f"c{i}") for i in range(12))]
    wide = GridTable(grid_of(titles, [["a"] + ["1"] * 12])).html()
    assert (
        wide.count('<td class="number more">')
        == wide.count('<th scope="col" class="number more">')
        == 6
    )
    assert '<p class="paper">' in wide
    narrow = GridTable(grid_of(titles[:12], [["a"] + ["1"] * 11])).html()
    assert "more" not in narrow
    assert "paper" not in narrow
