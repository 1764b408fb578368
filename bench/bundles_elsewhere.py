"""A bundle of rows on other Pythons, whole and damaged: `python -m bench.bundles_elsewhere FOLDER
TRUSTED PYTHON ...`.

Each PYTHON needs cryptography, numpy and onnxruntime alone: the packed runtime answers the bundle's real rows
there. Then every file of a copy is changed in one byte, cut, taken away, and a file is added; a
copy is unsigned, one is signed by a stranger, one is of an older layout under a trusted signature.
Each must be refused in one line with code 2, by the runtime there and by `Bundle.open` here. 1
where an answer is off, or a copy is not refused so.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from hwds.core.errors import DataError
from hwds.serve.bundle.manifest import FORMAT, MANIFEST, PARITY, SIGNATURE, read_bundle, signing_key
from hwds.serve.bundle.reference import SINGLE, read_cases, worst_difference
from hwds.serve.pack import pack
from hwds.serve.services.opening import Bundle

Harm = Callable[[Path], None]


def flip(file: Path) -> None:
    """Change a byte in the middle of a file."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def cut(file: Path) -> None:
    """Leave the first half of a file."""
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def harms(bundle: Path, keys: Path) -> Iterator[tuple[str, Harm]]:
    """Yield what is done to copies of a bundle, by name.

    Keys of a trusted signer and of a stranger lie in a folder.
    """
    for file in sorted(path.relative_to(bundle) for path in bundle.rglob("*") if path.is_file()):
        for name, harm in (("changed", flip), ("cut", cut), ("absent", Path.unlink)):
            yield f"{file} {name}", lambda copy, file=file, harm=harm: harm(copy / file)  # type: ignore[misc]
    yield "a file added", lambda copy: (copy / "new.txt").touch()
    yield (
        "no manifest and no signature",
        lambda copy: [(copy / name).unlink() for name in (MANIFEST, SIGNATURE)] and None,
    )
    manifest = read_bundle(bundle, None)[0]
    yield (
        "signed by a stranger",
        lambda copy: manifest.write(copy, signing_key(keys / "stranger.pem")),
    )
    older = replace(manifest, format=FORMAT - 1)
    yield "of an older layout", lambda copy: older.write(copy, signing_key(keys / "own.pem"))


def runtime(
    python: str, file: Path, bundle: Path, trusted: Path, lines: str = ""
) -> subprocess.CompletedProcess[str]:
    """Return what the packed runtime said on a Python."""
    words = [python, "-I", str(file), str(bundle), str(trusted)]
    return subprocess.run(words, input=lines, capture_output=True, text=True, check=False)


def off(python: str, file: Path, bundle: Path, trusted: Path) -> tuple[int, float]:
    """Return how many real rows were answered, and the worst difference from the run's answers."""
    cases, tolerance = read_cases(bundle / PARITY)
    said = runtime(
        python, file, bundle, trusted, "".join(f"{json.dumps(case.question)}\n" for case in cases)
    )
    answers = [json.loads(line) for line in said.stdout.splitlines()]
    pairs = zip(cases, answers, strict=True)
    return len(cases), max(
        worst_difference(case.answer, got, max(tolerance, SINGLE), "a row") for case, got in pairs
    )


def is_refused(python: str, file: Path, bundle: Path, trusted: Path) -> bool:
    """Return whether a damaged copy is refused in one line with code 2 there, and with as many
    lines here.
    """
    said = runtime(python, file, bundle, trusted, "{}\n")
    try:
        Bundle.open(bundle, str(trusted))
    except DataError as error:
        return (said.returncode, said.stdout, said.stderr.count("\n"), str(error).count("\n")) == (
            2,
            "",
            1,
            0,
        )
    return False


def main(words: list[str]) -> int:
    """Print a line a Python, and what was not refused."""
    bundle, trusted, *pythons = words
    failed = False
    with tempfile.TemporaryDirectory() as beside:
        file, keys = Path(beside) / "runtime.pyz", Path(beside) / "keys"
        pack(file)
        (keys / "trusted").mkdir(parents=True)
        shutil.copy(trusted, keys / "trusted" / "given.pub")
        signing_key(keys / "own.pem")
        shutil.copy(keys / "own.pem.pub", keys / "trusted" / "own.pub")
        for python in pythons:
            version = subprocess.run(
                [python, "-V"], capture_output=True, text=True, check=True
            ).stdout.strip()
            rows, worst = off(python, file, Path(bundle), keys / "trusted")
            known, passed = 0, []
            for name, harm in harms(Path(bundle), keys):
                copy = Path(beside) / "copy"
                shutil.copytree(bundle, copy)
                harm(copy)
                known += 1
                passed += [] if is_refused(python, file, copy, keys / "trusted") else [name]
                shutil.rmtree(copy)
            failed |= bool(passed)
            of = (
                f"{rows} rows, {worst:.1e} off; {known - len(passed)} of {known} damaged copies "
                f"refused in a line"
            )
            print(f"{version}: {of}{': not ' if passed else ''}{', '.join(passed)}", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
