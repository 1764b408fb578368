"""Settings and words gone wrong: no command may trace back, hang before it refuses, or end with a
code of its own.

`python -m bench mutations=10000` takes some 15 minutes of one core. Most are plans of the command
that an option's YAML begins with, one or two values of it replaced; some are commands about a
finished run; some are fits at the small size, of mutations that were planned without complaint. The
same size draws the same ones.
"""

from __future__ import annotations

import random
import shlex
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.mutated_process import ALLOWED_S, Ending, Process
from bench.rows import Row

NAME = "mutations (CPU time of the slowest refusal)"
SIZE = 1000
"""Command lines."""

ROOT = Path(__file__).resolve().parents[1]
PLANNED, COMMANDED = 0.94, 0.05
"""The shares of plans and of commands; the rest are fits."""

WHOLE = (
    -(2**63),
    -(10**6),
    -1,
    0,
    1,
    2,
    3,
    7,
    50,
    10**3,
    10**5,
    10**9,
    2**31,
    2**63 - 1,
    2**63,
    10**20,
    10**40,
)
REAL = (
    -1e308,
    -1e20,
    -0.5,
    0.0,
    5e-324,
    1e-12,
    0.3,
    0.999999,
    1.0,
    1.5,
    40.0,
    1e5,
    1e20,
    1e300,
    1e308,
)
WORDS = (
    "''",
    "x",
    "null",
    "true",
    "false",
    "nan",
    "inf",
    "-inf",
    "[]",
    "{}",
    "[1,2]",
    "[x,x]",
    "{a:1}",
    "{a:{b:[1]}}",
    "[[]]",
    "???",
    "../x",
    "/",
    ".",
    "${seed}",
    "${oc.env:NO_SUCH}",
    "${",
    "'\"'",
    "é",
    "a b",
    "'\\ud800'",
    "'\\0'",
    "x" * 5000,
    "0001-01-01",
    "9999-12-31",
    "1e400",
    "0x10",
    "1_000",
    "--",
    "=",
    "[1e300]",
    "[-1,0,1]",
    "[" * 60,
    "forecast/naive",
)
"""Words in the place of any value; those that Hydra does not read are refused by it."""


@dataclass(frozen=True)
class Base:
    """A command line that works.

    Attributes:
        words: Its overrides.
        leaves: The paths of the values that are mutated, with those values.
    """

    words: tuple[str, ...]
    leaves: tuple[tuple[str, Any], ...]


def measure(size: int = SIZE) -> list[Row]:
    """Return a row for plans, for commands and for fits.

    The first lines of what went wrong are in its note.
    """
    with TemporaryDirectory() as folder:
        return measured(Path(folder), size)


def measured(
    folder: Path, size: int, files: list[Path] | None = None, *, fits: bool = True
) -> list[Row]:
    """Return the rows of mutations that are tried in a folder.

    Args:
        folder: The current folder of the commands.
        size: Command lines.
        files: The options whose commands are mutated; all where None.
        fits: Some of the mutations that were planned are run, too.
    """
    write_data(folder)
    rng = random.Random(size)
    with Process(folder) as process:
        known = list(bases(process, files or sorted((ROOT / "conf").rglob("*.yaml"))))
        rng.shuffle(known)
        plans = [
            process.run(["plan", *words]) for words in drawn(known, rng, round(PLANNED * size))
        ]
        asked = [*(words for ending in plans if ending.code == 0 and (words := ending.words[1:]))]
        lines = list(command_lines(process, rng, round(COMMANDED * size)))
        commands = [process.run(words) for words in lines]
        chosen = (
            rng.sample(asked, min(len(asked), size - len(plans) - len(commands))) if fits else []
        )
        runs = [
            process.run([*words, "size=small", "compute=serial"], fits=True) for words in chosen
        ]
    return [
        row("plans", plans),
        row("commands about a run", commands),
        row("fits at the small size", runs),
    ]


def row(what: str, endings: list[Ending]) -> Row:
    """Return the row of command lines that ended."""
    slowest = max((ending.seconds for ending in endings if ending.refused), default=0.0)
    wrong = [ending for ending in endings if ending.wrong]
    codes = ", ".join(
        f"{count} x {code}"
        for code, count in sorted(Counter(e.code for e in endings).items(), key=str)
    )
    kinds = Counter(ending.wrong for ending in wrong)
    told = (
        f"{kinds['traceback']} tracebacks, {kinds['hang']} hangs, {kinds['exit code']} other "
        f"exit codes; codes: {codes}"
    )
    said = "".join(
        f"\n    {e.wrong}: hwds {shlex.join(e.words)[:300]}\n      {e.last[:300]}" for e in wrong
    )
    rival = f"allowed, {len(endings)} in all"
    return Row(
        what, slowest, rival, ALLOWED_S, ALLOWED_S / max(slowest, 0.001), not wrong, told + said
    )


