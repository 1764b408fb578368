"""The entry of a container: `serve` answers from /opt/ml/model on SAGEMAKER_BIND_TO_PORT or 8080, as process 1."""

import os
import sys

MODEL = os.environ.get("HWDS_BUNDLE", "/opt/ml/model")

if sys.argv[1:] != ["serve"]:
    sys.exit(f"entrypoint: must be followed by serve, got {' '.join(sys.argv[1:]) or 'nothing'}")
WORKERS = os.environ.get("HWDS_WORKERS", "2")
COMMAND = [sys.executable, "-m", "hwds", "serve", MODEL, "--http", "--host", "0.0.0.0", "--workers", WORKERS]
os.execvp(COMMAND[0], COMMAND)
