"""`python -m bench` says what it leaves out; a benchmark without public data goes on."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def bench(*words, **extra):
    environment = {key: value for key, value in os.environ.items() if key != "HWDS_DATA"} | extra
    return subprocess.run(
        [sys.executable, "-m", "bench", *words],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("words", "extra", "why"),
    [
        (["poisson", "sarima"], {}, "HWDS_DATA is not set"),
        (["sarima"], {"HWDS_DATA": "/no/such"}, "HWDS_DATA=/no/such has no such file"),
    ],
)
def test_what_needs_public_data_is_left_out_in_a_line(words, extra, why):
    done = bench(*words, **extra)
    assert (done.returncode, done.stderr) == (0, "")
    assert (
        done.stdout.splitlines()[-1]
        == f"sarima is left out: it needs m3/m3_monthly.parquet of the public data, and {why}."
    )
    assert ("Poisson," in done.stdout) == ("poisson" in words)


def test_a_wrong_name_or_size_is_refused():
    done = bench("sarma")
    assert (done.returncode, done.stderr[:29]) == (2, "bench: no benchmark 'sarma'; ")
    done = bench("panel_build=3")
    assert (done.returncode, done.stderr) == (2, "bench: 'panel_build' takes no size '3'.\n")
