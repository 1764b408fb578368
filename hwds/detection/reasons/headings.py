"""Headings of subjects of inputs, for a row or a bar."""

from __future__ import annotations

HEADINGS = {
    "quantity": "units bought",
    "orders": "orders placed",
    "amount": "money spent",
    "skus": "different devices",
    "stores": "stores bought in",
    "channels": "channels bought through",
    "promoted": "lines on promotion",
    "weekend": "lines at weekends",
    "night": "payments at night",
    "tier": "orders just over a tier",
    "quarter end": "lines at the end of quarters",
    "returns": "units that came back",
    "devices": "concentration on single devices",
    "tenure": "time known",
    "gap": "time since the last order",
    "spread": "what reselling earns",
    "price": "price among markets",
    "least units": "least units of a line",
    "least gain": "least gain of a line",
    "usual": "against usual payments",
    "recent": "highest payment of late",
    "known payments": "payments before",
    "network": "shared address, payment, contact",
}
"""The heading of each topic."""

HEADINGS_AT = {"risk": "found before", "payments": "payments", "mean payment": "mean payment"}
"""The heading of each topic that names a place too."""


def heading_of(topic: str) -> str:
    """Return the heading of a topic; the topic itself where there is none.

    Example:
        >>> heading_of("risk store")
        'found before at its store'
    """
    for kind, heading in HEADINGS_AT.items():
        if topic.startswith(f"{kind} "):
            place = topic.removeprefix(f"{kind} ").replace("_", " ")
            return f"{heading}: the customer" if place == "customer" else f"{heading} at its {place}"
    return HEADINGS.get(topic, topic.replace("_", " "))
