"""Variables of the environment that choose instructions or algorithms of a library, and with them the last bits of numbers.

Threads are not among them: `cpus_per_cell` holds them, which is in the keys. Nor are `TF_ENABLE_ONEDNN_OPTS` and
`KERAS_BACKEND`, which are set when TensorFlow is loaded, nor what was measured to change nothing, such as `PYTHONHASHSEED` and
`POLARS_MAX_THREADS`.
"""

from __future__ import annotations

import os

VARIABLES = (
    "OPENBLAS_CORETYPE",
    "NPY_DISABLE_CPU_FEATURES",
    "NPY_ENABLE_CPU_FEATURES",
    "GLIBC_TUNABLES",
    "LD_PRELOAD",
    "MKL_CBWR",
    "MKL_ENABLE_INSTRUCTIONS",
    "MKL_DEBUG_CPU_TYPE",
    "BLIS_ARCH_TYPE",
    "ONEDNN_MAX_CPU_ISA",
    "DNNL_MAX_CPU_ISA",
    "XLA_FLAGS",
    "TF_XLA_FLAGS",
    "TF_DETERMINISTIC_OPS",
    "NVIDIA_TF32_OVERRIDE",
)
"""The variables whose names follow no rule."""

PREFIXES = ("NUMBA_CPU_", "NUMBA_OPT", "NUMBA_LOOP_VECTORIZE", "NUMBA_SLP_VECTORIZE", "NUMBA_ENABLE_AVX", "NUMBA_DISABLE_")


def numeric_environment() -> dict[str, str]:
    """Return those of the variables that are set, by name; mostly none is."""
    named = (name for name in os.environ if name in VARIABLES or name.startswith(PREFIXES))
    return {name: os.environ[name] for name in sorted(named) if os.environ[name]}
