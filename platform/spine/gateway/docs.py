"""GET /docs: one page made from the OpenAPI document, here and not by a script from elsewhere.

The page works without a network, runs nothing, and shows each call with its parameters and a line that can be typed.
"""

import json
import shlex
from collections.abc import Mapping
from html import escape
from typing import Any

from fastapi import FastAPI
from fastapi.responses import HTMLResponse

from spine.gateway.openapi import changes_something, operations

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_STYLE = (
    "body{font:16px/1.5 sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}pre{background:#f2f2f2;padding:.6rem;overflow:auto}"
    "h2{border-top:1px solid #ccc;padding-top:1rem;font-size:1.1rem}td,th{text-align:left;vertical-align:top;padding-right:1rem}"
)


def install(app: FastAPI) -> None:
    """Call it after the routes are there."""

    @app.get("/docs", include_in_schema=False)
    def get_docs() -> HTMLResponse:
        headers = {"Content-Security-Policy": _POLICY, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
        return HTMLResponse(_page(app.openapi()), headers=headers)


def _page(document: Mapping[str, Any]) -> str:
    calls = "".join(_call(method.upper(), path, operation, document) for method, path, operation in operations(document))
    info = document["info"]
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(info["title"])}</title><style>{_STYLE}</style>'
        f"<h1>{escape(info['title'])} {escape(info['version'])}</h1><p>{escape(info['description'])}</p>"
        f'<p>For programs: <a href="/openapi.json">/openapi.json</a></p>{calls}</html>'
    )


def _call(method: str, path: str, operation: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    rows = [(one["name"], one["in"], one.get("required", False), one.get("description", "")) for one in operation.get("parameters", ())]
    rows += [
        (name, "body", name in body.get("required", ()), field.get("description", ""))
        for body in _bodies(operation, document)
        for name, field in body["properties"].items()
    ]
    cells = (f"<tr><td><code>{escape(n)}</code><td>{where}{', required' if must else ''}<td>{escape(why)}" for n, where, must, why in rows)
    table = f"<table>{''.join(cells)}</table>" if rows else ""
    about = escape(operation.get("description") or operation["summary"])
    curl = escape(_curl(method, path, operation))
    return f"<h2><code>{method} {escape(path)}</code> {escape(operation['summary'])}</h2><p>{about}</p>{table}<pre>{curl}</pre>"


def _bodies(operation: Mapping[str, Any], document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    refs = [one["$ref"].rpartition("/")[2] for one in schema.get("oneOf", schema.get("anyOf", [schema] if schema else []))]
    return [document["components"]["schemas"][ref] for ref in refs]


def _curl(method: str, path: str, operation: Mapping[str, Any]) -> str:
    """For a POSIX shell, with the example of the document."""
    words = ["curl"] if method == "GET" else ["curl", "-X", method]
    if operation.get("security"):
        words += ["-H", '"Authorization: Bearer $SPINE_API_KEY"']
    if changes_something(method.lower(), operation):
        words += ["-H", '"Idempotency-Key: $(uuidgen)"']
    if body := operation.get("requestBody", {}).get("content", {}).get("application/json"):
        example = body["example"] if "example" in body else next(iter(body["examples"].values()))["value"]
        words += ["-H", "'Content-Type: application/json'", "-d", shlex.quote(json.dumps(example))]
    return " ".join([*words, f'"$SPINE_GATEWAY_URL{path.replace("{", "").replace("}", "").replace(":path", "")}"'])
