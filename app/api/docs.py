"""The OpenAPI document as an HTML page. It needs no script, so it works with our content security policy."""

import json
import re
import shlex
from functools import reduce
from operator import getitem
from typing import Any

from flask import Blueprint, current_app, render_template, request
from markupsafe import Markup, escape

# A separate blueprint: this page must not appear in the document.
bp = Blueprint("docs", __name__, url_prefix="/api/v1")

Document = dict[str, Any]


@bp.get("/docs")
def page() -> str:
    """Render the document."""
    document = current_app.extensions["flask-smorest"]["apis"][""]["ext_obj"].spec.to_dict()
    return render_template(
        "api/docs.html",
        info=document["info"],
        operations=operations(document, request.host_url),
        headers=document["components"]["headers"],
    )


@bp.app_template_filter("code")
def code(text: str) -> Markup:
    """Replace backticks by <code> elements."""
    return Markup(re.sub("`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def operations(document: Document, host: str) -> list[Document]:
    """Return what the page shows of each operation, in the order of the document."""
    return [
        _operation(host, path, method, item, methods.get("parameters", []))
        for path, methods in _without_references(document, document["paths"]).items()
        for method, item in methods.items()
        if method in {"get", "post", "put", "patch", "delete"}
    ]


def _without_references(document: Document, node: Any) -> Any:
    """Return a part of the document with the targets of its references in their places."""
    if isinstance(node, list):
        return [_without_references(document, child) for child in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return _without_references(document, reduce(getitem, node["$ref"].removeprefix("#/").split("/"), document))
    return {name: _without_references(document, child) for name, child in node.items()}


def _operation(host: str, path: str, method: str, item: Document, shared: list[Document]) -> Document:
    parameters = [*shared, *item.get("parameters", [])]
    body = item.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    fields = [
        {"name": name, "in": "body", "schema": field, "required": name in body.get("required", [])}
        for name, field in body.get("properties", {}).items()
    ]
    needs_key = {} not in item.get("security", [{}])
    return {
        "id": item["operationId"],
        "method": method.upper(),
        "path": path,
        "summary": item["summary"].rstrip("."),
        "description": item.get("description", ""),
        "needs_key": needs_key,
        "inputs": [_field(parameter) for parameter in parameters + fields],
        "responses": [_response(status, response) for status, response in sorted(item["responses"].items())],
        "curl": _curl(host, path, method, parameters, _example(body), needs_key),
    }


def _field(parameter: Document) -> Document:
    """Return a parameter or JSON field as a row of the table."""
    schema = parameter["schema"]
    description = parameter.get("description") or schema.get("description", "")
    return parameter | {"kind": _kind(schema), "description": description}


def _response(status: str, response: Document) -> Document:
    example = ""
    for content in response.get("content", {}).values():
        shown = content.get("example") or _example(content.get("schema", {}))
        example = json.dumps(shown, indent=2, ensure_ascii=False)
    return response | {"status": status, "example": example}


def _kind(schema: Document) -> str:
    """Describe a type and its limits."""
    names = schema.get("type", "any")
    kind = schema.get("format") or (" or ".join(names) if isinstance(names, list) else names)
    if kind == "array":
        kind = f"list of {_kind(schema.get('items', {}))}"
    for lowest, highest, unit in (("minimum", "maximum", ""), ("minLength", "maxLength", " characters")):
        if highest in schema and schema[highest] < 2**53:
            kind += f", {schema.get(lowest, 0):,} to {schema[highest]:,}{unit}"
    return f"{kind}, {schema['default']} by default" if schema.get("default") is not None else kind


def _example(schema: Document) -> Any:
    if "example" in schema:
        return schema["example"]
    if "properties" in schema:
        return {name: _example(field) for name, field in schema["properties"].items()}
    return [_example(schema["items"])] if "items" in schema else None


def _curl(host: str, path: str, method: str, parameters: list[Document], example: Any, needs_key: bool) -> str:
    """Return a command that calls the operation."""
    values = {parameter["name"]: "17" for parameter in parameters if parameter["in"] == "path"}
    words = ["curl", host.rstrip("/") + path.format_map(values)]
    if method not in {"get", "post"}:
        words[1:1] = ["-X", method.upper()]
    if needs_key:
        words += ["-H", "Authorization: Bearer KEY"]
    if example is not None:
        words += ["--json", json.dumps(example, ensure_ascii=False)]
    return shlex.join(words)
