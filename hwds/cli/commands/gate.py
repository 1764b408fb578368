"""Check a run against the rules of a gate: bounds, champion, calibration, leaks.

The rules are in `conf/gate`. The run's folder keeps the last verdict of each stage and the digests
of its evidence. A run that a stage refused gets no bundle.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import click

from hwds.cli.words import (
    CARD,
    FILE,
    JSON_ALONE,
    ONE_RUN,
    RUN,
    TRUST,
    KnownWord,
    command,
    print_json,
)
from hwds.core.errors import ConfigError


def gates() -> list[str]:
    """Return the names of all gates."""
    from hwds.core.registry import options

    return list(options("gate"))


@command(help=__doc__)
@ONE_RUN
@click.option(
    "--gate",
    "name",
    type=KnownWord("gate", gates),
    default="validation",
    show_default=True,
    help="The rules.",
)
@click.option("--champion", type=RUN, help="The run of the model in use.")
@CARD
@click.option("--bundle", type=FILE, help="The folder of the run's bundle, for its latency.")
@click.option("--monitor", type=FILE, help="The report of `hwds monitor`.")
@click.option(
    "--registry",
    metavar="URI",
    help="Mirror the verdicts and the bundle in MLflow's registry; needs --bundle.",
)
@TRUST
@JSON_ALONE
def main(
    run: str,
    name: str,
    as_json: bool,
    registry: str | None,
    bundle: str | None,
    trust: str | None,
    **named: str | None,
) -> int:
    """Print every check and the outcome; 1 where the gate refuses."""
    from hwds.results.folder import RunFolder
    from hwds.serve.gate import VERDICTS as KEPT
    from hwds.serve.gate import (
        GateInputs,
        decide_gate,
        gate_rules,
        gather_evidence,
        mirror_with_verdicts,
    )
    from hwds.serve.services.opening import Bundle

    if registry is not None and bundle is None:
        raise ConfigError("--registry: needs --bundle.")
    rules, folder = gate_rules(name), RunFolder.find(run)
    folder.require_finished()
    evidence = gather_evidence(folder, rules, GateInputs(bundle=bundle, trust=trust, **named))
    verdict = decide_gate(folder, rules, evidence)
    if as_json:
        print_json({**verdict, "file": str(folder.path / KEPT)})
    print_checks(verdict["checks"])
    print(f"Gate {name}: {verdict['outcome']} ({folder.path / KEPT})")
    if registry is not None and bundle is not None:
        print(f"MLflow: {mirror_with_verdicts(Bundle.open(bundle, trust), folder, registry)}")
    return 0 if verdict["outcome"] == "passed" else 1


def print_checks(checks: Iterable[Mapping[str, Any]]) -> None:
    """Print a line for each check of a verdict."""
    for check in checks:
        passed = "passed " if check["passed"] else "REFUSED"
        print(f"{passed}  {check['name']}: {check['sentence']}")
