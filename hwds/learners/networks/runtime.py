"""TensorFlow as networks use it: loaded late, quiet, deterministic, on the chosen device."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hwds.core.errors import ConfigError
from hwds.evaluation.context import Device


def tensorflow(cpus: int) -> Any:
    """Return TensorFlow, quiet and deterministic; its threads are those of the process, set before it is loaded."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(cpus))
    os.environ.setdefault("TF_NUM_INTEROP_THREADS", str(cpus))
    os.environ["KERAS_BACKEND"] = "tensorflow"
    with held_back_stderr():
        import tensorflow

        tensorflow.config.experimental.enable_op_determinism()
        tensorflow.constant(0.0)
    return tensorflow


@contextmanager
def held_back_stderr() -> Iterator[None]:
    """Hold back what C++ writes to stderr while a library loads: shown where loading fails, dropped where it succeeds.

    TensorFlow notes the absence of a GPU there before any setting of its own can silence it.
    """
    sys.stderr.flush()
    ours = os.dup(2)
    with tempfile.TemporaryFile() as notes:
        os.dup2(notes.fileno(), 2)
        try:
            yield
        except BaseException:
            notes.seek(0)
            os.write(ours, notes.read())
            raise
        finally:
            os.dup2(ours, 2)
            os.close(ours)


def placed(device: Device, cpus: int) -> Any:
    """Return the device of TensorFlow as a context manager.

    Raises:
        ConfigError: A GPU is required, or present under `auto`, and TensorFlow sees none.
    """
    tf = tensorflow(cpus)
    if device == "gpu" and not tf.config.list_physical_devices("GPU"):
        raise ConfigError("compute.device: 'gpu', but there is none that TensorFlow can use; use 'cpu'.")
    return tf.device("/GPU:0" if device == "gpu" else "/CPU:0")
