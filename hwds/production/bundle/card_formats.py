"""A model card as other registries read it: metadata of Hugging Face's cards, and the JSON of SageMaker's model cards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TASKS = {
    "detection": "tabular-classification",
    "forecast": "time-series-forecasting",
    "lifetime": "tabular-regression",
    "inspection": "image-classification",
}
"""By task Hugging Face's name of it; the others are `other`."""

SHORT, LONG = 1024, 2048
"""Characters that SageMaker takes of a description, and of what a model is for."""


def front_matter(card: Mapping[str, Any]) -> str:
    """Return the metadata that stand before a card's Markdown on Hugging Face, with results in its `model-index`.

    Source: Hugging Face, "Model cards", section "Evaluation results".
    """
    import yaml

    data = card["data"]["name"]
    metrics = [
        {"type": each["metric"], "name": f"{each['metric']}, {each['aggregate']}", "value": each["value"]}
        for each in card["metrics"]
    ]
    result = {
        "task": {"type": TASKS.get(card["task"], "other"), "name": card["task"]},
        "dataset": {"type": data, "name": data},
        "metrics": metrics,
    }
    said = {"library_name": "hwds", "tags": ["hwds", card["task"]]}
    index = [{"name": card["model"], "results": [result]}] if metrics else []
    written: str = yaml.safe_dump({**said, **({"model-index": index} if index else {})}, sort_keys=False)
    return f"---\n{written}---\n"


def sagemaker_card(card: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of a model card of SageMaker, as `CreateModelCard` takes it in JSON.

    Source: Amazon SageMaker developer guide, "Model card JSON schema".
    """
    groups = {"metrics": card["metrics"], "slices": card["slices"]}
    evaluation = {
        "name": card["run"],
        "evaluation_observation": card["conclusion"][:LONG],
        "datasets": [card["data"]["name"]],
        "metric_groups": [
            {"name": name, "metric_data": [_metric(row) for row in rows]} for name, rows in groups.items() if rows
        ],
    }
    facts = {name: card[name] for name in ("run", "protocol", "code", "made", "approver", "contact")}
    return {
        "model_overview": {
            "model_name": card["model"],
            "model_owner": card["owner"][:SHORT],
            "problem_type": card["task"],
            "algorithm_type": card["model"],
        },
        "intended_uses": {
            "intended_uses": card["intended_use"][:LONG],
            "factors_affecting_model_efficiency": card["limits"][:LONG],
            "risk_rating": "Unknown",
        },
        "evaluation_details": [evaluation],
        "additional_information": {
            "caveats_and_recommendations": "\n".join([card["out_of_scope"], *card["remarks"]])[:LONG],
            "custom_details": {name: str(value) for name, value in facts.items() if value},
        },
    }


def _metric(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a metric of a card, of a slice under its name, with its interval in words."""
    name = (
        f"{row['metric']}, {row['segment_by']}={row['segment']}" if "segment" in row else f"{row['metric']}, {row['aggregate']}"
    )
    known = row["ci_low"] is not None
    notes = f"95 %: {row['ci_low']:.4g} to {row['ci_high']:.4g}" if known else "no interval"
    return {"name": name[:255], "type": "number", "value": row["value"], "notes": notes}
