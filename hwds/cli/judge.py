"""Judging in a container what another one trained: `python -m hwds.cli.judge GATE [ROOT]`, of which
ROOT is else /opt/ml.

Below ROOT/processing lie `model/model.tar.gz` and `output/output.tar.gz` of the training, and the
channel `train`, which is shown where the run had it. The bundle is proven again here, the gate
judges its run, and `evaluation/evaluation.json` says the outcome; that the gate refuses is no
failure of this step, for the pipeline decides by that file.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from hwds.cli.commands.gate import print_checks
from hwds.cli.train import ROOT, TRAIN
from hwds.core.checksums import write_json
from hwds.core.errors import DataError, HwdsError
from hwds.core.files import OUTPUTS
from hwds.results.folder import RunFolder
from hwds.serve.bundle.card import FIELDS
from hwds.serve.bundle.manifest import CARD_JSON
from hwds.serve.bundle.prove import prove_bundle
from hwds.serve.deploy import APPROVAL, ARCHIVE, unpack_archive
from hwds.serve.gate import GateInputs, decide_gate, gate_rules, gather_evidence
from hwds.serve.pipeline import EVALUATION, OUTCOME
from hwds.serve.services.opening import Bundle


def judge(gate: str, root: Path) -> dict[str, Any]:
    """Write and return what the gate says of a trained bundle.

    Args:
        gate: The name of the rules.
        root: The folder with `processing`.

    Raises:
        HwdsError: A file is missing or changed, or the bundle does not answer here as in the run.
    """
    files, channel = root / "processing", root / "input" / "data" / TRAIN[0]
    if not channel.exists():
        channel.parent.mkdir(parents=True, exist_ok=True)
        channel.symlink_to(files / TRAIN[0])
    with tempfile.TemporaryDirectory() as scratch:
        unpack_archive(files / "model" / ARCHIVE, Path(scratch) / "model")
        unpack_archive(files / "output" / "output.tar.gz", Path(scratch) / "output")
        bundle = Bundle.open(Path(scratch) / "model")
        evaluation = judge_bundle(bundle, run_of_bundle(bundle, Path(scratch) / "output"), gate)
    write_json(files / "evaluation" / EVALUATION, evaluation)
    return evaluation


def run_of_bundle(bundle: Bundle, output: Path) -> RunFolder:
    """Return the run of a bundle among what its training has left.

    Raises:
        DataError: It is not there.
    """
    place = next(iter(output.rglob(str(OUTPUTS / "runs" / bundle.manifest.run))), None)
    if place is None:
        raise DataError(f"judge: run {bundle.manifest.run} is not in the output of the training.")
    return RunFolder(place)


def judge_bundle(bundle: Bundle, folder: RunFolder, gate: str) -> dict[str, Any]:
    """Return the outcome of a gate, its checks, and the headline of the run with its interval."""
    proof, rules = prove_bundle(bundle), gate_rules(gate)
    gathered = gather_evidence(folder, rules, GateInputs(bundle=str(bundle.folder)))
    card = bundle.json(CARD_JSON)
    evidence = gathered.with_bundled(
        bundle, CARD_JSON, card={name: str(card.get(name, "")) for name in FIELDS}
    )
    verdict, headline = (
        decide_gate(folder, rules, evidence),
        folder.read_tables().headline(evidence.headline, evidence.label) or {},
    )
    return {
        OUTCOME: verdict["outcome"],
        APPROVAL: verdict["approval_status"],
        "bundle": bundle.manifest.digest,
        "run": folder.title,
        "metric": evidence.headline,
        **{name: headline.get(name) for name in ("value", "ci_low", "ci_high")},
        "worst_difference": proof["worst_difference"],
        "checks": verdict["checks"],
    }


def main(words: list[str]) -> int:
    """Judge and print every check; 0 where there is a verdict, whatever it is."""
    root = (Path(words[1]) if len(words) > 1 else ROOT).resolve()
    os.chdir(root)
    try:
        evaluation = judge(words[0], root)
    except HwdsError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    print_checks(evaluation["checks"])
    print(f"{evaluation[OUTCOME]}: {root / 'processing' / 'evaluation' / EVALUATION}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
