"""No name becomes HTML or a link in a page that hwds writes."""

import re
from pathlib import Path

import pytest

from hwds.results.files import without_html_or_links

HWDS = Path(__file__).resolve().parents[2] / "hwds"


@pytest.mark.parametrize(
    "text",
    ["<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "<http://x.example>", "[x](javascript:alert(1))", "![x](http://x.example/p.png)",
     "[x][y]", "\n[y]: http://x.example"],
)  # fmt: skip
def test_nothing_of_a_name_is_html_or_a_link(text):
    markdown = pytest.importorskip("markdown_it")
    made = markdown.MarkdownIt("commonmark").render(
        f"# {without_html_or_links(text)}\n\n- {without_html_or_links(text)} "
        f"[y]\n\n{without_html_or_links(text)}\n"
    )
    assert not any(tag in made for tag in ("<script", "<img", "<a ")), made


@pytest.mark.parametrize(
    "text",
    ["![importance](importance.png)", "mase[m=12]: 1.2 (95 %)", "`dataset.roles.series=[a,b]`"],
)
def test_what_hwds_says_itself_stays(text):
    assert without_html_or_links(text) == text


def test_one_module_writes_pages():
    direct = [
        path.stem
        for path in HWDS.rglob("*.py")
        if re.search(r"write_text\([^\n]*(\.md\"|markdown\()", path.read_text())
    ]
    assert direct == []


def test_a_wicked_label_is_harmless_on_the_leaderboard(tmp_path, command):
    words = (
        "dataset=classics model=forecast/naive protocol=holdout rivals=[] compute=serial size=small"
    )
    assert command([*words.split(), "model.name='<script>alert(1)</script>'"]).code == 0
    (page,) = tmp_path.glob("outputs/runs/*/*/leaderboard.md")
    assert "&lt;script>" in page.read_text()
    assert "<" not in page.read_text()
