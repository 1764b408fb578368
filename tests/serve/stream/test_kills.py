"""Streams that are killed amid their work lose no reading and say no alert twice:
`bench/streams.py` in small.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import mosquitto

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("kind", ["files" if mosquitto.PATH is None else "kills"])
def test_three_kills_cost_nothing(kind):
    words = [sys.executable, "-m", "bench.streams", kind, "3"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 kills" in done.stdout
    assert done.stdout.splitlines()[-1] == "nothing lost, nothing twice"
