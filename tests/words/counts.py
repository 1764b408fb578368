"""Counts of findings by file, against a baseline that may only shrink."""

from __future__ import annotations

import collections
import functools
import json
from pathlib import Path

import yaml

from tests.words.reading import ROOT, Passage, pages, passages, words
from tests.words.rules import Finding, findings

FOLDER = Path(__file__).parent
BASELINE = FOLDER / "baseline.json"

Counts = dict[str, dict[str, int]]


@functools.cache
def exceptions() -> list[dict[str, str]]:
    """Return what the rules may not count, each by name and with a reason."""
    return yaml.safe_load((FOLDER / "exceptions.yaml").read_text())


def excepted(name: str, finding: Finding) -> bool:
    """Return whether a finding is on the list of exceptions."""
    return any(
        one["rule"] in ("*", finding.rule)
        and one["file"] in ("*", name)
        and one["words"] in finding.sentence
        for one in exceptions()
    )


def found(path: Path) -> list[Finding]:
    """Return what the rules find in a file."""
    name = path.relative_to(ROOT).as_posix()
    all_of_it = [finding for passage in passages(path) for finding in findings(passage)]
    return [finding for finding in all_of_it if not excepted(name, finding)]


def counted() -> Counts:
    """Return how often each rule is broken, by file."""
    counts = {
        path.relative_to(ROOT).as_posix(): collections.Counter(one.rule for one in found(path))
        for path in pages()
    }
    return {name: dict(sorted(rules.items())) for name, rules in counts.items() if rules}


def baseline() -> Counts:
    """Return the most that each file may have."""
    return json.loads(BASELINE.read_text())


def write(counts: Counts) -> None:
    """Write the baseline, a file on a line, so that branches merge."""
    lines = [f"{json.dumps(name)}: {json.dumps(rules)}" for name, rules in sorted(counts.items())]
    BASELINE.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def differences(counts: Counts, most: Counts) -> tuple[list[str], list[str]]:
    """Return what grew and what shrank, a line for each file and rule."""
    grown, shrunk = [], []
    for name in sorted({*counts, *most}):
        for rule in sorted({*counts.get(name, {}), *most.get(name, {})}):
            now, then = counts.get(name, {}).get(rule, 0), most.get(name, {}).get(rule, 0)
            if now != then:
                (grown if now > then else shrunk).append(f"{name}: {rule} {then} -> {now}")
    return grown, shrunk


def lowest(counts: Counts, most: Counts) -> Counts:
    """Return the smaller of both counts, for every file and rule."""
    lower = {
        name: {rule: min(n, most.get(name, {}).get(rule, 0)) for rule, n in rules.items()}
        for name, rules in counts.items()
    }
    kept = {name: {rule: n for rule, n in rules.items() if n} for name, rules in lower.items()}
    return {name: rules for name, rules in kept.items() if rules}


def lengths(path: Path) -> list[int]:
    """Return the words of every sentence outside tables."""
    read: list[Passage] = [passage for passage in passages(path) if passage.kind != "cell"]
    return [words(sentence) for passage in read for sentence in passage.sentences()]
