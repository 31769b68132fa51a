"""The OpenAPI document as an HTML page. It needs no script, so it works with our content security policy."""

import json
import re
import shlex
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, current_app, render_template, request
from markupsafe import Markup, escape

# A separate blueprint: this page must not appear in the document.
bp = Blueprint("docs", __name__, url_prefix="/api/v1")

JSON = "application/json"
Document = dict[str, Any]


@dataclass(frozen=True)
class Field:
    """A parameter, header or JSON field: one row of a table."""

    name: str
    where: str
    kind: str
    required: bool
    description: str


@dataclass(frozen=True)
class Response:
    """A response of an operation."""

    status: str
    description: str
    headers: list[str]
    example: str


@dataclass(frozen=True)
class Operation:
    """One method of a path."""

    id: str
    method: str
    path: str
    summary: str
    description: str
    needs_key: bool
    inputs: list[Field]
    responses: list[Response]
    curl: str


@bp.get("/docs")
def page() -> str:
    """Render the document."""
    document = current_app.extensions["flask-smorest"]["apis"][""]["ext_obj"].spec.to_dict()
    return render_template(
        "api/docs.html",
        info=document["info"],
        operations=operations(document, request.host_url),
        headers=headers(document),
    )


@bp.app_template_filter("code")
def code(text: str) -> Markup:
    """Replace backticks by <code> elements."""
    return Markup(re.sub("`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def operations(document: Document, host: str) -> list[Operation]:
    """Return all operations in the order of the document."""
    return [
        _operation(document, host, path, method, item)
        for path, methods in document["paths"].items()
        for method, item in methods.items()
        if method in {"get", "post", "put", "patch", "delete"}
    ]


def headers(document: Document) -> list[Field]:
    """Return the headers of responses."""
    return [
        _field(document, header | {"name": name, "in": "header"})
        for name, header in document["components"]["headers"].items()
    ]


def _operation(document: Document, host: str, path: str, method: str, item: Document) -> Operation:
    shared = document["paths"][path].get("parameters", [])
    parameters = [_resolve(document, parameter) for parameter in [*shared, *item.get("parameters", [])]]
    body = _resolve(document, item.get("requestBody", {})).get("content", {}).get(JSON, {}).get("schema")
    example = _example(document, body) if body else None
    needs_key = {} not in item.get("security", [{}])
    return Operation(
        id=item["operationId"],
        method=method.upper(),
        path=path,
        summary=item["summary"].rstrip("."),
        description=item.get("description", ""),
        needs_key=needs_key,
        inputs=[_field(document, parameter) for parameter in parameters] + (_fields(document, body) if body else []),
        responses=[
            _response(document, status, _resolve(document, response))
            for status, response in sorted(item["responses"].items())
        ],
        curl=_curl(host, path, method, parameters, example, needs_key),
    )


def _field(document: Document, parameter: Document) -> Field:
    schema = _resolve(document, parameter["schema"])
    description = parameter.get("description") or schema.get("description", "")
    return Field(
        parameter["name"], parameter["in"], _kind(document, schema), parameter.get("required", False), description
    )


def _fields(document: Document, schema: Document) -> list[Field]:
    schema = _resolve(document, schema)
    return [
        _field(document, {"name": name, "in": "body", "schema": field, "required": name in schema.get("required", [])})
        for name, field in schema["properties"].items()
    ]


def _response(document: Document, status: str, response: Document) -> Response:
    example = ""
    for content in response.get("content", {}).values():
        shown = content.get("example") or _example(document, content.get("schema", {}))
        example = json.dumps(shown, indent=2, ensure_ascii=False)
    return Response(status, response.get("description", ""), list(response.get("headers", {})), example)


def _kind(document: Document, schema: Document) -> str:
    """Describe a type and its limits."""
    names = schema.get("type", "any")
    kind = schema.get("format") or (" or ".join(names) if isinstance(names, list) else names)
    if kind == "array":
        kind = f"list of {_kind(document, _resolve(document, schema.get('items', {})))}"
    for lowest, highest, unit in (("minimum", "maximum", ""), ("minLength", "maxLength", " characters")):
        if highest in schema and schema[highest] < 2**53:
            kind += f", {schema.get(lowest, 0):,} to {schema[highest]:,}{unit}"
    return f"{kind}, {schema['default']} by default" if schema.get("default") is not None else kind


def _example(document: Document, schema: Document) -> Any:
    schema = _resolve(document, schema)
    if "example" in schema:
        return schema["example"]
    if "properties" in schema:
        return {name: _example(document, field) for name, field in schema["properties"].items()}
    return [_example(document, schema["items"])] if "items" in schema else None


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


def _resolve(document: Document, node: Document) -> Document:
    """Follow a reference inside the document."""
    if (reference := node.get("$ref")) is None:
        return node
    found: Any = document
    for name in reference.removeprefix("#/").split("/"):
        found = found[name]
    resolved: Document = found
    return resolved
