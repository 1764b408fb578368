"""The OpenAPI description of a server, and the page that shows it."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from typing import Any

from hwds.production.server import kserve

REFUSALS = {
    "400": "The body is not what it says, or a question is none; the reason is under `error`.",
    "401": "No token, or a wrong one.",
    "406": "Nothing that is accepted can be written.",
    "408": "The body did not arrive in time.",
    "413": "The body or the number of questions is too large.",
    "415": "The content type is not read here.",
    "503": "The server is not able to answer now; ask again.",
}


def description(schema: Mapping[str, Any], model: str, digest: str, name: str) -> dict[str, Any]:
    """Return the description of a server.

    Args:
        schema: The JSON Schema of a question.
        model: The label of the model.
        digest: That of the bundle.
        name: The model's name in KServe's paths.
    """
    question = {key: value for key, value in schema.items() if key != "$schema"}
    refused = {status: _refusal(meaning) for status, meaning in REFUSALS.items()}
    answer = {"type": "object", "properties": {"id": {"type": "string"}}}
    one = {"oneOf": [question, {"type": "array", "items": question, "minItems": 1}]}
    answers = {"oneOf": [answer, {"type": "array", "items": answer}]}
    said = {"description": "An answer to each question, in their order.", "content": {"application/json": {"schema": answers}}}
    content: dict[str, Any] = {"application/json": {"schema": one}}
    content |= {kind: {"schema": {"type": "string"}} for kind in ("application/jsonlines", "text/csv")}
    invocations = {
        "summary": "Answer questions: one, a list, lines, a CSV, or MLflow's `dataframe_split`, `instances`, `inputs`.",
        "parameters": [{"name": "reasons", "in": "query", "schema": {"type": "boolean"}, "required": False}],
        "requestBody": {"required": True, "content": content},
        "responses": {"200": said, **refused},
    }
    tensors: dict[str, Any] = {
        "type": "object",
        "properties": {
            "id": {"type": ["string", "null"]},
            "inputs": {"type": "array", "items": _tensor(schema), "minItems": 1},
        },
        "required": ["inputs"],
    }
    infer = {
        "summary": "Answer questions in KServe's open inference protocol: columns as tensors.",
        "requestBody": {"required": True, "content": {"application/json": {"schema": tensors}}},
        "responses": {"200": _json("Tensors of the answers."), **refused, "404": _refusal("There is no such model.")},
    }
    gets = {
        "/ping": "Whether the server can answer: an empty 200.",
        "/execution-parameters": "What a batch transform may ask at once.",
        "/metrics": "Counts for Prometheus.",
        "/version": "The bundle that answers.",
        "/v2": "The server's metadata.",
        "/v2/health/live": "Whether the server lives.",
        "/v2/health/ready": "Whether it can answer.",
        f"/v2/models/{name}": "The model's metadata.",
        f"/v2/models/{name}/ready": "Whether the model can answer.",
    }
    paths: dict[str, Any] = {"/invocations": {"post": invocations}, f"/v2/models/{name}/infer": {"post": infer}}
    refused_get = {"401": refused["401"]}
    paths |= {path: {"get": {"summary": what, "responses": {"200": _json(what), **refused_get}}} for path, what in gets.items()}
    info = {"title": model, "version": digest, "description": "A model served by hwds."}
    return {"openapi": "3.1.0", "info": info, "paths": paths}


def page(described: Mapping[str, Any]) -> str:
    """Return a page of the description; it loads nothing from elsewhere."""
    parts = []
    for path, methods in described["paths"].items():
        for method, facts in methods.items():
            rows = "".join(
                f"<tr><td>{html.escape(status)}</td><td>{html.escape(answer['description'])}</td></tr>"
                for status, answer in facts["responses"].items()
            )
            shown = facts.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
            body = f"<pre>{html.escape(json.dumps(shown, indent=1, ensure_ascii=False))}</pre>" if shown else ""
            parts.append(
                f"<section><h2><b>{method.upper()}</b> {html.escape(path)}</h2><p>{html.escape(facts['summary'])}</p>"
                f"{body}<table>{rows}</table></section>"
            )
    title = html.escape(described["info"]["title"])
    style = (
        "body{font:15px/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem;color:#1f2430}"
        "h2{font-size:1rem;margin:1.6rem 0 .2rem}h2 b{background:#1f6fb4;color:#fff;padding:.1rem .4rem;border-radius:.2rem}"
        "pre{background:#f4f5f7;padding:.7rem;overflow:auto;max-height:24rem;font-size:.8rem}td{padding:.1rem .8rem .1rem 0}"
    )
    head = (
        f"<meta charset='utf-8'><meta name='viewport' content='width=device-width'><title>{title}</title><style>{style}</style>"
    )
    about = (
        f"<h1>{title}</h1><p>Bundle {html.escape(described['info']['version'])}; <a href='openapi.json'>openapi.json</a></p>"
    )
    return f"<!doctype html><html lang='en'><head>{head}</head><body>{about}{''.join(parts)}</body></html>"


def _refusal(meaning: str) -> dict[str, Any]:
    schema = {"type": "object", "properties": {"error": {"type": "string"}}, "required": ["error"]}
    return {"description": meaning, "content": {"application/json": {"schema": schema}}}


def _tensor(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON Schema of a tensor of KServe's protocol: a column of one question or more."""
    flat = kserve.is_flat(schema)
    names = [*schema["properties"]] if flat else [kserve.QUESTION]
    facts = {
        "name": {"enum": names},
        "datatype": {"enum": [*kserve.DATATYPES]},
        "shape": {"type": "array", "items": {"type": "integer"}},
        "data": {"type": "array", "minItems": 1},
    }
    return {"type": "object", "properties": facts, "required": ["name", "data"]}


def _json(meaning: str) -> dict[str, Any]:
    return {"description": meaning}
