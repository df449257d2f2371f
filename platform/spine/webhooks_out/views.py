"""Webhook endpoints and deliveries as people and programs see them; never a secret."""

from datetime import datetime
from typing import Self

from shared.events import short_name
from spine.views import View
from spine.webhooks_out.endpoints import Delivery, Endpoint


class EndpointView(View):
    """`event_types` empty: every event. `waiting` and `dead` count what has not arrived."""

    endpoint_id: str
    url: str
    event_types: tuple[str, ...]
    state: str
    why_disabled: str | None
    created_by: str
    created_at: datetime
    active_secrets: int
    waiting: int
    dead: int

    @classmethod
    def of(cls, endpoint: Endpoint) -> Self:
        same = cls.model_fields.keys() - {"endpoint_id", "event_types"}
        return cls(
            endpoint_id=str(endpoint.endpoint_id),
            event_types=tuple(short_name(one) for one in endpoint.event_types),
            **{name: getattr(endpoint, name) for name in same},
        )


class DeliveryView(View):
    """One event to one endpoint. `status` and `error` are of the last attempt."""

    endpoint_id: str
    event_id: str
    event_type: str
    state: str
    attempts: int
    next_attempt_at: datetime
    status: int | None
    error: str | None
    created_at: datetime
    finished_at: datetime | None

    @classmethod
    def of(cls, delivery: Delivery) -> Self:
        same = cls.model_fields.keys() - {"endpoint_id", "event_id", "event_type"}
        return cls(
            endpoint_id=str(delivery.endpoint_id),
            event_id=str(delivery.event_id),
            event_type=short_name(delivery.event_type),
            **{name: getattr(delivery, name) for name in same},
        )
