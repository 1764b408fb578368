"""Ed25519 signatures checked in Python alone (RFC 8032, 5.1.7), where `cryptography` is not installed; no secret is handled."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT = pow(2, (P - 1) // 4, P)
"""A square root of -1."""


class Point(NamedTuple):
    """A point of the curve in extended coordinates: x = X / Z, y = Y / Z, x y = T / Z."""

    x: int
    y: int
    z: int
    t: int


def is_valid(content: bytes, signature: bytes, public: bytes) -> bool:
    """Return whether a signature is that of a content by the owner of a public key.

    Args:
        content: The bytes that were signed.
        signature: 64 bytes.
        public: 32 bytes.
    """
    if len(signature) != 64 or len(public) != 32:
        return False
    key, nonce = _point(public), _point(signature[:32])
    scalar = int.from_bytes(signature[32:], "little")
    if key is None or nonce is None or scalar >= ORDER:
        return False
    digest = hashlib.sha512(signature[:32] + public + content).digest()
    challenge = int.from_bytes(digest, "little") % ORDER
    return _equal(_times(scalar, BASE), _sum(nonce, _times(challenge, key)))


def _sum(a: Point, b: Point) -> Point:
    """Return the sum of two points (RFC 8032, 5.1.4)."""
    low, high = (a.y - a.x) * (b.y - b.x) % P, (a.y + a.x) * (b.y + b.x) % P
    cross, depth = 2 * a.t * b.t * D % P, 2 * a.z * b.z % P
    e, f, g, h = high - low, depth - cross, depth + cross, high + low
    return Point(e * f % P, g * h % P, f * g % P, e * h % P)


def _times(scalar: int, point: Point) -> Point:
    total = Point(0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            total = _sum(total, point)
        point = _sum(point, point)
        scalar >>= 1
    return total


def _equal(a: Point, b: Point) -> bool:
    return (a.x * b.z - b.x * a.z) % P == 0 and (a.y * b.z - b.y * a.z) % P == 0


def _point(code: bytes) -> Point | None:
    """Return the point of 32 bytes (RFC 8032, 5.1.3); None where they are of none."""
    number = int.from_bytes(code, "little")
    sign, y = number >> 255, number & ((1 << 255) - 1)
    x = _abscissa(y, sign) if y < P else None
    return None if x is None else Point(x, y, 1, x * y % P)


def _abscissa(y: int, sign: int) -> int | None:
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    if square == 0:
        return None if sign else 0
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT % P
    if (x * x - square) % P:
        return None
    return P - x if (x & 1) != sign else x


_Y = 4 * pow(5, P - 2, P) % P
_X = _abscissa(_Y, 0) or 0
BASE = Point(_X, _Y, 1, _X * _Y % P)
"""The base point."""
