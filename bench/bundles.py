"""A bundle of every registered option, or why there is none: `python -m bench.bundles
[model=forecast features= ...]`.

Each option of a model, of features, of a protocol and each experiment is run at `size=small` by the
command at the head of its YAML, and bundled as `hwds bundle` does it, with the proof in a fresh
process. Words name options, or how they begin; none means all. A model of elasticities is asked by
the one protocol of which it can be. A row has the real rows that were answered, the worst
difference from the run's answers, together and alone, that of the graph, the latency, and the user
and system time of it all. The table of `model features protocol experiment=gray_market` is in
`bench/bundles.txt`.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage

from hwds.bandit.live.service import LiveSettings
from hwds.bandit.protocols.bandit_simulation import BanditSimulation
from hwds.cli.run import run_experiment
from hwds.core.compose import compose
from hwds.core.errors import HwdsError
from hwds.core.registry import options
from hwds.experiment.spec import check
from hwds.serve.bundle.make import make_bundle

GROUPS = ("model", "features", "protocol", "experiment")
HEAD = "# python -m hwds "
SMALL = ("size=small", "rivals=[]", "pictures=false", "compute=serial")

ASKED: Mapping[str, str] = {
    "model=elasticity/logit_demand": "",
    "model=elasticity/ppml_within": "dataset=orange_juice protocol=price_change",
    "model=elasticity/": "protocol=price_change",
    "model=lifetime/wear_rate": "dataset=engines",
    "model=forecast/theta_light": "protocol.reconcile=none protocol.segments=[]",
    "protocol=grouped_kfold": "+experiment=ai4i",
    "protocol=walk_forward_adaptive": "protocol.windows=2",
}
"""Words that are added, by how an option begins, the first that fits: where the command's protocol
has no model to ask, or its data is a file of the user's, or too little at this size. Those of an
experiment replace the command's own.
"""

LIVE = LiveSettings(window=1000.0)
"""Settings of a policy in production."""

LINE = "{:<36} {:>5} {:>8} {:>8} {:>8} {:>9} {:>6}  {}"


def wanted(words: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield the options that the words name, each with the words of the run."""
    for group in GROUPS:
        for name, file in options(group).items():
            option = f"{group}={name}"
            if words and not any(option.startswith(word) for word in words):
                continue
            command = next(
                line
                for line in file.read_text(encoding="utf-8").splitlines()
                if line.startswith(HEAD)
            )
            added = next(
                (more for begins, more in ASKED.items() if option.startswith(begins)), ""
            ).split()
            own = (
                []
                if any(word.startswith("+") for word in added)
                else command.removeprefix(HEAD).replace("'", "").split()
            )
            replaced = {"rivals", *(word.partition("=")[0] for word in added)}
            own = [word for word in own if word.partition("=")[0] not in replaced]
            yield option, [*own, *added, *SMALL]


def row(words: list[str], folder: Path) -> tuple[str, ...]:
    """Return what came of the bundle of a run: rows, worst differences, latency, or the reason."""
    try:
        data = compose(words)
        experiment = check(data)
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            run = run_experiment(experiment, data).prepared.folder
        live = LIVE if isinstance(experiment.protocol, BanditSimulation) else None
        made = make_bundle(
            str(run.path),
            folder / run.path.name,
            key=folder / "key.pem",
            fields={},
            budget=60_000,
            live=live,
        )
    except HwdsError as error:
        return "", "", "", "", "", str(error).removeprefix("bundle: ")
    parity, graph = made.manifest.parity, made.manifest.parity["graph"]
    of_graph = f"{max(graph['worst_difference'].values()):.0e}" if graph else "none"
    worst = (f"{parity[name]:.0e}" for name in ("worst_difference", "worst_difference_alone"))
    return (
        str(parity["rows"]),
        *worst,
        of_graph,
        f"{made.json('latency.json')['p99_ms']:.1f} ms",
        made.manifest.kind,
    )


def spent() -> float:
    """Return the user and system time of this process and of those that it has started, in
    seconds.
    """
    return sum(
        part.ru_utime + part.ru_stime for part in map(getrusage, (RUSAGE_SELF, RUSAGE_CHILDREN))
    )


def main(words: list[str]) -> int:
    """Print the table."""
    print(
        LINE.format(
            "option", "rows", "worst", "alone", "graph", "p99", "CPU", "kind, or why there is none"
        ),
        flush=True,
    )
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for option, asked in wanted(words):
            before, place = spent(), Path(folder) / option.replace("/", " ")
            place.mkdir()
            *numbers, said = row(asked, place)
            print(LINE.format(option, *numbers, f"{spent() - before:.1f}", said), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
