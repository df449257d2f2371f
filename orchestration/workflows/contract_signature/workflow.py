"""Contract signature: draft → two people's yes → envelope → what the signers do → CRM and owner, or the envelope is voided.

The provider's webhook comes as a signal; polling is the fallback, because webhooks get lost. Up to the signature everything
can be taken back. From it on nothing can (R3): what comes after is finished or left to a person, never rolled back.
"""

from datetime import timedelta
from typing import Any, assert_never

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

from orchestration.governed.workflow import GovernedWorkflow

with workflow.unsafe.imports_passed_through():
    from orchestration.governed.messages import Drafted
    from orchestration.governed.outcomes import Denied, Done, Expired, Failed, Rejected, Withdrawn
    from orchestration.options import LOOK_UP
    from orchestration.workflows.contract_signature.messages import (
        NAME,
        OWNER,
        ContractSignatureInput,
        ContractSignatureResult,
        DraftContract,
        Ending,
        EnvelopeStatus,
        LookAtEnvelope,
    )
    from shared.events import SignatureCompleted, SignatureReported, SignatureRequested, SignatureVoided
    from shared.events.keys import contact_ref, key_of

PATIENCE = timedelta(days=7)
"""Business time for the signers (domain.md §9.3: one to seven days). After it the envelope is taken back."""
POLL_EVERY = timedelta(hours=6)

_SIGNED = frozenset({"signed", "completed"})
_LOST = {"declined": "declined", "expired": "expired", "voided": "declined"}


@workflow.defn(name=NAME)
class ContractSignature(GovernedWorkflow):
    @workflow.init
    def __init__(self, given: ContractSignatureInput) -> None:
        super().__init__(NAME, given)
        self.deal = given.deal
        self._envelope_id = ""
        self._reports: list[SignatureReported] = []

    @workflow.signal(name="envelope-reported")
    def envelope_reported(self, report: SignatureReported) -> None:
        """May come twice, late, out of order, or before we know the envelope's name: kept until it can be judged."""
        self._reports.append(report)

    @workflow.run
    async def run(self, given: ContractSignatureInput) -> ContractSignatureResult:
        return await self.to_its_end(self._get_signed(given))

    async def _get_signed(self, given: ContractSignatureInput) -> ContractSignatureResult:
        task = DraftContract(
            tenant_id=given.tenant_id, workflow_id=workflow.info().workflow_id, correlation_id=given.correlation_id, deal=self.deal
        )
        draft = await self.bookkeep("draft-contract", task, Drafted)
        outcome = await self.carry_out("send_contract_for_signature", key=self._key("send-contract"), draft=draft, amount=self.deal.value)
        match outcome:
            case Done():
                return await self._see_it_signed(outcome)
            case Denied(why=why):
                return ContractSignatureResult(outcome="denied", why=why)
            case Rejected():
                return ContractSignatureResult(outcome="rejected")
            case Expired():
                return ContractSignatureResult(outcome="expired", why="nobody decided in time")
            case Withdrawn():
                return ContractSignatureResult(outcome="rejected", why="withdrawn")
            case Failed(why=why):
                return ContractSignatureResult(outcome="failed", why=why)
            case other:
                assert_never(other)

    async def _see_it_signed(self, sent: Done) -> ContractSignatureResult:
        self._envelope_id = sent.reference
        void = {"deal_id": self.deal.deal_id, "envelope_id": sent.reference, "reason": "the contract was not concluded"}
        self.undo_with("void_envelope", key=self._key("void-envelope"), payload=void, done=sent)
        deal_id = self.deal.deal_id
        await self.publish(SignatureRequested(deal_id=deal_id, envelope_id=sent.reference, intent_id=sent.intent_id))
        ending = await self._answer(sent)
        if ending != "signed":
            await self._take_back(ending)
            return ContractSignatureResult(outcome=ending, envelope_id=sent.reference)
        self.beyond_undoing()
        await self.publish(SignatureCompleted(deal_id=deal_id, envelope_id=sent.reference, signed_at=self.now()))
        return ContractSignatureResult(outcome="signed", envelope_id=sent.reference, left_undone=await self._tell_everybody())

    async def _answer(self, sent: Done) -> Ending:
        """What the signers did: told by the provider, else asked for, until patience ends."""
        until = self.now() + PATIENCE
        while self.now() < until:
            await self.wait_until(min(until, self.now() + POLL_EVERY), self._is_settled, summary="envelope: webhook or poll")
            if not self._is_settled():
                status = await self._ask(sent)
                if status in _SIGNED or status in _LOST:
                    return "signed" if status in _SIGNED else _ending(status)
                continue
            return self._settled() or "expired"
        return "expired"

    async def _ask(self, sent: Done) -> str:
        look = LookAtEnvelope(tenant_id=self.given.tenant_id, intent_id=sent.intent_id)
        try:
            seen = await self.run_activity("look-at-envelope", look, EnvelopeStatus, LOOK_UP)
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            return ""  # the provider cannot be asked now: the webhook may still come, and there is a next poll
        return seen.status

    async def _take_back(self, ending: Ending) -> None:
        """Void the envelope through the gate, say so, tell the owner."""
        await self.compensate(f"the envelope was {ending}")
        await self.publish(SignatureVoided(deal_id=self.deal.deal_id, envelope_id=self._envelope_id, reason=ending))
        await self._notify(f"Contract not signed: {ending}", f"The envelope was {ending} and has been voided. Offer a renegotiation?")

    async def _tell_everybody(self) -> tuple[str, ...]:
        """After the signature: CRM and owner. What fails is left for a person; nothing is rolled back."""
        fields = {"stage": "signed", "envelope_id": self._envelope_id}
        update: dict[str, Any] = {"deal_id": self.deal.deal_id, "fields": fields}
        crm = await self.carry_out("crm_deal_update", key=self._key("crm-deal-update"), draft=update)
        note = "The contract is signed by both sides."
        if not isinstance(crm, Done):
            note += " The CRM could not be updated: please set the deal's stage to signed."
        told = await self._notify("Contract signed", note)
        return tuple(action for action, done in (("crm_deal_update", isinstance(crm, Done)), ("notify_owner", told)) if not done)

    async def _notify(self, subject: str, text: str) -> bool:
        body = f"{text}\n\nDeal {self.deal.deal_id}, {self.deal.account}, {self.deal.product}.\n"
        note = {"contact_id": contact_ref(OWNER), "subject": f"{subject}: {self.deal.deal_id}"[:150], "body": body}
        return isinstance(await self.carry_out("notify_owner", key=self._key("notify-owner"), draft=note), Done)

    def _is_settled(self) -> bool:
        return self._settled() is not None

    def _settled(self) -> Ending | None:
        """The first final report about our envelope. A signature outranks what came before it: it binds."""
        ours = [report.status for report in self._reports if report.envelope_id == self._envelope_id]
        if any(status in _SIGNED for status in ours):
            return "signed"
        return next((_ending(status) for status in ours if status in _LOST), None)

    def _key(self, step: str) -> str:
        return key_of(self.deal.deal_id, step)


def _ending(status: str) -> Ending:
    return "expired" if _LOST[status] == "expired" else "declined"
