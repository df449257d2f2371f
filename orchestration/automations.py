"""The table of contents of the business: each automation as data. What people read first, and what the router, the inventory
and Dagster's descriptions are made from. Imports messages only: Dagster's code location loads this file.
"""

from datetime import timedelta
from decimal import Decimal

from orchestration.queues import COMMITMENTS
from orchestration.workflows.contract_signature.messages import NAME as CONTRACT_SIGNATURE_NAME
from orchestration.workflows.contract_signature.messages import OWNER, ContractSignatureInput
from orchestration.workflows.outreach_sequence.messages import NAME as OUTREACH_SEQUENCE_NAME
from orchestration.workflows.outreach_sequence.messages import OutreachInput
from shared.events import DealWon, LeadQualified, OutreachReplied, SignatureReported, keys
from spine.registry import Automation, Budget, Horizon, Listen, Sla, Track, Workflow

_SLA = Sla(warn=timedelta(hours=4), breach=timedelta(hours=24))

OUTREACH_SEQUENCE = Automation(
    name=OUTREACH_SEQUENCE_NAME,
    summary="Write to a qualified lead, with a person's yes to each message, until they answer or enough is enough",
    track=Track.REVENUE,
    owner=OWNER,
    horizon=Horizon.LONG,
    runs=Workflow(OUTREACH_SEQUENCE_NAME, COMMITMENTS),
    on=(LeadQualified,),
    key=keys.per_lead,
    payload=OutreachInput.from_event,
    payload_model=OutreachInput,
    listens=(Listen(event=OutreachReplied, signal="replied", key=keys.per_lead),),
    effects=("send_email",),
    compensation="none: a message cannot be unsent; the sequence stops",
    sla=_SLA,
    budget=Budget(tokens=30_000, money=Decimal("0.50")),
)

CONTRACT_SIGNATURE = Automation(
    name=CONTRACT_SIGNATURE_NAME,
    summary="Get a won deal's contract signed by both sides, or take it back",
    track=Track.REVENUE,
    owner=OWNER,
    horizon=Horizon.LONG,
    runs=Workflow(CONTRACT_SIGNATURE_NAME, COMMITMENTS),
    on=(DealWon,),
    key=keys.per_deal,
    payload=ContractSignatureInput.from_event,
    payload_model=ContractSignatureInput,
    listens=(Listen(event=SignatureReported, signal="envelope-reported", key=keys.per_deal),),
    effects=("send_contract_for_signature", "void_envelope", "crm_deal_update", "notify_owner"),
    compensation="void the envelope, tell the owner",
    sla=_SLA,
    budget=Budget(tokens=0, money=Decimal("5.00")),
)

AUTOMATIONS = (OUTREACH_SEQUENCE, CONTRACT_SIGNATURE)

GRAPHS = {"lead-qualification": "orchestration.graphs.lead_qualification.graph:build"}
