"""What inputs of one subject are about, as the heading of a row or a bar."""

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
    "network": "shared address, payment, contact",
}
"""What inputs of a topic are about, as the heading of a table's row."""

HEADINGS_AT = {"risk": "found before", "payments": "payments", "mean payment": "mean payment"}
"""The same of a topic that is told of a place."""


def heading_of(topic: str) -> str:
    """What inputs of a topic are about; the topic itself where nothing is known of it.

    Example:
        >>> heading_of("risk store")
        'found before at its store'
    """
    for kind, said in HEADINGS_AT.items():
        if topic.startswith(f"{kind} "):
            place = topic.removeprefix(f"{kind} ").replace("_", " ")
            return f"{said}: the customer" if place == "customer" else f"{said} at its {place}"
    return HEADINGS.get(topic, topic.replace("_", " "))
