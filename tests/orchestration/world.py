"""Everything real but the outside: PostgreSQL, Temporal, the gate, the ledger, connectors; providers on loopback."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

from temporalio.client import Client, WorkflowHandle

from orchestration.governed.activities import GovernedActivities
from orchestration.graphs import GraphRunner
from orchestration.worker import THREADS, connectors_of, worker_of
from orchestration.workflows.contract_signature.activities import SignatureActivities
from orchestration.workflows.contract_signature.messages import OWNER, ContractSignatureInput
from orchestration.workflows.outreach_sequence.activities import OutreachActivities
from orchestration.workflows.outreach_sequence.messages import OutreachInput
from shared.events import ActorType, ApprovalResolved, Verdict
from shared.events.keys import contact_ref
from spine import approvals, contacts, directory
from spine.approvals import Approval, Principal, Resolution
from spine.audit import Actor
from spine.clock import BusinessClock
from spine.db import Database
from spine.effects import Effects
from spine.policy import PolicyTable
from spine.registry import Registry
from spine.settings import Settings
from spine.telemetry import setup_telemetry
from spine.temporal import connect
from tests.orchestration.standins import clock_text, deal, lead

TENANT = "acme"
POLICY = PolicyTable.load()


@dataclass
class Office:
    """The people: contacts who agreed, approvers who decide. Works without a worker."""

    database: Database
    clock: BusinessClock

    def __post_init__(self) -> None:
        self.staff()

    def staff(self) -> None:
        """Who may sign for a contract: an executive, and somebody of the legal function."""
        by = Actor(ActorType.HUMAN, "root")
        with self.database.tenant(TENANT) as conn:
            for person, function in (("basma", "executive"), ("chidi", "legal")):
                directory.add(conn, tenant_id=TENANT, person=person, function=function, actor=by, clock=self.clock)

    def contact(self, contact_id: str = "contact/isdom", *, consent: bool = True) -> None:
        with self.database.tenant(TENANT) as conn:
            address = f"buyer@{contact_id.removeprefix('contact/')}.example"
            contacts.upsert_contact(conn, tenant_id=TENANT, contact_id=contact_id, account="Isdom", email=address)
            if consent:
                contacts.record_consent(
                    conn, tenant_id=TENANT, contact_id=contact_id, purpose="marketing", channel="email", source="form",
                    now=self.clock.now() - timedelta(days=1),
                )  # fmt: skip

    def owner(self) -> None:
        self.contact(contact_ref(OWNER), consent=False)

    def opt_out(self) -> None:
        with self.database.tenant(TENANT) as conn:
            contacts.opt_out(conn, tenant_id=TENANT, contact_id="contact/isdom", channel="email", source="reply", now=self.clock.now())

    def pending(self) -> list[Approval]:
        with self.database.tenant(TENANT) as conn:
            return list(approvals.listing(conn, tenant_id=TENANT).items)

    def decide(self, approval: Approval, verdict: Verdict, who: str = "basma", edited: dict[str, Any] | None = None) -> Resolution:
        with self.database.tenant(TENANT) as conn:
            return approvals.decide(
                conn, tenant_id=TENANT, approval_id=approval.approval_id, decision_id=str(uuid4()), verdict=verdict,
                principal=Principal(who, "approver"), reason=None, policy=POLICY, clock=self.clock, edited_payload=edited,
            )  # fmt: skip

    def rows(self, query: str) -> list[dict[str, Any]]:
        with self.database.tenant(TENANT) as conn:
            return list(conn.execute(query))  # type: ignore[arg-type]

    def intents(self) -> list[tuple[str, str]]:
        return [(row["action"], row["state"]) for row in self.rows("select action, state from intents order by created_at, revision")]

    def events(self) -> list[str]:
        return [row["type"].removeprefix("spine.").removesuffix(".v1") for row in self.rows("select type from events order by position")]


class World(Office):
    """An office with a worker, and what the trigger sensors do: resolved approvals reach their workflow as signals."""

    def __init__(self, database: Database, clock: BusinessClock, client: Client, queue: str) -> None:
        super().__init__(database, clock)
        self.client = client
        self.queue = queue
        self._told: set[str] = set()

    async def start_outreach(self, **facts: Any) -> WorkflowHandle[Any, Any]:
        given = OutreachInput(tenant_id=TENANT, correlation_id="corr-1", clock=self.clock.describe(), lead=lead(**facts))
        return await self._start("outreach-sequence", given, given.lead.lead_id)

    async def start_contract(self, **facts: Any) -> WorkflowHandle[Any, Any]:
        given = ContractSignatureInput(tenant_id=TENANT, correlation_id="corr-1", clock=self.clock.describe(), deal=deal(**facts))
        return await self._start("contract-signature", given, given.deal.deal_id)

    async def _start(self, name: str, given: Any, key: str) -> WorkflowHandle[Any, Any]:
        workflow_id = f"{TENANT}/{name}/{key}-{self.queue}"
        return await self.client.start_workflow(name, given.model_dump(mode="json"), id=workflow_id, task_queue=self.queue)

    async def asked(self) -> Approval:
        """The approval that waits, once there is one."""
        for _ in range(600):
            if waiting := await asyncio.to_thread(self.pending):
                return waiting[0]
            await asyncio.sleep(0.02)
        raise AssertionError("nobody was asked")

    async def decided(self, approval: Approval, verdict: Verdict, who: str = "basma", edited: dict[str, Any] | None = None) -> Resolution:
        """A person decides, and the event of it reaches the workflow."""
        resolution = await asyncio.to_thread(self.decide, approval, verdict, who, edited)
        await self.relay()
        return resolution

    async def relay(self) -> None:
        query = f"select envelope from events where type = '{ApprovalResolved.TYPE}' order by position"
        for row in await asyncio.to_thread(self.rows, query):
            envelope = row["envelope"]
            if envelope["id"] not in self._told:
                self._told.add(envelope["id"])
                handle = self.client.get_workflow_handle(envelope["data"]["workflow_id"])
                await handle.signal("approval-resolved", envelope["data"])

    @asynccontextmanager
    async def approving(self, *people: str) -> AsyncIterator[None]:
        """Meanwhile these people approve whatever they are asked."""

        async def sign() -> None:
            while True:
                for approval in await asyncio.to_thread(self.pending):
                    already = {decision.decided_by for decision in approval.decisions}
                    if who := next((name for name in people if name not in already), None):
                        await self.decided(approval, Verdict.APPROVE, who)
                await asyncio.sleep(0.03)

        task = asyncio.create_task(sign())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def running_world(
    address: str, database: Database, settings: Settings, *, rate: float, start: str = "2026-11-22T09:00:00+03:00"
) -> AsyncIterator[World]:
    setup_telemetry("spine-tests", settings)
    client, queue = await connect(address), f"world-{uuid4()}"
    registry, clock = Registry.load(), BusinessClock.parse(clock_text(start, rate))
    with connectors_of(registry, settings) as connectors, ThreadPoolExecutor(THREADS) as threads:
        effects = Effects(database, connectors, POLICY, clock)
        graphs = GraphRunner.from_settings(settings)
        activities: list[Callable[..., Any]] = [
            *GovernedActivities(database=database, registry=registry, policy=POLICY, clock=clock, effects=effects).all(),
            *OutreachActivities(database=database, graphs=graphs, clock=clock).all(),
            *SignatureActivities(database=database, clock=clock, effects=effects).all(),
        ]
        async with worker_of(client, activities, threads, task_queue=queue):
            yield World(database, clock, client, queue)
