"""Damage to stored files and its outcome: `python -m bench.damages [1000]` flips a bit in, or
truncates, every kind.

Each kind is written as a run, a sweep, a study or a log writes it, one of its files is damaged at
random (fixed seed), and it is read or used again. A damage is `healed` (the same answer, and the
file is whole again), `refused` (one line), `harmless` (the same answer), or what must never be:
`OTHER` (another answer) or `TRACEBACK`.
"""

from __future__ import annotations

import random
import shutil
import sys
import tempfile
from collections import Counter
from contextlib import chdir
from pathlib import Path
from typing import Any

from bench.stored_files import KINDS, Kind
from hwds.core.errors import HwdsError

SIZE = 1_000
TRUNCATED = 4
"""One damage of so many is a truncation."""

OUTCOMES = ("healed", "refused", "harmless", "OTHER", "TRACEBACK")
NEVER = ("OTHER", "TRACEBACK")


def outcomes(name: str, count: int, seed: int = 0) -> Counter[str]:
    """Return how often each outcome came, of so many damages of one kind."""
    kind, rng = KINDS[name], random.Random(f"{name} {seed}")
    found: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as place:
        whole = Path(place, "whole")
        whole.mkdir()
        with chdir(whole):
            kind.write(whole)
        wanted = _answer(kind, whole, Path(place, "first"))
        for number in range(count):
            copy = shutil.copytree(whole, Path(place, str(number)))
            file = rng.choice(
                sorted(
                    path
                    for pattern in kind.files
                    for path in copy.glob(pattern)
                    if path.stat().st_size
                )
            )
            before = file.read_bytes()
            file.write_bytes(damaged(before, rng, truncate=number % TRUNCATED == 0))
            found[_outcome(kind, copy, file, before, wanted)] += 1
            shutil.rmtree(copy)
    return found


def damaged(data: bytes, rng: random.Random, *, truncate: bool) -> bytes:
    """Return bytes with one flipped bit, or without an end."""
    place = rng.randrange(len(data))
    return (
        data[:place]
        if truncate
        else data[:place] + bytes([data[place] ^ (1 << rng.randrange(8))]) + data[place + 1 :]
    )


def _answer(kind: Kind, whole: Path, copy: Path) -> Any:
    shutil.copytree(whole, copy)
    with chdir(copy):
        return kind.use(copy)


def _outcome(kind: Kind, folder: Path, file: Path, before: bytes, wanted: Any) -> str:
    hurt = file.read_bytes()
    try:
        with chdir(folder):
            answer = kind.use(folder)
    except HwdsError as error:
        return "TRACEBACK" if "\n" in str(error) else "refused"
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return "TRACEBACK"
    if answer != wanted:
        return "OTHER"
    return "harmless" if file.is_file() and file.read_bytes() == hurt else "healed"


def main(words: list[str]) -> int:
    """Print the table; return 1 where a damage gave another answer or a traceback."""
    total = int(words[0]) if words else SIZE
    each, sums = -(-total // len(KINDS)), Counter[str]()
    line = "{:<30}" + "{:>11}" * (len(OUTCOMES) + 1) + "\n"
    sys.stdout.write(line.format("kind of file", "damages", *OUTCOMES))
    for name in KINDS:
        found = outcomes(name, each)
        sums += found
        sys.stdout.write(line.format(name, each, *(found[outcome] for outcome in OUTCOMES)))
        sys.stdout.flush()
    sys.stdout.write(
        line.format("all", each * len(KINDS), *(sums[outcome] for outcome in OUTCOMES))
    )
    return 1 if any(sums[outcome] for outcome in NEVER) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
