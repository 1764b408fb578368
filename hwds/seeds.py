"""Random streams, each named by its purpose: the same in any process, order, chunk or for any rival."""

import hashlib

import numpy as np


def stream(seed: int, *purpose: str | int) -> np.random.Generator:
    """The generator of one purpose under one seed.

    Philox is counter-based, so that streams of different keys are independent; the key is a hash of the purpose.
    A model's name is never part of the purpose: rivals meet the same luck.
    """
    return np.random.Generator(np.random.Philox(key=stream_key(seed, *purpose)))


def stream_key(seed: int, *purpose: str | int) -> int:
    """The 128-bit key of a stream, for libraries that take a number as their seed."""
    return int.from_bytes(hashlib.blake2b(repr((seed, *purpose)).encode(), digest_size=16).digest(), "little")
