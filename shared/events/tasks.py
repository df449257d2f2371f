"""Tasks: work that a person, or another system, asks for by name."""

from typing import ClassVar

from pydantic import JsonValue

from shared.events.envelope import EventData
from shared.events.wire import Name, Ref


class TaskRequested(EventData):
    """Start `automation` for `key`. The payload is the automation's own input; personal data travels in it by reference only."""

    TYPE: ClassVar[str] = "spine.task.requested.v1"
    SUBJECT: ClassVar[str] = "key"

    automation: Name
    key: Ref
    payload: dict[str, JsonValue]
    requested_by: Ref
