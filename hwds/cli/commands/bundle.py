"""Write a signed folder with a run's model, for servers, files and endpoints.

A fresh process must give the run's own predictions for real rows. The graph must pass ONNX's
checker, holes must be handled, and predictions must be in time. Otherwise there is no bundle, and
the reason is printed. `--check` proves an existing bundle again, on another machine or Python.
"""

from __future__ import annotations

from pathlib import Path

import click

from hwds.cli.words import CARD, FILE, TRUST, NumberWithin, WholeNumber, command, number_option
from hwds.core.errors import ConfigError, HwdsError


@command(help=__doc__)
@click.argument("run", metavar="RUN")
@click.option("--out", metavar="FOLDER", help="The folder to write.")
@click.option(
    "--key",
    type=FILE,
    help="The private ed25519 key (PEM); a new pair is written where it is absent.",
)
@CARD
@number_option(
    "--budget",
    NumberWithin(0.001, 1e6),
    "Milliseconds within which 99 % of single answers must come.",
    None,
    metavar="MS",
)
@number_option(
    "--rows", WholeNumber(1, 100_000), "Real rows that must be answered as in the run.", 256
)
@click.option(
    "--live",
    type=FILE,
    help="Settings of a policy in production: a YAML of window, current, holdout, floor, caps ...",
)
@click.option("--check", is_flag=True, help="Prove the bundle RUN again, instead of making one.")
@click.option(
    "--registry",
    metavar="URI",
    help="Mirror the bundle and the verdicts on its run in MLflow's registry.",
)
@TRUST
def main(
    run: str,
    out: str | None,
    key: str | None,
    card: str | None,
    budget: float | None,
    rows: int,
    live: str | None,
    check: bool,
    registry: str | None,
    trust: str | None,
) -> int:
    """Make the bundle of a run, or prove one again."""
    if check:
        return prove_again(run, trust)
    if out is None:
        raise ConfigError("bundle: --out must be given: a folder.")
    from hwds.serve.bundle.card import read_fields
    from hwds.serve.bundle.make import make_bundle
    from hwds.serve.bundle.manifest import default_key

    fields, settings = read_fields(Path(card) if card else None), Path(live) if live else None
    signer = Path(key) if key else default_key()
    bundle = make_bundle(
        run, Path(out), key=signer, fields=fields, budget=budget, n_cases=rows, live=settings
    )
    parity, latency = bundle.manifest.parity, bundle.json("latency.json")
    if bundle.manifest.kind == "policy":
        print(
            f"{parity['rows']} decisions of {parity['questions']} events are repeated by a fresh "
            f"process; chances are off by"
        )
    else:
        print(
            f"{parity['rows']} real rows are answered as in the run by a fresh process; the worst "
            f"difference is"
        )
    print(
        f"  {parity['worst_difference']:.2g} ({parity['tolerance']:g} allowed, as a share of 1 + "
        f"the number)."
    )
    graph = parity["graph"]
    worst = max(graph["worst_difference"].values()) if graph else 0.0
    print(
        f"model.onnx: off by {worst:.2g} at most."
        if graph
        else f"No model.onnx: {bundle.manifest.graph['why']}."
    )
    print(f"One answer takes {latency['p50_ms']:g} ms, 99 % up to {latency['p99_ms']:g} ms.")
    print(f"Bundle {bundle.manifest.digest}: {bundle.folder}")
    if registry is not None:
        from hwds.results.folder import RunFolder
        from hwds.serve.gate import mirror_with_verdicts

        print(f"MLflow: {mirror_with_verdicts(bundle, RunFolder.find(run), registry)}")
    return 0


def prove_again(folder: str, trust: str | None) -> int:
    """Check the signature of a bundle and prove it in this process."""
    from hwds.serve.bundle.prove import prove_bundle
    from hwds.serve.services.opening import Bundle

    bundle = Bundle.open(folder, trust)
    try:
        proof = prove_bundle(bundle)
    except HwdsError as error:
        raise HwdsError(f"{bundle.folder}: does not answer here as in the run: {error}") from error
    print(
        f"{proof['rows']} real rows are answered as in the run, the worst difference is "
        f"{proof['worst_difference']:.2g}."
    )
    print(
        f"One answer takes {proof['latency']['p50_ms']:g} ms, 99 % up to "
        f"{proof['latency']['p99_ms']:g} ms."
    )
    print(f"Bundle {bundle.manifest.digest}: whole, and signed by a trusted key.")
    return 0
