"""The proof of a bundle, in a process that knows nothing but the folder: `python -m
hwds.serve.bundle.prove FOLDER`.

It answers real questions as the run did, survives one row, none and holes, and measures how long an
answer takes.
"""

from __future__ import annotations

import json
import math
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from hwds.core.errors import DataError, HwdsError
from hwds.core.onnx_graph import GraphScorer
from hwds.core.questions import ID, Json
from hwds.evaluation.serving import Case, Question, Service
from hwds.serve.bundle.content import INPUTS
from hwds.serve.bundle.manifest import GRAPH, PARITY, STATE
from hwds.serve.bundle.reference import ParityError, answer_rows, read_cases, worst_difference
from hwds.serve.services.opening import EVENTS, Bundle, begin_store, policy_service, service_of

ALONE_CASES = 64
"""The number of questions that are also answered one by one."""

TIMED, BLOCKS = 60, 3
"""Answers that are timed in a block, and blocks, of which the quietest counts: others compute on
the same machine.
"""


def prove_bundle(bundle: Bundle) -> Json:
    """Return what the proof of a bundle showed.

    Raises:
        HwdsError: An answer is another than the run's, a case fails, or the graph is not lawful or
            not the model.
    """
    cases, tolerance = read_cases(bundle.root / PARITY)
    with tempfile.TemporaryDirectory() as scratch:
        before = time.perf_counter()
        service = _service(bundle, Path(scratch))
        opened = time.perf_counter() - before
        try:
            graph = _graph_difference(bundle)
            allowed = max(
                tolerance,
                bundle.manifest.graph.get("tolerance", 0.0) if service.kind == "rows" else 0.0,
            )
            worst = _difference_together(service, cases, allowed)
            worst_alone = _difference_alone(service, cases, allowed)
            handled = _cases_of_bad_questions(service, cases)
            latency = _latency(service, [case.question for case in cases])
        finally:
            service.close()
    return {
        "rows": sum(answer_rows(case.answer) for case in cases),
        "questions": len(cases),
        "worst_difference": worst,
        "worst_difference_alone": worst_alone,
        "tolerance": allowed,
        "graph": graph,
        "cases": handled,
        "latency": {"open_s": round(opened, 3), **latency},
    }


def _service(bundle: Bundle, scratch: Path) -> Service:
    """Return the service of a bundle.

    Of events with the store of before the first question, of a policy with its replay's.
    """
    if bundle.manifest.kind == "policy":  # older ones have one market
        return policy_service(bundle, [bundle.root / PARITY, bundle.root / STATE], scratch)
    if bundle.manifest.kind == "events":
        begin_store(bundle.root / PARITY, scratch / EVENTS)
    return service_of(bundle, scratch / EVENTS)


def _difference_together(service: Service, cases: Sequence[Case], tolerance: float) -> float:
    """Return the worst difference of answers in one request.

    Events come one after the other, as they did.
    """
    if service.stateful:
        answers = [service.answer([case.question])[0] for case in cases]
    else:
        answers = service.answer([case.question for case in cases])
    if len(answers) != len(cases):
        raise ParityError(f"{len(cases)} questions have {len(answers)} answers.")
    pairs = zip(cases, answers, strict=True)
    return max(
        (worst_difference(case.answer, answer, tolerance, _name(case)) for case, answer in pairs),
        default=0.0,
    )


def _difference_alone(service: Service, cases: Sequence[Case], tolerance: float) -> float:
    """Return the worst difference of answers to one question each.

    Of events the answers to those that come again.
    """
    some = [case for case in cases if "of" not in case.question][-ALONE_CASES:]
    return max(
        (
            worst_difference(
                case.answer, service.answer([case.question])[0], tolerance, _name(case)
            )
            for case in some
        ),
        default=0.0,
    )


def _name(case: Case) -> str:
    return f"question '{case.question.get(ID, case.question.get('of'))}'"


