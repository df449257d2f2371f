"""The port to a provider. `spine.effects` is the only caller of a connector: an import rule forbids every other path."""

from collections.abc import Mapping
from typing import Any, Protocol

from pydantic import BaseModel


class Connector(Protocol):
    """One provider's actions, for all tenants. Made once a process; called from many threads at once.

    The payload of both calls is the one that was judged, plus what the platform adds inside the effect: `action`,
    `idempotency_key` (the same on every attempt of one intent), and `address` for actions whose rule says so. Results are
    JSON objects with `reference` (the provider's id) and `observed` (what the provider says it did, in the payload's own
    field names), which is compared with what was intended.

    Both raise the ProviderError family and nothing else for what a provider may do: ProviderRefused when it said no,
    ProviderUnavailable when nothing happened, OutcomeUnknown when it may have happened. A connector's own time-out has to be
    shorter than the activity's start-to-close time-out, so that no attempt is still on its way when the next one asks.
    """

    name: str
    actions: Mapping[str, type[BaseModel]]
    """Action → model of the proposed payload (without what the platform adds)."""

    def perform(self, tenant_id: str, payload: dict[str, Any]) -> dict[str, Any]:
        """Do it, giving the provider the idempotency key."""
        ...

    def find(self, tenant_id: str, payload: dict[str, Any]) -> dict[str, Any] | None:
        """What happened under this idempotency key, as `perform` would have answered; None: it certainly did not happen."""
        ...
