"""What every governance test needs: a clock that stands still, a connector that remembers, and short ways to say common things."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Any

from pydantic import BaseModel, ConfigDict

from shared.events import ActorType, Verdict
from shared.events.records import EvidencePack
from spine import approvals, audit, contacts, intents
from spine.approvals import Principal, Resolution
from spine.audit import Actor
from spine.db import Connection, Database
from spine.effects import Effects, Outcome
from spine.errors import OutcomeUnknown, ProviderRefused, ProviderUnavailable
from spine.intents import Intent, Proposal, Proposed
from spine.policy import PolicyTable
from tests.papers import RISKS, memo

POLICY = PolicyTable.load()
NOON = datetime(2026, 11, 22, 9, tzinfo=UTC)  # 12:00 in Riyadh, a Sunday
WORKFLOW = Actor(ActorType.AUTOMATED_WORKFLOW, "outreach")
WORKER = Actor(ActorType.EXECUTOR_SYSTEM, "worker")
EFFECTS = ("send_email", "crm_deal_create", "crm_deal_update", "send_contract_for_signature", "void_envelope", "notify_owner")
EVIDENCE = EvidencePack.model_validate(
    {
        "pack_id": "ep_1",
        "sources": [
            {"source": "crm", "uri": "crm://deals/1", "excerpt_digest": "sha256:" + "0" * 64, "retrieved_at": "2026-11-22T08:00:00Z"}
        ],
        "assumptions": [],
        "freshness_utc": "2026-11-22T08:00:00Z",
        "compliance_notes": "",
        "alternatives": [],
        "rollback": "void the envelope",
        "provenance_score": 90,
    }
)
PAPERS = {"evidence": EVIDENCE, "memo": memo(EVIDENCE.pack_id), "risks": RISKS}
CONTRACT = {
    "deal_id": "D1",
    "contact_id": "contact/1",
    "account": "Acme",
    "product": "GTX Pro",
    "amount": "4514.00",
    "currency": "USD",
    "terms": "net 30",
}
EDITED = {"contact_id": "contact/1", "subject": "Good morning", "body": "shorter"}
"""What an approver makes of a message."""
_numbers = itertools.count(1)


@dataclass
class StillClock:
    """Time moves when a test says so."""

    at: datetime = NOON

    def now(self) -> datetime:
        return self.at

    def real(self, business: timedelta) -> timedelta:
        return business

    def advance(self, **duration: float) -> None:
        self.at += timedelta(**duration)


class Anything(BaseModel):
    model_config = ConfigDict(extra="allow")


class Crash(BaseException):
    """The process died here."""


@dataclass
class ScriptedConnector:
    """A provider that honours idempotency keys, and does as the script says: one word a call, then it works.

    Words: "refuse", "unavailable" (nothing happens), "lose_answer" (it happens, nobody hears), "crash_before", "crash_after",
    "lie" (it reports something else), and for `find`: "unavailable", "refuse".
    """

    name: str = "scripted"
    actions: Mapping[str, type[BaseModel]] = field(default_factory=lambda: dict.fromkeys(POLICY.actions, Anything))
    perform_script: list[str] = field(default_factory=list)
    find_script: list[str] = field(default_factory=list)
    happened: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The far end's ledger: idempotency key → what was asked."""
    performed: int = 0
    asked: int = 0
    _lock: Lock = field(default_factory=Lock)

    def perform(self, tenant_id: str, payload: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            self.performed += 1
            word = self.perform_script.pop(0) if self.perform_script else ""
            match word:
                case "refuse":
                    raise ProviderRefused("no")
                case "unavailable":
                    raise ProviderUnavailable("busy")
                case "crash_before":
                    raise Crash
            self.happened.setdefault(payload["idempotency_key"], {"tenant": tenant_id, **payload})
            match word:
                case "lose_answer":
                    raise OutcomeUnknown("no answer")
                case "crash_after":
                    raise Crash
            return self._receipt(payload, "something else" if word == "lie" else None)

    def find(self, tenant_id: str, payload: dict[str, Any]) -> dict[str, Any] | None:
        with self._lock:
            self.asked += 1
            match self.find_script.pop(0) if self.find_script else "":
                case "unavailable":
                    raise ProviderUnavailable("busy")
                case "refuse":
                    raise ProviderRefused("no")
            return self._receipt(payload) if payload["idempotency_key"] in self.happened else None

    def _receipt(self, payload: dict[str, Any], subject: str | None = None) -> dict[str, Any]:
        observed = {"subject": subject or payload["subject"]} if "subject" in payload else {}
        return {"reference": f"ref-{payload['idempotency_key'][:8]}", "observed": observed, "sent_to": payload.get("address")}


@dataclass
class Desk:
    """One tenant's desk: everything that a test does to the spine, in a line each."""

    database: Database
    clock: StillClock = field(default_factory=StillClock)
    provider: ScriptedConnector = field(default_factory=ScriptedConnector)
    tenant: str = field(default_factory=lambda: f"acme-{next(_numbers)}")
    policy: PolicyTable = POLICY

    def __post_init__(self) -> None:
        self.staff("ana", "bob", "cleo", "dana", "approver-0", "approver-1")

    @property
    def effects(self) -> Effects:
        return Effects(self.database, dict.fromkeys(("email", "crm", "esign"), self.provider), self.policy, self.clock)

    def contact(self, contact_id: str = "contact/1", *, consent: bool = True) -> str:
        with self.database.tenant(self.tenant) as conn:
            contacts.upsert_contact(conn, tenant_id=self.tenant, contact_id=contact_id, account="Acme", email="buyer@acme.example")
            if consent:
                given = self.clock.now() - timedelta(days=1)
                contacts.record_consent(
                    conn, tenant_id=self.tenant, contact_id=contact_id, purpose="marketing", channel="email", source="form", now=given
                )
        return contact_id

    def staff(self, *people: str) -> None:
        """These sign as executive and as legal: any two of them for a contract. Nobody's change, so on nobody's record."""
        with self.database.tenant(self.tenant) as conn:
            conn.execute(
                "insert into approvers (tenant_id, person, function, created_at, updated_at) select %s, p, f, now(), now() "
                "from unnest(%s::text[]) p, unnest('{executive,legal}'::text[]) f on conflict do nothing",
                (self.tenant, list(people)),
            )

    def proposal(self, action: str = "send_email", **changes: Any) -> Proposal:
        number = next(_numbers)
        payload = {"contact_id": "contact/1", "subject": f"Hello {number}", "body": "…"}
        given: dict[str, Any] = {
            "tenant_id": self.tenant,
            "automation": "outreach-sequence",
            "key": f"lead-{number}",
            "action": action,
            "workflow_id": f"{self.tenant}/outreach-sequence/lead-{number}",
            "actor": WORKFLOW,
            "payload": payload,
            "correlation_id": f"flow-{number}",
        }
        if action == "send_contract_for_signature":
            given |= PAPERS | {"automation": "contract-signature", "payload": {**CONTRACT, "terms": f"net {number}"}}
        return Proposal(**(given | changes))

    def propose(self, action: str = "send_email", **changes: Any) -> Proposed:
        return self.propose_exactly(self.proposal(action, **changes))

    def propose_exactly(self, proposal: Proposal) -> Proposed:
        with self.database.tenant(self.tenant) as conn:
            return intents.propose(conn, proposal, policy=self.policy, clock=self.clock, effects_allowed=EFFECTS)

    def decide(self, approval_id: str | None, who: str, verdict: Verdict = Verdict.APPROVE, **changes: Any) -> Resolution:
        assert approval_id is not None
        given: dict[str, Any] = {
            "decision_id": f"decision-{next(_numbers)}",
            "principal": Principal(who, "approver"),
            "reason": None,
        }
        with self.database.tenant(self.tenant) as conn:
            return approvals.decide(
                conn,
                tenant_id=self.tenant,
                approval_id=approval_id,
                verdict=verdict,
                policy=self.policy,
                clock=self.clock,
                **(given | changes),
            )

    def runnable(self, action: str = "send_email", **changes: Any) -> Proposed:
        """Proposed, and approved by as many people as it takes."""
        proposed = self.propose(action, **changes)
        for number in range(proposed.approvers_needed):
            self.decide(proposed.approval_id, f"approver-{number}")
        return proposed

    def execute(self, intent_id: str) -> Outcome:
        return self.effects.execute(self.tenant, intent_id, actor=WORKER)

    def intent(self, intent_id: str) -> Intent:
        with self.database.tenant(self.tenant) as conn:
            return intents.read(conn, self.tenant, intent_id)

    def state(self, intent_id: str) -> str:
        return self.intent(intent_id).state.value

    def approval(self, approval_id: str | None) -> approvals.Approval:
        assert approval_id is not None
        with self.database.tenant(self.tenant) as conn:
            return approvals.show(conn, self.tenant, approval_id)

    def audited(self, subject_id: str | None) -> list[str]:
        with self.database.tenant(self.tenant) as conn:
            rows = audit.rows(conn, tenant_id=self.tenant, subject_id=subject_id)
        return [f"{row.action} {row.detail['to']}" if "to" in row.detail else row.action for row in rows]

    def events(self, short: str) -> list[dict[str, Any]]:
        with self.database.tenant(self.tenant) as conn:
            return _events(conn, self.tenant, short)

    def sql(self, query: str, *values: Any) -> list[dict[str, Any]]:
        with self.database.tenant(self.tenant) as conn:
            cursor = conn.execute(query, values)
            return cursor.fetchall() if cursor.description else []


def _events(conn: Connection, tenant_id: str, short: str) -> list[dict[str, Any]]:
    query = "select envelope->'data' as data from events where tenant_id = %s and type like %s order by position"
    return [row["data"] for row in conn.execute(query, (tenant_id, f"spine.{short}.v%"))]
