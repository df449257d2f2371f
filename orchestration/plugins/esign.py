"""E-signature over HTTP: an envelope for each idempotency key, its status, and its end before it is signed.

What signers do comes back as a webhook, through the gateway; `find` is how we ask when no webhook comes.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self
from urllib.parse import quote

from pydantic import BaseModel, StringConstraints

from orchestration.plugins.http import Provider
from orchestration.plugins.payload import ActionPayload, Currency, Line, PositiveAmount
from spine.errors import InvalidInput, OutcomeUnknown
from spine.settings import Settings


class SendContract(ActionPayload):
    deal_id: Line
    contact_id: Line
    account: Line
    product: Line
    amount: PositiveAmount
    currency: Currency
    terms: Annotated[str, StringConstraints(min_length=1, max_length=50_000)]


class VoidEnvelope(ActionPayload):
    deal_id: Line
    envelope_id: Line
    reason: Annotated[str, StringConstraints(max_length=2000)]


class EsignPlugin:
    name: ClassVar[str] = "esign"
    actions: ClassVar[Mapping[str, type[BaseModel]]] = {
        "send_contract_for_signature": SendContract,
        "void_envelope": VoidEnvelope,
    }

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        return cls(Provider("the e-signature provider", settings.require("esign_url"), settings.esign_token))

    def close(self) -> None:
        self._provider.close()

    def perform(self, tenant_id: str, payload: dict[str, Any]) -> dict[str, Any]:
        match payload.get("action"):
            case "send_contract_for_signature":
                contract = SendContract.of(payload)
                document = contract.model_dump(include={"account", "product", "amount", "currency", "terms"})
                body = {
                    "document": document,
                    "signers": [{"email": contract.recipient(), "role": "customer"}],
                    "metadata": {"tenant_id": tenant_id, "deal_id": contract.deal_id},
                }
                return _receipt(self._provider.change("POST", "envelopes", body, idempotency_key=contract.idempotency_key))
            case "void_envelope":
                void = VoidEnvelope.of(payload)
                path = f"envelopes/{quote(void.envelope_id, safe='')}/void"
                return _receipt(self._provider.change("POST", path, {"reason": void.reason}, idempotency_key=void.idempotency_key))
            case other:
                raise InvalidInput(f"the e-signature connector does not know action {other!r}")

    def find(self, tenant_id: str, payload: dict[str, Any]) -> dict[str, Any] | None:  # noqa: ARG002 - keys and ids are the provider's own
        match payload.get("action"):
            case "send_contract_for_signature":
                found = self._provider.ask("envelopes", key=SendContract.of(payload).idempotency_key)
                return None if found is None else _receipt(found)
            case "void_envelope":
                found = self._provider.ask(f"envelopes/{quote(VoidEnvelope.of(payload).envelope_id, safe='')}")
                return None if found is None or found.get("status") != "voided" else _receipt(found)
            case other:
                raise InvalidInput(f"the e-signature connector does not know action {other!r}")


def _receipt(envelope: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"reference": str(envelope["envelope_id"]), "status": str(envelope["status"])}
    except KeyError as error:
        raise OutcomeUnknown(f"the e-signature provider's answer lacks {error}") from error
