"""The cold start of a Lambda: `python -m bench.lambda_start FOLDER TRUSTED RIE PACKAGES
[starts=10]`.

FOLDER is a bundle with a graph for rows that stand alone, TRUSTED the public key of its signature,
PACKAGES a folder with what the function may import beside the packed runtime, RIE AWS' Runtime
Interface Emulator, which the wheel aws-sam-cli has:

    python -m hwds dataset=gray_market features=none model=classify/xgboost protocol=prequential_gray save_model=final name=rows
    python -m hwds bundle rows --out FOLDER --key key.pem                         # TRUSTED is key.pem.pub
    python -m pip install --target PACKAGES awslambdaric cryptography numpy onnxruntime
    python -m pip download --no-deps --dest sam aws-sam-cli && python -m zipfile -e sam/aws_sam_cli-*.whl sam
    chmod +x sam/samcli/local/rapid/aws-lambda-rie-x86_64                         # RIE

Each start is timed from nothing to the first answer: the emulator, the function's process, the
bundle's signature and the graph; then the median of a hundred answers more. 1 where an answer is
another than the run's, or the quickest start takes longer than half a second (the others wait for
cores that other processes have); 2 where a word is missing.
"""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hwds.serve.bundle.manifest import PARITY
from hwds.serve.bundle.reference import SINGLE, read_cases, worst_difference
from hwds.serve.pack import pack
from tests.support.aws_plane.servers import free_port

MOST = 0.5
"""Seconds that a cold start may take."""

WARM = 100
PATH = "/2015-03-31/functions/function/invocations"
HANDLER = "hwds.serve.runtime.handler"


def invoked(port: int, question: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answer of the function, as soon as the emulator listens."""
    for _ in range(2000):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            connection.request("POST", PATH, json.dumps(question))
            answer: dict[str, Any] = json.loads(connection.getresponse().read())
            return answer
        except ConnectionRefusedError:
            time.sleep(0.005)
    raise RuntimeError("the emulator does not listen")


def processor_time(parent: int) -> float:
    """Return the seconds of user and system time of a process's children."""
    pids = [
        pid
        for file in Path(f"/proc/{parent}/task").glob("*/children")
        for pid in file.read_text().split()
    ]
    ticks = [
        sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]))
        for pid in pids
    ]
    return sum(ticks) / os.sysconf("SC_CLK_TCK")


def begun(
    words: list[str], variables: dict[str, str], question: Mapping[str, Any]
) -> tuple[float, float, float, Any]:
    """Return the seconds of a cold start, its CPU time, the median of a later answer in seconds,
    and the first answer.
    """
    port, own = free_port(), free_port()
    emulator, *function = words
    places = [
        "--runtime-interface-emulator-address",
        f"127.0.0.1:{port}",
        "--runtime-api-address",
        f"127.0.0.1:{own}",
    ]
    began = time.perf_counter()
    process = subprocess.Popen(
        [emulator, *places, *function],
        cwd=variables["HOME"],
        env=variables,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        answer = invoked(port, question)
        cold, cpu = time.perf_counter() - began, processor_time(process.pid)
        warm = []
        for _ in range(WARM):
            begin = time.perf_counter()
            invoked(port, question)
            warm.append(time.perf_counter() - begin)
    finally:
        process.terminate()
        process.wait(30)
    return cold, cpu, float(np.median(warm)), answer


def main(words: list[str]) -> int:
    """Print the starts and their medians.

    1 where the quickest is too slow, 2 where a word is missing.
    """
    if len(words) < 4:
        print(__doc__, file=sys.stderr)
        return 2
    folder, trusted, emulator, packages, *rest = words
    starts = int(dict(word.split("=") for word in rest).get("starts", 10))
    case, worst, taken = read_cases(Path(folder) / PARITY)[0][0], 0.0, []
    with tempfile.TemporaryDirectory() as beside:
        pack(Path(beside) / "runtime.pyz")
        variables = {
            "PATH": os.environ["PATH"],
            "HOME": beside,
            "PYTHONPATH": f"{beside}/runtime.pyz{os.pathsep}{packages}",
        }
        variables |= {
            "HWDS_BUNDLE": str(Path(folder).resolve()),
            "HWDS_TRUSTED_KEYS": trusted,
            "OMP_NUM_THREADS": "1",
        }
        function = [emulator, sys.executable, "-S", "-m", "awslambdaric", HANDLER]
        for _ in range(starts):
            *seconds, answer = begun(function, variables, case.question)
            if "errorMessage" in answer:
                raise RuntimeError(answer["errorMessage"])
            worst = max(worst, worst_difference(case.answer, answer, SINGLE, "the first answer"))
            taken.append(seconds)
            print("cold {:.3f} s, CPU {:.2f} s, warm {:.4f} s".format(*seconds), flush=True)
    cold, cpu, warm = np.median(np.array(taken), axis=0)
    least = min(seconds for seconds, *_ in taken)
    print(
        f"of {starts}: cold {cold:.3f} s, {least:.3f} at least, CPU {cpu:.2f} s, warm "
        f"{1000 * warm:.1f} ms; {worst:.1e} off"
    )
    return int(least > MOST)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
