"""A company in the middle of its work: everything that the console's pages show, made by the services that make it."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from shared.events import ActorType, DealWon, Verdict
from spine import approvals, deadletters, eventlog
from spine.approvals import Principal
from spine.audit import Actor, seals
from spine.db import Database
from spine.effects import Effects
from spine.errors import OutcomeUnknown
from spine.policy import switches
from spine.policy.switches import Scope
from tests.gateway.conftest import NOON, Door
from tests.governance.support import WORKER, ScriptedConnector

ROBOT_RUN = "0198c0de-0000-4000-8000-00000000d00d"
XSS = '"><script>alert(1)</script><img src=x onerror=alert(2)>'


@dataclass
class Town:
    """One company, `acme`, and the ids of what it has. `say` goes into every text that a stranger could have written."""

    door: Door
    say: str = "because it is right"

    def deal(self, deal_id: str, correlation_id: str, *, tenant: str = "acme") -> str:
        """A fact from a Dagster run, dispatched to its workflow."""
        data: Mapping[str, Any] = {
            "deal_id": deal_id,
            "account": "Globex",
            "contact_id": "contact/globex",
            "product": "GTX Pro",
            "sales_agent": "Sara Ops",
            "value": {"amount": "4514.00", "currency": "USD"},
            "closed_on": "2026-11-20",
        }
        event_id = str(uuid4())
        with self.door.database.tenant(tenant) as conn:
            eventlog.publish(
                conn,
                DealWon.model_validate(data),
                tenant_id=tenant,
                source=f"/data_jobs/crm/runs/{ROBOT_RUN}",
                correlation_id=correlation_id,
                now=NOON - timedelta(minutes=90),
                event_id=UUID(event_id),
            )
        with self.door.database.relay() as conn:
            conn.execute(
                "insert into deliveries (group_name, position, tenant_id, event_id, partition_key, state, outcome, target) select "
                "'revenue', position, tenant_id, event_id, partition_key, 'delivered', 'started', %s from events where event_id = %s",
                (f"{tenant}/contract-signature/{deal_id}", event_id),
            )
        return event_id

    def decide(self, approval_id: str, who: str, verdict: Verdict, **more: Any) -> approvals.Resolution:
        with self.door.database.tenant("acme") as conn:
            return approvals.decide(
                conn,
                tenant_id="acme",
                approval_id=approval_id,
                decision_id=str(uuid4()),
                verdict=verdict,
                principal=Principal(who, "approver"),
                reason=self.say,
                policy=self.door.services.policy,
                clock=self.door.services.clock,
                **more,
            )

    def effects(self, *words: str) -> Effects:
        """A provider that does as the words say, see ScriptedConnector."""
        provider = ScriptedConnector(perform_script=[word for word in words if word], find_script=[])
        services = self.door.services
        return Effects(self.door.database, dict.fromkeys(("email", "crm", "esign"), provider), services.policy, services.clock)

    def sent(self, key: str, correlation_id: str, *words: str) -> str:
        """A message that was approved and carried out, or not, as the words say. Returns the intent's id."""
        approval_id = self.door.message(key=key, correlation_id=correlation_id)
        intent_id = self.decide(approval_id, "ana.approver", Verdict.APPROVE).intent_id
        with suppress(OutcomeUnknown):
            self.effects(*words).execute("acme", intent_id, actor=WORKER)
        return intent_id

    def letter(
        self, number: int = 1, *, plane: Any = "event", code: str = "schema-violation", body: Mapping[str, Any] | None = None
    ) -> UUID:
        with self.door.database.tenant("acme") as conn:
            return deadletters.add(
                conn,
                tenant_id="acme",
                plane=plane,
                reference=f"event {number} {self.say if 'script' in self.say else ''}".strip(),
                consumer="revenue",
                correlation_id=f"flow-letter-{number}",
                error_code=code,
                error=f"'value' is missing: {self.say}",
                attempts=5,
                body=body or {"data": {"deal_id": f"D{number}", "note": self.say}},
                now=NOON - timedelta(hours=number),
            )

    def stop(self, scope: Scope, target: str) -> None:
        with self.door.database.tenant("acme") as conn:
            switches.engage(
                conn, tenant_id="acme", scope=scope, target=target, reason=self.say, actor=Actor(ActorType.HUMAN, "noor.admin"), now=NOON
            )

    def seal(self) -> None:
        with self.door.database.tenant("acme") as conn:
            seals.seal(conn, tenant_id="acme", now=NOON)


def live(door: Door, say: str = "because it is right") -> Town:
    """One of everything, in all its states."""
    town = Town(door, say)
    town.deal("D-1001", "flow-deal")
    door.statement(key="D-1001", correlation_id="flow-deal")
    town.sent("lead-done", "flow-done")
    town.sent("lead-unknown", "flow-unknown", "lose_answer")
    town.sent("lead-refused", "flow-refused", "refuse")
    rejected = door.message(key="lead-rejected", correlation_id="flow-rejected")
    town.decide(rejected, "omar.approver", Verdict.REJECT)
    edited = door.message(key="lead-edited", correlation_id="flow-edited")
    body = f"Shall we talk on Tuesday? {say}"
    town.decide(edited, "ana.approver", Verdict.EDIT, edited_payload={"contact_id": "contact/globex", "subject": "Hello", "body": body})
    door.message(key="lead-waiting", correlation_id="flow-waiting")
    town.letter(1)
    town.letter(2, plane="data_job", code="run-failed", body={"job": "crm_to_commitments", "tags": {}})
    town.seal()
    town.stop(Scope.ACTION, "crm_deal_update")
    return town


__all__ = ["XSS", "Database", "Town", "live"]
