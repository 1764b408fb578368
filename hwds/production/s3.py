"""Places in S3, as s3://BUCKET/KEY."""

from __future__ import annotations

from typing import Any

from hwds.core.errors import DataError

SCHEME = "s3://"


def place_of(uri: str) -> tuple[str, str]:
    """Return the bucket and the key, or its beginning, of s3://BUCKET/KEY.

    Raises:
        DataError: It names no bucket.
    """
    bucket, _, key = uri.removeprefix(SCHEME).partition("/")
    if not bucket:
        raise DataError(f"'{uri}' must be s3://BUCKET/KEY.")
    return bucket, key


def keys_below(s3: Any, uri: str, empty: bool = False) -> list[str]:
    """Return the keys that begin as a place in S3, without those that stand for a folder.

    Args:
        s3: The client of S3.
        uri: The place.
        empty: Whether there may be none.

    Raises:
        DataError: There is none.
    """
    bucket, prefix = place_of(uri)
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    keys = [each["Key"] for page in pages for each in page.get("Contents", ()) if not each["Key"].endswith("/")]
    if not keys and not empty:
        raise DataError(f"nothing lies at {uri}.")
    return keys
