"""The README and the pages of docs/: what one is told to write works as it stands, commands
compose, links lead somewhere.
"""

from __future__ import annotations

import inspect
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path

import click
import polars as pl
import pytest

from hwds.cli import main as cli
from hwds.core.compose import compose
from hwds.experiment.spec import check
from tests.support.command_line import Answer, forget_options
from tests.support.composed import class_of
from tests.support.shown import write_sales

ROOT = Path(__file__).resolve().parents[1]
GUIDES = [path for path in sorted((ROOT / "docs").glob("*.md")) if path.stem != "index"]
SITE = [
    path
    for folder in ("start", "tutorials", "understand", "lookup", "migrate", "about")
    for path in sorted((ROOT / "docs" / folder).glob("*.md"))
]
"""Pages of the documentation site alone, whose links `tests/docs/test_site.py` follows."""
MEASUREMENTS = sorted((ROOT / "docs" / "measurements").glob("*.md"))
PAGES = [ROOT / "README.md", *GUIDES, *MEASUREMENTS]
OTHERS = [
    ROOT / "CONTRIBUTING.md",
    *sorted(ROOT.glob("docs/reference/*.md")),
    *sorted(ROOT.glob("experiments/*/*.md")),
]
"""Pages whose commands other tests look at, or that are written by a command."""
QUESTION = re.compile(r"^\| [^|]+\? \| `(hwds [^`]+)` \|", re.M)
"""A row of a table: a question, and the command that answers it."""
ACTIONS = re.compile(
    r"^class (\w+Verdict)\b(?:(?!^class ).)*?action: Literal\[(.*?)\]", re.M | re.S
)
"""A verdict, and the words that it may answer with."""
COMPOSED = ("plan", "check", "check-leakage")
"""Commands that are followed by the words of an experiment."""
OWN = r"=\[?(mine/|my_metrics:|usable\b|visits$|demand$|(shop|elastic)\b)"
"""What a page has the reader write."""


def section(title: str, pages: list[Path] = PAGES) -> str:
    (text,) = [text for page in pages if f"\n## {title}\n" in (text := page.read_text())]
    return text.split(f"\n## {title}\n")[1].split("\n## ")[0]


def anchors(page: Path) -> set[str]:
    """What links to its headings end with, as GitHub makes them."""
    titles = re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", page.read_text(), flags=re.S), re.M)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def lines(page: Path) -> list[str]:
    """What follows `hwds` in each command of a block or a table of questions, or that runs an
    experiment.
    """
    text = page.read_text()
    blocks = "".join(re.findall(r"^```\w*\n(.*?)^```$", text, re.S | re.M)).replace("\\\n", " ")
    asked = (*QUESTION.findall(text), *re.findall(r"`(hwds \+experiment=\w[^`]*)`", text))
    commands = "\n".join((blocks, *asked))
    return re.findall(r"^(?:\$ )?(?:python -m )?hwds (.*?)(?: \| .*)?$", commands, re.M)


def told() -> list[list[str]]:
    """The words of these commands; those of one's own code and data have tests of their own."""
    return [
        shlex.split(line, comments=True)
        for page in (*PAGES, ROOT / "docs" / "index.md", *SITE)
        for line in lines(page)
        if not re.search(OWN, line)
    ]


def parse(words: list[str]) -> None:
    """Refuse a command that there is not, and flags and values that it does not take.

    Nothing runs.
    """
    context = click.Context(cli.PROGRAM)
    name, command, rest = cli.PROGRAM.resolve_command(context, words)
    while isinstance(command, click.Group) and rest and rest[0] in command.commands:
        name, command, rest = rest[0], command.commands[rest[0]], rest[1:]
    assert command is not None, words
    command.make_context(name, list(rest), parent=context)


