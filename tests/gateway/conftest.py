"""A gateway over a real database, with two tenants, people of every role, and approvals that wait."""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from fastapi.testclient import TestClient
from httpx import Response
from pydantic import BaseModel, ConfigDict

from shared.events import ActorType, DealWon, SignatureReported, WorkflowEnded, keys
from shared.events.records import EvidencePack, Source
from spine import contacts, eventlog, intents
from spine.audit import Actor
from spine.clock import BusinessClock
from spine.db import Database
from spine.gateway.app import create_app
from spine.gateway.services import Services
from spine.identity import Role, issue_key
from spine.intents import Proposal
from spine.policy import PolicyTable
from spine.registry import Automation, Budget, Graph, Horizon, Listen, Registry, Sla, Track, Workflow
from spine.settings import Settings
from tests.papers import RISKS, memo

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)  # three in the afternoon in Riyadh: no quiet hours
SECRET = "whsec_" + base64.b64encode(b"a secret of thirty-two bytes ...").decode()
ROBOT = Actor(ActorType.AUTOMATED_WORKFLOW, "test-automation")


class ContractInput(BaseModel):
    model_config = ConfigDict(frozen=True)

    tenant_id: str
    correlation_id: str
    deal_id: str
    value: Decimal


class EmailPayload(BaseModel):
    model_config = ConfigDict(extra="forbid")

    contact_id: str
    subject: str
    body: str


class EmailConnector:
    name = "email"
    actions: Mapping[str, type[BaseModel]] = {"send_email": EmailPayload}


def _automation(name: str, runs: Workflow | Graph, **more: Any) -> Automation:
    return Automation(
        name=name,
        summary=f"{name}, for tests",
        track=Track.REVENUE,
        owner="tests",
        horizon=Horizon.LONG,
        runs=runs,
        key=keys.per_deal,
        payload=lambda _envelope, data: data,
        payload_model=ContractInput,
        compensation="none",
        sla=Sla(warn=timedelta(hours=4), breach=timedelta(hours=24)),
        budget=Budget(tokens=0, money=Decimal("5.00")),
        **more,
    )


CONTRACT = _automation(
    "contract-signature",
    Workflow("contract-signature"),
    on=(DealWon,),
    listens=(Listen(event=SignatureReported, signal="envelope-reported", key=keys.per_deal),),
    effects=("send_email", "crm_deal_update"),
)
THINKING = _automation("thinking", Graph("thinking"), effects=())


def registry() -> Registry:
    return Registry({a.name: a for a in (CONTRACT, THINKING)}, {"thinking": "nowhere:build"}, {"email": EmailConnector})


