"""The OpenAPI 3.1 document: what FastAPI knows of the routes, and what holds for all of them, declared here once.

Each operation gets its problems, an example of its body and of its answer, the two ways to prove who is calling, and, where it changes
something, the header `Idempotency-Key`. A route that is added tomorrow gets them without a line of its own.
"""

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI

from spine.errors import SpineError
from spine.gateway.examples import example_of
from spine.gateway.idempotency import HEADER, REPLAYED
from spine.gateway.problems import CODES, MEDIA_TYPE

TAGS = {
    "tasks": "Ask for an automation to run. Judged by the gate, and on the log when it is allowed.",
    "events": "Tell a fact, and read the log.",
    "webhooks": "What providers report to us, and whom we tell of what.",
    "approvals": "What waits for people, and what they decide.",
    "intents": "What is to be done to the outside world, and what became of it.",
    "journeys": "One business flow over all planes.",
    "automations": "What is plugged in.",
    "policy": "What the gate knows, and what it would say.",
    "kill switches": "Stop a tenant, an automation, an action or a plugin, at once.",
    "findings": "What the sweeper found out of order.",
    "budgets": "What is reserved, spent and left.",
    "dead letters": "What nobody will try again by himself.",
    "audit": "Who let this happen: the log, its seals, its export.",
    "approvers": "Who may sign for what, and who stands in.",
    "stream": "What happens, as it happens.",
    "health": "Whether the process lives, and can do its work.",
}
_CHANGES_NOTHING = frozenset({"explain_policy"})  # a question that takes a body
_UNSAFE = ("post", "put", "patch", "delete")
_KEYLESS = {"post_webhook": "the signature over the raw body", "post_decision_by_token": "the approval token in the body"}

_STATUSES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "400": ("the call cannot be read, or has no Idempotency-Key", ("invalid-input",)),
    "401": ("no credential, or one that does not hold", ("not-authenticated",)),
    "403": (
        "the gate said no, the credential may not do this, or it is of another tenant",
        ("policy-denied", "not-allowed", "tenant-mismatch"),
    ),
    "404": ("there is no such thing in this tenant", ("not-found",)),
    "405": ("the path does not take this method", ("method-not-allowed",)),
    "409": (
        "the state of things forbids it, or the same call is being worked on",
        ("conflict", "approval-refused", "call-in-progress"),
    ),
    "413": ("the body is too large", ("body-too-large",)),
    "422": (
        "the call does not fit its schema, or its Idempotency-Key was another's",
        ("schema-violation", "idempotency-conflict"),
    ),
    "429": ("too many calls, or too many wrong credentials", ("rate-limited",)),
    "500": ("our own fault; the trace id finds it", ("internal",)),
    "503": (
        "the database, or what the call needs, does not answer; the same call, under the same key, may be sent again",
        ("database-unavailable",),
    ),
}


def describe(app: FastAPI) -> None:
    """Call it after the routes are there."""
    made = app.openapi
    app.openapi_tags = [{"name": name, "description": text} for name, text in TAGS.items()]

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            _complete(made(), app.state.services.settings.oidc_issuer)
        return made()

    app.openapi = described  # type: ignore[method-assign]


def operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Method, path and operation of each call."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def changes_something(method: str, operation: Mapping[str, Any]) -> bool:
    """Whether a call is made once under an Idempotency-Key."""
    return method in _UNSAFE and bool(operation.get("security")) and operation["operationId"] not in _CHANGES_NOTHING


def codes() -> list[str]:
    """Every `type` that a problem may have, without its prefix."""

    def below(kind: type[SpineError]) -> Iterator[type[SpineError]]:
        yield kind
        for more in kind.__subclasses__():
            yield from below(more)

    return sorted({kind.code for kind in below(SpineError)} | set(CODES.values()) | {"database-unavailable", "http-error"})


def _complete(document: dict[str, Any], issuer: str | None) -> None:
    schemas = document["components"]["schemas"]
    for framework in ("HTTPValidationError", "ValidationError"):
        schemas.pop(framework, None)
    schemas["Problem"] = _problem_schema()
    schemes = document["components"].setdefault("securitySchemes", {})
    own = list(schemes)
    told = "a token of the identity provider, where one is set up"
    token = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": told}
    if issuer:
        discovery = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
        token = {"type": "openIdConnect", "openIdConnectUrl": discovery, "description": told}
    schemes["OpenIDConnect"] = token
    for method, path, operation in operations(document):
        _complete_operation(method, path, operation, schemas, own)


