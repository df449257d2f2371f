"""Drafting the terms with the evidence they rest on, and asking the provider when no webhook comes."""

from collections.abc import Callable
from typing import Any

from temporalio import activity

from orchestration.dead_letters import asked_again
from orchestration.failures import translated
from orchestration.governed.messages import Drafted
from orchestration.workflows.contract_signature.messages import DraftContract, EnvelopeStatus, LookAtEnvelope
from orchestration.workflows.contract_signature.papers import papers_of
from spine import documents
from spine.clock import Clock
from spine.db import Database
from spine.effects import Effects
from spine.ids import derived_id
from spine.telemetry import correlated

_TERMS = """\
The supplier delivers {product} to {account} for {amount} {currency}, payable within thirty days of the invoice.
Won on {closed_on}. Both sides sign electronically; the contract is in force when both have signed.
"""


class SignatureActivities:
    """One in each worker."""

    def __init__(self, *, database: Database, clock: Clock, effects: Effects) -> None:
        self._database = database
        self._clock = clock
        self._effects = effects

    def all(self) -> list[Callable[..., Any]]:
        return [self.draft, self.look]

    @activity.defn(name="draft-contract")
    @translated
    def draft(self, asked: DraftContract) -> Drafted:
        """The terms follow from the deal alone, so a retry drafts the same."""
        deal = asked.deal
        amount = format(deal.value.amount, "f")
        terms = _TERMS.format(
            product=deal.product, account=deal.account, amount=amount, currency=deal.value.currency, closed_on=deal.closed_on
        )
        payload = {
            "deal_id": deal.deal_id,
            "contact_id": deal.contact_id,
            "account": deal.account,
            "product": deal.product,
            "amount": amount,
            "currency": deal.value.currency,
            "terms": terms,
        }
        with correlated(asked.correlation_id), self._database.tenant(asked.tenant_id) as conn:

            def keep(kind: str, body: dict[str, Any]) -> documents.DocumentRef:
                return documents.put(
                    conn,
                    tenant_id=asked.tenant_id,
                    kind=kind,
                    body=body,
                    correlation_id=asked.correlation_id,
                    now=self._clock.now(),
                    document_id=derived_id(asked.tenant_id, asked.workflow_id, kind),
                )

            contract = keep("contract", payload)
            papers = keep("contract-bundle", papers_of(asked, contract.digest))
        # Won deals are facts, not estimates: nothing here was guessed by a model.
        return Drafted(document_id=contract.document_id, digest=contract.digest, bundle_id=papers.document_id, confidence=1.0)

    @asked_again
    @activity.defn(name="look-at-envelope")
    @translated
    def look(self, asked: LookAtEnvelope) -> EnvelopeStatus:
        """Ask the provider. It changes nothing, so there is nothing to govern; it still goes through `effects`."""
        seen = self._effects.inquire(asked.tenant_id, asked.intent_id)
        return EnvelopeStatus(status=str((seen or {}).get("status", "")))
