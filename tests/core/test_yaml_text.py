"""YAML that would grow without end, or build something, is refused in one line."""

import re
from pathlib import Path

import pytest

from hwds.core.settings import read_yaml

HWDS = Path(__file__).resolve().parents[2] / "hwds"
LAUGHS = "\n".join(
    ["a0: &a0 [x]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10))]
)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (LAUGHS, "has 200,000 values or more once its anchors"),
        ("a: &a {b: *a}", "has 200,000 values or more once its anchors"),
        ("[" * 5000 + "]" * 5000, "is too deep to read|is no YAML"),
        ("a: !!python/object/apply:os.getcwd []", "could not determine a constructor"),
        ("a: [", "is no YAML"),
        ("a: 1\nb:\n  - {c: 1, d: 2, c: 3}\n", "has 'c' more than once, at line 3"),
        ("a: 2020-13-01", "month must be in 1..12"),
        (f"a: {'9' * 5000}", "Exceeds the limit"),
    ],
)
def test_it_is_refused_in_one_line(text, why):
    with pytest.raises(ValueError, match=why) as refused:
        read_yaml(text, "x.yaml")
    assert str(refused.value).startswith("x.yaml: ")
    assert "\n" not in str(refused.value)


def test_anchors_that_repeat_a_few_values_are_read():
    assert read_yaml("a: &a [1, 2]\nb: *a", "x.yaml") == {"a": [1, 2], "b": [1, 2]}
    assert read_yaml("a: &a {c: 1}\nb: *a\nd: {<<: *a, c: 2}", "x.yaml") == {
        "a": {"c": 1},
        "b": {"c": 1},
        "d": {"c": 2},
    }


@pytest.mark.parametrize(
    "line",
    [
        "+experiment=laughs",
        "plan +experiment=laughs",
        "list experiment",
        "model=laughs",
        "rivals=[laughs]",
    ],
)
def test_an_option_that_would_grow_without_end_is_refused(line, command, tmp_path):
    for group in ("experiment", "model"):
        (tmp_path / "conf" / group).mkdir(parents=True)
        (tmp_path / "conf" / group / "laughs.yaml").write_text(f"# @package _global_\n{LAUGHS}\n")
    assert "values or more once its anchors" in command(line).line


def test_one_module_reads_files_of_yaml_and_another_single_values():
    sources = {path.relative_to(HWDS).as_posix(): path.read_text() for path in HWDS.rglob("*.py")}
    readers = {name for name, text in sources.items() if re.search(r"yaml\.(safe_)?load\(", text)}
    assert readers == {"core/settings.py", "serve/stream/machines.py"}
