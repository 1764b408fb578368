"""The bundles of all finished runs below the current folder, or why there is none: `python -m bench.bundles [EXPERIMENT ...]`.

Each is made as `hwds bundle` makes it, with the proof in a fresh process.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from hwds.core.errors import HwdsError
from hwds.production.bundle.make import make_bundle
from hwds.results.folder import RunFolder

LINE = "{:<28} {:<28} {:>6} {:>10} {:>10} {:>9}  {}\n"


def runs(names: list[str]) -> Iterator[RunFolder]:
    """Yield the finished runs of some experiments, or of all."""
    for path in sorted(Path("outputs/runs").glob("*/*/scores.parquet")):
        if not names or path.parent.parent.name in names:
            yield RunFolder(path.parent.resolve())


def row(run: RunFolder, beside: Path) -> tuple[str, ...]:
    """Return what came of the bundle of a run: rows, worst differences, latency, or the reason."""
    title, model = run.path.parent.name, str(run.read_config()["model"]["name"])
    try:
        made = make_bundle(str(run.path), beside / run.path.name, key=beside / "key.pem", fields={}, budget=60_000)
    except HwdsError as error:
        return title, model, "", "", "", "", str(error).removeprefix("bundle: ")
    parity, graph = made.manifest.parity, made.manifest.parity["graph"]
    of_graph = f"{max(graph['worst_difference'].values()):.1e}" if graph else "none"
    taken = f"{made.json('latency.json')['p99_ms']:.1f} ms"
    return title, model, str(parity["rows"]), f"{parity['worst_difference']:.1e}", of_graph, taken, made.manifest.kind


def main(words: list[str]) -> int:
    """Print the table."""
    sys.stdout.write(LINE.format("run", "model", "rows", "worst", "graph", "p99", "kind, or why there is none"))
    with tempfile.TemporaryDirectory() as beside:
        for run in runs(words):
            sys.stdout.write(LINE.format(*row(run, Path(beside))))
            sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
