"""Thirty settings and words gone wrong; `python -m bench mutations=10000` tries ten thousand."""

import os
import random

import pytest

from bench import mutations
from bench.mutated_process import Ending

SLOW = ("gray", "handbook", "fraud", "arbitrage", "compute", "tracker", "few_labels")
"""Options whose simulated data takes seconds, or that ask another machine."""

FILES = sorted(
    file
    for file in (mutations.ROOT / "conf").rglob("*.yaml")
    if not any(word in str(file) for word in SLOW)
)
SIZE = int(os.environ.get("HWDS_TEST_MUTATIONS", "30"))


def test_no_mutation_traces_back_hangs_or_ends_with_another_code(tmp_path, monkeypatch):
    monkeypatch.delenv("HWDS_DATA", raising=False)
    monkeypatch.delenv("HWDS_CONF", raising=False)
    chosen = random.Random(1).sample(FILES, 20)
    rows = mutations.measured(tmp_path, SIZE, chosen, fits=SIZE > 1000)
    assert [row.note for row in rows if not row.equal] == []
    assert "x 2" in rows[0].note
    assert "x 0" in rows[0].note


@pytest.mark.parametrize(
    ("ending", "wrong"),
    [
        (Ending(["plan"], 0, 9.0, "", ""), ""),
        (Ending(["plan"], 2, 0.1, "", "hwds: no"), ""),
        (Ending(["plan"], 2, 9.0, "", "hwds: no"), "hang"),
        (Ending(["plan"], None, 20.0, "", ""), "hang"),
        (Ending(["plan"], 1, 0.1, "Traceback", ""), "traceback"),
        (Ending(["plan"], 4, 0.1, "", ""), "exit code"),
        (Ending(["x"], None, 60.0, "", "", fits=True), ""),
    ],
)
def test_what_a_command_line_should_not_do(ending, wrong):
    assert ending.wrong == wrong
