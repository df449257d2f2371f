"""Outreach: qualify → draft → a person's yes → send → wait for a reply → follow up, at most three times.

Consent, quiet hours, the weekly cap and the limit of follow-ups are judged by the gate at the moment of each send, after every
wait, never here: what was allowed on Monday may be forbidden on Thursday. A reply ends the sequence wherever it is, also while
a message waits for approval.
"""

from datetime import timedelta
from typing import assert_never

from temporalio import workflow

from orchestration.governed.workflow import GovernedWorkflow

with workflow.unsafe.imports_passed_through():
    from orchestration.governed.messages import Drafted
    from orchestration.governed.outcomes import Denied, Done, Expired, Failed, Rejected, Withdrawn
    from orchestration.options import REASONING
    from orchestration.workflows.outreach_sequence.messages import (
        NAME,
        DraftFollowUp,
        Ending,
        OutreachInput,
        OutreachResult,
        Qualified,
        QualifyLead,
    )
    from shared.events import OutreachCompleted, OutreachMessageSent, OutreachReplied
    from shared.events.keys import sequence_step

LISTENING = (timedelta(hours=48), timedelta(hours=72), timedelta(hours=168), timedelta(hours=168))
"""Business time to wait for a reply after message 0, 1, 2, 3: the cadence of domain.md §7.4, and a last week for the last note."""

_NOT_CONTACTABLE = frozenset({"opted-out", "no-consent", "consent-expired"})
"""The gate's words for a person whom time alone will not make writable."""


@workflow.defn(name=NAME)
class OutreachSequence(GovernedWorkflow):
    @workflow.init
    def __init__(self, given: OutreachInput) -> None:
        super().__init__(NAME, given)
        self.lead = given.lead
        self.sent = 0
        self._reply: OutreachReplied | None = None

    @workflow.signal(name="replied")
    def replied(self, reply: OutreachReplied) -> None:
        """Whatever it says, a person takes over."""
        self._reply = self._reply or reply

    @workflow.run
    async def run(self, given: OutreachInput) -> OutreachResult:
        return await self.to_its_end(self._concluded(given))

    async def _concluded(self, given: OutreachInput) -> OutreachResult:
        ending, why = await self._write_until_answered(given)
        await self.publish(OutreachCompleted(lead_id=self.lead.lead_id, outcome=ending, messages_sent=self.sent))
        return OutreachResult(outcome=ending, messages_sent=self.sent, why=why)

    async def _write_until_answered(self, given: OutreachInput) -> tuple[Ending, str]:
        task = QualifyLead(
            tenant_id=given.tenant_id, workflow_id=workflow.info().workflow_id, correlation_id=given.correlation_id, lead=self.lead
        )
        verdict = await self.run_activity("qualify-lead", task, Qualified, REASONING)
        if verdict.draft is None:
            return "disqualified", "; ".join(verdict.reasons)
        draft = verdict.draft
        for step, patience in enumerate(LISTENING):
            if step > 0:
                draft = await self._follow_up(step)
            if (end := await self._send(step, draft)) is not None:
                return end
            if await self.wait_until(self.now() + patience, self._has_replied, summary=f"reply to message {step}"):
                return "replied", ""
        return "exhausted", ""

    async def _send(self, step: int, draft: Drafted) -> tuple[Ending, str] | None:
        """One message. None when it was sent and the sequence goes on."""
        outcome = await self.carry_out("send_email", key=sequence_step(self.lead.lead_id, step), draft=draft, unless=self._has_replied)
        match outcome:
            case Done(intent_id=intent_id, reference=reference):
                self.sent += 1
                await self.publish(
                    OutreachMessageSent(
                        lead_id=self.lead.lead_id, intent_id=intent_id, step=step, channel="email", provider_message_id=reference
                    ),
                    about=str(step),
                )
                return None
            case Rejected():
                return "rejected", ""
            case Expired():
                return "expired", ""
            case Withdrawn():
                return ("replied", "") if self._has_replied() else ("rejected", "withdrawn")
            case Denied(code=code, why=why) | Failed(code=code, why=why) if code in _NOT_CONTACTABLE:
                return "not_contactable", why
            case Failed(code="follow-up-cap"):
                return "exhausted", "enough messages without a reply"
            case Denied(why=why):
                return "denied", why
            case Failed(why=why):
                return "failed", why
            case other:
                assert_never(other)

    async def _follow_up(self, step: int) -> Drafted:
        info = workflow.info()
        return await self.bookkeep(
            "draft-follow-up",
            DraftFollowUp(
                tenant_id=self.given.tenant_id,
                workflow_id=info.workflow_id,
                correlation_id=self.given.correlation_id,
                step=step,
                lead=self.lead,
            ),
            Drafted,
        )

    def _has_replied(self) -> bool:
        return self._reply is not None
