"""What networks cost where none is used: nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
WITHOUT = """
import json, sys
from hwds.cli.main import main
code = main()
print(json.dumps([code, sorted({"tensorflow", "keras"} & set(sys.modules))]), file=sys.stderr)
"""


def test_a_run_without_a_network_loads_nothing_of_tensorflow(tmp_path):
    words = (
        "+experiment=lstm_forecast model=forecast/naive rivals=[] size=small compute=serial "
        "pictures=false"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", WITHOUT, *words.split(), "protocol.windows=1"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stderr.splitlines()[-1]) == [0, []]
