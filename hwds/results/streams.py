"""Names of the folder of streams, and of those of a stream's files that pages read while it runs."""

FOLDER = "streams"
"""The folder of all streams below the outputs folder."""

PROGRESS, ALERTS = "progress.json", "alerts.jsonl"
"""Files of a stream: how it stands, and all messages of its alerts."""