def _cases_of_bad_questions(service: Service, cases: Sequence[Case]) -> dict[str, str]:
    """Return what came of no question, of ones with holes, and of ones that are none, which are
    refused in words.

    Raises:
        HwdsError: An answer has a number that is none, or a question that is none was answered.
    """
    if service.answer([]) != []:
        raise HwdsError("no question has an answer.")
    last = next(case.question for case in reversed(cases) if "of" not in case.question)
    needed = {name: last[name] for name in service.question_schema()["required"] if name in last}
    outcomes = {"no question": "no answer"}
    holes: dict[str, Json] = {
        "nothing known": {**needed, ID: "nothing known"},
        "no rows": {**last, "rows": [], ID: "no rows"}
        if "rows" in last
        else {**needed, ID: "again"},
        "nulls": {name: None if name not in needed else value for name, value in last.items()}
        | {ID: "nulls"},
    }
    for name, question in holes.items():
        try:
            answer = service.answer([question])[0]
            _refuse_odd_numbers(answer)
            outcomes[name] = "answered"
        except DataError as error:
            outcomes[name] = f"refused: {error}"
    wrong: Json = {
        "a list": [1],
        "an unknown field": {**last, ID: "u", "no such field": 1},
    }
    for name, question in wrong.items():
        try:
            service.answer([question])
        except DataError as error:
            outcomes[name] = f"refused: {error}"
        else:
            raise HwdsError(f"{name} was answered.")
    return outcomes


def _refuse_odd_numbers(node: Any) -> None:
    values = node.values() if isinstance(node, dict) else node if isinstance(node, list) else [node]
    for value in values:
        if isinstance(value, dict | list):
            _refuse_odd_numbers(value)
        elif isinstance(value, float) and not math.isfinite(value):
            raise HwdsError("an answer holds a number that JSON has not.")


def _graph_difference(bundle: Bundle) -> Json | None:
    """Return how far the graph is from the run's scores, where there is one.

    Raises:
        Difference: It is further than the type of its numbers explains.
    """
    columns = bundle.manifest.graph
    if "numbers" not in columns:
        return None
    import onnx

    graph = (bundle.root / GRAPH).read_bytes()
    onnx.checker.check_model(graph, full_check=True)
    rows = pl.read_parquet((bundle.root / PARITY / INPUTS).read_bytes())
    scorer = GraphScorer(graph, columns["numbers"], columns["texts"])
    got = scorer.score(rows.to_dicts())
    worst = {}
    for name in got:
        wanted = rows[f"__{name}"].to_numpy()
        worst[name] = float(np.max(np.abs(got[name] - wanted) / (1 + np.abs(wanted)), initial=0.0))
        if not worst[name] <= columns["tolerance"]:
            raise ParityError(
                f"{GRAPH}: its {name} is off by {worst[name]:.2g}, {columns['tolerance']:g} are "
                f"allowed."
            )
    holes = scorer.score([{}])
    if not np.isfinite(holes["score"]).all():
        raise ParityError(f"{GRAPH}: the score of a row of which nothing is known is no number.")
    return {
        "rows": len(rows),
        "checker": "passed",
        "worst_difference": worst,
        "tolerance": columns["tolerance"],
    }


def _latency(service: Service, questions: Sequence[Question]) -> Json:
    """Return milliseconds of one answer: median and 99 % of the quietest of some blocks."""
    timed = [question for question in questions if "of" not in question]
    if service.stateful:
        needed = service.question_schema()["required"]  # a time that may be left out has passed
        timed = [
            {name: value for name, value in each.items() if name != "at" or name in needed}
            for each in timed * 2
        ]
        timed = [{**question, ID: f"timed {place}"} for place, question in enumerate(timed)]
    blocks = []
    for block in range(BLOCKS):
        taken = []
        for place in range(TIMED):
            question = timed[(block * TIMED + place) % len(timed)]
            begin = time.perf_counter()
            service.answer([question])
            taken.append(1000 * (time.perf_counter() - begin))
            if sum(taken) > 20_000:
                break
        blocks.append(taken)
    quietest = min(blocks, key=lambda taken: float(np.quantile(taken, 0.99)))
    return {
        "p50_ms": round(float(np.median(quietest)), 4),
        "p99_ms": round(float(np.quantile(quietest, 0.99)), 4),
    }


def main() -> int:
    """Print what the proof of a folder showed, as JSON; a refusal is a line."""
    try:
        proof = prove_bundle(Bundle.of_any_signer(Path(sys.argv[1])))
        sys.stdout.write(f"{json.dumps(proof)}\n")
    except HwdsError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
