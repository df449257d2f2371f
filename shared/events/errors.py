"""What is wrong with an event, said without repeating its values: they may be personal.

    ValueError
    └── EventError
        ├── UnknownEvent        no such type and version in the catalogue
        └── EventSchemaError    the data, or the envelope around it, does not fit its schema

The platform maps them to its own `UnknownEventType` and `SchemaViolation`; this package knows nobody.
"""

from collections.abc import Iterable

from pydantic import ValidationError


class EventError(ValueError):
    """`field` is the dotted path of the first thing that is wrong; `event_type` the type the event claims."""

    def __init__(self, message: str, *, event_type: str, field: str) -> None:
        super().__init__(message)
        self.event_type = event_type
        self.field = field

    def __reduce__(self) -> tuple[object, ...]:  # keyword-only arguments would not survive a process boundary
        return (_rebuilt, (type(self), str(self), self.event_type, self.field))


class UnknownEvent(EventError):
    pass


class EventSchemaError(EventError):
    @classmethod
    def of(cls, event_type: str, error: ValidationError) -> "EventSchemaError":
        """The same findings as pydantic's, by field, without the input."""
        found = error.errors(include_url=False, include_input=False)
        return cls.because(event_type, ((_path(one["loc"]), _reason(one["msg"])) for one in found))

    @classmethod
    def because(cls, event_type: str, findings: Iterable[tuple[str, str]]) -> "EventSchemaError":
        """One line for all findings, the first of which gives `field`."""
        listed = list(findings)
        reasons = "; ".join(f"{field!r}: {reason}" for field, reason in listed)
        return cls(f"{event_type!r} does not fit its schema: {reasons}", event_type=event_type, field=listed[0][0])


def _reason(message: str) -> str:
    message = message.removeprefix("Value error, ")
    return message[:1].lower() + message[1:]


def _path(location: tuple[int | str, ...]) -> str:
    return ".".join(str(step) for step in location) or "(whole)"


def _rebuilt(kind: type[EventError], message: str, event_type: str, field: str) -> EventError:
    return kind(message, event_type=event_type, field=field)
