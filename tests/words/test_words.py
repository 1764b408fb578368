"""What people read is plain English, more so with every change."""

from __future__ import annotations

import pytest

from tests.words.counts import baseline, counted, differences, exceptions, found, lowest
from tests.words.reading import ROOT, Passage, of_markdown, of_python, of_yaml, pages, plain, words
from tests.words.rules import findings

PAGE = """# Of titles

A paragraph of `code, code` and a [link](there.md). Its second
sentence ends here, e.g. so.

- an item
- another

| head | meaning |
|---|--:|
| `a \\| b` | a cell |

```
what is in a block, is not read beside it
```
"""


def rules(text: str, kind: str = "prose") -> list[str]:
    return [finding.rule for finding in findings(Passage(1, kind, plain(text)))]


def test_no_page_has_more_findings_than_before():
    grown, shrunk = differences(counted(), baseline())
    assert grown == [], "python -m tests.words FILE names them, and what to write"
    assert shrunk == [], "well done; now: python -m tests.words lower"


def test_every_exception_is_needed_and_has_a_reason():
    for one in exceptions():
        assert set(one) == {"rule", "file", "words", "why"}
        assert len(one["why"].split()) > 2, one
        texts = (path.read_text() for path in pages() if one["file"] in ("*", _name(path)))
        assert any(one["words"] in " ".join(text.split()) for text in texts), one


def _name(path):
    return path.relative_to(ROOT).as_posix()


def test_a_page_is_read_as_paragraphs_items_and_cells():
    read = list(of_markdown(PAGE))
    assert [(one.line, one.kind) for one in read] == [
        (1, "prose"),
        (3, "prose"),
        (6, "prose"),
        (7, "prose"),
        (9, "cell"),
        (9, "cell"),
        (11, "cell"),
    ]
    assert read[1].sentences() == [
        "A paragraph of § and a link.",
        "Its second sentence ends here, e.g. so.",
    ]


def test_comments_of_options_are_read_and_their_commands_are_not():
    text = "# @package _global_\n# python -m hwds a=b\n# The first.\n# Its end.\na: 1  # the last\n"
    assert [(one.line, one.text) for one in of_yaml(text)] == [
        (3, "The first.\nIts end."),
        (5, "the last"),
    ]


def test_texts_of_code_are_read_and_docstrings_are_not():
    text = 'def f(x):\n    """Say it beside that."""\n    return f"{x} is laid beside {x} here"\n'
    assert [one.text for one in of_python(text)] == ["§ is laid beside § here"]


def test_templates_of_several_lines_are_read():
    text = 'x = """{% if a %}{{ a }} is laid{% endif %} here."""\n'
    assert [" ".join(one.text.split()) for one in of_python(text)] == ["§ is laid here."]


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("It stands beside the other.", "words"),
        ("Of the rows none is left.", "fronted"),
        ("The page tells what was found.", "clauses"),
        ("The error is .805 on average.", "decimals"),
        ("It normalizes the rows.", "british"),
        ("The behavior is known.", "british"),
        ("It waits, for the rows are few.", "words"),
        ("Rows count, where they are known.", "words"),
        ("It takes 5 ms a series.", "words"),
        (" ".join(["word"] * 26) + ".", "long"),
    ],
)
def test_each_rule_finds_its_kind(text, rule):
    assert rule in rules(text)


@pytest.mark.parametrize(
    "text",
    [
        "What does a page show?",
        "The size is 0.805 of the serialized file.",
        "Write `beside` and `[.1, .5]` in version 1.2.3.",
        "Choose a model, for example theta, and find where it is stored.",
        " ".join(["word"] * 25) + ".",
    ],
)
def test_plain_sentences_pass(text):
    assert rules(text) == []


def test_a_cell_has_twelve_words_at_most():
    assert rules(" ".join(["word"] * 12), "cell") == []
    assert rules(" ".join(["word"] * 13), "cell") == ["cells"]


def test_code_and_numbers_are_words():
    assert words("`x` has 1,000 rows, e.g. well-known ones") == 7


def test_the_baseline_shrinks_and_does_not_grow():
    most = {"a.md": {"long": 3, "words": 1}, "gone.md": {"long": 1}}
    now = {"a.md": {"long": 2, "words": 2}, "new.md": {"long": 1}}
    grown, shrunk = differences(now, most)
    assert grown == ["a.md: words 1 -> 2", "new.md: long 0 -> 1"]
    assert shrunk == ["a.md: long 3 -> 2", "gone.md: long 1 -> 0"]
    assert lowest(now, most) == {"a.md": {"long": 2, "words": 1}}


def test_a_finding_has_its_line_and_what_to_write():
    (one,) = [f for f in found(ROOT / "tests" / "words" / "sample.md") if f.rule == "words"]
    assert (one.line, one.found, one.write) == (3, "rubbish", "random values")
