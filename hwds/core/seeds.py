"""Random streams, each named by its purpose: the same in any process, order or chunk, and for every
model.
"""

from __future__ import annotations

import hashlib

import numpy as np


def stream(seed: int, *purpose: str | int) -> np.random.Generator:
    """Return the generator of one purpose under one seed.

    Philox is counter-based, so that streams of different keys are independent; the key is a hash of
    the purpose. A model's name is never part of the purpose, so that all models of an experiment
    see the same draws.
    """
    return np.random.Generator(np.random.Philox(key=stream_key(seed, *purpose)))


def stream_key(seed: int, *purpose: str | int) -> int:
    """Return the 128-bit key of a stream, for libraries that take a number as their seed."""
    return int.from_bytes(
        hashlib.blake2b(repr((seed, *purpose)).encode(), digest_size=16).digest(), "little"
    )
