"""Model card: what a model is for, made of, how good and where not; also for other registries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl
from polars import col

from hwds.core.errors import ConfigError, nearest
from hwds.core.questions import Fields, Json
from hwds.core.settings import read_yaml
from hwds.experiment.spec import Experiment
from hwds.report.words import fill
from hwds.results.folder import RunFolder
from hwds.results.tables import Tables

# Model card: what a model is for, made of, how good and where not; Markdown for people, JSON
# for programs.

FIELDS = {
    "owner": "Who answers for the model.",
    "approver": "Who has approved its use.",
    "intended_use": "What its answers are for.",
    "out_of_scope": "What they must not be used for.",
    "limits": "Where it is known to be weak.",
    "contact": "Whom to write to.",
}
"""Fields that only people can fill in, a line each in the YAML of `--card`."""

UNFILLED = ("", "todo", "tbd", "n/a", "?")


def read_fields(path: Path | None) -> dict[str, str]:
    """Return the fields of a card's YAML; none without a file.

    Raises:
        ConfigError: It cannot be read, has another field, or one that is no text.
    """
    if path is None:
        return {}
    fields = read_named_yaml(path, "--card", [*FIELDS])
    for name, value in fields.items():
        if not isinstance(value, str):
            raise ConfigError(f"--card: {name}: must be a text, got {value!r}.")
    return {name: value.strip() for name, value in fields.items()}


def read_named_yaml(path: Path, option: str, names: Sequence[str]) -> Json:
    """Return the fields of a YAML that an option of the command line names.

    Args:
        path: The file.
        option: The option.
        names: Fields that it may have.

    Raises:
        ConfigError: It cannot be read, is no mapping, or has another field.
    """
    try:
        fields = read_yaml(path.read_text(encoding="utf-8"), path)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{option}: {path} cannot be read: {' '.join(str(error).split())}."
        ) from error
    if not isinstance(fields, dict):
        raise ConfigError(f"{option}: {path} must be a mapping of {', '.join(names)}.")
    for name in fields:
        if name not in names:
            raise ConfigError(f"{option}: no field '{name}'{nearest(str(name), names)}")
    return fields


def missing_fields(fields: Mapping[str, str]) -> list[str]:
    """Return the fields that are absent or say nothing."""
    return [name for name in FIELDS if fields.get(name, "").strip().lower() in UNFILLED]


def model_card(
    folder: RunFolder, experiment: Experiment, tables: Tables, fields: Mapping[str, str]
) -> Json:
    """Return the card of a run as plain values."""
    provenance, label = folder.read_provenance(), experiment.model.name
    dataset = {"name": experiment.dataset.name, "fingerprint": provenance.get("data")}
    verdict = folder.read_verdict()
    return {
        **{name: fields.get(name, "") for name in FIELDS},
        "model": label,
        "run": folder.title,
        "task": experiment.protocol.task,
        "protocol": experiment.protocol.name,
        "data": dataset,
        "code": provenance.get("code"),
        "made": provenance.get("when"),
        "versions": provenance.get("versions"),
        "metrics": metrics_of(tables, label),
        "slices": slices_of(tables, label, experiment.protocol.headline),
        "conclusion": folder.read_conclusion(),
        "remarks": folder.read_remarks(),
        "decision": None
        if verdict is None
        else {"action": verdict["action"], "sentence": verdict["sentence"]},
    }


def metrics_of(tables: Tables, label: str) -> list[Json]:
    """Return the totals of a model's metrics with their intervals."""
    whole = pl.all_horizontal(col("fold", "step", "segment").is_null())
    rows = tables.scores.filter(whole & col("value").is_not_null(), model=label)
    return rows.select("metric", "aggregate", "value", "ci_low", "ci_high", "n").to_dicts()


def slices_of(tables: Tables, label: str, headline: str) -> list[Json]:
    """Return the headline by segment."""
    slices = tables.scores.filter(col("segment").is_not_null() & col("fold").is_null(), model=label)
    short = col("metric").str.replace(r"\[.*\]$", "") == headline.partition("[")[0]
    rows = slices.filter(short & col("step").is_null() & col("value").is_not_null())
    return rows.select(
        "segment_by", "segment", "metric", "value", "ci_low", "ci_high", "n"
    ).to_dicts()


