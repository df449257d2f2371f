"""Webhooks out: the platform's word about those whom it tells of events."""

from typing import ClassVar, Literal

from shared.events.envelope import EventData
from shared.events.wire import Ref


class WebhookPinged(EventData):
    """Somebody wants to see one delivery arrive. It goes to this endpoint and to no other."""

    TYPE: ClassVar[str] = "spine.webhook.pinged.v1"
    SUBJECT: ClassVar[str] = "endpoint_id"

    endpoint_id: Ref


class WebhookEndpointDisabled(EventData):
    """An endpoint is told nothing any more until a person enables it again; what waits for it goes on waiting."""

    TYPE: ClassVar[str] = "spine.webhook.endpoint_disabled.v1"
    SUBJECT: ClassVar[str] = "endpoint_id"

    endpoint_id: Ref
    why: Literal["gone", "given-up"]
    """It answered 410, or several deliveries in a row were given up."""
