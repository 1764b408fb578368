"""Threads: set before the heavy libraries are loaded, and held in those that are."""

from __future__ import annotations

import os

VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")


def thread_variables(cpus: int) -> dict[str, str]:
    """The environment that keeps a process to `cpus` threads, and TensorFlow off the terminal."""
    return dict.fromkeys(VARIABLES, str(cpus)) | {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0"}


def hold_threads(cpus: int) -> None:
    """Keep this process to `cpus` threads: what loads from now on by its environment, BLAS that is loaded by threadpoolctl."""
    from threadpoolctl import threadpool_limits

    os.environ.update(thread_variables(cpus))
    threadpool_limits(cpus)