CARD_PAGE = """
{%- macro table(rows, names) -%}
| {{ (names + ["value", "95 %", "n"]) | join(" | ") }} |
|{{ "---|" * (names | length + 3) }}
{%- for row in rows %}
| {% for name in names %}{{ row[name] }} | {% endfor %}{{ "%.4g" | format(row.value) }} |
{%- if row.ci_low is none %} {% else %} {{ "%.4g to %.4g" | format(row.ci_low, row.ci_high) }}
{%- endif %} | {{ row.n or "" }} |
{%- endfor %}
{%- endmacro -%}
# {{ model }}

Run {{ run }}, task {{ task }}, protocol {{ protocol }}.
{% for name in names %}
**{{ name | replace("_", " ") | capitalize }}**: {{ about[name] or "*not said*" }}
{% endfor %}
## Data

{{ data.name }}, fingerprint `{{ data.fingerprint }}`.

## Performance

{{ conclusion }}

{{ table(metrics, ["metric", "aggregate"]) }}
{%- if slices %}

## Slices

{{ table(slices, ["segment_by", "segment", "metric"]) }}
{%- endif %}
{%- if decision %}

## Decision

{{ decision.action }}: {{ decision.sentence }}
{%- endif %}

## Remarks
{% for remark in remarks %}
- {{ remark }}
{%- endfor %}

## Proof in a fresh process
{% for name, value in parity.items() %}
- {{ name }}: {{ value }}
{%- endfor %}

## Latency
{% for name, value in latency.items() %}
- {{ name }}: {{ value }}
{%- endfor %}
"""


def card_markdown(card: Fields, parity: Fields, latency: Fields) -> str:
    """Return the card for people."""
    return fill(CARD_PAGE, card, names=FIELDS, parity=parity, latency=latency) + "\n"


# A model card as other registries read it: metadata of Hugging Face's cards, and the JSON of
# SageMaker's model cards.

SHORT_TEXT, LONG_TEXT = 1024, 2048
"""Characters that SageMaker takes of a description, and of what a model is for."""


def front_matter(card: Fields, hub_task: str) -> str:
    """Return the metadata that stand before a card's Markdown on Hugging Face, with results in its
    `model-index`.

    Source: Hugging Face, "Model cards", section "Evaluation results".

    Args:
        card: The card, as `model_card` returns it.
        hub_task: Hugging Face's name of the task.
    """
    import yaml

    data = card["data"]["name"]
    metrics = [
        {
            "type": each["metric"],
            "name": f"{each['metric']}, {each['aggregate']}",
            "value": each["value"],
        }
        for each in card["metrics"]
    ]
    result = {
        "task": {"type": hub_task, "name": card["task"]},
        "dataset": {"type": data, "name": data},
        "metrics": metrics,
    }
    facts = {"library_name": "hwds", "tags": ["hwds", card["task"]]}
    index = [{"name": card["model"], "results": [result]}] if metrics else []
    written: str = yaml.safe_dump(
        {**facts, **({"model-index": index} if index else {})}, sort_keys=False
    )
    return f"---\n{written}---\n"


def sagemaker_card(card: Fields) -> Json:
    """Return the content of a model card of SageMaker, as `CreateModelCard` takes it in JSON.

    Source: Amazon SageMaker developer guide, "Model card JSON schema".
    """
    groups = {"metrics": card["metrics"], "slices": card["slices"]}
    evaluation = {
        "name": card["run"],
        "evaluation_observation": card["conclusion"][:LONG_TEXT],
        "datasets": [card["data"]["name"]],
        "metric_groups": [
            {"name": name, "metric_data": [_metric(row) for row in rows]}
            for name, rows in groups.items()
            if rows
        ],
    }
    facts = {
        name: card[name] for name in ("run", "protocol", "code", "made", "approver", "contact")
    }
    return {
        "model_overview": {
            "model_name": card["model"],
            "model_owner": card["owner"][:SHORT_TEXT],
            "problem_type": card["task"],
            "algorithm_type": card["model"],
        },
        "intended_uses": {
            "intended_uses": card["intended_use"][:LONG_TEXT],
            "factors_affecting_model_efficiency": card["limits"][:LONG_TEXT],
            "risk_rating": "Unknown",
        },
        "evaluation_details": [evaluation],
        "additional_information": {
            "caveats_and_recommendations": "\n".join([card["out_of_scope"], *card["remarks"]])[
                :LONG_TEXT
            ],
            "custom_details": {name: str(value) for name, value in facts.items() if value},
        },
    }


def _metric(row: Fields) -> Json:
    """Return a metric of a card, of a slice under its name, with its interval in words."""
    name = (
        f"{row['metric']}, {row['segment_by']}={row['segment']}"
        if "segment" in row
        else f"{row['metric']}, {row['aggregate']}"
    )
    has_interval = row["ci_low"] is not None
    notes = f"95 %: {row['ci_low']:.4g} to {row['ci_high']:.4g}" if has_interval else "no interval"
    return {"name": name[:255], "type": "number", "value": row["value"], "notes": notes}