@pytest.mark.parametrize(
    "page", [*PAGES, *OTHERS], ids=lambda page: page.relative_to(ROOT).as_posix()
)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(((?!https?://)[^)#]*(?:#[^)]*)?)\)", page.read_text()):
        name, _, place = target.partition("#")
        other = (page.parent / name).resolve() if name else page
        assert other.is_file(), target
        assert not place or place in anchors(other), target


def test_every_guide_is_reached_from_the_readme_and_every_measurement_from_its_guide():
    text = PAGES[0].read_text()
    assert all(f"(docs/{page.name})" in text for page in GUIDES)
    assert 110 <= text.count("\n") <= 130
    assert len(QUESTION.findall(text)) == 9
    assert len(MEASUREMENTS) > 0
    assert [
        page.name
        for page in MEASUREMENTS
        if f"(measurements/{page.name})" not in _guide(page).read_text()
    ] == []


def _guide(measurements: Path) -> Path:
    return ROOT / "docs" / measurements.name


def test_benchmarks_that_a_page_names_are_there():
    named = {
        (page.name, name)
        for page in PAGES
        for name in re.findall(r"python -m bench[. ]([a-z_]+)", page.read_text())
    }
    assert len(named) > 5
    assert [
        pair for pair in sorted(named) if not (ROOT / "bench" / f"{pair[1]}.py").is_file()
    ] == []


def test_the_accuracy_of_the_readme_is_that_of_the_frozen_tables():
    results, published = (
        pl.read_csv(ROOT / "experiments" / "published_tables" / f"{name}.csv").filter(
            dataset="m3_monthly", metric="mase"
        )
        for name in ("results", "published")
    )
    known = {
        row["model"]: f"{row['value']:.3f}"
        for table in (published, results)
        for row in table.rows(named=True)
    }
    names = {
        "seasonal naive": "forecast/seasonal_naive",
        "AutoETS of statsforecast": "AutoETS (statsforecast)",
        "TiRex, a pretrained network": "TiRex",
    }
    heads, values = re.findall(r"^\| (.*) \|$", section("How it compares", PAGES[:1]), re.M)
    models = [re.sub(r"^`(.*?)`.*", r"\1", head) for head in heads.split(" | ")]
    assert values.split(" | ") == [known[names.get(model, model)] for model in models]
    assert len(models) == 5


def test_the_answers_of_the_readme_are_words_of_the_decisions():
    actions = {
        name: set(re.findall(r'"(\w+)"', words))
        for path in (ROOT / "hwds").rglob("*.py")
        for name, words in ACTIONS.findall(path.read_text())
    }
    rows = re.findall(r"\| `hwds (\+[^`]+)` \| ([^|]+) \|", section("What can I ask?", PAGES[:1]))
    found = {compose(words.split())["decision"]["name"]: answer for words, answer in rows}
    found.pop("none")
    assert len(found) == 5
    for name, answer in found.items():
        source = inspect.getsource(class_of("decision", name))
        (verdict,) = set(re.findall(r"-> (\w+Verdict)", source))
        assert set(answer.split(" or ")) == actions[verdict], name


def test_make_run_begins_with_the_quickstart_and_goes_on_to_the_network():
    recipe = (ROOT / "Makefile").read_text().partition("\nrun: ")[2].partition("\n\n")[0]
    assert re.findall(r"-m hwds \+experiment=(\w+)", recipe) == ["quickstart", "lstm_forecast"]


def test_every_command_is_one_that_hwds_takes(monkeypatch):
    monkeypatch.delenv("HWDS_CONF", raising=False)
    asked = told()
    assert len(asked) > 120
    for words in asked:
        if words == ["--version"]:
            continue
        parse(words)
        command = words[0] if words[0][0].isalpha() and "=" not in words[0] else ""
        if command in ("", *COMPOSED) and words[0] != "-m":  # several runs are composed one by one
            check(compose(words[1:] if command else words))


@pytest.mark.parametrize(
    ("page", "name", "least"),
    [
        ("README.md", "shop", 2),
        ("docs/own_file.md", "shop", 8),
        ("docs/elasticity.md", "elastic", 4),
    ],
)
def test_a_users_own_csv_is_an_experiment(tmp_path, command, page, name, least):
    write_sales(tmp_path / "sales.csv")
    (new,) = [line for line in lines(ROOT / page) if line.startswith(f"new experiment {name} ")]
    assert command(new).code == 0
    forget_options()
    said = [
        shlex.split(line, comments=True)
        for line in lines(ROOT / page)
        if re.search(rf"^(?!-m ).*={name}\b", line)
    ]
    assert len(said) >= least
    for words in said:
        parse(words)
        settings = [word for word in words if not word.startswith("--")]
        check(compose(settings[1:] if words[0] in COMPOSED else settings))


def follow(title: str, folder: Path, run: Callable[[str], Answer]) -> list[str]:
    """Lay the files of a section into a folder and run its commands there; what each printed."""
    for name, _, code in re.findall(
        r"\*\*`([^`]+)`\*\*[^\n]*\n\n```(\w+)\n(.*?)```", section(title), re.S
    ):
        if name.endswith(".csv"):
            with chdir(folder):
                exec(code, {})
            continue
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(code)
    forget_options()
    (commands,) = re.findall(r"```console\n(.*?)```", section(title), re.S)
    outputs = []
    for line in commands.strip().splitlines():
        done = run(line.partition("hwds ")[2])
        assert done.code == 0, done.err
        outputs.append(done.out)
    return outputs


def in_process(folder: Path) -> Callable[[str], Answer]:
    """Run `hwds LINE` in a process of its own, as a user starts it."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    environment.pop("HWDS_CONF", None)

    def run(line: str) -> Answer:
        words = [sys.executable, "-m", "hwds", *shlex.split(line)]
        done = subprocess.run(
            words, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    return run


def in_this_process(command: Callable[[str], Answer]) -> Callable[[str], Answer]:
    """Run `hwds LINE` here, and its cells, too."""
    return lambda line: command(f"{line} compute=serial" if "=" in line.split()[0] else line)


def test_a_users_own_model_and_csv_run_in_an_empty_folder(tmp_path):
    outputs = follow("Your own model", tmp_path, in_process(tmp_path))
    assert "mine/drifting_season" in outputs[0]
    assert "no leak" in outputs[1]
    assert "LEAKS" not in outputs[1]
    assert "48 rows" in outputs[2]
    assert list(tmp_path.glob("outputs/runs/adhoc/*/forecasts.png"))


def test_a_users_own_policy_is_one_file_and_one_yaml(tmp_path, command):
    outputs = follow("Your own policy", tmp_path, in_this_process(command))
    assert re.search(r"BETTER .* than uniform play|% better", " ".join(outputs[0].split()))
    assert "no leak" in outputs[1]
    assert "LEAKS" not in outputs[1]
    assert list(tmp_path.glob("outputs/runs/bandit_regret/*/regret.png"))


def test_a_users_own_metric_is_one_module(tmp_path, command):
    (output,) = follow("To add a metric", tmp_path, in_this_process(command))
    assert "forecast/drift" in output
    (run,) = tmp_path.glob("outputs/runs/adhoc/*/scores.parquet")
    scores = pl.read_parquet(run).filter(
        metric="last_step_mae", aggregate="pooled", model="forecast/drift"
    )
    (score,) = scores.filter(pl.col("fold").is_null())["value"]
    rows = pl.read_parquet(run.parent / "predictions.parquet").filter(
        pl.col("step") == pl.col("step").max()
    )
    assert score == pytest.approx((rows["actual"] - rows["q_0.5"]).abs().mean())


def test_a_users_own_decision_is_one_module_and_one_yaml(tmp_path, command):
    (output,) = follow("To add a decision", tmp_path, in_this_process(command))
    said = "HOLD: the MASE of forecast/drift is "
    assert said.replace(":", "") in " ".join(output.split())
    (run,) = tmp_path.glob("outputs/runs/adhoc/*/decision.json")
    verdict = json.loads(run.read_text())
    assert (verdict["action"], verdict["rule"]) == ("HOLD", "error")
    assert verdict["sentence"].startswith(said)


def test_one_run_feeds_another_and_the_months_to_come(tmp_path, command):
    outputs = follow("One run feeds another", tmp_path, in_this_process(command))
    assert "expected_visits is the mean of run visits/" in " ".join(outputs[1].split())
    assert "12 rows, 4 series, 2024-01-01 to 2024-03-01" in outputs[3]
    (run,) = tmp_path.glob("outputs/runs/demand/*/provenance.json")
    (source,) = tmp_path.glob("outputs/runs/visits/*")
    assert json.loads(run.read_text())["joined"] == {
        "expected_visits": f"the mean of run visits/{source.name}"
    }
