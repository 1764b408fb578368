"""Prove that nothing leaks: rubbish after each cutoff, bit-identical answers. Takes the same words as a run."""

from __future__ import annotations

from dataclasses import replace


def main(words: list[str]) -> int:
    """Run the canary over the experiment's models and features, at their small size unless `size=` is given."""
    from hwds.config.check import check
    from hwds.config.compose import compose
    from hwds.context import Context
    from hwds.execution.canary import canary, features_canary
    from hwds.execution.prepare import prepare
    from hwds.execution.threads import hold_threads
    from hwds.frames.panel import Panel

    sized = words if any(word.startswith("size=") for word in words) else [*words, "size=small"]
    prepared = prepare(check(compose([f"+{word}" if word.startswith("experiment=") else word for word in sized])))
    job, protocol = prepared.job, prepared.job.protocol
    hold_threads(job.cpus)
    context = replace(Context(job.seed), features=job.features, cpus=job.cpus, device=job.device)
    checks = {label: canary(protocol, label, model, prepared.frame, context) for label, model in job.models.items()}
    if isinstance(prepared.frame, Panel):
        name = f"features {prepared.experiment.features.name}"
        checks[name] = features_canary(name, job.features, prepared.frame, prepared.frame.horizon)
    leaks = 0
    for label, found in checks.items():
        results = list(found)
        bad = [leak for leak in results if leak is not None]
        leaks += len(bad)
        print(
            f"{label}: {'LEAKS' if bad else 'no leak'} ({len(results)} cutoffs, answers {'differ' if bad else 'bit-identical'})"
        )
        for leak in bad:
            print(f"  {leak}")
    return 1 if leaks else 0