@dataclass
class Door:
    """What a test needs of a running gateway: calls as a person of a tenant, and rows behind the door."""

    client: TestClient
    services: Services
    database: Database
    keys: dict[tuple[str, str], str] = field(default_factory=dict)

    def key(self, person: str, *, tenant: str = "acme", role: Role = Role.APPROVER) -> str:
        if (tenant, person) not in self.keys:
            with self.database.tenant(tenant) as conn:
                self.keys[tenant, person] = issue_key(conn, tenant_id=tenant, principal_id=person, role=role)
        return self.keys[tenant, person]

    def get(self, path: str, person: str = "vera", *, tenant: str = "acme", role: Role = Role.APPROVER, **more: Any) -> Response:
        return self._call("GET", path, person, tenant, role, more)

    def post(
        self,
        path: str,
        body: Any,
        person: str = "omar",
        *,
        tenant: str = "acme",
        role: Role = Role.APPROVER,
        key: str | None = None,
        **more: Any,
    ) -> Response:
        more["headers"] = {"Idempotency-Key": key or str(uuid4()), **more.get("headers", {})}
        return self._call("POST", path, person, tenant, role, {**more, "json": body})

    def _call(self, method: str, path: str, person: str, tenant: str, role: Role, more: dict[str, Any]) -> Response:
        headers = {"Authorization": f"Bearer {self.key(person, tenant=tenant, role=role)}", **more.pop("headers", {})}
        return self.client.request(method, path, headers=headers, **more)

    def count(self, table: str, where: str = "true", *, tenant: str = "acme") -> int:
        with self.database.tenant(tenant) as conn:
            row = conn.execute(f"select count(*) as n from {table} where {where}").fetchone()
        assert row is not None
        return int(row["n"])

    def message(self, *, tenant: str = "acme", key: str = "lead-1", correlation_id: str = "flow-1") -> str:
        """An A1 approval that waits for one person. Returns its id."""
        with self.database.tenant(tenant) as conn:
            contacts.upsert_contact(conn, tenant_id=tenant, contact_id="contact/globex", account="Globex", email="buyer@globex.example")
            contacts.record_consent(
                conn,
                tenant_id=tenant,
                contact_id="contact/globex",
                purpose="marketing",
                channel="email",
                source="test",
                now=NOON - timedelta(days=1),
            )
        payload = {"contact_id": "contact/globex", "subject": "Hello", "body": "Shall we talk?"}
        return self._proposed("send_email", payload, tenant, key, correlation_id)

    def statement(self, *, tenant: str = "acme", key: str = "deal-1", correlation_id: str = "flow-2") -> str:
        """An A2 approval that waits for two people: an action that the policy table does not know."""
        return self._proposed("publish_statement", {"text": "We won."}, tenant, key, correlation_id)

    def ended(self, outcome: str, why: str | None = None, *, tenant: str = "acme", correlation_id: str = "flow-1") -> None:
        """The last word of a commitment."""
        over = WorkflowEnded(workflow_id=f"{tenant}/contract-signature/D-1", automation="contract-signature", outcome=outcome, why=why)
        with self.database.tenant(tenant) as conn:
            eventlog.publish(conn, over, tenant_id=tenant, source="/test", correlation_id=correlation_id, now=NOON)

    def _proposed(self, action: str, payload: dict[str, Any], tenant: str, key: str, correlation_id: str) -> str:
        proposal = Proposal(
            tenant_id=tenant,
            automation="contract-signature",
            key=key,
            action=action,
            workflow_id=f"{tenant}/contract-signature/{key}",
            actor=ROBOT,
            payload=payload,
            correlation_id=correlation_id,
            evidence=EVIDENCE,
            memo=memo(EVIDENCE.pack_id),
            risks=RISKS,
            confidence=Decimal("0.9"),
        )
        with self.database.tenant(tenant) as conn:
            proposed = intents.propose(
                conn, proposal, policy=self.services.policy, clock=self.services.clock, effects_allowed=("send_email", "publish_statement")
            )
        assert proposed.approval_id, proposed
        return proposed.approval_id


EVIDENCE = EvidencePack(
    pack_id="pack-1",
    sources=(Source(source="crm", uri="crm://deal/1", excerpt_digest="sha256:" + "0" * 64, retrieved_at=NOON),),
    assumptions=("the export is current",),
    freshness_utc=NOON,
    compliance_notes="none",
    alternatives=("wait",),
    rollback="cannot be undone",
    provenance_score=80,
)


def services_over(database: Database, settings: Mapping[str, Any] | None = None, **more: Any) -> Services:
    given_settings = {
        "tenant": "acme",
        "token_key": "a key for tokens, of forty characters ..",
        "esign_webhook_secret": SECRET,
        "temporal_ui_url": "http://temporal.test",
        "dagster_url": "http://dagster.test",
    }
    known = Settings.model_validate({**given_settings, **(settings or {})})
    clock = BusinessClock(business_anchor=NOON, real_anchor=datetime.now(UTC))
    given = {"settings": known, "registry": registry(), "policy": PolicyTable.load(), "clock": clock, **more}
    return Services(database=database, **given)


@pytest.fixture
def door(database: Database) -> Door:
    services = services_over(database)
    # Entered without its context: the app's life would close the database that the fixture owns.
    return Door(TestClient(create_app(services)), services, database)


@pytest.fixture
def refused() -> Callable[..., dict[str, Any]]:
    """Check that an answer is an RFC 9457 problem and return it."""

    def check(response: Response, status: int, code: str, *says: str) -> dict[str, Any]:
        body: dict[str, Any] = response.json()
        assert response.status_code == status, body
        assert response.headers["content-type"] == "application/problem+json"
        assert body["type"] == f"urn:spine:problem:{code}", body
        assert body["status"] == status
        assert body["title"]
        assert body["instance"].startswith("/")
        for text in says:
            assert text in body["detail"], body
        return body

    return check
