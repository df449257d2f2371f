"""A small registry of its own, so that these tests do not move when the business does."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from shared.events import DealWon, Envelope, LeadQualified, SignatureReported
from spine.registry import Automation, Budget, DataJob, Horizon, Listen, Registry, Sla, Track, Workflow


class SigningInput(BaseModel):
    tenant_id: str
    deal_id: str
    correlation_id: str
    clock: str = ""


def signing_input(envelope: Envelope, data: DealWon) -> SigningInput:
    if data.deal_id == "poison":
        raise ZeroDivisionError("a bug in the automation")
    return SigningInput(tenant_id=envelope.tenantid, deal_id=data.deal_id, correlation_id=envelope.correlationid)


def _automation(name: str, **changes: Any) -> Automation:
    given: dict[str, Any] = {
        "name": name,
        "summary": "for tests",
        "track": Track.REVENUE,
        "owner": "tests",
        "horizon": Horizon.LONG,
        "payload": signing_input,
        "payload_model": SigningInput,
        "effects": (),
        "compensation": "none",
        "sla": Sla(warn=timedelta(hours=4), breach=timedelta(hours=24)),
        "budget": Budget(tokens=0, money=Decimal(0)),
    }
    return Automation(**{**given, **changes})


SIGNING = _automation(
    "signing",
    runs=Workflow("signing", "triggers-test"),
    on=(DealWon,),
    key=lambda data: data.deal_id,
    listens=(Listen(event=SignatureReported, signal="envelope-reported", key=lambda data: data.deal_id),),
)
SCORING = _automation(
    "scoring",
    track=Track.DATA,
    runs=DataJob("score_leads"),
    on=(LeadQualified,),
    key=lambda data: data.dataset_version,
    payload=lambda envelope, data: data,
    payload_model=LeadQualified,
)
REGISTRY = Registry.of([SIGNING, SCORING])
