"""Marks in the place of what was found."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple, TypeVar, cast

from spine.redact.detect import Finding, findings, references
from spine.redact.secret_forms import NAMES

T = TypeVar("T")
_SECRET = "[secret]"
_OF_RECORDS = frozenset(
    {"id", "ids", "ref", "key", "digest", "version", "reference", "correlationid", "causationid", "partitionkey", "traceparent"}
)


_NUMBERS = frozenset({bool, int, float})


def redact(text: str) -> str:
    """The text with a typed mark for every identity and secret. The same text gives the same result; marked text stays as it is."""
    return _marked(text, found) if (found := findings(text)) else text


def redact_reference(text: str) -> str:
    """As `redact`, for an identifier: its digits are its own, an address or a secret in it is not."""
    return _marked(text, found) if (found := references(text)) else text


def redacted(value: T) -> T:
    """A JSON value with every text in it redacted, names of fields too; other values, and the shape, stay.

    Text under a name that says it is a secret (`password`, `…_token`) goes whole; under one that names a record (`…_id`, `digest`)
    only addresses and secrets go.
    """
    return cast(T, _value(value, redact))


def _value(value: object, of_text: Callable[[str], str]) -> object:
    if isinstance(value, str):
        return of_text(value)
    if value is None or type(value) in _NUMBERS:
        return value
    if isinstance(value, (dict, Mapping)):  # JSON's own type first: asking an abstract class costs more than looking at a text
        return {_known(name).shown if isinstance(name, str) else name: _field(str(name), item, of_text) for name, item in value.items()}
    if isinstance(value, (list, Sequence)) and not isinstance(value, bytes | bytearray):
        return [_value(item, of_text) for item in value]
    return value


def _field(name: str, item: object, of_text: Callable[[str], str]) -> object:
    known = _known(name)
    if known.secret and isinstance(item, str) and item:
        return _SECRET
    return _value(item, redact_reference if known.record else of_text)


class _Name(NamedTuple):
    shown: str
    secret: bool
    record: bool


@lru_cache(maxsize=2048)
def _known(name: str) -> _Name:
    """What a field's name says, looked at once: names come again in every call, and texts do not."""
    return _Name(redact(name), NAMES.search(name) is not None, name.lower().rpartition("_")[2] in _OF_RECORDS)


def _marked(text: str, found: Sequence[Finding]) -> str:
    parts, at = [], 0
    for one in found:
        parts += [text[at : one.start], f"[{one.kind}]"]
        at = one.end
    return "".join([*parts, text[at:]])
