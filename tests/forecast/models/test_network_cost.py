"""What networks cost: nothing where none is used, and no more memory the more are fitted."""

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

FITS = """
import numpy as np
from hwds.forecast.context import ForecastContext
from hwds.forecast.models.cnn import CNN
from hwds.learners.networks import graphs
from hwds.splitting.cutoffs import FromEnd, future_of, known_at
from tests.support.panels import monthly_panel

def resident():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmRSS")).split()[1]) / 1024

graphs.CLEARED = 2  # as fits in a row do in time
panel, cutoff = monthly_panel(8, 60), FromEnd(6)
history, future = known_at(panel, cutoff), future_of(panel, np.arange(8), cutoff.ends(panel), 6)
model = CNN(filters=8, epochs=1, seeds=1, batch=64)
for fit in range(10):
    context = ForecastContext(fit, levels=(0.1, 0.5, 0.9), season=12)
    model.learn(history, horizon=6, context=context).predict(history, future)
    if fit == 3:
        before = resident()
print(resident() - before)
"""


def test_a_run_without_a_network_loads_nothing_of_tensorflow(tmp_path):
    words = "+experiment=lstm_forecast model=forecast/naive rivals=[] size=small compute=serial protocol.windows=1"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", WITHOUT, *words.split()]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert json.loads(done.stderr.splitlines()[-1]) == [0, []]


def test_memory_is_flat_over_fits_in_a_row():
    done = subprocess.run([sys.executable, "-c", FITS], cwd=ROOT, capture_output=True, text=True, check=True)
    assert float(done.stdout) < 6  # MiB over six fits; a network that stayed would be one or two MiB a fit
    assert done.stderr == ""
