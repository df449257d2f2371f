"""The event catalogue for people: what each type means, its fields, and an example that can be published as it is."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from shared.events import CATALOG, EventData
from spine.intake import OWN_DOMAINS


class FieldView(BaseModel):
    """A field of an event's data. `kind` is in words; a field that is not `needed` may be left out."""

    name: str
    kind: str
    needed: bool
    meaning: str


class TypeView(BaseModel):
    """`told_by`: outside (whoever has an operator's key), or the platform alone."""

    name: str
    type: str
    meaning: str
    told_by: str


class TypeDetail(TypeView):
    subject: str
    fields: tuple[FieldView, ...]
    example: dict[str, Any]


def type_views() -> Iterator[TypeView]:
    """Every event there is, in the catalogue's order."""
    for event in CATALOG.values():
        yield TypeView(**_head(event))


def type_detail(event: type[EventData]) -> TypeDetail:
    schema = event.model_json_schema()
    named, needed = schema.get("$defs", {}), set(schema.get("required", ()))
    fields = tuple(
        FieldView(name=name, kind=_kind(_whole(one, named)), needed=name in needed, meaning=_meaning(one, named))
        for name, one in schema["properties"].items()
    )
    example = {name: _example(name, one, named) for name, one in schema["properties"].items()}
    return TypeDetail(**_head(event), subject=event.SUBJECT, fields=fields, example=example)


def _head(event: type[EventData]) -> dict[str, str]:
    told_by = "the platform" if event.domain() in OWN_DOMAINS else "outside"
    return {"name": event.short_name(), "type": event.TYPE, "meaning": (event.__doc__ or "").strip().split("\n")[0], "told_by": told_by}


Schema = Mapping[str, Any]


def _whole(one: Schema, named: Mapping[str, Schema]) -> Schema:
    """Without references and without the null that stands for a field that is absent; what is said beside a reference counts."""
    if "anyOf" in one:
        one = {**{k: v for k, v in one.items() if k != "anyOf"}, **next(o for o in one["anyOf"] if o.get("type") != "null")}
    if "$ref" in one:
        one = {**named[one["$ref"].rpartition("/")[2]], **one}
    if one.get("type") == "object" and "properties" in one:
        return {**one, "properties": {name: _whole(inner, named) for name, inner in one["properties"].items()}}
    return one


def _meaning(one: Schema, named: Mapping[str, Schema]) -> str:
    return str(one.get("description") or _whole(one, named).get("description") or "")


def _kind(one: Schema) -> str:
    match one:
        case {"enum": [*values]}:
            return "one of " + ", ".join(map(str, values))
        case {"type": "object", "properties": parts}:
            return "{" + ", ".join(parts) + "}"
        case {"type": "array", "items": items}:
            return f"list of {_kind(items)}"
        case {"format": "date"}:
            return "date, as 2026-11-22"
        case {"format": "date-time"}:
            return "time with zone, as 2026-11-22T09:00:00+03:00"
        case {"type": "string", "pattern": pattern}:
            return f"text like {pattern}"
        case {"type": "number" | "integer" as number}:
            least, most = one.get("minimum"), one.get("maximum")
            return str(number) + (f" from {least}" if least is not None else "") + (f" to {most}" if most is not None else "")
        case {"type": "string"}:
            return "text"
        case {"type": kind}:
            return str(kind)
    return "any JSON"


_SAID: Mapping[str, Any] = {
    "account": "Globex",
    "amount": "1250.00",
    "band": "hot",
    "contact_id": "contact/globex",
    "currency": "SAR",
    "dataset_version": "by-hand-1",
    "deal_id": "D-1",
    "digest": "sha256:" + "0" * 64,
    "lead_id": "L-1",
    "product": "GTX Plus Basic",
    "reasons": ["won twice in this segment"],
    "sales_agent": "Sara Ops",
    "score": 0.9,
}
"""What a person would write, where the schema alone would make it look like nothing."""


def _example(name: str, one: Schema, named: Mapping[str, Schema]) -> Any:
    if name in _SAID:
        return _SAID[name]
    whole = _whole(one, named)
    match whole:
        case {"enum": [first, *_]}:
            return first
        case {"type": "object"}:
            return {inner: _example(inner, part, named) for inner, part in whole.get("properties", {}).items()}
        case {"type": "array", "items": items}:
            return [_example(name, items, named)]
        case {"format": "date"}:
            return "2026-11-22"
        case {"format": "date-time"}:
            return "2026-11-22T09:00:00+03:00"
        case {"type": "number" | "integer"}:
            return whole.get("minimum", 0)
    return f"{name.replace('_', '-')}-1"
