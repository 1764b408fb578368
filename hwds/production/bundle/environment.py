"""The lock of versions and the licences of all that a bundle needs to run."""

from __future__ import annotations

import re
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import polars as pl

from hwds.core.atomic import write_text
from hwds.results.csv_files import write_csv

EXTRAS = ("serve", "bundle")


def needed() -> dict[str, Distribution]:
    """Return the installed distributions that hwds needs to serve, by name: its requirements and theirs."""
    pending = [_bare(line) for line in distribution("hwds").requires or () if _is_needed(line)]
    found: dict[str, Distribution] = {"hwds": distribution("hwds")}
    while pending:
        name = pending.pop()
        if name in found:
            continue
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:  # of another system or Python, by its marker
            continue
        pending += [_bare(line) for line in found[name].requires or () if _is_needed(line, ())]
    return dict(sorted(found.items()))


def write_environment(lock: Path, licences: Path) -> None:
    """Write a line a distribution with its version, and a table of licences."""
    found = needed()
    write_text(lock, "".join(f"{name}=={each.version}\n" for name, each in found.items()))
    rows = [{"name": name, "version": each.version, "licence": licence_of(each)} for name, each in found.items()]
    write_csv(licences, pl.DataFrame(rows))


def licence_of(found: Distribution) -> str:
    """Return the licence that a distribution declares: its expression, its classifiers, or the first line of its text."""
    facts = found.metadata
    classified = [line.rpartition(" :: ")[2] for line in facts.get_all("Classifier") or () if line.startswith("License ::")]
    expression, text = (" ".join(facts.get_all(name) or ()).strip() for name in ("License-Expression", "License"))
    said = expression or "; ".join(classified) or text
    return said.splitlines()[0][:200] if said else "not declared"


def _bare(line: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[ ;<>=!~\[(]", line, maxsplit=1)[0]).lower()


def _is_needed(line: str, extras: tuple[str, ...] = EXTRAS) -> bool:
    """Return whether a requirement is one of the distribution itself, or of an extra that is served by."""
    extra = re.search(r"""extra\s*==\s*['"]([^'"]+)['"]""", line)
    return extra is None or extra[1] in extras
