"""How an arm that is a number is called."""

from __future__ import annotations


def arm_name(value: object) -> str:
    """`99` for the price 99.0, and all digits of any other: two numbers never have one name."""
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(float(value))
    return str(value)
