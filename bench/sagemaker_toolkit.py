"""AWS' own serving toolkit beside hwds' server, one bundle: `python -m bench.sagemaker_toolkit
FOLDER TRUSTED PYTHON`.

PYTHON is that of an environment with the toolkit, of the same version as this one (`python -m venv
V && V/bin/pip install 'setuptools<80' sagemaker-inference multi-model-server`; it needs Java). A
handler of two functions answers by the bundle's own service, by the toolkit's own decoder and
encoder of JSON. 1 where a body differs in its values; that the toolkit escapes letters beyond ASCII
is said apart, and so is its answer to bodies gone wrong.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from bench.http_server import good_questions, served, wait_for

PATHS = [
    str(Path(__file__).resolve().parents[1]),
    *(path for path in sys.path if path.endswith("site-packages")),
]
HANDLER = f"""
import os
import sys

sys.path += {PATHS}
from hwds.serve.services.opening import Bundle


def model_fn(folder, *context):
    return Bundle.open(os.path.join(folder, "bundle"), os.path.join(folder, "trusted.pub")).service()


def predict_fn(data, model, *context):
    asked = data.tolist()
    return model.answer(asked) if isinstance(asked, list) else model.answer([asked])[0]
"""
START = """
import sys

import sagemaker_inference.model_server as server

server.MMS_CONFIG_FILE = sys.argv[1]
server.start_model_server()
"""
PORT = 18080
"""The toolkit takes none of those that a system gives away by itself."""

WRONG = {"another type": (b"<a/>", "application/xml"), "no JSON": (b"{", "application/json")}


def asked(port: int, body: bytes, form: str = "application/json") -> tuple[int, bytes]:
    """Return the status and the body of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request(
        "POST", "/invocations", body, {"content-type": form, "accept": "application/json"}
    )
    answer = connection.getresponse()
    return answer.status, answer.read()


def begun(base: Path, folder: str, trusted: str, python: str) -> subprocess.Popen[bytes]:
    """Start the toolkit on a bundle, and wait until it answers."""
    code = base / "model" / "code"
    code.mkdir(parents=True)
    shutil.copytree(folder, base / "model" / "bundle")
    shutil.copyfile(trusted, base / "model" / "trusted.pub")
    (code / "inference.py").write_text(HANDLER)
    own = {
        "SAGEMAKER_BASE_DIR": str(base),
        "SAGEMAKER_BIND_TO_PORT": str(PORT),
        "SAGEMAKER_PROGRAM": "inference.py",
    }
    own |= {
        "SAGEMAKER_MODEL_SERVER_WORKERS": "1",
        "PATH": f"{Path(python).absolute().parent}:{os.environ['PATH']}",
        "PYTHONPATH": "",
    }
    words = [python, "-c", START, str(base / "mms.properties")]
    with (base / "log.txt").open("w") as log:
        process = subprocess.Popen(
            words, cwd=base, env=os.environ | own, stdout=log, stderr=log, start_new_session=True
        )
    wait_for(PORT, process, "/ping")
    return process


def main(words: list[str]) -> int:
    """Print how many bodies are the same to the byte; 1 where one has other values."""
    folder, trusted, python = words
    rows = good_questions(folder)
    bodies = [*rows, rows[:2], rows, [{**rows[0], "id": "ä"}], {}]
    same: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as beside, served(folder) as (ours, _):
        process = begun(Path(beside), folder, trusted, python)
        try:
            for body in (json.dumps(each).encode() for each in bodies):
                (status, one), (other_status, other) = asked(PORT, body), asked(ours, body)
                alike = (status, json.loads(one)) == (other_status, json.loads(other))
                same["bytes" if one == other else "values" if alike else "nothing"] += 1
            for name, (body, form) in WRONG.items():
                sys.stdout.write(
                    f"{name}: {asked(PORT, body, form)[0]} of the toolkit, "
                    f"{asked(ours, body, form)[0]} of hwds\n"
                )
        finally:
            process.send_signal(signal.SIGTERM)  # which it hands on
            process.wait(60)
    sys.stdout.write(f"{len(bodies)} bodies, the same are: {dict(same)}\n")
    return int(same["nothing"] > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
