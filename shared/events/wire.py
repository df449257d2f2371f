"""The common ground of everything that crosses a boundary: frozen, tolerant of unknown fields, exact, zoned.

`strictly` is how JSON becomes one of these: the JSON value has to be of the type that the schema names, nothing is coerced.
Frozen is shallow: a `dict` field (`payload`) can be changed in place, and should not be.
"""

import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
)

_AMOUNT = r"^-?[0-9]{1,15}(\.[0-9]{1,4})?$"
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)", re.IGNORECASE)


class Wire(BaseModel):
    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        allow_inf_nan=False,  # JSON has neither
        hide_input_in_errors=True,  # a message about a value must not carry the value
        use_attribute_docstrings=True,  # into the exported schemas
    )


Model = TypeVar("Model", bound=Wire)


class NotJson(ValueError):
    """`path` is the dotted path of the first value that JSON, or the database behind it, cannot hold."""

    def __init__(self, path: tuple[str, ...], reason: str) -> None:
        super().__init__(reason)
        self.path = ".".join(path) or "(whole)"


_DEEPEST = 64


def strictly(model: type[Model], data: Mapping[str, Any], *, extra: Literal["ignore", "forbid"]) -> Model:
    """JSON data → model without coercion. Raises pydantic's ValidationError, or NotJson."""
    plain = dict(data)
    _require_json(plain, ())
    return model.model_validate_json(json.dumps(plain), strict=True, extra=extra)


def _require_json(value: object, path: tuple[str, ...]) -> None:
    if len(path) > _DEEPEST:
        raise NotJson(path[:3], f"nested deeper than {_DEEPEST} levels")
    if type(value) is str and value.isascii() and "\x00" not in value:  # nearly every value, so it is asked first
        return
    match value:
        case None | bool() | int():
            pass
        case float():
            if not math.isfinite(value):
                raise NotJson(path, "JSON has no NaN and no infinity")
        case str():
            if not _is_text(value):
                raise NotJson(path, "text holds a NUL or half a character, which PostgreSQL and JSON readers refuse")
        case dict():
            for key, item in value.items():
                if not isinstance(key, str) or not _is_text(key):
                    raise NotJson(path, "a field name is not text")
                _require_json(item, (*path, key))
        case list() | tuple():
            for index, item in enumerate(value):
                _require_json(item, (*path, str(index)))
        case _:
            raise NotJson(path, f"JSON has no {type(value).__name__}; write it as text, as `wire()` does")


def _is_text(value: str) -> bool:
    return "\x00" not in value and (value.isascii() or not any("\ud800" <= character <= "\udfff" for character in value))


def _written_as_time(value: object) -> object:
    if not isinstance(value, str):
        return value
    if not _RFC3339.fullmatch(value):
        raise ValueError("write a time as RFC 3339 with its zone, such as 2026-11-22T09:00:00+03:00")
    return datetime.fromisoformat(value)  # here, because strict mode takes text for a time only when nothing looked at it before


def _in_utc(value: datetime) -> datetime:
    return value.astimezone(UTC)


Instant = Annotated[AwareDatetime, BeforeValidator(_written_as_time), AfterValidator(_in_utc)]
"""A moment: aware on the way in, UTC inside and on the way out."""


def _written_exactly(value: object) -> object:
    if isinstance(value, str):
        if not re.fullmatch(_AMOUNT[1:-1], value):
            raise ValueError("write an amount as a decimal string of at most 15 digits and 4 decimals, such as '1250.00'")
        return Decimal(value)
    if not isinstance(value, Decimal):
        raise ValueError("an amount is a Decimal, or in JSON a string: floats are not exact")  # noqa: TRY004 - pydantic reports ValueError
    if not value.is_finite() or not re.fullmatch(_AMOUNT[1:-1], format(value, "f")):
        raise ValueError("an amount has at most 15 digits and 4 decimals")
    return value


Amount = Annotated[
    Decimal,
    BeforeValidator(_written_exactly),
    PlainSerializer(lambda amount: format(amount, "f"), return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": _AMOUNT}),
]


class Money(Wire):
    """Exact money. The amount is a decimal string on the wire; a float is refused, and so is a bare JSON number."""

    amount: Amount
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
    """ISO 4217, such as SAR."""

    @classmethod
    def of(cls, amount: Decimal | str, currency: str) -> Self:
        return cls.model_validate({"amount": amount, "currency": currency})

    def __str__(self) -> str:
        return f"{self.amount:,f} {self.currency}"


Ref = Annotated[str, StringConstraints(min_length=1, max_length=200)]
"""An identifier of ours or of a provider."""

ContactRef = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^@\s]+$")]
"""A reference to a row of `contacts`. An e-mail address does not fit: addresses never enter events."""


class InWords:
    """Marks text that people write, in which an address or a number may stand: it is redacted before it is published."""


Name = Annotated[str, StringConstraints(min_length=1, max_length=200), InWords()]
Text = Annotated[str, StringConstraints(max_length=2000), InWords()]
Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
