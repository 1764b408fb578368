"""Threads: set before the heavy libraries are loaded, and held in those that are."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
ONCE = ("POLARS_MAX_THREADS", "NUMBA_NUM_THREADS")
"""Variables that are read when their library is loaded, and never again."""


def thread_variables(cpus: int) -> dict[str, str]:
    """Return the environment that keeps a new process to `cpus` threads, and TensorFlow off the terminal."""
    return dict.fromkeys((*VARIABLES, *ONCE), str(cpus)) | {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0"}


@contextmanager
def inherited(variables: Mapping[str, str]) -> Iterator[None]:
    """Give the processes that are started in the block these variables; this one has its own again afterwards."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            os.environ.update({} if value is None else {name: value})


def hold_threads(cpus: int) -> None:
    """Keep this process to `cpus` threads: what loads from now on by its environment, BLAS that is loaded by threadpoolctl.

    Polars keeps the threads that it was loaded with, and so does a numba that is loaded.
    """
    from threadpoolctl import threadpool_limits

    os.environ.update({name: value for name, value in thread_variables(cpus).items() if name not in ONCE})
    threadpool_limits(cpus)
    if "numba" not in sys.modules:  # it refuses another number once its threads are there
        os.environ["NUMBA_NUM_THREADS"] = str(cpus)
