"""What the policies of a decision on alerts are called where people read."""

from __future__ import annotations

from hwds.results.alert_verdict import AlertVerdict


def named(policy: str, verdict: AlertVerdict) -> str:
    """`today's rule`, `z > 3`."""
    names = {
        "today": "today's rule",
        "z": f"z > {verdict.z:g}",
        "random": "random reviews",
        "nothing": "nothing",
    }
    return names.get(policy, policy)
