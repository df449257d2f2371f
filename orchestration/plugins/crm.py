"""The CRM over HTTP: upserts by our own external id, so that a repetition changes nothing and two deals never become one."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self
from urllib.parse import quote

from pydantic import BaseModel, StringConstraints

from orchestration.plugins.http import Provider
from orchestration.plugins.payload import ActionPayload, Line
from spine.errors import InvalidInput
from spine.settings import Settings

Fields = Annotated[str, StringConstraints(max_length=2000)]


class DealUpdate(ActionPayload):
    deal_id: Line
    fields: dict[Line, Fields]


class ContactUpsert(ActionPayload):
    contact_id: Line
    fields: dict[Line, Fields]


class CrmPlugin:
    name: ClassVar[str] = "crm"
    actions: ClassVar[Mapping[str, type[BaseModel]]] = {"crm_deal_update": DealUpdate, "crm_contact_upsert": ContactUpsert}

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        return cls(Provider("the CRM", settings.require("crm_url"), settings.crm_token))

    def close(self) -> None:
        self._provider.close()

    def perform(self, tenant_id: str, payload: dict[str, Any]) -> dict[str, Any]:
        kind, external_id, asked = _read(tenant_id, payload)
        body = dict(asked.fields) | ({"email": asked.address} if asked.address else {})
        record = self._provider.change("PUT", f"{kind}/{quote(external_id, safe='')}", body, idempotency_key=asked.idempotency_key)
        return _receipt(kind, external_id, record, asked)

    def find(self, tenant_id: str, payload: dict[str, Any]) -> dict[str, Any] | None:
        """Whether this very write is in the record: the CRM lists the keys of the writes it took."""
        kind, external_id, asked = _read(tenant_id, payload)
        record = self._provider.ask(f"{kind}/{quote(external_id, safe='')}")
        if record is None or asked.idempotency_key not in record.get("keys", []):
            return None
        return _receipt(kind, external_id, record, asked)


def _read(tenant_id: str, payload: dict[str, Any]) -> tuple[str, str, DealUpdate | ContactUpsert]:
    """External ids carry the tenant: the CRM does not know our tenants apart."""
    match payload.get("action"):
        case "crm_deal_update":
            deal = DealUpdate.of(payload)
            return "deals", f"{tenant_id}:{deal.deal_id}", deal
        case "crm_contact_upsert":
            contact = ContactUpsert.of(payload)
            return "contacts", f"{tenant_id}:{contact.contact_id}", contact
        case other:
            raise InvalidInput(f"the CRM connector does not know action {other!r}")


def _receipt(kind: str, external_id: str, record: dict[str, Any], asked: DealUpdate | ContactUpsert) -> dict[str, Any]:
    written = record.get("fields", {})
    return {
        "reference": f"{kind}/{external_id}",
        "observed": {"fields": {name: written.get(name) for name in asked.fields}},
    }
