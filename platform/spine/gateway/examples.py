"""An example of each body and each answer in the OpenAPI document, made from its schema.

One place for all routes: a field's example is chosen by its name, else by its type, so a new route has examples without writing any. A
body whose parts must fit each other (a task and its automation's input) is written out in `BODIES`. Tests hold each example to its
schema, and each body to its model.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

_ID, _TIME, _DIGEST = "0198f3a2-7c1b-7d10-9c6e-2f4b8f0f6a11", "2026-11-22T12:00:00Z", "sha256:" + "4b" * 32

_BY_NAME: Mapping[str, Any] = MappingProxyType(
    {
        "tenant_id": "acme",
        "correlation_id": "flow-9",
        "automation": "outreach-sequence",
        "action": "send_email",
        "key": "L-1",
        "workflow_id": "acme/outreach-sequence/L-1",
        "digest": _DIGEST,
        "policy_version": "sha256:" + "7d" * 32,
        "requested_by": "omar.sales",
        "principal_id": "sara.director",
        "person": "sara.director",
        "decided_by": "sara.director",
        "reason": "the account asked for it in writing",
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "subject": "L-1",
        "currency": "SAR",
        "amount": "1250.00",
        "url": "https://listener.example/spine",
        "place": "7401.38",
        "next": None,
        "cursor": None,
        "role": "approver",
        "scope": "automation",
        "target": "outreach-sequence",
        "state": "runnable",
        "intent_state": "runnable",
        "policy": "sha256:" + "7d" * 32,
    }
)

_LEAD = {
    "lead_id": "L-1",
    "account": "Globex",
    "contact_id": "contact/globex",
    "product": "GTX Plus Basic",
    "sales_agent": "Ana",
    "score": 0.9,
    "band": "A",
    "dataset_version": "2026-11-22",
}
_REPLIED = {"lead_id": "L-1", "contact_id": "contact/globex", "channel": "email", "message_ref": "inbound-17"}

BODIES: Mapping[str, Any] = MappingProxyType(
    {
        "TaskBody": {"automation": "outreach-sequence", "payload": {"lead": _LEAD, "clock": ""}, "correlation_id": "flow-9"},
        "FactBody": {"type": "outreach.replied", "data": _REPLIED},
        "CloudEventBody": {
            "specversion": "1.0",
            "id": "mail-4711",
            "source": "https://mail.example/inbox",
            "type": "spine.outreach.replied.v1",
            "subject": "L-1",
            "time": _TIME,
            "data": _REPLIED,
        },
        "DecisionBody": {"verdict": "approve", "reason": "as proposed", "digest": _DIGEST},
        "TokenDecisionBody": {
            "token": "eyJhbGciOiJFZERTQSJ9.eyJqdGkiOiIwMTk4In0.c2ln",
            "verdict": "approve",
            "reason": "as proposed",
        },
        "TaskAccepted": {  # an event's id or an approval's, never both
            "intent_id": _ID,
            "state": "completed",
            "automation": "outreach-sequence",
            "key": "L-1",
            "workflow_id": "demo/outreach-sequence/L-1",
            "correlation_id": "flow-9",
            "event_id": _ID,
            "approval_id": None,
        },
        "OutcomeBody": {"outcome": "completed", "reason": "the provider's page shows it as sent", "reference": "env-17"},
        "LimitBody": {"tokens": 100000, "money": "50.00", "currency": "USD"},
        "ExplainBody": {"action": "crm_deal_update", "automation": "contract-signature", "payload": {"deal_id": "D-1"}},
    }
)


def example_of(
    schema: Mapping[str, Any], schemas: Mapping[str, Any], name: str = "", depth: int = 0, *, only_required: bool = False
) -> Any:
    """A value that fits `schema`; `schemas` are the document's components. With `only_required`, objects leave out the rest."""
    if reference := schema.get("$ref"):
        called = reference.rpartition("/")[2]
        if called in BODIES:
            return BODIES[called]
        return example_of(schemas[called], schemas, name, depth + 1, only_required=only_required)
    for choice in ("const", "example"):
        if choice in schema:
            return schema[choice]
    if schema.get("examples"):
        return schema["examples"][0]
    if "enum" in schema:
        return _BY_NAME[name] if _BY_NAME.get(name) in schema["enum"] else schema["enum"][0]
    if branches := schema.get("oneOf") or schema.get("anyOf") or schema.get("allOf"):
        if name in _BY_NAME and _BY_NAME[name] is None:
            return None
        real = [branch for branch in branches if branch.get("type") != "null"]
        if depth > 5 and len(real) < len(branches):
            return None
        return example_of(real[0], schemas, name, depth, only_required=only_required)
    match schema.get("type"):
        case "object":
            required = schema.get("required", ())
            wanted = {n: p for n, p in schema.get("properties", {}).items() if not only_required or n in required}
            return {n: example_of(p, schemas, n, depth + 1, only_required=only_required) for n, p in wanted.items()}
        case "array":
            if "prefixItems" in schema:
                return [example_of(one, schemas, name, depth + 1) for one in schema["prefixItems"]]
            items = schema.get("items")
            return [example_of(items, schemas, name.removesuffix("s"), depth + 1, only_required=only_required)] if items else []
        case "string":
            return _text(schema, name)
        case "integer":
            return max(int(schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1)), 1)
        case "number":
            return schema.get("minimum", 1.0)
        case "boolean":
            return bool(schema.get("default", True))
        case _:
            return schema.get("default", {})


def _text(schema: Mapping[str, Any], name: str) -> str:
    formats = {"date-time": _TIME, "date": "2026-11-22", "uuid": _ID, "duration": "PT4H", "uri": "https://listener.example/spine"}
    if (given := schema.get("format")) in formats:
        return formats[given]
    if isinstance(_BY_NAME.get(name), str):
        return str(_BY_NAME[name])
    if name.endswith("_id") or name == "id":
        return _ID
    if name.endswith("_at"):
        return _TIME
    if "amount" in name or "money" in name or name.endswith("price") or "\\d" in schema.get("pattern", ""):
        return "12.50"
    return name.replace("_", " ") or "text"
