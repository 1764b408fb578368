"""The ways in which a value of a searched setting is drawn, by the key of its leaf."""

LISTS = ("choice", "grid")
BOUNDS = "[lower, upper]"
RANGES = {"uniform": BOUNDS, "loguniform": BOUNDS, "randint": BOUNDS, "quniform": "[lower, upper, step]"}
KINDS = (*LISTS, *RANGES)
