"""A form made from a payload: one field for each of its values, of the value's own type, with what the connector's model says about it.

The same payload gives the same form again, so what comes back is read by the types of what was asked and never by what the browser
says. Fields can be changed and not added or removed: a payload of another shape is another proposal.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from spine.console.compare import as_text, leaves
from spine.console.forms import Posted
from spine.console.words import say

PREFIX = "p"
_AREA = 100  # characters: longer text gets lines of its own

NO_NUMBER = say("This is not a whole number.")
NO_DECIMAL = say("This is not a number.")
NO_CHOICE = say("This is neither yes nor no.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One value of a payload as a field. `kind`: line, text, whole, decimal, truth, or nothing (an empty object, a null)."""

    path: tuple[str, ...]
    kind: str
    value: Any
    typed: str
    is_fixed: bool = False
    longest: int | None = None
    problems: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return ".".join((PREFIX, *self.path))

    @property
    def lines(self) -> int:
        return min(24, max(3, self.typed.count("\n") + len(self.typed) // 90 + 2))


def fields_of(payload: Mapping[str, Any], *, fixed: Sequence[str] = (), model: Any = None) -> list[Field]:
    """The form of a payload. `fixed` are the names at its top that an edit may not change."""
    described = model.model_json_schema().get("properties", {}) if model is not None else {}
    found: dict[str, Field] = {}
    for path, value in leaves(payload):
        longest = _longest(described.get(path[0], {})) if len(path) == 1 else None
        kind = _kind(value, longest)
        field = Field(path=path, kind=kind, value=value, typed=as_text(value), is_fixed=path[0] in fixed, longest=longest)
        # Names such as "a.b" beside {"a": {"b": …}} would meet in one input: neither can be changed then.
        if field.name in found:
            found[field.name] = replace(found[field.name], kind="nothing")
            continue
        found[field.name] = field
    # The database orders an object's keys by itself; people read whom it reaches first, then as the connector lists it.
    known = [*fixed, *described]
    return sorted(found.values(), key=lambda field: known.index(field.path[0]) if field.path[0] in known else len(known))


def filled(fields: Sequence[Field], form: Posted) -> list[Field]:
    """The fields as they were typed, each with what is wrong about it by its type. A field that is not in the form keeps its value."""
    return [field if field.is_fixed or field.kind == "nothing" else _read(field, form) for field in fields]


def payload_of(payload: Mapping[str, Any], fields: Sequence[Field]) -> dict[str, Any]:
    """The payload with the fields' values in their places."""
    values = {field.path: field.value for field in fields}
    return {name: _rebuilt(value, (name,), values) for name, value in payload.items()}


def with_problems(fields: Sequence[Field], problems: Sequence[tuple[tuple[str, ...], str]]) -> tuple[list[Field], list[str]]:
    """The fields with what the connector says about each, and what it says about none of them."""
    placed: dict[tuple[str, ...], list[str]] = {}
    elsewhere = []
    known = {field.path for field in fields}
    for path, text in problems:
        if path in known:
            placed.setdefault(path, []).append(text)
        else:
            elsewhere.append(f"{'.'.join(path)}: {text}" if path else text)
    return [replace(field, problems=(*field.problems, *placed.get(field.path, ()))) for field in fields], elsewhere


def _read(field: Field, form: Posted) -> Field:
    if field.name not in form.names():
        return replace(field, value=False, typed="false") if field.kind == "truth" else field
    typed = form.first(field.name)
    match field.kind:
        case "whole":
            return _number(field, typed, int, NO_NUMBER)
        case "decimal":
            return _number(field, typed, float, NO_DECIMAL)
        case "truth":
            known = {"true": True, "false": False}
            return replace(field, typed=typed, value=known.get(typed), problems=() if typed in known else (NO_CHOICE,))
    return replace(field, typed=typed, value=typed)


def _number(field: Field, typed: str, kind: type[int] | type[float], problem: str) -> Field:
    try:
        value = kind(typed.strip())
    except ValueError:
        return replace(field, typed=typed, problems=(problem,))
    finite = value == value and abs(value) != float("inf")
    return replace(field, typed=typed, value=value) if finite else replace(field, typed=typed, problems=(problem,))


def _kind(value: Any, longest: int | None) -> str:
    match value:
        case bool():
            return "truth"
        case int():
            return "whole"
        case float():
            return "decimal"
        case str():
            return "text" if "\n" in value or len(value) > _AREA or (longest or 0) > 500 else "line"
    return "nothing"


def _longest(described: Mapping[str, Any]) -> int | None:
    found = described.get("maxLength")
    return found if isinstance(found, int) else None


def _rebuilt(value: Any, path: tuple[str, ...], values: Mapping[tuple[str, ...], Any]) -> Any:
    match value:
        case {} if value:
            return {name: _rebuilt(inner, (*path, str(name)), values) for name, inner in value.items()}
        case [*items] if items:
            return [_rebuilt(inner, (*path, str(place)), values) for place, inner in enumerate(items)]
    return values.get(path, value)
