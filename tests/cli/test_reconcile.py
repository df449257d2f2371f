"""A person asks the provider what became of an intent: that settles the books, and never sends."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Self

import pytest
from pydantic import BaseModel

from shared.events import ActorType, Verdict
from spine import approvals
from spine.approvals import Principal
from spine.audit import Actor
from spine.effects import Effects
from spine.errors import OutcomeUnknown
from spine.identity import Role
from spine.policy import PolicyTable
from spine.registry import Registry
from spine.settings import Settings
from tests.cli.conftest import Spine
from tests.gateway.conftest import NOON, Door, EmailPayload
from tests.governance.support import StillClock


class Mail:
    """Loses every answer, and then says about it what the test wants."""

    name = "email"
    actions: Mapping[str, type[BaseModel]] = {"send_email": EmailPayload, "notify_owner": EmailPayload}
    answer: dict[str, Any] | OutcomeUnknown | None = None
    sent: int = 0

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        settings.require("email_smtp_url")
        return cls()

    def close(self) -> None: ...

    def perform(self, tenant_id: str, payload: dict[str, Any]) -> dict[str, Any]:
        Mail.sent += 1
        raise OutcomeUnknown(f"no answer about {tenant_id}/{payload['action']}")

    def find(self, tenant_id: str, payload: dict[str, Any]) -> dict[str, Any] | None:
        assert (tenant_id, bool(payload["idempotency_key"])) == ("acme", True)
        if isinstance(Mail.answer, OutcomeUnknown):
            raise Mail.answer
        return Mail.answer


@pytest.fixture
def unknown(office: Door, monkeypatch: pytest.MonkeyPatch) -> str:
    """An intent whose answer was lost ten minutes ago."""
    monkeypatch.setattr(Registry, "load", lambda: Registry({}, {}, {"email": Mail}))
    monkeypatch.setenv("SPINE_EMAIL_SMTP_URL", "smtp://127.0.0.1:1")
    monkeypatch.setattr(Mail, "answer", None)
    monkeypatch.setattr(Mail, "sent", 0)
    return lost(office, ago=timedelta(minutes=10))


def lost(office: Door, *, ago: timedelta) -> str:
    policy, clock, approval_id = PolicyTable.load(), StillClock(NOON - ago), office.message()
    with office.database.tenant("acme") as conn:
        decided = approvals.decide(
            conn, tenant_id="acme", approval_id=approval_id, decision_id="d", verdict=Verdict.APPROVE,
            principal=Principal("omar", "approver"), reason=None, policy=policy, clock=clock,
        )  # fmt: skip
    with pytest.raises(OutcomeUnknown):
        Effects(office.database, {"email": Mail()}, policy, clock).execute(
            "acme", decided.intent_id, actor=Actor(ActorType.EXECUTOR_SYSTEM, "worker")
        )
    return decided.intent_id


@pytest.mark.parametrize(("answer", "state"), [({"reference": "m-1", "observed": {}}, "completed"), (None, "failed")])
def test_what_the_provider_says_is_written_down_in_the_name_of_who_asked(
    spine: Spine, office: Door, unknown: str, answer: dict[str, Any] | None, state: str
) -> None:
    Mail.answer = answer
    done = spine("intents", "reconcile", unknown, person="olga", role=Role.OPERATOR)
    assert (done.code, f"it is {state}" in done.out, Mail.sent) == (0, True, 1), done
    assert office.count("audit_log", f"subject_id = '{unknown}' and actor_id = 'olga' and detail->>'to' = '{state}'") == 1
    again = spine("intents", "reconcile", unknown, "--json", person="olga", role=Role.OPERATOR)
    assert again.json()["state"] == state


def test_a_provider_that_cannot_say_leaves_it_open_and_is_named(spine: Spine, unknown: str) -> None:
    Mail.answer = OutcomeUnknown("set SPINE_EMAIL_LOOKUP_URL")
    done = spine("intents", "reconcile", unknown)
    assert (done.code != 0, "SPINE_EMAIL_LOOKUP_URL; intent" in done.error, "nothing was sent" in done.error) == (True, True, True), done
    assert spine("intents", "show", unknown, "--json").json()["state"] == "unknown"
    assert Mail.sent == 1


def test_a_connector_that_is_not_configured_or_not_there_is_named(spine: Spine, unknown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPINE_EMAIL_SMTP_URL")
    assert "SPINE_EMAIL_SMTP_URL" in spine("intents", "reconcile", unknown).error
    monkeypatch.setattr(Registry, "load", lambda: Registry({}))
    assert "declares 'email'" in spine("intents", "reconcile", unknown).error


def test_an_attempt_that_may_still_be_under_way_is_not_declared_dead(spine: Spine, office: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Registry, "load", lambda: Registry({}, {}, {"email": Mail}))
    monkeypatch.setenv("SPINE_EMAIL_SMTP_URL", "smtp://127.0.0.1:1")
    monkeypatch.setattr(Mail, "answer", None)
    fresh = lost(office, ago=timedelta(minutes=1))
    assert "may still be with the provider" in spine("intents", "reconcile", fresh).error
    assert spine("intents", "show", fresh, "--json").json()["state"] == "unknown"


def test_a_viewer_may_not_and_a_tenants_intent_is_its_own(spine: Spine, unknown: str) -> None:
    assert "takes 'operator'" in spine("intents", "reconcile", unknown, person="vic", role=Role.VIEWER).error
    assert spine("intents", "reconcile", unknown, tenant="globex").code == 4