def _complete_operation(method: str, path: str, operation: dict[str, Any], schemas: Mapping[str, Any], own: list[str]) -> None:
    if operation.get("security"):
        operation["security"] = [*({scheme: []} for scheme in own), {"OpenIDConnect": []}]
    elif proof := _KEYLESS.get(operation["operationId"]):
        operation["description"] = f"{operation.get('description', '')}\n\nNeeds no credential but {proof}.".strip()
    if changes_something(method, operation):
        operation.setdefault("parameters", []).append(_KEY_PARAMETER)
    for media in operation.get("requestBody", {}).get("content", {}).values():
        _give_examples(media, schemas)
    for status, answer in operation["responses"].items():
        if status.startswith("2"):
            for media_type, media in answer.get("content", {}).items():
                if media_type == "application/json":
                    media.setdefault("example", example_of(media["schema"], schemas))
                elif "example" not in media:
                    media |= {"schema": {"type": "string"}, "example": "{}\n"}
            if changes_something(method, operation):
                answer.setdefault("headers", {})[REPLAYED] = _REPLAYED_HEADER
    operation["responses"] |= {status: _refusal(status, why, kinds, path) for status, (why, kinds) in _STATUSES.items()}


def _give_examples(media: dict[str, Any], schemas: Mapping[str, Any]) -> None:
    forms = media["schema"].get("oneOf")
    if forms is None:
        media.setdefault("example", example_of(media["schema"], schemas, only_required=True))
    elif "examples" not in media:
        media["examples"] = {one["$ref"].rpartition("/")[2]: {"value": example_of(one, schemas, only_required=True)} for one in forms}


def _refusal(status: str, why: str, kinds: tuple[str, ...], path: str) -> dict[str, Any]:
    examples = {
        kind: {
            "value": {
                "type": f"urn:spine:problem:{kind}",
                "title": kind.replace("-", " ").capitalize(),
                "status": int(status),
                "detail": f"{why} (here it names the thing, and the cure)",
                "instance": path,
                "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
                "correlation_id": "flow-9",
            }
        }
        for kind in kinds
    }
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": examples}}
    refusal: dict[str, Any] = {"description": why, "content": content}
    if status in ("429", "503"):
        refusal["headers"] = {"Retry-After": {"description": "in how many seconds to try again", "schema": {"type": "string"}}}
    if int(status) == HTTPStatus.UNAUTHORIZED:
        refusal["headers"] = {"WWW-Authenticate": {"schema": {"type": "string"}}}
    return refusal


def _problem_schema() -> dict[str, Any]:
    return {
        "title": "Problem",
        "description": "RFC 9457. `type` is stable; `detail` names the thing and the cure. Other members may come with some types.",
        "type": "object",
        "required": ["type", "title", "status", "detail", "instance"],
        "properties": {
            "type": {"type": "string", "enum": [f"urn:spine:problem:{code}" for code in codes()]},
            **{name: {"type": "string"} for name in ("title", "detail", "instance", "trace_id", "correlation_id")},
            "status": {"type": "integer", "minimum": 400, "maximum": 599},
            "reason": {"type": "string", "description": "of `policy-denied`: the code of the gate's reason"},
            "intent_id": {"type": "string", "description": "of `policy-denied`: the intent that is on record as denied"},
            "not_before": {"type": "string", "format": "date-time"},
            "errors": {
                "type": "array",
                "items": {"type": "object", "properties": {"field": {"type": "string"}, "reason": {"type": "string"}}},
            },
        },
    }


_KEY_PARAMETER = {
    "name": HEADER,
    "in": "header",
    "required": True,
    "description": "A fresh one with each new request, the same one when a request is sent again. Missing: 400. The same key with another "
    f"request: 422. The first call still at work: 409. Finished: the same answer, with `{REPLAYED}: true`. Kept with its answer.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[\\x21-\\x7e]+$"},
    "example": "6f1d1c9e-3b0a-4f0e-9a51-0d6f5a6b7c8d",
}
_REPLAYED_HEADER = {"description": "`true` when this answer was given before", "schema": {"type": "string", "enum": ["true"]}}
