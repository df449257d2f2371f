"""Stand-ins, by name, for the activities of governed workflows: a ledger in memory that a test scripts and reads.

The workflows under test are the real ones, on a real server, in the sandbox; only the far side of each activity is replaced.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from threading import RLock
from typing import Any
from uuid import uuid4

from temporalio import activity
from temporalio.client import Client, WorkflowHandle
from temporalio.exceptions import ApplicationError

from orchestration.governed.messages import (
    ApprovalNotice,
    Drafted,
    EffectEnd,
    IntentRef,
    IntentView,
    ProposeEffect,
    PublishEvent,
    WhatIsStopped,
)
from orchestration.worker import THREADS, worker_of
from orchestration.workflows.contract_signature.messages import ContractSignatureInput, DraftContract, EnvelopeStatus, LookAtEnvelope
from orchestration.workflows.outreach_sequence.messages import DraftFollowUp, OutreachInput, Qualified, QualifyLead
from shared.events import DealWon, LeadQualified, Money
from spine.clock import BusinessClock
from spine.settings import Settings
from spine.telemetry import setup_telemetry
from spine.temporal import connect

HOUR = timedelta(hours=1)
FAST = 400_000.0  # an hour in 9 ms: a week's wait is a second and a half, and every wait is really waited


def clock_text(start: str = "2026-11-22T09:00:00+03:00", rate: float = FAST) -> str:
    return BusinessClock(business_anchor=datetime.fromisoformat(start), real_anchor=datetime.now(UTC), rate=rate).describe()


def lead(**changes: Any) -> LeadQualified:
    facts = {"lead_id": "L1", "account": "Isdom", "contact_id": "contact/isdom", "product": "GTX Pro", "sales_agent": "Darcel Schlecht"}
    return LeadQualified.model_validate({**facts, "score": 0.8, "band": "hot", "dataset_version": "v1", **changes})


def deal(**changes: Any) -> DealWon:
    facts = {"deal_id": "D1", "account": "Isdom", "contact_id": "contact/isdom", "product": "GTX Pro", "sales_agent": "Darcel Schlecht"}
    return DealWon.model_validate({**facts, "value": Money.of(Decimal("4514.00"), "USD"), "closed_on": date(2017, 3, 11), **changes})


class ScriptedLedger:
    """Intents in memory. `needs_approval` actions wait; `effect` answers each execution; deadlines are relative to the clock."""

    def __init__(self, clock: str) -> None:
        self.clock = BusinessClock.parse(clock)
        self.needs_approval: set[str] = set()
        self.sla = (4 * HOUR, 24 * HOUR, 48 * HOUR, 48 * HOUR)
        self.denies: dict[str, tuple[str, str]] = {}
        self.effect: Callable[[str, int], EffectEnd] = lambda action, _attempt: EffectEnd(kind="completed", reference=f"ref-{action}")
        self.verdict = Qualified(outcome="proposed", draft=Drafted(document_id="doc-0", digest="sha256:0", confidence=0.8))
        self.envelope_status = ""
        self.proposed: list[ProposeEffect] = []
        self.executed: list[str] = []
        self.notes: list[int] = []
        self.events: list[PublishEvent] = []
        self.cancelled: list[str] = []
        self._intents: dict[str, IntentView] = {}
        self._actions: dict[str, str] = {}
        self._attempts: dict[str, int] = {}
        self._lock = RLock()

    def activities(self) -> list[Callable[..., Any]]:
        return [
            self.propose, self.stopped, self.read, self.cancel, self.note, self.expire, self.publish, self.execute,
            self.qualify, self.follow_up, self.draft_contract, self.look,
        ]  # fmt: skip

    # What a test does

    def open_approval(self) -> IntentView | None:
        with self._lock:
            return next((view for view in self._intents.values() if view.state == "awaiting_approval"), None)

    async def asked(self) -> IntentView:
        """The approval that is open, once there is one."""
        return await until(self.open_approval)

    def set(self, intent_id: str, **changes: Any) -> None:
        with self._lock:
            self._intents[intent_id] = self._intents[intent_id].model_copy(update=changes)

    def supersede(self, intent_id: str, **successor: Any) -> IntentView:
        """As an edit does: the old revision ends, a new one stands in its place."""
        with self._lock:
            view = IntentView(intent_id=str(uuid4()), **successor)
            self._intents[view.intent_id] = view
            self._actions[view.intent_id] = self._actions[intent_id]
            self.set(intent_id, state="superseded", successor_id=view.intent_id)
            return view

    def states(self) -> list[str]:
        with self._lock:
            return [view.state for view in self._intents.values()]

    def published(self) -> list[str]:
        return [event.type.removeprefix("spine.").removesuffix(".v1") for event in self.events]

    # What a workflow meets

    @activity.defn(name="propose-intent")
    def propose(self, asked: ProposeEffect) -> IntentView:
        with self._lock:
            self.proposed.append(asked)
            intent_id = f"intent-{len(self.proposed)}"
            view = IntentView(intent_id=intent_id, state="runnable")
            if asked.action in self.denies:
                code, why = self.denies[asked.action]
                view = IntentView(intent_id=intent_id, state="denied", code=code, reasons=(why,))
            elif asked.action in self.needs_approval:
                view = IntentView(intent_id=intent_id, state="awaiting_approval", approval_id=f"approval-{intent_id}", **self.deadlines())
            self._intents[intent_id] = view
            self._actions[intent_id] = asked.action
            return view

    def deadlines(self) -> dict[str, datetime]:
        now = self.clock.now()
        return {f"{name}_at": now + wait for name, wait in zip(("warn", "breach", "escalate", "expires"), self.sla, strict=True)}

    @activity.defn(name="read-switches")
    def stopped(self, asked: WhatIsStopped) -> bool:
        return any(code == "kill-switch" for code, _ in self.denies.values())

    @activity.defn(name="read-intent")
    def read(self, asked: IntentRef) -> IntentView:
        with self._lock:
            return self._intents[asked.intent_id]

    @activity.defn(name="cancel-intent")
    def cancel(self, asked: IntentRef) -> IntentView:
        with self._lock:
            if self._intents[asked.intent_id].state in ("awaiting_approval", "runnable"):
                self.set(asked.intent_id, state="cancelled")
                self.cancelled.append(asked.reason)
            return self._intents[asked.intent_id]

    @activity.defn(name="note-sla")
    def note(self, asked: ApprovalNotice) -> None:
        self.notes.append(asked.level)

    @activity.defn(name="expire-approval")
    def expire(self, asked: IntentRef) -> IntentView:
        with self._lock:
            if self._intents[asked.intent_id].state == "awaiting_approval":
                self.set(asked.intent_id, state="expired")
            return self._intents[asked.intent_id]

    @activity.defn(name="publish-event")
    def publish(self, asked: PublishEvent) -> None:
        self.events.append(asked)

    @activity.defn(name="execute-effect")
    def execute(self, asked: IntentRef) -> EffectEnd:
        with self._lock:
            attempt = self._attempts[asked.intent_id] = self._attempts.get(asked.intent_id, 0) + 1
            action = self._actions[asked.intent_id]
        end = self.effect(action, attempt)
        if end.kind == "completed":
            self.executed.append(action)
            self.set(asked.intent_id, state="completed", reference=end.reference)
        if end.kind == "failed":
            self.set(asked.intent_id, state="failed", code=end.code, reasons=(end.why,))
        return end

    @activity.defn(name="qualify-lead")
    def qualify(self, _asked: QualifyLead) -> Qualified:
        return self.verdict

    @activity.defn(name="draft-follow-up")
    def follow_up(self, asked: DraftFollowUp) -> Drafted:
        return Drafted(document_id=f"doc-{asked.step}", digest=f"sha256:{asked.step}")

    @activity.defn(name="draft-contract")
    def draft_contract(self, asked: DraftContract) -> Drafted:
        if asked.deal.value.amount < 0:
            raise ApplicationError("no contract over less than nothing", type="invalid-input", non_retryable=True)
        return Drafted(document_id="contract", digest="sha256:c", evidence_id="evidence", confidence=1.0)

    @activity.defn(name="look-at-envelope")
    def look(self, _asked: LookAtEnvelope) -> EnvelopeStatus:
        return EnvelopeStatus(status=self.envelope_status)


class Stage:
    """A client, and a worker with stand-ins on a queue of this test's own."""

    def __init__(self, client: Client, ledger: ScriptedLedger, queue: str, clock: str) -> None:
        self.client, self.ledger, self.queue, self.clock = client, ledger, queue, clock

    async def start_outreach(self, **changes: Any) -> WorkflowHandle[Any, Any]:
        given = OutreachInput(tenant_id="acme", correlation_id="corr-1", clock=self.clock, lead=lead(**changes))
        return await self.start("outreach-sequence", given)

    async def start_contract(self, **changes: Any) -> WorkflowHandle[Any, Any]:
        given = ContractSignatureInput(tenant_id="acme", correlation_id="corr-1", clock=self.clock, deal=deal(**changes))
        return await self.start("contract-signature", given)

    async def start(self, workflow: str, given: Any) -> WorkflowHandle[Any, Any]:
        """As the dispatchers do: by name, with plain JSON."""
        return await self.client.start_workflow(
            workflow, given.model_dump(mode="json"), id=f"acme/{workflow}/{uuid4()}", task_queue=self.queue
        )


@asynccontextmanager
async def staged(address: str, *, rate: float = FAST, prepare: Callable[[ScriptedLedger], None] | None = None) -> AsyncIterator[Stage]:
    setup_telemetry("spine-tests", Settings())
    client, clock, queue = await connect(address), clock_text(rate=rate), f"test-{uuid4()}"
    ledger = ScriptedLedger(clock)
    if prepare is not None:
        prepare(ledger)
    with ThreadPoolExecutor(THREADS) as threads:
        async with worker_of(client, ledger.activities(), threads, task_queue=queue):
            yield Stage(client, ledger, queue, clock)


def play(scene: Coroutine[Any, Any, None], seconds: float = 60) -> None:
    asyncio.run(asyncio.wait_for(scene, seconds))


async def until(what: Callable[[], Any], timeout: float = 20) -> Any:
    """The first true answer of `what`."""
    deadline = asyncio.get_running_loop().time() + timeout
    while not (answer := what()):
        assert asyncio.get_running_loop().time() < deadline, "it did not come about"
        await asyncio.sleep(0.02)
    return answer
