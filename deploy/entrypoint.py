"""The entry of a container, which becomes its process 1.

`serve` answers from /opt/ml/model on SAGEMAKER_BIND_TO_PORT or 8080; `train` fills that folder.
"""

import os
import sys

MODEL = os.environ.get("HWDS_BUNDLE", "/opt/ml/model")
WORKERS = os.environ.get("HWDS_WORKERS", "2")
COMMANDS = {
    "serve": ["hwds", "serve", MODEL, "--http", "--host", "0.0.0.0", "--workers", WORKERS],
    "train": ["hwds.cli.train"],
}

if sys.argv[1:] not in ([name] for name in COMMANDS):
    sys.exit(
        f"entrypoint: must be followed by {' or '.join(COMMANDS)}, got "
        f"{' '.join(sys.argv[1:]) or 'nothing'}"
    )
os.execvp(sys.executable, [sys.executable, "-m", *COMMANDS[sys.argv[1]]])
