"""The verdict of a gate: every check, the digests of its evidence, and the outcome."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hwds.core.checksums.files import write_json
from hwds.core.errors import ConfigError
from hwds.production.bundle.card import read_fields
from hwds.production.bundle.manifest import LATENCY
from hwds.production.gate.checks import checks_of
from hwds.production.gate.evidence import Evidence, leaks_of, violations_of
from hwds.production.gate.rules import GateRules
from hwds.production.gate.verdicts import keep_verdict
from hwds.production.services.opening import Bundle
from hwds.results.files import read_mapping
from hwds.results.folder import RunFolder
from hwds.results.provenance import now

LEAKS = "leakage.json"


@dataclass(frozen=True)
class Named:
    """The words of a user beside the run: a champion's run, files of a card and of a monitor, a bundle, and trusted keys."""

    champion: str | None = None
    card: str | None = None
    bundle: str | None = None
    monitor: str | None = None
    trust: str | None = None


def gathered(folder: RunFolder, rules: GateRules, named: Named) -> Evidence:
    """Return the evidence of a run that a gate asks for.

    Raises:
        ConfigError: A file cannot be read, the bundle is of another run, or the monitor's report of another bundle.
    """
    evidence, watched = Evidence.of(folder), ""
    if rules.champion and named.champion:
        evidence = evidence.with_champion(folder, RunFolder.find(named.champion))
    if named.card:
        evidence = evidence.with_file(Path(named.card), card=read_fields(Path(named.card)))
    if named.bundle:
        bundle = Bundle.open(named.bundle, named.trust)
        if bundle.manifest.run != folder.title:
            raise ConfigError(f"--bundle: {named.bundle} is of run {bundle.manifest.run}, not of {folder.title}.")
        evidence = evidence.with_file(bundle.folder / LATENCY, latency=bundle.json(LATENCY))
        watched = bundle.manifest.digest
    if named.monitor:
        seen, violations = violations_of(Path(named.monitor))
        if watched and seen != watched:
            raise ConfigError(f"--monitor: {named.monitor} is of bundle {seen}, not of {watched} (--bundle).")
        evidence = evidence.with_file(Path(named.monitor), violations=violations)
    if rules.leakage:
        path = folder.path / LEAKS
        write_json(path, {"code": folder.read_provenance()["code"], "leaks": list(leaks_of(folder)), "when": now()})
        evidence = evidence.with_file(path, leaks=tuple(read_mapping(path)["leaks"]))
    return evidence


def decided(folder: RunFolder, rules: GateRules, evidence: Evidence) -> dict[str, Any]:
    """Keep and return the verdict of a gate on a run."""
    checks = checks_of(rules, evidence)
    passed = all(check.passed for check in checks)
    verdict = {
        "gate": rules.name,
        "stage": rules.stage,
        "run": evidence.title,
        "outcome": "passed" if passed else "refused",
        "approval_status": "Approved" if passed and rules.approver else "PendingManualApproval" if passed else "Rejected",
        "approver": evidence.card.get("approver", ""),
        "when": now(),
        "checks": [asdict(check) for check in checks],
        "evidence": dict(evidence.files),
    }
    keep_verdict(folder, verdict)
    return verdict
