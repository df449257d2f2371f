"""Marks in the place of what was found."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar, cast

from spine.redact.detect import Finding, findings, references
from spine.redact.secret_forms import NAMES

T = TypeVar("T")
_SECRET = "[secret]"
_OF_RECORDS = frozenset(
    {"id", "ids", "ref", "key", "digest", "version", "reference", "correlationid", "causationid", "partitionkey", "traceparent"}
)


def redact(text: str) -> str:
    """The text with a typed mark for every identity and secret. The same text gives the same result; marked text stays as it is."""
    return _marked(text, findings(text))


def redact_reference(text: str) -> str:
    """As `redact`, for an identifier: its digits are its own, an address or a secret in it is not."""
    return _marked(text, references(text))


def redacted(value: T) -> T:
    """A JSON value with every text in it redacted, names of fields too; other values, and the shape, stay.

    Text under a name that says it is a secret (`password`, `…_token`) goes whole; under one that names a record (`…_id`, `digest`)
    only addresses and secrets go.
    """
    return cast(T, _value(value, redact))


def _value(value: object, of_text: Callable[[str], str]) -> object:
    match value:
        case str():
            return of_text(value)
        case Mapping():
            return {redact(name) if isinstance(name, str) else name: _field(str(name), item, of_text) for name, item in value.items()}
        case Sequence() if not isinstance(value, bytes | bytearray):
            return [_value(item, of_text) for item in value]
    return value


def _field(name: str, item: object, of_text: Callable[[str], str]) -> object:
    if isinstance(item, str) and item and NAMES.search(name):
        return _SECRET
    names_a_record = name.lower().rpartition("_")[2] in _OF_RECORDS
    return _value(item, redact_reference if names_a_record else of_text)


def _marked(text: str, found: Sequence[Finding]) -> str:
    if not found:
        return text
    parts, at = [], 0
    for one in found:
        parts += [text[at : one.start], f"[{one.kind}]"]
        at = one.end
    return "".join([*parts, text[at:]])