def bases(process: Process, files: list[Path]) -> Iterator[Base]:
    """Yield the command that each option's YAML begins with, with the values of that option."""
    for file in files:
        group, _, _ = file.relative_to(ROOT / "conf").as_posix().partition("/")
        command = next(
            (line for line in file.read_text().splitlines() if line.startswith("# python -m hwds")),
            "",
        )
        words = tuple(
            f"+{word}" if word.startswith("experiment=") else word
            for word in shlex.split(command)[4:]
        )
        leaves = process.leaves(words)
        own = [leaf for leaf in leaves if leaf[0].startswith(f"{group}.")]
        if leaves:
            yield Base(words, tuple(own or leaves))


def drawn(known: list[Base], rng: random.Random, count: int) -> Iterator[tuple[str, ...]]:
    """Yield command lines of which one value, or two, are other ones."""
    for place in range(count):
        base = known[place % len(known)]
        chosen = rng.sample(base.leaves, min(len(base.leaves), rng.choice((1, 1, 1, 2))))
        yield (*base.words, *(f"{path}={other(value, rng)}" for path, value in chosen))


def other(value: Any, rng: random.Random) -> str:
    """Return a word in the place of a value: of its own kind three times in four."""
    if rng.random() < 0.25:
        return rng.choice(WORDS)
    if isinstance(value, list) and value:
        return f"[{','.join(other(item, rng) for item in value)}]"
    if isinstance(value, bool):
        return str(not value).lower()
    if isinstance(value, int):
        return str(rng.choice(WHOLE))
    if isinstance(value, float):
        return str(rng.choice(REAL))
    return str(rng.choice((*WHOLE, *REAL))) if rng.random() < 0.6 else rng.choice(WORDS)


FLAG_WORDS = (
    "",
    "x",
    "-1",
    "0",
    "1",
    "2",
    "10000000000",
    "1e300",
    "nan",
    "../x",
    "é",
    "a b",
    "\udce9",
    "/",
    ".",
    "x" * 5000,
    "[",
    "90d",
    "5GB",
    "9" * 400,
)
"""Words behind a flag."""

LEFT_OUT = ("serve", "ui", "sync", "track", "doctor", "study", "data")
"""Commands that wait for somebody, or look at the network."""


FINISHED = (
    "dataset=file dataset.path=sales.csv dataset.roles.series=sku dataset.roles.time=month "
    "dataset.roles.target=units"
    " model=forecast/naive protocol=holdout rivals=[] compute=serial"
)
"""The run that commands are about."""


def command_lines(process: Process, rng: random.Random, count: int) -> Iterator[list[str]]:
    """Yield command lines about a finished run, with flags and words gone wrong."""
    process.run(shlex.split(FINISHED), fits=True)
    flags = {name: found for name, found in process.flags().items() if name not in LEFT_OUT}
    names = [*process.runs(), "latest", "adhoc"]
    for place in range(count):
        command = list(flags)[place % len(flags)]
        words = [command]
        for _ in range(rng.choice((0, 1, 1, 2))):
            words.append(rng.choice(names) if rng.random() < 0.7 else rng.choice(FLAG_WORDS))
        for flag, takes in rng.sample(
            flags[command], min(len(flags[command]), rng.choice((0, 1, 1, 2)))
        ):
            words += [
                flag,
                *([rng.choice((*FLAG_WORDS, *names, "csv", "sales.csv", "mase"))] if takes else []),
            ]
        yield words


def write_data(folder: Path) -> None:
    """Write the files that the options' commands name."""
    rng = random.Random(0)
    months = [f"{year}-{month:02d}-01" for year in range(2016, 2024) for month in range(1, 13)]
    sales = [f"{sku},{month},{rng.randint(20, 90)}" for sku in "abc" for month in months]
    (folder / "sales.csv").write_text("\n".join(["sku,month,units", *sales, ""]))
    orders = [
        f"c{rng.randint(0, 40)},{rng.random():.3f},{rng.randint(0, 9)},{int(rng.random() < 0.3)}"
        for _ in range(400)
    ]
    (folder / "orders.csv").write_text("\n".join(["customer,amount,items,returned", *orders, ""]))
