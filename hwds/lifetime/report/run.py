"""The pictures, tables and sentences of runs about remaining lives."""

from __future__ import annotations

from hwds.report.hooks import TaskReport

REPORT = TaskReport()
