"""Event data as it may be written: texts in words are redacted, identifiers that are an address or a secret are refused.

Which field is which is in the type: `Text`, `Name` and free JSON are words; every other string names a record, and changing it would
break what it refers to, so an event that names a record by somebody's address is refused instead. An event cannot be mended later.
"""

from collections.abc import Callable, Mapping
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from shared.events import Envelope, EventData
from shared.events.wire import InWords
from spine.errors import SchemaViolation
from spine.redact import redact, redact_reference, redacted

Cleaner = Callable[[Any, str], Any]
"""(value, name of the field) → the value to write. Raises SchemaViolation."""

_ATTRIBUTES = ("source", "subject", "correlationid", "causationid", "partitionkey")
_OF_A_MAIL_SYSTEM = ("message_ref", "provider_message_id")  # a message's id has the form of an address, and is nobody's


def cleaned(envelope: Envelope, model: type[EventData]) -> Envelope:
    """The envelope with its data redacted; the same object when there was nothing to do. Raises SchemaViolation, naming the field."""
    for name in _ATTRIBUTES:
        _reference(getattr(envelope, name), name)
    data = _fields(envelope.data, model)
    return envelope if data == envelope.data else envelope.model_copy(update={"data": data})


def _fields(data: Mapping[str, Any], model: type[BaseModel]) -> dict[str, Any]:
    cleaners = _cleaners(model)
    return {name: cleaners.get(name, _free)(value, name) for name, value in data.items()}


def _reference(value: Any, name: str) -> Any:
    if isinstance(value, str) and name not in _OF_A_MAIL_SYSTEM and redact_reference(value) != value:
        raise SchemaViolation(f"field {name!r} names a record by an address or a secret: give it a reference that is nobody's")
    return value


def _words(value: Any, _name: str) -> Any:
    return redact(value) if isinstance(value, str) else value


def _free(value: Any, _name: str) -> Any:
    return redacted(value)


@cache
def _cleaners(model: type[BaseModel]) -> dict[str, Cleaner]:
    """What to do with each field of a model, worked out once."""
    return {
        name: _words if any(isinstance(item, InWords) for item in field.metadata) else _cleaner(field.annotation)
        for name, field in model.model_fields.items()
    }


def _cleaner(annotation: Any) -> Cleaner:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _words if any(isinstance(item, InWords) for item in arguments[1:]) else _cleaner(arguments[0])
    if origin in (Union, UnionType):
        first, *others = [_cleaner(one) for one in arguments if one is not NoneType]
        return first if all(one is first for one in others) else _free
    if origin in (list, tuple):
        inner = _cleaner(arguments[0])
        return lambda value, name: [inner(item, name) for item in value] if isinstance(value, list | tuple) else value
    if origin is dict or annotation is Any:
        return _free
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return lambda value, _name: _fields(value, annotation) if isinstance(value, Mapping) else value
    if isinstance(annotation, type) and issubclass(annotation, str):
        return _reference
    return lambda value, _name: value
