"""The folder of all outputs."""

from __future__ import annotations

import os
from pathlib import Path

OUTPUTS = Path(os.environ.get("HWDS_OUTPUTS") or "outputs")
"""`outputs/` below the current folder, or `$HWDS_OUTPUTS`, for a checkout that cannot be written."""
